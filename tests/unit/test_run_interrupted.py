"""Callbacks and tasks that raise: ordinary errors are reported, system ones leave the run."""

import asyncio

import pytest

SYSTEM_ERRORS = [SystemExit, KeyboardInterrupt]


def test_an_error_in_a_callback_is_reported_and_the_batch_goes_on(loop, turns, reported):
    seen = []
    error = ValueError("broken")

    def failing():
        raise error

    loop.call_soon(seen.append, 1)
    handle = loop.call_soon(failing)
    loop.call_soon(seen.append, 2)
    turns()
    assert seen == [1, 2]
    (context,) = reported
    assert context["exception"] is error
    assert context["handle"] is handle
    assert context["message"].startswith("Exception in callback ")
    assert "failing" in context["message"]


class OwnBaseException(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [OwnBaseException, GeneratorExit, asyncio.CancelledError, StopIteration, MemoryError]
)
def test_other_base_exceptions_in_a_callback_are_reported_as_well(loop, turns, reported, error):
    def failing():
        raise error

    loop.call_soon(failing)
    turns()
    assert [type(context["exception"]) for context in reported] == [error]


@pytest.mark.parametrize("error", SYSTEM_ERRORS)
def test_a_system_error_in_a_callback_leaves_the_run_at_once(loop, turns, reported, error):
    seen = []

    def failing():
        raise error("leaving")

    loop.call_soon(seen.append, "before")
    loop.call_soon(failing)
    loop.call_soon(seen.append, "after")
    with pytest.raises(error, match="^leaving$"):
        loop.run_forever()
    assert seen == ["before"]
    assert not loop.is_running()
    assert reported == []
    turns()
    assert seen == ["before", "after"]


@pytest.mark.parametrize("error", SYSTEM_ERRORS)
def test_a_system_error_in_a_timer_leaves_the_run(loop, error):
    def failing():
        raise error

    loop.call_later(0, failing)
    with pytest.raises(error):
        loop.run_forever()


@pytest.mark.parametrize("error", SYSTEM_ERRORS)
def test_a_system_error_in_a_threadsafe_callback_leaves_the_run(loop, error):
    def failing():
        raise error

    loop.call_soon_threadsafe(failing)
    with pytest.raises(error):
        loop.run_forever()


@pytest.mark.parametrize("error", SYSTEM_ERRORS)
def test_a_system_error_in_a_task_leaves_the_run_and_is_kept_by_the_task(loop, error):
    raised = error("from the task")

    async def failing():
        raise raised

    task = loop.create_task(failing())
    with pytest.raises(error) as caught:
        loop.run_forever()
    assert caught.value is raised
    assert task.done()
    assert task.exception() is raised


@pytest.mark.parametrize("error", SYSTEM_ERRORS)
def test_a_system_error_leaves_run_until_complete_and_the_loop_stays_usable(loop, error):
    async def failing():
        await asyncio.sleep(0)
        raise error

    with pytest.raises(error):
        loop.run_until_complete(failing())

    async def later():
        await asyncio.sleep(0)
        return "still works"

    assert loop.run_until_complete(later()) == "still works"


@pytest.mark.parametrize("error", SYSTEM_ERRORS)
def test_a_system_error_in_a_done_callback_leaves_the_run(loop, error):
    def failing(future):
        raise error

    future = loop.create_future()
    future.add_done_callback(failing)
    future.set_result(None)
    with pytest.raises(error):
        loop.run_forever()


@pytest.mark.parametrize("error", SYSTEM_ERRORS)
def test_a_system_error_in_a_reader_leaves_the_run(loop, error):
    import socket

    left, right = socket.socketpair()
    with left, right:
        right.send(b"x")

        def failing():
            raise error

        loop.add_reader(left, failing)
        with pytest.raises(error):
            loop.run_forever()
        loop.remove_reader(left)


@pytest.mark.parametrize("error", SYSTEM_ERRORS)
def test_waiters_of_a_task_that_raised_a_system_error_wake_at_the_next_run(loop, error):
    async def failing():
        raise error("kept")

    async def waiting():
        try:
            await task
        except error as exc:
            return str(exc)

    task = loop.create_task(failing())
    waiter = loop.create_task(waiting())
    with pytest.raises(error):
        loop.run_until_complete(waiter)
    assert loop.run_until_complete(waiter) == "kept"


def test_an_exception_handler_that_raises_a_system_error_leaves_the_run(loop):
    def handler(loop, context):
        raise SystemExit(3)

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    with pytest.raises(SystemExit):
        loop.run_forever()
    assert not loop.is_running()


def test_the_loop_can_run_again_after_a_system_error(loop, turns):
    def failing():
        raise KeyboardInterrupt

    seen = []
    for number in range(3):
        loop.call_soon(failing)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        loop.call_soon(seen.append, number)
        turns()
    assert seen == [0, 1, 2]
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_a_stop_asked_for_before_a_system_error_is_forgotten_by_it(same_as_stock):
    def scenario(loop, engine):
        seen = []

        def failing():
            raise SystemExit

        loop.call_soon(loop.stop)
        loop.call_soon(failing)
        try:
            loop.run_forever()
        except SystemExit:
            seen.append("left")
        loop.call_soon(seen.append, "first turn")
        loop.call_soon(loop.call_soon, seen.append, "second turn")
        loop.call_soon(loop.call_soon, loop.stop)
        loop.run_forever()
        return seen

    assert same_as_stock(scenario)[1] == ["left", "first turn", "second turn"]
