"""Task: names, reprs, stacks, and the attributes that other libraries read."""

import asyncio
import contextvars
import inspect
import io
import re
import types
import weakref

import pytest


async def sleeper():
    await asyncio.sleep(1000)


async def outer():
    await sleeper()


def finish(loop, task):
    """Cancel the task and wait for its end."""
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))


def test_create_task_makes_a_task_of_this_engine(loop, task_class, run):
    task = loop.create_task(asyncio.sleep(0))
    assert type(task) is task_class
    assert isinstance(task, asyncio.Task)
    assert isinstance(task, asyncio.Future)
    assert asyncio.isfuture(task)
    assert asyncio.ensure_future(task, loop=loop) is task
    assert task.get_loop() is loop and task._loop is loop
    run(task)


def test_get_coro_returns_the_coroutine_even_when_done(loop, run):
    coroutine = asyncio.sleep(0)
    task = loop.create_task(coroutine)
    assert task.get_coro() is coroutine
    assert task._coro is coroutine
    run(task)
    assert task.get_coro() is coroutine


def test_the_context_is_a_copy_or_the_given_one(loop, run):
    own = contextvars.Context()
    given = loop.create_task(asyncio.sleep(0), context=own)
    copied = loop.create_task(asyncio.sleep(0))
    if hasattr(asyncio.Task, "get_context"):
        assert given.get_context() is own
        assert type(copied.get_context()) is contextvars.Context
    run(given)
    run(copied)


def test_names_count_up_and_can_be_set(loop, run):
    tasks = [loop.create_task(asyncio.sleep(0)) for _ in range(3)]
    numbers = [int(task.get_name().removeprefix("Task-")) for task in tasks]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    named = loop.create_task(asyncio.sleep(0), name="mine")
    assert named.get_name() == "mine"
    assert named.set_name("other") is None
    assert named.get_name() == "other"
    named.set_name(17)
    assert named.get_name() == "17"
    for task in (*tasks, named):
        run(task)
    assert named.get_name() == "17"


def test_names_are_drawn_from_the_same_counter_as_those_of_stock_tasks(loop, run, task_class):
    first = task_class(asyncio.sleep(0), loop=loop)
    middle = asyncio.Task(asyncio.sleep(0), loop=loop)
    last = task_class(asyncio.sleep(0), loop=loop)
    names = [task.get_name() for task in (first, middle, last)]
    assert len(set(names)) == 3
    for task in (first, middle, last):
        run(task)


@pytest.mark.parametrize("name", [None, "", 5, ("tuple",), "text"])
def test_any_name_is_made_a_text_as_stock_does_it(same_as_stock, name):
    def scenario(loop, engine):
        made = loop.create_task(asyncio.sleep(0), name=name)
        direct = engine.task_class(asyncio.sleep(0), loop=loop, name=name)
        names = [made.get_name(), direct.get_name()]
        direct.set_name(name)
        names.append(direct.get_name())
        loop.run_until_complete(asyncio.wait([made, direct]))
        return names

    assert same_as_stock(scenario)[0] == "returned"


ATTRIBUTES = [
    "_state",
    "_result",
    "_exception",
    "_log_traceback",
    "_source_traceback",
    "_cancel_message",
    "_asyncio_future_blocking",
    "_must_cancel",
    "_log_destroy_pending",
]


def attributes(task):
    values = {name: getattr(task, name) for name in ATTRIBUTES}
    values["_exception"] = repr(values["_exception"])
    values["_fut_waiter"] = type(task._fut_waiter).__name__
    values["_callbacks"] = [callback.__name__ for callback, _ in task._callbacks or ()]
    values["_coro"] = task._coro.__name__
    return values


def test_the_attributes_in_every_state_are_those_of_stock(same_as_stock):
    def scenario(loop, engine):
        async def failing():
            raise ValueError("broken")

        task = loop.create_task(outer())
        failed = loop.create_task(failing())
        task.add_done_callback(len)
        seen = [attributes(task), attributes(failed)]
        loop.stop()
        loop.run_forever()
        seen += [attributes(task), attributes(failed)]
        failed.exception()
        task.cancel("why")
        seen += [attributes(task), attributes(failed)]
        loop.set_exception_handler(lambda *_: None)
        finish(loop, task)
        return [*seen, attributes(task)]

    assert same_as_stock(scenario)[0] == "returned"


def test_every_private_attribute_that_others_read_exists(loop, run, task_class):
    if task_class is asyncio.Task:
        pytest.skip("the C Task of the standard library hides _num_cancels_requested")
    task = loop.create_task(asyncio.sleep(0))
    names = [*ATTRIBUTES, "_loop", "_callbacks", "_coro", "_fut_waiter", "_num_cancels_requested"]
    assert [name for name in names if not hasattr(task, name)] == []
    run(task)


def test_the_attributes_of_the_running_task_are_those_of_stock(same_as_stock):
    def scenario(loop, engine):
        async def main():
            return attributes(asyncio.current_task())

        return loop.run_until_complete(main())

    assert same_as_stock(scenario)[1]["_callbacks"] == ["_run_until_complete_cb"]


def test_the_root_task_carries_the_callback_that_anyio_looks_for(loop, run):
    async def main():
        return asyncio.current_task()._callbacks

    ((callback, context),) = run(main())
    assert callback is asyncio.base_events._run_until_complete_cb
    assert isinstance(context, contextvars.Context)


def test_a_waiting_task_is_listed_in_the_callbacks_of_its_future(same_as_stock):
    def scenario(loop, engine):
        future = loop.create_future()

        async def waits():
            await future

        tasks = [loop.create_task(waits()) for _ in range(2)]
        loop.stop()
        loop.run_forever()
        seen = [
            (type(callback).__name__, callback.__self__ in tasks, callback.__name__)
            for callback, context in future._callbacks
        ]
        assert all(isinstance(context, contextvars.Context) for _, context in future._callbacks)
        seen.append(repr(future))
        future.set_result(None)
        loop.run_until_complete(asyncio.wait(tasks))
        return seen

    assert same_as_stock(scenario)[0] == "returned"


def test_fut_waiter_is_what_the_task_waits_for(loop, run, turns):
    future = loop.create_future()

    async def waits():
        await future

    task = loop.create_task(waits())
    assert task._fut_waiter is None
    turns()
    assert task._fut_waiter is future
    future.set_result(None)
    run(task)
    assert task._fut_waiter is None


@pytest.mark.parametrize("debug", [False, True])
def test_the_repr_in_every_state_is_the_one_of_stock(same_as_stock, debug):
    def scenario(loop, engine):
        loop.set_debug(debug)

        async def failing():
            raise ValueError("broken")

        async def returning():
            return [1, 2, 3]

        async def watching():
            return repr(asyncio.current_task())

        tasks = [
            loop.create_task(outer(), name="named"),
            loop.create_task(failing()),
            loop.create_task(returning()),
            loop.create_task(asyncio.sleep(1000)),
        ]
        tasks[0].add_done_callback(print)
        seen = [repr(task) for task in tasks]
        seen.append(loop.run_until_complete(loop.create_task(watching())))
        seen += [repr(task) for task in tasks]
        tasks[3].cancel()
        tasks[0].remove_done_callback(print)
        seen += [repr(task) for task in tasks]
        tasks[0].cancel("why")
        loop.run_until_complete(asyncio.wait(tasks))
        tasks[1].exception()
        seen += [repr(task) for task in tasks]
        # The future behind asyncio.sleep: stock shows the line of its own create_future.
        return [re.sub(r"(wait_for=<Future .*?created at) [^ >]+", r"\1 there", t) for t in seen]

    assert same_as_stock(scenario)[1][0].startswith("<Task pending name='named' coro=<outer() ")


def test_get_stack_shows_where_the_task_waits(loop, turns):
    task = loop.create_task(outer())
    assert [frame.f_code.co_name for frame in task.get_stack()] == ["outer"]
    turns()
    frames = task.get_stack()
    assert [frame.f_code.co_name for frame in frames] == ["outer"]
    assert all(isinstance(frame, types.FrameType) for frame in frames)
    assert task.get_stack(limit=1) == frames
    finish(loop, task)


def test_the_stack_of_a_failed_task_is_its_traceback(loop, run):
    def deepest():
        raise ValueError("broken")

    async def failing():
        deepest()

    task = loop.create_task(failing())
    run(asyncio.wait([task]))
    assert [frame.f_code.co_name for frame in task.get_stack()] == ["failing", "deepest"]
    assert [frame.f_code.co_name for frame in task.get_stack(limit=1)] == ["failing"]
    task.exception()


def test_print_stack_prints_what_stock_prints(same_as_stock):
    def scenario(loop, engine):
        async def failing():
            raise ValueError("broken")

        waiting = loop.create_task(outer())
        failed = loop.create_task(failing())
        done = loop.create_task(asyncio.sleep(0))
        loop.run_until_complete(asyncio.wait([failed, done]))
        texts = []
        for task in (waiting, failed, done):
            for limit in (None, 1):
                file = io.StringIO()
                task.print_stack(limit=limit, file=file)
                texts.append(file.getvalue())
        finish(loop, waiting)
        failed.exception()
        return texts

    outcome = same_as_stock(scenario)
    assert outcome[1][0].startswith("Stack for <Task pending")
    assert "ValueError: broken" in outcome[1][2]


def test_set_result_and_set_exception_are_refused(same_as_stock):
    for method in ("set_result", "set_exception"):

        def scenario(loop, engine, method=method):
            task = loop.create_task(asyncio.sleep(0))
            try:
                getattr(task, method)(ValueError())
            finally:
                loop.run_until_complete(task)

        assert same_as_stock(scenario)[1] is RuntimeError


def test_a_task_is_awaitable_iterable_and_hashable(loop, run):
    task = loop.create_task(asyncio.sleep(0, "value"))
    assert inspect.isawaitable(task)
    assert not asyncio.iscoroutine(task)
    assert {task: 1}[task] == 1
    assert next(iter(task)) is task
    run(task)


def test_a_task_dies_with_its_last_reference_when_done(loop, run):
    task = loop.create_task(asyncio.sleep(0))
    alive = weakref.ref(task)
    run(task)
    del task
    run(asyncio.sleep(0))
    assert alive() is None
