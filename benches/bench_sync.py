"""Rows about what tasks wait for together: Queue, Lock, Semaphore, Event, Condition."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from rows import row


async def _run_all(coroutines: list[Coroutine[object, object, None]]) -> None:
    for task in [asyncio.create_task(coroutine) for coroutine in coroutines]:
        await task


async def _produce_and_consume(count: int, maxsize: int) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize)

    async def produce() -> None:
        for item in range(count):
            await queue.put(item)

    async def consume() -> None:
        for item in range(count):
            assert await queue.get() == item

    await _run_all([produce(), consume()])


@row(
    "Queue(100), 1 producer 1 consumer",
    count=100_000,
    operation="one item put and got",
    installed_goal=3,
)
async def queue_100(count: int) -> None:
    await _produce_and_consume(count, 100)


@row(
    "Queue(1), 1 producer 1 consumer",
    count=25_000,
    operation="one item put and got",
    installed_goal=3,
)
async def queue_1(count: int) -> None:
    await _produce_and_consume(count, 1)


@row("Lock, 10 contenders", count=20_000, operation="one hold over a sleep(0)", installed_goal=5)
async def lock_10(count: int) -> None:
    lock = asyncio.Lock()

    async def contend() -> None:
        for _ in range(count // 10):
            async with lock:
                await asyncio.sleep(0)

    await _run_all([contend() for _ in range(10)])


@row(
    "Semaphore(5), 50 contenders",
    count=25_000,
    operation="one hold over a sleep(0)",
    installed_goal=4,
)
async def semaphore_5_of_50(count: int) -> None:
    semaphore = asyncio.Semaphore(5)

    async def contend() -> None:
        for _ in range(count // 50):
            async with semaphore:
                await asyncio.sleep(0)

    await _run_all([contend() for _ in range(50)])


@row("Event, 100 waiters", count=50_000, operation="one waiter woken", installed_goal=3)
async def event_100(count: int) -> None:
    event = asyncio.Event()

    async def wait() -> None:
        for _ in range(count // 100):
            await event.wait()

    async def wake() -> None:
        for _ in range(count // 100):
            event.set()
            event.clear()
            await asyncio.sleep(0)

    await _run_all([wait() for _ in range(100)] + [wake()])


@row(
    "Condition, 1 producer 1 consumer",
    count=20_000,
    operation="one item handed over",
    installed_goal=3,
)
async def condition(count: int) -> None:
    changed = asyncio.Condition()
    items = 0

    async def produce() -> None:
        nonlocal items
        for _ in range(count):
            async with changed:
                items += 1
                changed.notify()
            await asyncio.sleep(0)

    async def consume() -> None:
        nonlocal items
        for _ in range(count):
            async with changed:
                while not items:
                    await changed.wait()
                items -= 1

    await _run_all([consume(), produce()])
