"""close: when it is refused, what it drops, what a closed loop still answers."""

import asyncio
import gc
import warnings

import pytest


def test_a_running_loop_is_not_closed_by_a_callback(loop, turns, reported):
    seen = []
    loop.call_soon(loop.close)
    loop.call_soon(seen.append, "next")
    turns()
    assert seen == ["next"]
    assert not loop.is_closed()
    (context,) = reported
    assert str(context["exception"]) == "Cannot close a running event loop"
    assert type(context["exception"]) is RuntimeError


def test_a_running_loop_is_not_closed_by_a_task(loop, run):
    async def main():
        loop.close()

    with pytest.raises(RuntimeError, match="^Cannot close a running event loop$"):
        run(main())
    assert not loop.is_closed()


def test_close_can_be_called_again(loop):
    assert not loop.is_closed()
    loop.close()
    loop.close()
    assert loop.is_closed()


CLOSED_CALLS = {
    "run_forever": lambda loop: loop.run_forever(),
    "run_until_complete": lambda loop: loop.run_until_complete(loop.create_future()),
    "call_soon": lambda loop: loop.call_soon(print),
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe(print),
    "call_later": lambda loop: loop.call_later(1, print),
    "call_at": lambda loop: loop.call_at(1, print),
    "run_in_executor": lambda loop: loop.run_in_executor(None, print),
    "add_reader": lambda loop: loop.add_reader(0, print),
    "add_writer": lambda loop: loop.add_writer(0, print),
    "remove_reader": lambda loop: loop.remove_reader(0),
    "remove_writer": lambda loop: loop.remove_writer(0),
    "add_signal_handler": lambda loop: loop.add_signal_handler(10, print),
    "stop": lambda loop: loop.stop(),
    "time": lambda loop: loop.time() > 0,
    "set_debug": lambda loop: loop.set_debug(False),
    "get_debug": lambda loop: loop.get_debug(),
    "create_future": lambda loop: loop.create_future().done(),
    "repr": lambda loop: repr(loop),
    "remove_signal_handler": lambda loop: loop.remove_signal_handler(10),
    "call_exception_handler": lambda loop: loop.call_exception_handler({"message": "m"}),
}


@pytest.mark.parametrize("call", CLOSED_CALLS.values(), ids=CLOSED_CALLS)
def test_a_closed_loop_answers_as_stock_does(same_as_stock, call):
    def scenario(loop, engine):
        loop.close()
        return call(loop)

    same_as_stock(scenario)


@pytest.mark.parametrize("debug", [False, True])
def test_create_task_on_a_closed_loop_is_refused(loop, debug):
    loop.set_debug(debug)
    loop.close()
    coroutine = asyncio.sleep(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match="^Event loop is closed$"):
            loop.create_task(coroutine)
        coroutine.close()


def test_close_drops_what_was_scheduled(loop):
    class Argument:
        pass

    deleted = []
    Argument.__del__ = lambda self: deleted.append(1)
    loop.call_soon(print, Argument())
    loop.call_later(1000, print, Argument())
    loop.close()
    gc.collect()
    assert deleted == [1, 1]


def test_an_unclosed_loop_warns_when_it_is_collected(engine):
    loop = engine.new_loop()
    name = type(loop).__name__
    loops = [loop]
    del loop

    def collect():
        loops.clear()
        gc.collect()

    with pytest.warns(ResourceWarning, match=f"^unclosed event loop <{name} running=False closed"):
        collect()
