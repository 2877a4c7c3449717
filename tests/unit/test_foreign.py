"""Futures and tasks that the loop did not make: stock ones, ours on a stock loop, pure Python."""

import asyncio
import asyncio.futures
import asyncio.tasks
import contextlib
import contextvars
import sys

import pytest

FUTURES = ["own", "stock", "python"]

# Since 3.14 asyncio looks for tasks and the current one where pure Python tasks are not.
TASKS_THAT_ASYNCIO_KNOWS = FUTURES if sys.version_info < (3, 14) else ["own", "stock"]
known_tasks = pytest.mark.parametrize("any_task_class", TASKS_THAT_ASYNCIO_KNOWS, indirect=True)


@pytest.fixture(params=FUTURES)
def any_future_class(request, future_class):
    """The engine's Future, the interpreter's, and its pure Python version."""
    return {
        "own": future_class,
        "stock": asyncio.Future,
        "python": asyncio.futures._PyFuture,
    }[request.param]


@pytest.fixture(params=FUTURES)
def any_task_class(request, task_class):
    """The engine's Task, the interpreter's, and its pure Python version."""
    return {"own": task_class, "stock": asyncio.Task, "python": asyncio.tasks._PyTask}[
        request.param
    ]


@pytest.fixture(params=["own loop", "stock loop"])
def any_loop(request, loop, stock_loop):
    """The engine's loop and a stock one."""
    return loop if request.param == "own loop" else stock_loop


def test_every_task_waits_for_every_future_on_every_loop(
    any_loop, any_task_class, any_future_class
):
    async def waits(future):
        return await future

    future = any_future_class(loop=any_loop)
    task = any_task_class(waits(future), loop=any_loop)
    any_loop.call_soon(future.set_result, "value")
    assert any_loop.run_until_complete(task) == "value"


def test_every_task_gets_the_error_of_every_future(any_loop, any_task_class, any_future_class):
    async def waits(future):
        await future

    future = any_future_class(loop=any_loop)
    task = any_task_class(waits(future), loop=any_loop)
    any_loop.call_soon(future.set_exception, KeyError("broken"))
    with pytest.raises(KeyError, match="broken"):
        any_loop.run_until_complete(task)


def test_cancel_passes_between_every_task_and_future(any_loop, any_task_class, any_future_class):
    async def waits(future):
        await future

    future = any_future_class(loop=any_loop)
    task = any_task_class(waits(future), loop=any_loop)
    any_loop.call_soon(task.cancel, "message")
    with pytest.raises(asyncio.CancelledError, match="^message$"):
        any_loop.run_until_complete(task)
    assert future.cancelled() and task.cancelled()


def test_a_done_future_of_any_kind_does_not_suspend(any_loop, any_task_class, any_future_class):
    async def waits(future):
        return await future

    future = any_future_class(loop=any_loop)
    future.set_result(3)
    task = any_task_class(waits(future), loop=any_loop)
    any_loop.stop()
    any_loop.run_forever()
    assert task.done() and task.result() == 3


@known_tasks
def test_tasks_of_all_kinds_wait_for_each_other(any_loop, any_task_class, task_class):
    async def inner():
        await asyncio.sleep(0.0001)
        return asyncio.current_task().get_name()

    async def outer(cls):
        return await cls(inner(), loop=any_loop, name="inner")

    for first, second in ((any_task_class, task_class), (task_class, any_task_class)):
        task = first(outer(second), loop=any_loop)
        assert any_loop.run_until_complete(task) == "inner"


def test_tasks_of_all_kinds_take_turns_on_one_loop(any_loop, task_class):
    seen = []

    async def worker(name):
        for step in range(2):
            seen.append((name, step, asyncio.current_task().get_name() == name))
            await asyncio.sleep(0)

    classes = {"own": task_class, "stock": asyncio.Task, "python": asyncio.tasks._PyTask}
    classes = {name: classes[name] for name in TASKS_THAT_ASYNCIO_KNOWS}
    tasks = [cls(worker(name), loop=any_loop, name=name) for name, cls in classes.items()]
    any_loop.run_until_complete(asyncio.wait(tasks))
    assert seen == [(name, step, True) for step in range(2) for name in classes]


@known_tasks
def test_current_task_and_all_tasks_know_every_kind(any_loop, any_task_class):
    async def main():
        task = asyncio.current_task()
        return task, task in asyncio.all_tasks(), len(asyncio.all_tasks())

    task = any_task_class(main(), loop=any_loop)
    assert any_loop.run_until_complete(task) == (task, True, 1)
    assert asyncio.all_tasks(any_loop) == set()


def test_a_task_of_any_kind_keeps_its_context(any_loop, any_task_class):
    var = contextvars.ContextVar("var", default="unset")

    async def main():
        seen = [var.get()]
        var.set("inside")
        await asyncio.sleep(0)
        return [*seen, var.get()]

    task = any_task_class(main(), loop=any_loop)
    assert any_loop.run_until_complete(task) == ["unset", "inside"]
    assert var.get() == "unset"


def test_a_system_error_in_a_task_of_any_kind_leaves_the_run(any_loop, any_task_class):
    async def main():
        raise SystemExit(4)

    task = any_task_class(main(), loop=any_loop)
    with pytest.raises(SystemExit):
        any_loop.run_until_complete(task)


def test_gather_wait_and_shield_mix_every_kind(any_loop, any_task_class, any_future_class):
    async def inner(value):
        await asyncio.sleep(0)
        return value

    async def main():
        future = any_future_class(loop=any_loop)
        any_loop.call_soon(future.set_result, "future")
        task = any_task_class(inner("task"), loop=any_loop)
        assert await asyncio.gather(future, task, inner("coroutine")) == [
            "future",
            "task",
            "coroutine",
        ]
        assert await asyncio.shield(any_task_class(inner("shielded"), loop=any_loop)) == "shielded"
        other = any_task_class(inner("waited"), loop=any_loop)
        done, _ = await asyncio.wait([other])
        assert done == {other}

    any_loop.run_until_complete(main())


def test_done_callbacks_of_every_future_run_on_every_loop(any_loop, any_future_class):
    seen = []
    future = any_future_class(loop=any_loop)
    future.add_done_callback(seen.append)
    future.set_result(1)
    any_loop.stop()
    any_loop.run_forever()
    assert seen == [future]


def test_the_root_future_may_be_of_any_kind(any_loop, any_future_class):
    future = any_future_class(loop=any_loop)
    any_loop.call_soon(future.set_result, "root")
    assert any_loop.run_until_complete(future) == "root"


def test_a_future_of_another_loop_is_refused_by_the_task(engine, task_class, future_class):
    mine, stock = engine.new_loop(), asyncio.SelectorEventLoop()

    async def waits(future):
        await future

    try:
        for home, other in ((mine, stock), (stock, mine)):
            future = future_class(loop=other)
            task = task_class(waits(future), loop=home)
            with pytest.raises(RuntimeError, match="attached to a different loop"):
                home.run_until_complete(task)
    finally:
        mine.close()
        stock.close()


def test_stock_methods_called_unbound_on_our_objects_do_no_harm(loop, run, future_class):
    """The base part of a native subclass is never read as if it were alive."""
    future = future_class(loop=loop)
    task = loop.create_task(asyncio.sleep(0))
    reading = ["done", "cancelled", "result", "exception", "get_loop"]
    calls = [(asyncio.Future, name, task) for name in reading]
    calls += [(asyncio.Future, name, future) for name in [*reading, "cancel"]]
    names = ["get_name", "cancelling", "uncancel", "get_stack"]
    calls += [(asyncio.Task, name, task) for name in names]
    for cls, name, target in calls:
        with contextlib.suppress(RuntimeError, asyncio.InvalidStateError, asyncio.CancelledError):
            getattr(cls, name)(target)
    run(task)


def test_stock_methods_that_hand_out_a_field_do_not_crash_on_our_objects(run_python):
    """In a process of its own: a field that the base never got would be a null pointer."""
    done = run_python(
        """
        loop = new_loop()
        task = loop.create_task(asyncio.sleep(0))
        for name in ("get_coro", "get_context"):
            if hasattr(asyncio.Task, name):
                try:
                    getattr(asyncio.Task, name)(task)
                except Exception:
                    pass
        loop.run_until_complete(task)
        loop.close()
        print("alive")
        """
    )
    assert (done.returncode, done.stdout) == (0, "alive\n")
