"""run_forever, run_until_complete and stop: states, order and errors."""

import asyncio
import gc
import sys

import pytest


def test_stop_before_the_run_gives_one_turn(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon(loop.call_soon, seen.append, 2)
    loop.stop()
    loop.run_forever()
    assert seen == [1]


def test_the_batch_that_called_stop_is_finished_and_later_callbacks_wait(loop):
    seen = []

    def stopping():
        seen.append("stopping")
        loop.stop()
        loop.call_soon(seen.append, "scheduled after stop")

    def scheduling():
        seen.append("after stopping")
        loop.call_soon(seen.append, "scheduled in the batch")

    loop.call_soon(stopping)
    loop.call_soon(scheduling)
    loop.run_forever()
    assert seen == ["stopping", "after stopping"]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen[2:] == ["scheduled after stop", "scheduled in the batch"]


def test_callbacks_scheduled_through_other_callbacks_wait_for_the_next_start_too(loop, turns):
    seen = []
    future = loop.create_future()
    future.add_done_callback(lambda _: seen.append("done callback"))
    loop.call_soon(loop.stop)
    loop.call_soon(future.set_result, None)
    loop.run_forever()
    assert seen == []
    turns()
    assert seen == ["done callback"]


def test_stop_holds_for_one_run_alone(loop):
    seen = []
    loop.call_soon(loop.stop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_soon(seen.append, 1)
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    assert seen == [1]


def test_stop_called_by_a_timer_ends_the_run(loop):
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert not loop.is_running()


def test_is_running_is_true_only_inside_a_run(loop, turns):
    seen = []
    assert loop.is_running() is False
    loop.call_soon(lambda: seen.append(loop.is_running()))
    turns()
    assert seen == [True]
    assert loop.is_running() is False


def test_there_is_a_running_loop_only_inside_a_run(loop, turns):
    seen = []
    loop.call_soon(lambda: seen.append(asyncio.get_running_loop()))
    turns()
    assert seen == [loop]
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        asyncio.get_running_loop()


def test_run_until_complete_returns_the_result_of_anything_awaitable(loop, future_class):
    async def coroutine():
        return "coroutine"

    class Awaitable:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "awaitable"

    future = loop.create_future()
    assert type(future) is future_class
    future.set_result("future")
    assert loop.run_until_complete(future) == "future"
    assert loop.run_until_complete(coroutine()) == "coroutine"
    assert loop.run_until_complete(loop.create_task(coroutine())) == "coroutine"
    assert loop.run_until_complete(Awaitable()) == "awaitable"


def test_run_until_complete_raises_what_the_coroutine_raised(loop, reported):
    class Mine(Exception):
        pass

    error = Mine("mine")

    async def failing(error):
        raise error

    with pytest.raises(Mine) as caught:
        loop.run_until_complete(failing(error))
    assert caught.value is error
    del error, caught
    gc.collect()
    assert reported == []


def test_run_until_complete_of_a_cancelled_future_raises_cancelled_error(loop):
    future = loop.create_future()
    future.cancel("why")
    with pytest.raises(asyncio.CancelledError, match="^why$"):
        loop.run_until_complete(future)


def test_a_loop_stopped_before_its_future_is_done_says_so(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match=r"^Event loop stopped before Future completed\.$"):
        loop.run_until_complete(future)
    future.set_result(None)
    assert loop.run_until_complete(future) is None


def test_run_until_complete_leaves_no_callback_on_the_future(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError):
        loop.run_until_complete(future)
    assert not future._callbacks


def test_a_later_run_is_not_stopped_by_a_future_of_an_earlier_one(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError):
        loop.run_until_complete(future)
    seen = []
    future.set_result(None)
    loop.call_soon(loop.call_soon, loop.call_soon, seen.append, 1)
    loop.call_soon(loop.call_soon, loop.call_soon, loop.stop)
    loop.run_forever()
    assert seen == [1]


@pytest.mark.parametrize("bad", [None, 1, "text", print, object(), iter([])])
def test_what_cannot_be_awaited_gives_the_stock_error(same_as_stock, bad):
    outcome = same_as_stock(lambda loop, engine: loop.run_until_complete(bad))
    assert outcome[:2] == ("raised", TypeError)


def test_a_future_of_another_loop_is_refused(same_as_stock):
    def scenario(loop, engine):
        other = engine.new_loop()
        try:
            loop.run_until_complete(other.create_future())
        finally:
            other.close()

    assert same_as_stock(scenario)[1] is ValueError


# CPython 3.13.0 forgets that it runs when it refuses a nested run, so each test asks once, last.
@pytest.mark.parametrize("method", ["run_forever", "run_until_complete"])
def test_a_nested_run_is_refused_with_the_stock_text(loop, run, method):
    future = loop.create_future()
    future.set_result(None)
    args = (future,) if method == "run_until_complete" else ()

    async def main():
        with pytest.raises(RuntimeError, match="^This event loop is already running$"):
            getattr(loop, method)(*args)

    run(main())


def test_another_loop_cannot_run_inside_a_running_one(loop, engine, run):
    async def main():
        other = engine.new_loop()
        try:
            message = "^Cannot run the event loop while another loop is running$"
            with pytest.raises(RuntimeError, match=message):
                other.run_forever()
        finally:
            other.close()

    run(main())


def test_a_nested_stock_loop_is_refused_and_refuses_likewise(loop, stock_loop):
    message = "^Cannot run the event loop while another loop is running$"
    for outer, inner in ((loop, stock_loop), (stock_loop, loop)):

        async def main(inner=inner):
            with pytest.raises(RuntimeError, match=message):
                inner.run_forever()

        outer.run_until_complete(main())


def test_the_repr_shows_the_state(same_as_stock):
    def scenario(loop, engine):
        seen = [repr(loop)]
        loop.call_soon(lambda: seen.append(repr(loop)))
        loop.stop()
        loop.run_forever()
        loop.set_debug(True)
        seen.append(repr(loop))
        loop.close()
        return [*seen, repr(loop)]

    outcome = same_as_stock(scenario)
    assert outcome[1][0] == "<Loop running=False closed=False debug=False>"


def test_async_generator_hooks_are_put_back_after_the_run(loop, turns):
    def own(generator):
        pass

    before = sys.get_asyncgen_hooks()
    try:
        sys.set_asyncgen_hooks(firstiter=own, finalizer=own)
        seen = []
        loop.call_soon(lambda: seen.append(sys.get_asyncgen_hooks()))
        turns()
        assert sys.get_asyncgen_hooks() == (own, own)
        assert own not in seen[0]
    finally:
        sys.set_asyncgen_hooks(*before)


def test_a_loop_has_a_dict_and_can_be_subclassed(engine):
    probe = engine.new_loop()
    probe.close()

    class Counting(type(probe)):
        calls = 0

        def call_soon(self, callback, *args, context=None):
            self.calls += 1
            return super().call_soon(callback, *args, context=context)

    loop = Counting()
    try:
        loop.note = "assigned"
        assert vars(loop)["note"] == "assigned"
        assert isinstance(loop, asyncio.BaseEventLoop)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert loop.calls == 1
    finally:
        loop.close()
