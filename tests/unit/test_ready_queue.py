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


CHANGES = {
    "insert": lambda queue, new: queue.insert(1, new("new")),
    "insert at the end": lambda queue, new: queue.insert(100, new("new")),
    "appendleft": lambda queue, new: queue.appendleft(new("new")),
    "extendleft": lambda queue, new: queue.extendleft([new("one"), new("two")]),
    "pop": lambda queue, new: queue.pop().cancel(),
    "rotate": lambda queue, new: queue.rotate(),
    "rotate back": lambda queue, new: queue.rotate(-2),
    "reverse": lambda queue, new: queue.reverse(),
    "set": lambda queue, new: queue.__setitem__(-1, new("new")),
    "delete": lambda queue, new: queue.__delitem__(1),
    "nothing": lambda queue, new: (queue.copy().clear(), queue.index(queue[1]), queue.maxlen),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_queued_can_be_rearranged(loop, change):
    order = []

    async def step(name):
        order.append(name)
        await asyncio.sleep(0)
        order.append(f"{name} again")

    def new(name):
        return asyncio.Handle(order.append, (name,), loop, None)

    async def main():
        tasks = [loop.create_task(step("task"))]
        loop.call_soon(order.append, "first")
        loop.call_soon(order.append, "second")
        CHANGES[change](loop._ready, new)
        order.append(len(loop._ready))
        for _ in range(3):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        return order

    expected = {
        "insert": [4, "task", "new", "first", "second", "task again"],
        "insert at the end": [4, "task", "first", "second", "new", "task again"],
        "appendleft": [4, "new", "task", "first", "second", "task again"],
        "extendleft": [5, "two", "one", "task", "first", "second", "task again"],
        "pop": [2, "task", "first", "task again"],
        "rotate": [3, "second", "task", "first", "task again"],
        "rotate back": [3, "second", "task", "first", "task again"],
        "reverse": [3, "second", "first", "task", "task again"],
        "set": [3, "task", "first", "new", "task again"],
        "delete": [2, "task", "second", "task again"],
        "nothing": [3, "task", "first", "second", "task again"],
    }
    assert loop.run_until_complete(main()) == expected[change]


def test_a_wrong_change_is_refused_as_by_a_deque(loop):
    for wrong in (lambda: loop._ready.pop(), lambda: loop._ready.__delitem__(0)):
        with pytest.raises(IndexError):
            wrong()
    with pytest.raises(ValueError, match=r"not in deque"):
        loop._ready.remove(None)
    with pytest.raises(AttributeError):
        loop._ready.no_such_thing  # noqa: B018
