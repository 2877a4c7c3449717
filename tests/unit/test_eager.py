"""Eager tasks (3.12 and later): when the first step runs, and as whom."""

import asyncio
import contextvars
import sys

import pytest

if not hasattr(asyncio, "eager_task_factory"):
    pytest.skip("eager tasks are new in Python 3.12", allow_module_level=True)


@pytest.fixture
def eager(loop, engine):
    """The loop with an eager task factory for the engine's Task."""
    if engine.name == "asyncio":
        loop.set_task_factory(asyncio.eager_task_factory)
    else:
        loop.set_task_factory(asyncio.create_eager_task_factory(engine.task_class))
    return loop


def test_a_coroutine_that_never_waits_is_done_at_once(eager, run, task_class):
    seen = []

    async def quick():
        seen.append("ran")
        return "value"

    async def main():
        task = asyncio.create_task(quick())
        assert type(task) is task_class
        assert seen == ["ran"]
        assert task.done()
        assert task.result() == "value"
        return await task

    assert run(main()) == "value"


def test_an_eager_error_is_kept_for_the_waiter(eager, run):
    async def failing():
        raise ValueError("eager")

    async def main():
        task = asyncio.create_task(failing())
        assert task.done()
        with pytest.raises(ValueError, match="^eager$"):
            await task

    run(main())


def test_an_eager_task_that_waits_goes_on_later(eager, run):
    seen = []

    async def slow():
        seen.append("first part")
        await asyncio.sleep(0)
        seen.append("second part")
        return "value"

    async def main():
        task = asyncio.create_task(slow())
        seen.append("created")
        assert not task.done()
        return await task

    assert run(main()) == "value"
    assert seen == ["first part", "created", "second part"]


def test_the_current_task_is_the_eager_one_during_its_first_step(eager, run):
    seen = []

    async def inner():
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    async def main():
        me = asyncio.current_task()
        task = asyncio.create_task(inner())
        assert asyncio.current_task() is me
        await task
        assert asyncio.current_task() is me
        assert seen == [task, task]

    run(main())


def test_eager_tasks_nest(eager, run):
    async def nested(depth):
        me = asyncio.current_task()
        if depth == 0:
            return [me]
        task = asyncio.create_task(nested(depth - 1))
        assert asyncio.current_task() is me
        inner = await task
        assert inner[-1] is task
        return [*inner, me]

    async def main():
        return await asyncio.create_task(nested(5))

    assert len(set(run(main()))) == 6


def test_only_tasks_that_wait_are_among_all_tasks(eager, run):
    async def quick():
        assert asyncio.current_task() in asyncio.all_tasks()

    async def slow():
        await asyncio.sleep(0)

    async def main():
        done = asyncio.create_task(quick())
        waiting = asyncio.create_task(slow())
        assert done not in asyncio.all_tasks()
        assert waiting in asyncio.all_tasks()
        await done
        await waiting

    run(main())


def test_an_eager_step_runs_in_the_context_of_the_task(eager, run):
    var = contextvars.ContextVar("var", default="unset")

    async def inner():
        before = var.get()
        var.set("inner")
        await asyncio.sleep(0)
        return before, var.get()

    async def main():
        var.set("main")
        copied = asyncio.create_task(inner())
        own = contextvars.Context()
        given = asyncio.create_task(inner(), context=own)
        assert var.get() == "main"
        return await copied, await given, own[var]

    assert run(main()) == (("main", "inner"), ("unset", "inner"), "inner")


def test_eager_start_can_be_asked_for_one_task(loop, run, task_class):
    async def quick():
        return "value"

    async def main():
        eager = task_class(quick(), loop=loop, eager_start=True)
        assert eager.done()
        lazy = task_class(quick(), loop=loop, eager_start=False)
        assert not lazy.done()
        plain = task_class(quick(), loop=loop)
        assert not plain.done()
        return await eager, await lazy, await plain

    assert run(main()) == ("value",) * 3


def test_eager_start_outside_a_run_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        async def quick():
            return "value"

        coroutine = quick()
        try:
            task = engine.task_class(coroutine, loop=loop, eager_start=True)
            return loop.run_until_complete(task)
        finally:
            coroutine.close()

    same_as_stock(scenario)


def test_a_name_is_given_before_the_eager_step(loop, run, task_class):
    async def inner():
        return asyncio.current_task().get_name()

    async def main():
        return await task_class(inner(), loop=loop, name="given", eager_start=True)

    assert run(main()) == "given"


def test_done_callbacks_of_an_eagerly_finished_task_run_in_the_next_turn(eager, run):
    seen = []

    async def quick():
        pass

    async def main():
        task = asyncio.create_task(quick())
        task.add_done_callback(lambda _: seen.append("callback"))
        assert seen == []
        await asyncio.sleep(0)
        assert seen == ["callback"]

    run(main())


def test_gather_and_task_groups_take_eager_tasks(eager, run):
    async def quick(value):
        return value

    async def slow(value):
        await asyncio.sleep(0)
        return value

    async def main():
        assert await asyncio.gather(quick(1), slow(2), quick(3)) == [1, 2, 3]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(make(number)) for number, make in enumerate([quick, slow])]
        assert [task.result() for task in tasks] == [0, 1]
        async with asyncio.timeout(1000):
            assert await asyncio.wait_for(slow("waited"), 1000) == "waited"

    run(main())


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_system_error_in_an_eager_step_reaches_the_creator(eager, run, error):
    async def failing():
        raise error

    async def main():
        with pytest.raises(error):
            asyncio.create_task(failing())

    run(main())


def test_the_factory_is_given_eager_start_only_when_the_caller_gave_it(same_as_stock):
    def scenario(loop, engine):
        seen = []

        def factory(loop, coroutine, **kwargs):
            seen.append(sorted(kwargs))
            return engine.task_class(coroutine, loop=loop)

        loop.set_task_factory(factory)

        async def main():
            await loop.create_task(asyncio.sleep(0))
            await loop.create_task(asyncio.sleep(0), name="n")
            await loop.create_task(asyncio.sleep(0), context=contextvars.copy_context())

        loop.run_until_complete(main())
        return seen

    assert same_as_stock(scenario)[0] == "returned"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="3.12's own get_coro crashes here")
def test_the_coroutine_and_stack_of_an_eager_task_are_those_of_stock(same_as_stock):
    def scenario(loop, engine):
        async def quick():
            pass

        async def main():
            task = engine.task_class(quick(), loop=loop, eager_start=True)
            return repr(task.get_coro()), task.get_stack()

        return loop.run_until_complete(main())

    assert same_as_stock(scenario)[0] == "returned"


def test_the_repr_and_state_of_an_eager_task_are_those_of_stock(same_as_stock):
    def scenario(loop, engine):
        loop.set_task_factory(asyncio.create_eager_task_factory(engine.task_class))
        seen = []

        async def inner(waits):
            seen.append(repr(asyncio.current_task()))
            if waits:
                await asyncio.sleep(0)
            return "result"

        async def main():
            for waits in (False, True):
                task = asyncio.create_task(inner(waits))
                seen.append((repr(task), task.done()))
                await task
                seen.append(repr(task))

        loop.run_until_complete(main())
        return seen

    assert same_as_stock(scenario)[0] == "returned"
