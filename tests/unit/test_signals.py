"""Signals: handlers on the loop, and Python handlers while the loop sleeps or works."""

import asyncio
import ctypes
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


def test_a_signal_that_arrives_while_no_python_code_runs_is_handled(loop):
    seen = []

    def handler(number, frame):
        seen.append(number)
        loop.call_soon(loop.stop)

    before = signal.signal(signal.SIGUSR1, handler)
    timer = loop.call_later(20, loop.stop)
    try:
        loop.call_soon(ctypes.CDLL(None)["raise"], int(signal.SIGUSR1))
        loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)
        timer.cancel()
    assert seen == [signal.SIGUSR1]
    assert loop.time() < timer.when()


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
