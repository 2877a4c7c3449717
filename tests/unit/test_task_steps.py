"""Order in which tasks run and wake: each expectation is what stock asyncio does."""

import asyncio

import pytest


@pytest.fixture
def seen():
    """What happened, in order."""
    return []


def test_tasks_start_in_the_order_they_were_created(run, seen):
    async def worker(name):
        seen.append(name)

    async def main():
        tasks = [asyncio.create_task(worker(number)) for number in range(10)]
        seen.append("created")
        for task in tasks:
            await task

    run(main())
    assert seen == ["created", *range(10)]


def test_tasks_that_yield_take_turns(run, seen):
    async def worker(name):
        for step in range(3):
            seen.append(f"{name}{step}")
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(worker("a"), worker("b"), worker("c"))

    run(main())
    assert seen == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


def test_tasks_and_callbacks_share_one_queue(loop, run, seen):
    async def worker(name):
        seen.append(f"{name} starts")
        loop.call_soon(seen.append, f"callback of {name}")
        await asyncio.sleep(0)
        seen.append(f"{name} ends")

    async def main():
        loop.call_soon(seen.append, "first callback")
        one = asyncio.create_task(worker("one"))
        loop.call_soon(seen.append, "second callback")
        two = asyncio.create_task(worker("two"))
        loop.call_soon(seen.append, "third callback")
        await one
        await two

    run(main())
    assert seen == [
        "first callback",
        "one starts",
        "second callback",
        "two starts",
        "third callback",
        "callback of one",
        "one ends",
        "callback of two",
        "two ends",
    ]


def test_waiters_of_a_future_wake_in_the_order_they_began_to_wait(loop, run, seen):
    async def waiter(name, future):
        await future
        seen.append(name)

    async def main():
        future = loop.create_future()
        tasks = [asyncio.create_task(waiter(number, future)) for number in range(5)]
        await asyncio.sleep(0)
        future.add_done_callback(lambda _: seen.append("callback"))
        future.set_result(None)
        seen.append("set")
        await asyncio.gather(*tasks)

    run(main())
    assert seen == ["set", 0, 1, 2, 3, 4, "callback"]


def test_a_callback_added_before_a_waiter_runs_before_it(loop, run, seen):
    async def waiter(future):
        await future
        seen.append("waiter")

    async def main():
        future = loop.create_future()
        future.add_done_callback(lambda _: seen.append("early callback"))
        task = asyncio.create_task(waiter(future))
        await asyncio.sleep(0)
        future.add_done_callback(lambda _: seen.append("late callback"))
        future.set_result(None)
        loop.call_soon(seen.append, "soon")
        await task

    run(main())
    assert seen == ["early callback", "waiter", "late callback", "soon"]


def test_a_task_wakes_one_turn_after_its_future_is_set(loop, run, turns, seen):
    async def waiter(future):
        seen.append("waits")
        await future
        seen.append("woke")

    future = loop.create_future()
    task = loop.create_task(waiter(future))
    turns()
    future.set_result(None)
    assert seen == ["waits"]
    turns()
    assert seen == ["waits", "woke"]
    assert task.done()


def test_the_waiter_of_a_task_wakes_one_turn_after_the_task_ends(loop, turns, seen):
    async def outer():
        task = loop.create_task(inner())
        await task
        seen.append("outer")

    async def inner():
        seen.append("inner")

    waiting = loop.create_task(outer())
    turns()
    assert seen == []
    turns()
    assert seen == ["inner"]
    turns()
    assert seen == ["inner", "outer"]
    assert waiting.done()


def test_waiting_for_a_task_that_has_ended_does_not_suspend(loop, turns, seen):
    async def inner():
        seen.append("inner")

    async def outer(task):
        seen.append("before")
        await task
        seen.append("after")

    task = loop.create_task(inner())
    waiting = loop.create_task(outer(task))
    loop.call_soon(seen.append, "callback")
    turns()
    assert seen == ["inner", "before", "after", "callback"]
    assert waiting.done()


def test_a_done_future_does_not_suspend_its_waiter(loop, turns, seen):
    async def worker():
        for number in range(5):
            future = loop.create_future()
            future.set_result(number)
            seen.append(await future)

    loop.create_task(worker())
    loop.call_soon(seen.append, "callback")
    turns()
    assert seen == [0, 1, 2, 3, 4, "callback"]


def test_two_tasks_hand_a_future_back_and_forth(loop, run, seen):
    async def ping(futures):
        for number in range(4):
            await futures[2 * number]
            seen.append(f"ping {number}")
            futures[2 * number + 1].set_result(None)

    async def pong(futures):
        for number in range(4):
            futures[2 * number].set_result(None)
            await futures[2 * number + 1]
            seen.append(f"pong {number}")

    async def main():
        futures = [loop.create_future() for _ in range(8)]
        await asyncio.gather(ping(futures), pong(futures))

    run(main())
    assert seen == [f"{name} {number}" for number in range(4) for name in ("ping", "pong")]


def test_a_chain_of_tasks_unwinds_one_turn_a_link(loop, turns, seen):
    async def link(depth):
        if depth:
            await loop.create_task(link(depth - 1))
        seen.append(depth)

    loop.create_task(link(5))
    for _ in range(6):
        turns()
    assert seen == [0]
    for depth in range(1, 6):
        turns()
        assert seen == list(range(depth + 1))


def test_a_bare_yield_gives_one_turn(loop, turns, seen):
    class Yield:
        def __await__(self):
            yield
            return "value"

    async def worker():
        seen.append("start")
        seen.append(await Yield())

    loop.create_task(worker())
    loop.call_soon(seen.append, "other")
    turns()
    assert seen == ["start", "other"]
    turns()
    assert seen == ["start", "other", "value"]


def test_the_done_callbacks_of_a_task_run_in_the_turn_after_its_last_step(loop, turns, seen):
    async def worker():
        seen.append("body")

    task = loop.create_task(worker())
    task.add_done_callback(lambda t: seen.append(("done", t is task)))
    loop.call_soon(seen.append, "callback")
    turns()
    assert seen == ["body", "callback"]
    turns()
    assert seen == ["body", "callback", ("done", True)]


def test_sleeping_tasks_wake_in_the_order_of_their_delays(run, seen):
    async def worker(delay):
        await asyncio.sleep(delay)
        seen.append(delay)

    async def main():
        await asyncio.gather(*(worker(delay) for delay in (0.3, 0.1, 0.2, 0, -1)))

    run(main())
    assert seen == [0, -1, 0.1, 0.2, 0.3]


def test_a_set_future_and_a_sleep_of_nothing_keep_their_order(loop, run, seen):
    async def waits(future):
        await future
        seen.append("future")

    async def yields():
        await asyncio.sleep(0)
        seen.append("yield")

    async def main():
        future = loop.create_future()
        first = asyncio.create_task(waits(future))
        second = asyncio.create_task(yields())
        third = asyncio.create_task(waits(future))
        await asyncio.sleep(0)
        future.set_result(None)
        await asyncio.gather(first, second, third)

    run(main())
    assert seen == ["yield", "future", "future"]


def test_gather_keeps_the_order_of_results_whatever_ends_first(run, seen):
    async def worker(name, yields):
        for _ in range(yields):
            await asyncio.sleep(0)
        seen.append(name)
        return name

    async def main():
        return await asyncio.gather(worker("a", 3), worker("b", 1), worker("c", 2))

    assert run(main()) == ["a", "b", "c"]
    assert seen == ["b", "c", "a"]


def test_a_task_runs_to_its_next_wait_without_interruption(loop, run, seen):
    async def nested(depth):
        if depth == 0:
            return "bottom"
        return await nested(depth - 1)

    async def main():
        loop.call_soon(seen.append, "callback")
        seen.append(await nested(50))
        seen.append("still here")
        await asyncio.sleep(0)

    run(main())
    assert seen == ["bottom", "still here", "callback"]


def test_the_result_of_a_task_may_be_any_object(loop, run):
    async def returns(value):
        await asyncio.sleep(0)
        return value

    for value in (None, (1, 2), (), StopIteration(1), ValueError("value"), [], asyncio.Future):
        assert run(loop.create_task(returns(value))) is value
