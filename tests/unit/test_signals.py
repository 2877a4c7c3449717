"""Signals: handlers on the loop, and Ctrl-C while the loop sleeps or runs Python."""

import asyncio
import os
import signal
import threading

import pytest


@pytest.fixture(autouse=True)
def same_handlers_after():
    """The test leaves signal handlers and the wake-up descriptor as they were."""
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before
    descriptor = signal.set_wakeup_fd(-1)
    assert descriptor == -1


def test_a_handler_is_called_on_the_loop(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, lambda *args: (seen.append(args), loop.stop()), 1, "a")
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    assert seen == [(1, "a")]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False


def test_a_handler_runs_as_a_callback_with_a_running_loop(loop):
    seen = []

    def handler():
        seen.append(asyncio.get_running_loop())
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    assert seen == [loop]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_second_handler_replaces_the_first(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "first")
    loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append("second"), loop.stop()))
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    assert seen == ["second"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_two_signals_reach_their_own_handlers(loop):
    seen = set()

    def handler(name):
        seen.add(name)
        if len(seen) == 2:
            loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, "one")
    loop.add_signal_handler(signal.SIGUSR2, handler, "two")
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR2)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    assert seen == {"one", "two"}
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.remove_signal_handler(signal.SIGUSR2)


def test_a_signal_wakes_a_sleeping_loop(loop):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    loop.run_forever()
    timer.join()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_python_handler_runs_while_the_loop_sleeps(loop):
    seen = []

    def handler(number, frame):
        seen.append(number)
        loop.call_soon_threadsafe(loop.stop)

    before = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        loop.run_forever()
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_a_python_handler_that_raises_leaves_the_sleeping_loop(loop):
    def handler(number, frame):
        raise LookupError("from the handler")

    before = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(LookupError, match="^from the handler$"):
            loop.run_forever()
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert not loop.is_running()


def test_a_python_handler_runs_while_callbacks_keep_the_loop_busy(loop):
    def handler(number, frame):
        loop.stop()

    def again():
        loop.call_soon(again)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        loop.call_soon(again)
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "number", [-1, 0, 10**6, signal.SIGKILL, signal.SIGSTOP, "text", None, 1.5]
)
def test_a_wrong_signal_has_the_outcome_of_stock(same_as_stock, number):
    same_as_stock(lambda loop, engine: loop.add_signal_handler(number, print))
    same_as_stock(lambda loop, engine: loop.remove_signal_handler(number))


def test_a_coroutine_is_refused_as_a_handler(same_as_stock):
    async def handler():
        pass

    def scenario(loop, engine):
        loop.add_signal_handler(signal.SIGUSR1, handler)

    assert same_as_stock(scenario)[:2] == ("raised", TypeError)


def test_handlers_can_only_be_set_from_the_main_thread(same_as_stock):
    def scenario(loop, engine):
        errors = []

        def elsewhere():
            try:
                loop.add_signal_handler(signal.SIGUSR1, print)
            except RuntimeError as exc:
                errors.append(str(exc))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return errors

    assert len(same_as_stock(scenario)[1]) == 1


def test_close_removes_the_handlers(engine):
    loop = engine.new_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


INTERRUPTED = """
    import os, signal, sys, threading, time

    def interrupt(delay):
        def later():
            time.sleep(delay)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=later, daemon=True).start()
"""


def test_ctrl_c_while_the_loop_sleeps(run_python):
    done = run_python(
        INTERRUPTED
        + """
    loop = new_loop()
    interrupt(0.1)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print("interrupted", loop.is_running())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted False\n", "", 0)


def test_ctrl_c_while_a_task_runs_python(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def main():
        interrupt(0.1)
        while True:
            pass

    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except KeyboardInterrupt:
        print("interrupted")
    loop.close()
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_ctrl_c_while_tasks_keep_the_loop_busy(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def spin():
        while True:
            await asyncio.sleep(0)

    loop = new_loop()
    task = loop.create_task(spin())
    interrupt(0.1)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print("interrupted")
    if not task.done():
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
    else:
        task.exception()
    loop.close()
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_ctrl_c_cancels_the_main_task_of_a_runner(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def main():
        interrupt(0.1)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            print("cleaned up")
            raise

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
    except KeyboardInterrupt:
        print("interrupted")
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("cleaned up\ninterrupted\n", "", 0)


def test_a_second_ctrl_c_leaves_a_runner_whose_task_hangs_on(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def main():
        interrupt(0.1)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            interrupt(0.1)
            while True:
                pass

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
    except KeyboardInterrupt:
        print("interrupted")
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_ctrl_c_with_nobody_to_catch_it_ends_the_process_as_python_does(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def main():
        interrupt(0.1)
        await asyncio.sleep(1000)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    """
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_a_loop_in_a_thread_does_not_disturb_ctrl_c_in_the_main_thread(run_python):
    done = run_python(
        INTERRUPTED
        + """
    loop = new_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    interrupt(0.1)
    try:
        threading.Event().wait(20)
    except KeyboardInterrupt:
        print("interrupted")
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)
