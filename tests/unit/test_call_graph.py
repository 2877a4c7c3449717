"""Who awaits what, as asyncio's call graph and debuggers of other processes see it (3.14)."""

import asyncio
import gc
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="new in Python 3.14")


async def wait_for(future):
    return await future


def test_a_future_knows_the_task_that_awaits_it(loop, run):
    async def main():
        future = loop.create_future()
        task = asyncio.create_task(wait_for(future))
        await asyncio.sleep(0)
        assert future._asyncio_awaited_by == {task}
        future.set_result("result")
        assert await task == "result"
        assert future._asyncio_awaited_by is None

    run(main())


def test_a_future_knows_all_tasks_that_await_it(loop, run):
    async def main():
        future = loop.create_future()
        tasks = [asyncio.create_task(wait_for(future)) for _ in range(3)]
        await asyncio.sleep(0)
        assert future._asyncio_awaited_by == set(tasks)
        future.cancel()
        await asyncio.wait(tasks)
        assert not future._asyncio_awaited_by

    run(main())


def test_who_gathers_shields_or_opens_a_group_is_a_waiter(run, package):
    async def main():
        me = asyncio.current_task()
        gathered = asyncio.create_task(asyncio.sleep(0))
        shielded = asyncio.create_task(asyncio.sleep(0))
        gathering, shield = package.gather(gathered), package.shield(shielded)
        async with package.TaskGroup() as group:
            child = group.create_task(asyncio.sleep(0))
            for task in (gathered, shielded, child):
                assert task._asyncio_awaited_by == {me}
        await gathering
        await shield
        for task in (gathered, shielded, child):
            assert task._asyncio_awaited_by is None

    run(main())


def test_who_cancels_a_shield_is_no_waiter_any_more(loop, run, package):
    async def main():
        future = loop.create_future()
        shield = package.shield(future)
        assert future._asyncio_awaited_by == {asyncio.current_task()}
        shield.cancel()
        await asyncio.sleep(0)
        assert not future._asyncio_awaited_by
        assert future._callbacks is None

    run(main())


def test_the_callbacks_of_a_shield_are_those_of_stock(loop, run, package):
    async def main():
        future = loop.create_future()
        shield = package.shield(future)
        names = [callback.__qualname__ for callback, _ in future._callbacks]
        future.set_result(None)
        await shield
        return names

    assert run(main()) == [
        "shield.<locals>._clear_awaited_by_callback",
        "shield.<locals>._inner_done_callback",
    ]


def test_what_is_completed_or_timed_out_has_no_waiter_any_more(loop, run, package):
    async def main():
        me = asyncio.current_task()
        quick, slow = loop.create_future(), loop.create_future()
        loop.call_soon(quick.set_result, None)
        iterator = package.as_completed([quick, slow], timeout=0.2)
        assert (quick._asyncio_awaited_by, slow._asyncio_awaited_by) == ({me}, {me})
        await next(iterator)
        assert (quick._asyncio_awaited_by, slow._asyncio_awaited_by) == (None, {me})
        with pytest.raises(TimeoutError):
            await next(iterator)
        assert not slow._asyncio_awaited_by

    run(main())


def test_a_waiter_that_is_garbage_is_collected_with_its_future(loop, turns):
    async def waits_forever():
        await loop.create_future()

    task = loop.create_task(waits_forever())
    task._log_destroy_pending = False
    turns()
    assert asyncio.all_tasks(loop) == {task}
    del task
    gc.collect()
    assert asyncio.all_tasks(loop) == set()


def test_init_forgets_the_waiters(loop, future_class):
    future, other = future_class(loop=loop), future_class(loop=loop)
    for waiter in (other, future_class(loop=loop)):
        asyncio.future_add_to_awaited_by(future, waiter)
    assert len(future._asyncio_awaited_by) == 2
    future.__init__(loop=loop)
    assert future._asyncio_awaited_by is None
    asyncio.future_add_to_awaited_by(future, other)
    assert future._asyncio_awaited_by == {other}


def test_the_call_graph_shows_names_and_frames(loop, run):
    async def main():
        future = loop.create_future()
        task = asyncio.create_task(wait_for(future), name="waiter")
        await asyncio.sleep(0)
        graph = asyncio.format_call_graph(future)
        future.set_result(None)
        await task
        return graph

    graph = run(main())
    assert "Task(name='waiter'" in graph
    assert "in async wait_for()" in graph


def test_a_debugger_of_another_process_sees_the_tasks(loop, run):
    async def main():
        future = loop.create_future()
        named = asyncio.create_task(wait_for(future), name="named")
        unnamed = asyncio.create_task(wait_for(named))
        await asyncio.sleep(0)
        command = [sys.executable, "-m", "asyncio", "ps", str(os.getpid())]
        shown = subprocess.run(command, capture_output=True, text=True)
        future.set_result(None)
        await unnamed
        return shown, unnamed.get_name()

    shown, name = run(main())
    if shown.returncode != 0:
        pytest.skip(f"this process may not be debugged here: {shown.stderr}")
    rows = [line for line in shown.stdout.splitlines() if "wait_for" in line]
    assert len(rows) == 2
    assert "named" in rows[0] and name in rows[0]
