"""A loop whose turns are run by other code, out of its queues, as nest_asyncio does."""

import asyncio
import heapq

import pytest


def turn_by_hand(loop):
    """One turn, with what asyncio's own `_run_once` uses and nothing else."""
    scheduled = loop._scheduled
    wait = 0 if loop._ready else None
    if wait is None and scheduled:
        wait = max(0, scheduled[0]._when - loop.time())
    loop._process_events(loop._selector.select(wait))
    while scheduled and scheduled[0]._when <= loop.time():
        loop._ready.append(heapq.heappop(scheduled))
    for _ in range(len(loop._ready)):
        if not loop._ready:
            break
        handle = loop._ready.popleft()
        if not handle._cancelled:
            handle._run()


def run_nested(loop, coroutine):
    """Run a coroutine to its end from inside a task of the same loop."""
    current = asyncio.current_task()
    asyncio.tasks._leave_task(loop, current)
    task = loop.create_task(coroutine)
    while not task.done():
        turn_by_hand(loop)
    asyncio.tasks._enter_task(loop, current)
    return task.result()


async def sleep_and_give(value):
    await asyncio.sleep(0.001)
    return value


def test_a_task_runs_another_to_its_end(loop):
    async def main():
        beside = loop.create_task(sleep_and_give("beside"))
        nested = run_nested(loop, sleep_and_give("nested"))
        return nested, await beside, asyncio.current_task() is task

    task = loop.create_task(main())
    assert loop.run_until_complete(task) == ("nested", "beside", True)


def test_nested_runs_go_deep(loop):
    async def deep(depth):
        await asyncio.sleep(0)
        return run_nested(loop, deep(depth - 1)) + 1 if depth else 0

    assert loop.run_until_complete(deep(20)) == 20


def test_nested_runs_serve_sockets_threads_and_timers(loop):
    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    async def talk():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"line\n")
        line = await reader.readline()
        writer.close()
        server.close()
        return line, await asyncio.to_thread(int, "5")

    async def main():
        seen = []
        handles = [loop.call_later(0.0001 * n, seen.append, n) for n in range(5)]
        handles[0].cancel()
        handles[3].cancel()
        result = run_nested(loop, talk())
        run_nested(loop, asyncio.sleep(0.001))
        return result, seen

    assert loop.run_until_complete(main()) == ((b"line\n", 5), [1, 2, 4])


def test_the_queue_has_the_face_of_a_deque(loop):
    first, second, third = (loop.call_soon(print, n) for n in range(3))
    queue = loop._ready
    assert len(queue) == 3 and bool(queue)
    assert list(queue) == [first, second, third]
    assert queue[0] is first and queue[-1] is third
    assert second in queue
    queue.remove(second)
    assert second not in queue
    assert queue.popleft() is first
    queue.extend([second])
    assert list(queue) == [third, second]
    queue.clear()
    assert not queue
    with pytest.raises(IndexError, match="pop from an empty deque"):
        queue.popleft()
    with pytest.raises(ValueError):
        queue.remove(first)
    with pytest.raises(IndexError):
        queue[0]
