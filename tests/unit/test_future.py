"""Future: states, results, attributes, repr, awaiting."""

import asyncio
import gc
import sys
import weakref

import pytest


def test_create_future_makes_a_pending_future_of_this_loop(loop, future_class):
    future = loop.create_future()
    assert type(future) is future_class
    assert isinstance(future, asyncio.Future)
    assert asyncio.isfuture(future)
    assert future.get_loop() is loop
    assert not future.done()
    assert not future.cancelled()


def test_the_constructor_takes_the_loop_by_name_alone(loop, future_class):
    assert future_class(loop=loop).get_loop() is loop
    with pytest.raises(TypeError):
        future_class(loop)


def test_the_constructor_uses_the_running_loop(loop, run, future_class):
    async def main():
        return future_class().get_loop()

    assert run(main()) is loop


def test_a_result_is_returned_every_time(loop):
    future = loop.create_future()
    result = object()
    assert future.set_result(result) is None
    assert future.done()
    assert not future.cancelled()
    assert future.result() is result
    assert future.result() is result
    assert future.exception() is None


def test_an_exception_is_raised_every_time(loop):
    future = loop.create_future()
    error = ValueError("broken")
    assert future.set_exception(error) is None
    assert future.done()
    assert not future.cancelled()
    assert future.exception() is error
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            future.result()
        assert caught.value is error


def test_the_traceback_does_not_grow_with_each_raise(loop):
    def depth(error):
        count, frame = 0, error.__traceback__
        while frame is not None:
            count, frame = count + 1, frame.tb_next
        return count

    future = loop.create_future()
    future.set_exception(ValueError("broken"))
    depths = []
    for _ in range(4):
        try:
            future.result()
        except ValueError as exc:
            depths.append(depth(exc))
    assert len(set(depths)) == 1


def test_an_exception_class_is_instantiated(loop):
    future = loop.create_future()
    future.set_exception(LookupError)
    assert type(future.exception()) is LookupError


def test_cancel_reports_whether_it_did_anything(loop):
    future = loop.create_future()
    assert future.cancel() is True
    assert future.cancelled() is True
    assert future.done() is True
    assert future.cancel() is False
    done = loop.create_future()
    done.set_result(1)
    assert done.cancel() is False
    assert done.cancelled() is False


@pytest.mark.parametrize("message", [(), ("why",), (None,), (5,), (ValueError("odd"),)])
def test_a_cancelled_future_raises_cancelled_error_with_its_message(loop, message):
    future = loop.create_future()
    future.cancel(*message)
    for method in (future.result, future.exception):
        with pytest.raises(asyncio.CancelledError) as caught:
            method()
        assert caught.value.args == tuple(part for part in message if part is not None)


def test_the_cancel_message_may_be_given_by_name(loop):
    future = loop.create_future()
    future.cancel(msg="by name")
    assert future._cancel_message == "by name"
    with pytest.raises(asyncio.CancelledError, match="^by name$"):
        future.result()


def test_awaiting_a_done_future_does_not_suspend(loop, run):
    async def main():
        future = loop.create_future()
        future.set_result("ready")
        seen = []
        loop.call_soon(seen.append, "turn passed")
        return await future, list(seen)

    assert run(main()) == ("ready", [])


def test_awaiting_a_pending_future_returns_its_result(loop, run):
    async def main():
        future = loop.create_future()
        loop.call_soon(future.set_result, "later")
        return await future

    assert run(main()) == "later"


def test_awaiting_raises_the_exception_of_the_future(loop, run):
    async def main():
        future = loop.create_future()
        error = KeyError("later")
        loop.call_soon(future.set_exception, error)
        with pytest.raises(KeyError) as caught:
            await future
        assert caught.value is error

    run(main())


def test_a_result_that_is_an_exception_or_a_tuple_is_returned_as_it_is(loop, run):
    async def main():
        for result in (ValueError("as a result"), (1, 2), (), StopIteration(3), None, [1]):
            future = loop.create_future()
            loop.call_soon(future.set_result, result)
            assert await future is result

    run(main())


def test_the_iterator_yields_the_future_itself_once(loop):
    future = loop.create_future()
    iterator = iter(future)
    assert next(iterator) is future
    assert future._asyncio_future_blocking is True
    future.set_result(7)
    with pytest.raises(StopIteration) as caught:
        next(iterator)
    assert caught.value.value == 7


def test_the_iterator_refuses_to_go_on_while_the_future_is_pending(same_as_stock):
    def scenario(loop, engine):
        iterator = loop.create_future().__await__()
        next(iterator)
        next(iterator)

    assert same_as_stock(scenario)[1] is RuntimeError


def test_the_iterator_has_send_throw_and_close(loop):
    future = loop.create_future()
    iterator = future.__await__()
    assert iterator.send(None) is future
    with pytest.raises(ValueError, match="^thrown$"):
        iterator.throw(ValueError("thrown"))
    iterator = loop.create_future().__await__()
    next(iterator)
    assert iterator.close() is None
    with pytest.raises(LookupError):
        loop.create_future().__await__().throw(LookupError)


def test_throwing_wrong_things_into_the_iterator_gives_the_stock_error(same_as_stock):
    for args in ((1,), (int,), (ValueError("x"), ValueError("y")), ()):

        def scenario(loop, engine, args=args):
            iterator = loop.create_future().__await__()
            next(iterator)
            iterator.throw(*args)

        assert same_as_stock(scenario)[0] == "raised"


def test_the_iterator_of_a_finished_future_stops_at_once(loop):
    future = loop.create_future()
    future.set_result("now")
    with pytest.raises(StopIteration) as caught:
        next(iter(future))
    assert caught.value.value == "now"


STATES = {
    "pending": lambda future: None,
    "result": lambda future: future.set_result("value"),
    "long result": lambda future: future.set_result(list(range(1000))),
    "exception": lambda future: (future.set_exception(ValueError("e")), future.exception()),
    "cancelled": lambda future: future.cancel(),
    "cancelled with message": lambda future: future.cancel("why"),
    "one callback": lambda future: future.add_done_callback(print),
    "two callbacks": lambda future: [future.add_done_callback(c) for c in (print, len)],
    "many callbacks": lambda future: [future.add_done_callback(c) for c in (print, len, abs, hash)],
    "callback of a method": lambda future: future.add_done_callback([].append),
    "refers to itself": lambda future: future.set_result([future]),
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_the_repr_is_the_one_of_stock_in_every_state(same_as_stock, change, debug):
    def scenario(loop, engine):
        loop.set_debug(debug)
        future = engine.future_class(loop=loop)
        change(future)
        return repr(future), str(future)

    assert same_as_stock(scenario)[1][0].startswith("<Future ")


@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_the_attributes_are_those_of_stock_in_every_state(same_as_stock, change):
    def scenario(loop, engine):
        future = loop.create_future()
        change(future)
        names = "_state _log_traceback _source_traceback _cancel_message _asyncio_future_blocking"
        values = {name: getattr(future, name) for name in names.split()}
        values["_loop"] = future._loop is loop
        values["_result"] = repr(future._result)
        values["_exception"] = repr(future._exception)
        values["_callbacks"] = [callback.__name__ for callback, _ in future._callbacks or ()]
        values["methods"] = future.done(), future.cancelled()
        return values

    same_as_stock(scenario)


def test_writable_attributes_can_be_written_and_others_not(same_as_stock):
    names = "_state _result _exception _callbacks _loop _log_traceback _source_traceback \
        _cancel_message _asyncio_future_blocking"
    for name in names.split():
        for value in (False, True, None, "text"):

            def scenario(loop, engine, name=name, value=value):
                future = loop.create_future()
                setattr(future, name, value)
                return getattr(future, name)

            same_as_stock(scenario)

        def deletion(loop, engine, name=name):
            delattr(loop.create_future(), name)

        same_as_stock(deletion)


def test_make_cancelled_error_has_the_message(loop):
    future = loop.create_future()
    future.cancel("why")
    error = future._make_cancelled_error()
    assert type(error) is asyncio.CancelledError
    assert error.args == ("why",)


def test_debug_mode_records_where_a_future_was_made(loop, future_class):
    loop.set_debug(True)
    future = future_class(loop=loop)
    assert future._source_traceback[-1].name == sys._getframe().f_code.co_name
    assert loop.create_future()._source_traceback is not None


def test_futures_can_be_weakly_referenced_and_compared_by_identity(loop):
    future = loop.create_future()
    alive = weakref.ref(future)
    assert alive() is future
    assert future == future
    assert future != loop.create_future()
    assert len({future, loop.create_future()}) == 2
    del future
    assert alive() is None


def test_a_future_in_a_reference_cycle_is_collected(loop):
    future = loop.create_future()
    future.add_done_callback(lambda _, future=future: None)
    first = weakref.ref(future)
    other = loop.create_future()
    other.set_result([other])
    second = weakref.ref(other)
    del future, other
    gc.collect()
    assert first() is None
    assert second() is None
