"""asyncio.current_task and all_tasks, and the private functions that set them."""

import asyncio
import asyncio.tasks
import gc
from asyncio import all_tasks, current_task

import pytest


def test_there_is_no_current_task_outside_a_task(loop, turns):
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        current_task()
    assert current_task(loop) is None
    seen = []
    loop.call_soon(lambda: seen.append((current_task(), current_task(loop))))
    turns()
    assert seen == [(None, None)]


def test_each_task_sees_itself(run):
    async def worker():
        me = current_task()
        seen = [me]
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(current_task())
        return me, seen

    async def main():
        tasks = [asyncio.create_task(worker()) for _ in range(4)]
        for task, (me, seen) in zip(tasks, await asyncio.gather(*tasks), strict=True):
            assert me is task
            assert seen == [task] * 4

    run(main())


def test_callbacks_run_outside_every_task(loop, run):
    seen = []

    async def main():
        loop.call_soon(lambda: seen.append(current_task()))
        future = loop.create_future()
        future.add_done_callback(lambda _: seen.append(current_task()))
        future.set_result(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run(main())
    assert seen == [None, None]


def test_the_current_task_is_gone_after_an_error(loop, run):
    async def failing():
        raise ValueError

    with pytest.raises(ValueError):
        run(failing())
    assert current_task(loop) is None

    async def leaving():
        raise SystemExit

    with pytest.raises(SystemExit):
        run(leaving())
    assert current_task(loop) is None


def test_current_task_can_be_asked_for_this_loop_from_outside(loop, run):
    async def main():
        return current_task(loop) is current_task()

    assert run(main()) is True


def test_all_tasks_lists_the_tasks_that_are_not_done(loop, run):
    async def main():
        me = current_task()
        assert all_tasks() == {me}
        tasks = {asyncio.create_task(asyncio.sleep(0)) for _ in range(5)}
        assert all_tasks() == tasks | {me}
        await asyncio.wait(tasks)
        assert all_tasks() == {me}
        assert all_tasks(loop) == {me}

    run(main())
    assert all_tasks(loop) == set()


def test_all_tasks_outside_a_run_needs_a_loop(loop, run):
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        all_tasks()
    task = loop.create_task(asyncio.sleep(0))
    assert all_tasks(loop) == {task}
    run(task)


def test_all_tasks_of_two_loops_do_not_mix(loop, stock_loop):
    mine = loop.create_task(asyncio.sleep(0))
    theirs = stock_loop.create_task(asyncio.sleep(0))
    assert all_tasks(loop) == {mine}
    assert all_tasks(stock_loop) == {theirs}
    loop.run_until_complete(mine)
    stock_loop.run_until_complete(theirs)


def test_a_pending_task_stays_listed_while_someone_holds_it(loop, run, turns):
    async def waits(future):
        await future

    future = loop.create_future()
    tasks = [loop.create_task(waits(future)) for _ in range(3)]
    turns()
    gc.collect()
    assert all_tasks(loop) == set(tasks)
    future.set_result(None)
    run(asyncio.wait(tasks))


def test_entering_a_task_while_another_runs_is_refused(same_as_stock):
    def scenario(loop, engine):
        async def main():
            other = loop.create_task(asyncio.sleep(0))
            try:
                asyncio.tasks._enter_task(loop, other)
            finally:
                await other

        loop.run_until_complete(main())

    assert same_as_stock(scenario)[1] is RuntimeError


def test_leaving_a_task_that_is_not_current_is_refused(same_as_stock):
    def scenario(loop, engine):
        async def main():
            other = loop.create_task(asyncio.sleep(0))
            try:
                asyncio.tasks._leave_task(loop, other)
            finally:
                await other

        loop.run_until_complete(main())

    assert same_as_stock(scenario)[1] is RuntimeError


def test_a_task_entered_by_hand_is_the_current_one(loop, run):
    task = loop.create_task(asyncio.sleep(0))
    asyncio._set_running_loop(loop)  # since 3.14 only its tasks can be entered
    try:
        asyncio.tasks._enter_task(loop, task)
        assert current_task(loop) is task
        asyncio.tasks._leave_task(loop, task)
        assert current_task(loop) is None
    finally:
        asyncio._set_running_loop(None)
    run(task)


def test_a_step_inside_an_entered_task_reports_the_stock_error(same_as_stock):
    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))
        loop.call_soon(lambda: asyncio.tasks._enter_task(loop, other))
        entered = loop.create_task(asyncio.sleep(0), name="entered")
        other = loop.create_task(asyncio.sleep(0), name="other")
        loop.call_soon(asyncio.tasks._leave_task, loop, other)
        loop.stop()
        loop.run_forever()
        done = entered.done(), other.done()
        for task in (entered, other):
            task._log_destroy_pending = False
            task.get_coro().close()
        return seen, done

    same_as_stock(scenario)


def test_the_current_task_can_be_put_aside_and_back(loop, run):
    async def main():
        me = current_task()
        asyncio.tasks._leave_task(loop, me)
        assert current_task() is None
        asyncio.tasks._enter_task(loop, me)
        assert current_task() is me
        await asyncio.sleep(0)
        assert current_task() is me

    run(main())


@pytest.mark.skipif(
    not hasattr(asyncio.tasks, "_swap_current_task"), reason="_swap_current_task is new in 3.12"
)
def test_swap_current_task_returns_the_one_before(loop, run):
    async def main():
        me = current_task()
        other = loop.create_task(asyncio.sleep(0))
        assert asyncio.tasks._swap_current_task(loop, other) is me
        assert current_task() is other
        assert asyncio.tasks._swap_current_task(loop, None) is other
        assert current_task() is None
        assert asyncio.tasks._swap_current_task(loop, me) is None
        await other
        assert current_task() is me

    run(main())


def test_the_functions_imported_before_the_engine_are_right(run_python):
    done = run_python(
        """
        async def main():
            task = asyncio.current_task()
            assert early_current_task() is task, early_current_task()
            assert early_all_tasks() == {task}
            other = asyncio.create_task(asyncio.sleep(0))
            assert early_all_tasks() == {task, other} == asyncio.all_tasks()
            await other
            return "fine"

        loop = new_loop()
        print(loop.run_until_complete(main()))
        loop.close()
        """.replace(
            "async def main",
            "from asyncio import current_task as early_current_task\n"
            "        from asyncio import all_tasks as early_all_tasks\n\n        async def main",
            1,
        )
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_register_task_lists_a_foreign_object(loop):
    class Foreign:
        def get_loop(self):
            return loop

        def done(self):
            return False

    foreign = Foreign()
    asyncio.tasks._register_task(foreign)
    try:
        assert foreign in all_tasks(loop)
    finally:
        asyncio.tasks._unregister_task(foreign)
    assert foreign not in all_tasks(loop)


def test_all_tasks_can_be_read_while_tasks_are_made_and_die(loop, run):
    async def main():
        for _ in range(50):
            tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(20)]
            assert len(all_tasks()) >= 21
            await asyncio.gather(*tasks)

    run(main())


async def _yield_often():
    for _ in range(50):
        await asyncio.sleep(0)


def test_no_task_is_current_after_a_turn_by_hand(loop_factory):
    loop = loop_factory()
    tasks = [loop.create_task(_yield_often()) for _ in range(2)]
    asyncio.events._set_running_loop(loop)
    try:
        for _ in range(10):
            loop.call_soon(lambda: None)
            loop._run_once()
            assert asyncio.current_task(loop) is None
    finally:
        asyncio.events._set_running_loop(None)
    loop.run_until_complete(asyncio.wait(tasks))
    assert asyncio.current_task(loop) is None
    loop.close()


def test_no_task_is_current_in_what_python_does_between_turns(loop_factory):
    loop = loop_factory()
    seen, monotonic = [], loop.time

    def time():
        seen.append(asyncio.current_task(loop))
        return monotonic()

    async def main():
        timer = loop.call_later(60, print)
        before = len(seen)
        await _yield_often()
        timer.cancel()
        return len(seen) - before

    loop.time = time
    assert loop.run_until_complete(main()) >= 50
    loop.close()
    between = [task for task in seen if task is None]
    assert len(between) >= 50


def test_no_task_is_current_in_a_run_once_that_a_task_puts_in_place(loop_factory):
    loop = loop_factory()
    seen, run_once = [], loop._run_once

    def noted():
        seen.append(asyncio.current_task(loop))
        run_once()

    async def main():
        await asyncio.sleep(0)
        loop._run_once = noted
        await _yield_often()

    loop.run_until_complete(main())
    loop.close()
    assert len(seen) >= 50
    assert set(seen) == {None}


def test_no_task_is_current_after_the_loop_was_stopped(loop_factory):
    loop = loop_factory()
    task = loop.create_task(_yield_often())
    for _ in range(5):
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert asyncio.current_task(loop) is None
        assert not task.done()
    loop.run_until_complete(task)
    loop.close()


@pytest.mark.parametrize("package_name", ["asyncio", "ferrio"])
def test_groups_and_timeouts_find_the_task_that_is_current_for_python_code(
    loop, monkeypatch, package_name
):
    """asyncio's Task in Python, with the functions that go with it."""
    package = pytest.importorskip(package_name)
    for name in ("current_task", "_enter_task", "_leave_task", "_swap_current_task"):
        in_python = getattr(asyncio.tasks, f"_py_{name.removeprefix('_')}", None)
        if in_python is not None:
            monkeypatch.setattr(asyncio.tasks, name, in_python)

    async def main():
        async with package.TaskGroup() as group, package.timeout(60) as timeout:
            inner = group.create_task(asyncio.sleep(0, "result"))
        return await package.gather(inner), group._parent_task or timeout._task

    task = asyncio.tasks._PyTask(main(), loop=loop)
    loop.set_task_factory(lambda loop, coro, **_: asyncio.tasks._PyTask(coro, loop=loop))
    result, found = loop.run_until_complete(task)
    assert result == ["result"]
    assert found is task
