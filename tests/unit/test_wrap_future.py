"""`wrap_future`, stock's and the native one, on both loops."""

import asyncio
import concurrent.futures
import gc
import re
import threading
import warnings

import pytest


@pytest.fixture
def wrap(package):
    """The function under test."""
    return package.wrap_future


def test_the_result_of_a_thread_comes_to_the_loop(loop, run, wrap):
    async def main():
        source = concurrent.futures.Future()
        wrapped = wrap(source)
        assert wrapped.get_loop() is loop
        thread = threading.Thread(target=source.set_result, args=("value",))
        thread.start()
        try:
            return await wrapped
        finally:
            thread.join()

    assert run(main()) == "value"


def test_errors_come_as_they_are(run, wrap):
    async def main():
        error = KeyError("broken")
        source = concurrent.futures.Future()
        wrapped = wrap(source)
        source.set_exception(error)
        with pytest.raises(KeyError) as caught:
            await wrapped
        return caught.value is error

    assert run(main())


@pytest.mark.parametrize("kind", ["CancelledError", "InvalidStateError"])
def test_errors_of_concurrent_futures_become_those_of_asyncio(run, wrap, kind):
    async def main():
        source = concurrent.futures.Future()
        wrapped = wrap(source)
        source.set_exception(getattr(concurrent.futures, kind)("words"))
        with pytest.raises(getattr(asyncio, kind)) as caught:
            await wrapped
        return type(caught.value) is getattr(asyncio, kind), caught.value.args

    assert run(main()) == (True, ("words",))


def test_a_time_out_is_one_as_on_stock(run, wrap):
    error = TimeoutError("late")

    async def outcome(function):
        source = concurrent.futures.Future()
        wrapped = function(source)
        source.set_exception(error)
        await asyncio.wait([wrapped])
        return wrapped.exception()

    async def main():
        own, stock = await outcome(wrap), await outcome(asyncio.wrap_future)
        assert (own is error) == (stock is error)
        return type(own), own.args

    assert run(main()) == (TimeoutError, ("late",))


def test_what_is_done_before_takes_a_turn(loop, turns, wrap):
    source = concurrent.futures.Future()
    source.set_result("value")
    wrapped = wrap(source, loop=loop)
    assert not wrapped.done()
    turns(1)
    assert wrapped.result() == "value"


def test_cancelling_it_cancels_the_source_in_the_next_turn(loop, turns, wrap):
    source = concurrent.futures.Future()
    wrapped = wrap(source, loop=loop)
    wrapped.cancel()
    assert not source.cancelled()
    turns(1)
    assert source.cancelled()


def test_a_source_that_runs_is_not_cancelled(loop, turns, wrap, reported):
    source = concurrent.futures.Future()
    source.set_running_or_notify_cancel()
    wrapped = wrap(source, loop=loop)
    wrapped.cancel()
    turns(1)
    source.set_result("too late")
    turns(2)
    assert wrapped.cancelled()
    assert reported == []


def test_a_cancelled_source_cancels_it(run, wrap):
    async def main():
        source = concurrent.futures.Future()
        wrapped = wrap(source)
        source.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wrapped
        return wrapped.cancelled()

    assert run(main())


def test_an_outcome_for_one_that_has_another_is_reported(loop, turns, wrap, reported):
    source = concurrent.futures.Future()
    wrapped = wrap(source, loop=loop)
    wrapped.set_result("own")
    source.set_result("other")
    turns(2)
    (context,) = reported
    assert isinstance(context["exception"], AssertionError)
    assert context["message"].startswith("Exception in callback _chain_future.<locals>._set_state(")
    assert wrapped.result() == "own"


def test_an_outcome_after_the_loop_was_closed_is_dropped(loop, wrap, caplog):
    source, cancelled = concurrent.futures.Future(), concurrent.futures.Future()
    wrapped, other = wrap(source, loop=loop), wrap(cancelled, loop=loop)
    other.cancel()
    loop.close()
    source.set_result("late")
    cancelled.set_result("late")
    assert not wrapped.done()
    assert caplog.text == ""


def test_a_future_of_asyncio_is_given_back(loop, wrap):
    own, stock = loop.create_future(), asyncio.Future(loop=loop)
    assert wrap(own) is own
    assert wrap(stock, loop=loop) is stock


def test_a_subclass_is_a_future(run, wrap):
    class Own(concurrent.futures.Future):
        pass

    async def main():
        source = Own()
        wrapped = wrap(source)
        source.set_result("value")
        return await wrapped

    assert run(main()) == "value"


@pytest.mark.parametrize("what", [None, 1, "future"])
def test_what_is_no_future_is_refused(loop, wrap, what):
    with pytest.raises(AssertionError) as caught:
        wrap(what, loop=loop)
    assert str(caught.value) == f"concurrent.futures.Future is expected, got {what!r}"


@pytest.mark.parametrize(
    "call", [lambda wrap: wrap(), lambda wrap: wrap(1, 2), lambda wrap: wrap(1, event_loop=2)]
)
def test_arguments_are_refused_in_the_words_of_stock(wrap, call):
    with pytest.raises(TypeError) as caught:
        call(wrap)
    with pytest.raises(TypeError) as expected:
        call(asyncio.wrap_future)
    assert str(caught.value) == str(expected.value)


def test_without_a_loop_it_is_as_stock(wrap):
    def outcome(function):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                function(concurrent.futures.Future()).get_loop().close()
            except RuntimeError as error:
                return str(error), len(caught)
            return None, len(caught)

    async def in_a_thread():
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(outcome, wrap).result(), pool.submit(
                outcome, asyncio.wrap_future
            ).result()

    own, stock = asyncio.run(in_a_thread())
    assert own == stock


def test_a_stock_future_of_another_loop_may_be_made(loop, turns, wrap):
    source = concurrent.futures.Future()
    made = []

    def create_future():
        made.append(asyncio.Future(loop=loop))
        return made[0]

    loop.create_future = create_future
    wrapped = wrap(source, loop=loop)
    del loop.create_future
    assert [wrapped] == made
    source.set_result("value")
    turns(2)
    assert wrapped.result() == "value"


def test_a_replaced_call_soon_threadsafe_is_called(loop, turns, wrap):
    calls = []
    original = loop.call_soon_threadsafe

    def call_soon_threadsafe(callback, *args, context=None):
        calls.append(args)
        return original(callback, *args, context=context)

    loop.call_soon_threadsafe = call_soon_threadsafe
    source = concurrent.futures.Future()
    wrapped = wrap(source, loop=loop)
    source.set_result("value")
    turns(1)
    del loop.call_soon_threadsafe
    assert (calls, wrapped.result()) == ([(wrapped, source)], "value")


def test_its_callback_names_a_stock_function(loop, wrap):
    wrapped = wrap(concurrent.futures.Future(), loop=loop)
    assert re.search(
        r"cb=\[_chain_future\.<locals>\._call_check_cancel\(\) at .*futures\.py:\d+\]",
        repr(wrapped),
    )


def test_the_handle_on_its_way_names_a_stock_function(loop, turns, wrap):
    source = concurrent.futures.Future()
    wrapped = wrap(source, loop=loop)
    source.set_result(1)
    (handle,) = loop._ready
    assert re.search(
        r"_chain_future\.<locals>\._set_state\(.*\) at .*futures\.py:\d+>", repr(handle)
    )
    assert handle._args == (wrapped, source)
    turns(1)


def test_it_works_in_debug_mode(loop, turns, wrap):
    loop.set_debug(True)
    source = concurrent.futures.Future()
    wrapped = wrap(source, loop=loop)
    source.set_result("value")
    turns(2)
    assert wrapped.result() == "value"


def test_nothing_is_kept_of_what_is_over(loop, turns, wrap):
    class Value:
        pass

    source = concurrent.futures.Future()
    wrapped = wrap(source, loop=loop)
    source.set_result(Value())
    turns(2)
    assert type(wrapped.result()) is Value
    del source, wrapped
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is Value] == []
