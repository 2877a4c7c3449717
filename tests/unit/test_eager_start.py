"""`eager_start=True` for one task (3.14), through each function that makes tasks."""

import asyncio
import contextlib
import contextvars
import sys

import pytest

if sys.version_info < (3, 14):
    pytest.skip("new in Python 3.14", allow_module_level=True)

NUMBER = contextvars.ContextVar("number", default=0)


@pytest.fixture(params=["loop", "function", "group"])
def start(request, loop, package):
    """Makes an eager task in one of three ways, for a block of `async with`."""

    @contextlib.asynccontextmanager
    async def start(coro, **kwargs):
        kwargs.setdefault("eager_start", True)
        if request.param == "loop":
            yield loop.create_task(coro, **kwargs)
        elif request.param == "function":
            yield package.create_task(coro, **kwargs)
        else:
            async with package.TaskGroup() as group:
                yield group.create_task(coro, **kwargs)

    return start


def test_one_that_never_waits(start, run):
    seen = []

    async def quick():
        seen.append(asyncio.current_task())
        return "value"

    async def main():
        me = asyncio.current_task()
        async with start(quick()) as task:
            assert seen == [task]
            assert task.done()
            assert task not in asyncio.all_tasks()
            assert asyncio.current_task() is me
            assert await task == "value"

    run(main())


def test_one_that_waits(start, run):
    seen = []

    async def slow():
        seen.append("first part")
        await asyncio.sleep(0)
        seen.append("second part")

    async def main():
        async with start(slow()) as task:
            assert seen == ["first part"]
            assert task in asyncio.all_tasks()
            await task
        assert seen == ["first part", "second part"]

    run(main())


def test_its_name_and_context(start, run):
    async def inner():
        task = asyncio.current_task()
        seen = NUMBER.get()
        NUMBER.set(7)
        return task.get_name(), seen

    async def main():
        context = contextvars.copy_context()
        context.run(NUMBER.set, 3)
        async with start(inner(), name="eager", context=context) as task:
            assert await task == ("eager", 3)
        assert context[NUMBER] == 7
        assert NUMBER.get() == 0

    run(main())


@pytest.mark.parametrize("flag", [1, "yes", 0, "", None, False])
def test_any_object_may_be_the_flag(start, run, flag):
    seen = []

    async def quick():
        seen.append("ran")

    async def main():
        async with start(quick(), eager_start=flag) as task:
            began = bool(seen)
            await task
        assert seen == ["ran"]
        return began

    assert run(main()) == bool(flag)


def test_a_flag_without_a_truth(start, run):
    class Flag:
        def __bool__(self):
            raise ZeroDivisionError("no truth")

    async def main():
        coroutine = asyncio.sleep(0)
        try:
            async with start(coroutine, eager_start=Flag()):
                pass
        except* ZeroDivisionError as caught:
            texts = [str(error) for error in caught.exceptions]
        coroutine.close()
        return texts

    assert run(main()) == ["no truth"]


def test_what_is_no_coroutine(start, run):
    async def main():
        try:
            async with start(42):
                pass
        except* TypeError as caught:
            texts = [str(error) for error in caught.exceptions]
        return texts

    assert run(main()) == ["a coroutine was expected, got 42"]


def test_a_group_with_one_that_failed_at_once(run, package):
    async def fail():
        raise ValueError("at once")

    async def main():
        async with package.TaskGroup() as group:
            tasks.append(group.create_task(asyncio.sleep(60)))
            tasks.append(group.create_task(fail(), eager_start=True))
            at_once.append(tasks[1].done())
            await asyncio.sleep(60)

    tasks, at_once = [], []
    with pytest.raises(ExceptionGroup) as caught:
        run(main())
    assert [str(error) for error in caught.value.exceptions] == ["at once"]
    assert at_once == [True]
    assert tasks[0].cancelled()


def test_one_that_makes_another_in_its_group(run, package):
    async def main():
        async with package.TaskGroup() as group:

            async def inner(depth):
                if depth:
                    group.create_task(inner(depth - 1), eager_start=True)
                    await asyncio.sleep(0)
                order.append(depth)

            order = []
            group.create_task(inner(3), eager_start=True)
            assert order == [0]
        return order

    assert run(main()) == [0, 1, 2, 3]


def test_a_loop_that_says_it_does_not_run(loop, run, package):
    """`is_running` of a subclass, or put on the loop, is asked as stock asks it."""
    seen = []

    async def quick():
        seen.append("ran")

    async def main():
        loop.is_running = lambda: False
        try:
            task = package.create_task(quick(), eager_start=True)
        finally:
            del loop.is_running
        assert seen == []
        await task
        assert seen == ["ran"]

    run(main())


def test_a_factory_is_given_the_flag(loop, run, package):
    given = []

    def factory(loop, coro, **kwargs):
        given.append(kwargs)
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def main():
        loop.set_task_factory(factory)
        task = package.create_task(asyncio.sleep(0), eager_start=True, name="given")
        await task
        loop.set_task_factory(None)

    run(main())
    assert given == [{"eager_start": True, "name": "given"}]
