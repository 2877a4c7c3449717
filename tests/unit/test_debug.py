"""Debug mode: slow callbacks, wrong threads, wrong callbacks, origins of what was made."""

import _thread
import asyncio
import logging
import re
import sys
import threading
import time
import warnings

import pytest


@pytest.fixture
def debug_loop(loop):
    """The loop in debug mode."""
    loop.set_debug(True)
    return loop


@pytest.fixture
def logged(caplog):
    """The messages that asyncio logged so far."""
    caplog.set_level(logging.DEBUG, logger="asyncio")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "asyncio"]


def in_thread(function):
    """Call the function in a new thread; return what it returned or raised."""
    result = []

    def target():
        try:
            result.append(function())
        except BaseException as exc:
            result.append(exc)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    return result[0]


def test_debug_mode_is_off_at_first_and_can_be_switched(loop):
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


def test_slow_callback_duration_is_a_tenth_of_a_second(loop):
    assert loop.slow_callback_duration == 0.1
    loop.slow_callback_duration = 5
    assert loop.slow_callback_duration == 5


BUSY_S = 0.002
ROUNDING_S = 0.0005


def busy(seconds=BUSY_S):
    """Use that much time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def took(message):
    """How many seconds a message about something slow says."""
    return float(re.search(r" took (\d+\.\d{3}) seconds$", message)[1])


def test_a_slow_callback_is_logged(debug_loop, logged):
    debug_loop.slow_callback_duration = 0.001
    debug_loop.call_soon(busy)
    debug_loop.stop()
    started = time.monotonic()
    debug_loop.run_forever()
    ran = time.monotonic() - started
    (message,) = [text for text in logged() if text.startswith("Executing ")]
    assert message.startswith("Executing <Handle busy() at ")
    assert " created at " in message
    assert message.endswith(" seconds")
    assert BUSY_S - ROUNDING_S <= took(message) <= ran + ROUNDING_S


def test_a_slow_timer_is_logged(debug_loop, logged):
    debug_loop.slow_callback_duration = 0.001
    debug_loop.call_later(0, busy)
    debug_loop.call_later(0.001, debug_loop.stop)
    debug_loop.run_forever()
    assert [t for t in logged() if t.startswith("Executing <TimerHandle when=")]


def test_a_slow_step_of_a_task_is_logged(debug_loop, logged):
    async def slow():
        busy()

    debug_loop.slow_callback_duration = 0.001
    started = time.monotonic()
    debug_loop.run_until_complete(debug_loop.create_task(slow(), name="the slow one"))
    ran = time.monotonic() - started
    found = [t for t in logged() if t.startswith("Executing <Task ") and " took " in t]
    assert len(found) == 1
    assert BUSY_S - ROUNDING_S <= took(found[0]) <= ran + ROUNDING_S
    assert "name='the slow one'" in found[0]
    assert "coro=<test_a_slow_step_of_a_task_is_logged.<locals>.slow() done" in found[0]


def test_a_slow_wake_up_of_a_task_is_logged(debug_loop, logged):
    async def slow():
        await asyncio.sleep(0.001)
        busy()
        await asyncio.sleep(0)

    debug_loop.slow_callback_duration = 0.001
    debug_loop.run_until_complete(debug_loop.create_task(slow(), name="woken"))
    assert [t for t in logged() if t.startswith("Executing <Task ") and "name='woken'" in t]


def test_quick_callbacks_and_plain_mode_log_nothing(loop, logged):
    loop.slow_callback_duration = 0.001
    loop.call_soon(busy)
    loop.stop()
    loop.run_forever()
    loop.set_debug(True)
    loop.slow_callback_duration = 30
    loop.call_soon(busy)
    loop.stop()
    loop.run_forever()
    assert [text for text in logged() if "Executing" in text] == []


WRONG_THREAD = "^Non-thread-safe operation invoked on an event loop other than the current one$"


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at"])
def test_a_call_from_a_wrong_thread_is_refused(debug_loop, run, method):
    async def main():
        args = (print,) if method == "call_soon" else (0, print)
        error = in_thread(lambda: getattr(debug_loop, method)(*args))
        with pytest.raises(RuntimeError, match=WRONG_THREAD):
            raise error

    run(main())


def test_a_result_set_from_a_wrong_thread_is_refused_if_someone_waits(debug_loop, run):
    async def main():
        future = debug_loop.create_future()
        future.add_done_callback(lambda _: None)
        error = in_thread(lambda: future.set_result(1))
        with pytest.raises(RuntimeError, match=WRONG_THREAD):
            raise error

    run(main())


def test_a_task_made_in_a_wrong_thread_is_refused(debug_loop, run):
    async def main():
        coroutine = asyncio.sleep(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            error = in_thread(lambda: debug_loop.create_task(coroutine))
            coroutine.close()
        with pytest.raises(RuntimeError, match=WRONG_THREAD):
            raise error

    run(main())


def test_a_thread_that_runs_no_python_code_calls(debug_loop, run):
    async def main():
        future = debug_loop.create_future()
        arguments = (future.set_result, "set")
        _thread.start_new_thread(debug_loop.call_soon_threadsafe, arguments)
        return await future

    assert run(main()) == "set"


def test_call_soon_threadsafe_is_allowed_from_every_thread(debug_loop, run):
    async def main():
        future = debug_loop.create_future()
        in_thread(lambda: debug_loop.call_soon_threadsafe(future.set_result, "set"))
        return await future

    assert run(main()) == "set"


def test_a_loop_that_does_not_run_belongs_to_no_thread(debug_loop):
    handle = in_thread(lambda: debug_loop.call_soon(print))
    assert isinstance(handle, asyncio.Handle)
    handle.cancel()


METHODS = {
    "call_soon": lambda loop, callback: loop.call_soon(callback),
    "call_soon_threadsafe": lambda loop, callback: loop.call_soon_threadsafe(callback),
    "call_later": lambda loop, callback: loop.call_later(1, callback),
    "call_at": lambda loop, callback: loop.call_at(1, callback),
    "run_in_executor": lambda loop, callback: loop.run_in_executor(None, callback),
}


async def coroutine_function():
    """A callback that must be refused."""


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("kind", ["coroutine function", "coroutine", "number", "none"])
def test_wrong_callbacks_are_refused_with_the_stock_text(same_as_stock, method, kind):
    def scenario(loop, engine):
        loop.set_debug(True)
        coroutine = coroutine_function()
        callbacks = {
            "coroutine function": coroutine_function,
            "coroutine": coroutine,
            "number": 1,
            "none": None,
        }
        try:
            method(loop, callbacks[kind])
        finally:
            coroutine.close()

    assert same_as_stock(scenario)[:2] == ("raised", TypeError)


def test_the_origin_of_a_task_is_recorded(debug_loop, run):
    task = debug_loop.create_task(asyncio.sleep(0))
    names = [frame.name for frame in task._source_traceback]
    assert "test_the_origin_of_a_task_is_recorded" in names
    assert f"created at {task._source_traceback[-1].filename}" in repr(task)
    run(task)


def test_an_error_report_carries_the_origin_of_the_handle(debug_loop, turns, reported):
    debug_loop.call_soon(lambda: 1 / 0)
    turns()
    (context,) = reported
    names = [frame.name for frame in context["source_traceback"]]
    assert names[-1] == "test_an_error_report_carries_the_origin_of_the_handle"


def test_coroutine_origins_are_tracked_while_the_loop_runs(debug_loop, run):
    async def main():
        return sys.get_coroutine_origin_tracking_depth()

    before = sys.get_coroutine_origin_tracking_depth()
    depth = run(main())
    assert depth == asyncio.constants.DEBUG_STACK_DEPTH
    assert sys.get_coroutine_origin_tracking_depth() == before


def test_a_coroutine_never_awaited_says_where_it_was_made(debug_loop, run):
    async def forgotten():
        pass

    async def main():
        forgotten()

    with pytest.warns(RuntimeWarning, match="was never awaited") as caught:
        run(main())
    text = str(caught[0].message)
    assert "Coroutine created at (most recent call last)" in text
    assert "in main" in text


FORGOTTEN = {
    "sleep": lambda package: package.sleep(1),
    "Lock.acquire": lambda package: package.Lock().acquire(),
    "Queue.get": lambda package: package.Queue().get(),
    "wait_for": lambda package: package.wait_for(package.Event(), 1),
    "to_thread": lambda package: package.to_thread(print),
}


@pytest.mark.parametrize("name", FORGOTTEN)
def test_a_coroutine_of_asyncio_never_awaited_says_so_too(run_main, engine, package, name):
    if (engine.name, package.__name__) == ("asyncio", "ferrio"):
        pytest.skip("a loop of Ferrio's switches it on for Ferrio's coroutines")

    async def main():
        coroutine = FORGOTTEN[name](package)
        places = coroutine.cr_origin
        del coroutine
        return places

    with pytest.warns(RuntimeWarning, match=f"^coroutine '{name}' was never awaited") as caught:
        places = run_main(main, debug=True)
    assert [function for _, _, function in places[:2]] == ["<lambda>", "main"]
    assert {file for file, _, _ in places[:2]} == {__file__}
    assert 2 < len(places) <= asyncio.constants.DEBUG_STACK_DEPTH
    text = str(caught[0].message)
    assert "\nCoroutine created at (most recent call last)\n" in text
    assert "\n    coroutine = FORGOTTEN[name](package)\n" in text


def test_a_coroutine_that_is_awaited_does_not_show_its_place_as_what_it_awaits(run_main, package):
    async def main():
        coroutine = package.sleep(0.01, "result")
        assert coroutine.cr_await is None
        task = asyncio.ensure_future(coroutine)
        await asyncio.sleep(0)
        assert coroutine.cr_await is not None
        return await task, package.sleep(0).close()

    assert run_main(main, debug=True) == ("result", None)


def test_a_wait_for_a_slow_poll_does_not_count_as_a_slow_callback(debug_loop, run, logged):
    debug_loop.slow_callback_duration = 0.25
    run(asyncio.sleep(0.3))
    assert [text for text in logged() if text.startswith("Executing")] == []


def test_the_environment_variable_and_dev_mode_switch_it_on(run_python):
    source = "loop = new_loop(); print(loop.get_debug()); loop.close()"
    assert run_python(source).stdout == "False\n"
    assert run_python(source, PYTHONASYNCIODEBUG="1").stdout == "True\n"
    assert run_python(source, "-X", "dev").stdout == "True\n"


def test_asyncio_run_passes_its_debug_flag_on(run_python):
    done = run_python(
        """
        async def main():
            return asyncio.get_running_loop().get_debug()

        for debug in (True, False):
            with asyncio.Runner(debug=debug, loop_factory=new_loop) as runner:
                print(runner.run(main()))
        """
    )
    assert (done.stdout, done.stderr) == ("True\nFalse\n", "")


def test_a_task_killed_by_the_end_of_the_program_is_reported_in_dev_mode(run_python):
    done = run_python(
        """
        async def forever():
            await asyncio.get_running_loop().create_future()

        async def main():
            global task
            task = asyncio.create_task(forever(), name="left over")
            await asyncio.sleep(0)

        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
        del task
        import gc
        gc.collect()
        """,
        "-X",
        "dev",
    )
    assert done.returncode == 0
    assert "Task was destroyed but it is pending!" in done.stderr
    assert "left over" in done.stderr
