"""Combinators, stock's and the native ones, on loops of both kinds that have a task factory: the
tasks are what that makes, in stock's order."""

import asyncio
import contextvars
import sys

import pytest
from small_coroutines import fail, give

eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")


class OwnTask(asyncio.Task):
    """A subclass of asyncio's own class in Python."""


def stock_tasks(loop, coro, **keywords):
    return asyncio.Task(coro, loop=loop, **keywords)


def own_tasks(loop, coro, **keywords):
    return OwnTask(coro, loop=loop, **keywords)


def native_tasks(loop, coro, **keywords):
    import ferrio

    return ferrio.Task(coro, loop=loop, **keywords)


def eager_stock_tasks(loop, coro, **keywords):
    return asyncio.eager_task_factory(loop, coro, **keywords)


def eager_native_tasks(loop, coro, **keywords):
    import ferrio

    return ferrio.Task(coro, loop=loop, eager_start=True, **keywords)


FACTORIES = [
    stock_tasks,
    own_tasks,
    native_tasks,
    pytest.param(eager_stock_tasks, marks=eager),
    pytest.param(eager_native_tasks, marks=eager),
]


@pytest.fixture
def run_with(run_main):
    """Run a coroutine function on a loop of its own that has a task factory; return its result and
    the names of the coroutines that were given to the factory."""

    def run_with(main, factory):
        made = []

        def remembered(loop, coro, **keywords):
            # Made known before it begins, since an eager one may end at once.
            made.append(coro.__name__)
            return factory(loop, coro, **keywords)

        async def outer():
            asyncio.get_running_loop().set_task_factory(remembered)
            try:
                return await main()
            finally:
                asyncio.get_running_loop().set_task_factory(None)

        return run_main(outer), made

    return run_with


def is_eager(factory):
    return factory in (eager_stock_tasks, eager_native_tasks)


@pytest.mark.parametrize("factory", FACTORIES)
def test_gather_takes_the_results_of_all(run_with, package, factory):
    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "future")
        again = give("again", 1)
        return await package.gather(give("slow", 3), again, give("quick"), future, again)

    expected = ["slow", "again", "quick", "future", "again"]
    assert run_with(main, factory) == (expected, ["give"] * 3)


@pytest.mark.parametrize("factory", FACTORIES)
def test_gather_of_what_is_done_at_once_is_done_at_once(run_with, package, factory):
    async def main():
        outer = package.gather(give(1), give(2))
        done = outer.done()
        return done, await outer

    assert run_with(main, factory)[0] == (is_eager(factory), [1, 2])


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("turns", [0, 2])
def test_gather_passes_the_first_error_on(run_with, package, factory, turns):
    async def main():
        gathering = package.gather(give(1, 8), fail(ValueError("mine"), turns), give(2))
        with pytest.raises(ValueError, match="^mine$"):
            await gathering
        left = [child.done() for child in gathering._children]
        await asyncio.wait(gathering._children)
        return left

    assert run_with(main, factory)[0] == [False, True, True]


@pytest.mark.parametrize("factory", FACTORIES)
def test_gather_can_return_errors_and_cancellations(run_with, package, factory):
    async def main():
        async def cancel_itself():
            await asyncio.sleep(0)
            raise asyncio.CancelledError("mine")

        given = [fail(ValueError("mine"), 1), cancel_itself(), give(1)]
        return [repr(one) for one in await package.gather(*given, return_exceptions=True)]

    results, _ = run_with(main, factory)
    # A task forgets what the CancelledError said that its coroutine raised.
    assert results == ["ValueError('mine')", "CancelledError('')", "1"]


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_cancelled_gather_cancels_its_tasks(run_with, package, factory):
    async def main():
        ended = []

        async def slow(number):
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(number)

        gathering = package.gather(slow(1), slow(2))
        await asyncio.sleep(0)
        assert gathering.cancel("please") is True
        with pytest.raises(asyncio.CancelledError) as caught:
            await gathering
        return ended, caught.value.args

    assert run_with(main, factory)[0] == ([1, 2], ("please",))


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_group_waits_for_its_tasks(run_with, package, factory):
    async def main():
        order = []

        async def note(number, turns):
            for _ in range(turns):
                await asyncio.sleep(0)
            order.append(number)
            return number

        async with package.TaskGroup() as group:
            tasks = [group.create_task(note(number, turns)) for number, turns in enumerate([2, 0])]
            tasks.append(group.create_task(note(2, 1), name="named"))
            order.append(len(group._tasks))
        return order, [task.result() for task in tasks], tasks[2].get_name()

    (order, results, name), made = run_with(main, factory)
    assert (results, name, made) == ([0, 1, 2], "named", ["note"] * 3)
    if is_eager(factory):
        # Stock of some versions keeps a task that is done in the group until its callback ran.
        assert order[0] == 1 and order[1] in (2, 3) and order[2:] == [2, 0]
    else:
        assert order == [3, 1, 2, 0]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("turns", [0, 1])
def test_an_error_ends_a_group(run_with, package, factory, turns):
    async def main():
        ended = []

        async def slow():
            try:
                await asyncio.sleep(60)
            finally:
                ended.append("slow")

        async def group_of_two():
            async with package.TaskGroup() as group:
                group.create_task(slow())
                await asyncio.sleep(0)
                group.create_task(fail(ValueError("mine"), turns))
                await asyncio.sleep(60)

        with pytest.raises(ExceptionGroup) as caught:
            await group_of_two()
        return ended, repr(caught.value.exceptions), asyncio.current_task().cancelling()

    assert run_with(main, factory)[0] == (["slow"], "(ValueError('mine'),)", 0)


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_group_whose_tasks_are_all_done_ends_at_once(run_with, package, factory):
    async def main():
        async with package.TaskGroup() as group:
            task = group.create_task(give(1))
        return task.result(), len(group._tasks)

    assert run_with(main, factory)[0] == (1, 0)


@pytest.mark.parametrize("factory", FACTORIES)
def test_as_completed_gives_results_as_they_come(run_with, package, factory):
    async def main():
        given = [give("slow", 6), give("quick"), give("middle", 3)]
        return [await each for each in package.as_completed(given, timeout=60)]

    assert run_with(main, factory) == (["quick", "middle", "slow"], ["give"] * 3)


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_time_of_as_completed_runs_out(run_with, package, factory):
    async def main():
        seen = []
        tasks = set()

        async def slow():
            tasks.add(asyncio.current_task())
            await asyncio.sleep(60)

        for each in package.as_completed([slow(), give(1)], timeout=0.2):
            try:
                seen.append(await each)
            except TimeoutError:
                seen.append("timeout")
        return seen, [task._callbacks for task in tasks]

    assert run_with(main, factory)[0] == ([1, "timeout"], [None])


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_shield_keeps_its_task_from_being_cancelled(run_with, package, factory):
    async def main():
        seen = []

        async def inner():
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append("inner")

        shield = package.shield(inner())
        waits = asyncio.get_running_loop().create_future()
        shield.add_done_callback(lambda _: waits.set_result(None))
        shield.cancel()
        await waits
        while not seen:
            await asyncio.sleep(0)
        return seen, shield.cancelled(), await package.shield(give("result", 1))

    assert run_with(main, factory)[0] == (["inner"], True, "result")


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("turns", [0, 1])
def test_a_shield_passes_an_error_on(run_with, package, factory, turns):
    async def main():
        with pytest.raises(ValueError, match="^mine$"):
            await package.shield(fail(ValueError("mine"), turns))

    run_with(main, factory)


@pytest.mark.parametrize("factory", FACTORIES)
def test_ensure_future_gives_what_the_factory_makes(run_with, package, factory):
    async def main():
        task = package.ensure_future(give(1, 1))
        return type(task) is OwnTask, await task

    assert run_with(main, factory) == ((factory is own_tasks, 1), ["give"])


@pytest.mark.parametrize("factory", FACTORIES)
def test_wait_for_takes_what_the_factory_makes(run_with, package, factory):
    async def main():
        with pytest.raises(TimeoutError):
            await package.wait_for(asyncio.sleep(60), 0.01)
        return await package.wait_for(give(1, 1), 60)

    assert run_with(main, factory)[0] == 1


@pytest.mark.parametrize("error", [RuntimeError("mine"), ValueError("mine")])
@pytest.mark.parametrize("name", ["gather", "as_completed", "shield", "ensure_future"])
def test_a_factory_that_fails_leaves_no_coroutine_open_after_a_runtime_error(
    run_with, package, name, error
):
    coroutine = give(1)

    def first_completed(coroutine):
        return next(package.as_completed([coroutine]))

    def refuse(loop, coro, **keywords):
        raise error

    async def main():
        function = getattr(package, name)
        if name == "as_completed":
            function = first_completed
        with pytest.raises(type(error)) as caught:
            function(coroutine)
        closed = coroutine.cr_frame is None
        coroutine.close()
        return caught.value is error, closed

    assert run_with(main, refuse)[0] == (True, isinstance(error, RuntimeError))


def test_the_callbacks_run_in_the_context_that_the_factory_left(run_with, package):
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    class Watched(asyncio.Task):
        def add_done_callback(self, callback, *, context=None):
            seen.append(contextvars.copy_context()[variable])
            super().add_done_callback(callback, context=context)

    def count(loop, coro, **keywords):
        variable.set(variable.get() + 1)
        return Watched(coro, loop=loop, **keywords)

    async def main():
        await package.gather(give(1, 1), give(2, 1))

    run_with(main, count)
    assert seen == [1, 2]


@pytest.mark.parametrize("factory", FACTORIES)
def test_on_a_ferrio_loop_no_python_of_the_combinators_runs(factory):
    import ferrio

    ran = set()

    def profile(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.endswith(("tasks.py", "taskgroups.py")):
            ran.add(code.co_name)

    async def main():
        asyncio.get_running_loop().set_task_factory(factory)
        sys.setprofile(profile)
        try:
            await ferrio.gather(give(1, 1), give(2))
            await ferrio.shield(give(1, 1))
            await ferrio.ensure_future(give(1, 1))
            for each in ferrio.as_completed([give(1, 1), give(2)]):
                await each
            async with ferrio.TaskGroup() as group:
                group.create_task(give(1, 1))
        finally:
            sys.setprofile(None)

    with asyncio.Runner(loop_factory=ferrio.new_event_loop) as runner:
        runner.run(main())
    # The loop's own create_task, which calls the factory, names the task through this.
    assert ran <= {"_set_task_name", "sleep", "__sleep0", "factory", "__init__"}
