"""Rows about tasks and futures: switches, creation, gather, TaskGroup, timeouts."""

from __future__ import annotations

import asyncio

from rows import row


async def _nothing() -> None:
    pass


@row("sleep(0), one task", count=100_000, operation="one switch", uvloop_goal=3.5, installed_goal=6)
async def sleep0_one(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@row(
    "ferrio.sleep(0), one task",
    count=100_000,
    operation="one switch",
    stands_for="sleep0_one",
)
async def ferrio_sleep0_one(count: int) -> None:
    import ferrio

    for _ in range(count):
        await ferrio.sleep(0)


@row(
    "sleep(0), 100 tasks",
    count=100_000,
    operation="one switch",
    uvloop_goal=1.6,
    installed_goal=2.8,
)
async def sleep0_100(count: int) -> None:
    async def switch(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    for task in [asyncio.create_task(switch(count // 100)) for _ in range(100)]:
        await task


@row(
    "ferrio.sleep(0), 100 tasks",
    count=100_000,
    operation="one switch",
    stands_for="sleep0_100",
)
async def ferrio_sleep0_100(count: int) -> None:
    import ferrio

    async def switch(times: int) -> None:
        for _ in range(times):
            await ferrio.sleep(0)

    for task in [asyncio.create_task(switch(count // 100)) for _ in range(100)]:
        await task


@row(
    "future ping-pong",
    count=60_000,
    operation="one future made, awaited and resolved",
    uvloop_goal=3,
)
async def future_ping_pong(count: int) -> None:
    loop = asyncio.get_running_loop()
    asked = loop.create_future()
    answered = loop.create_future()

    async def ask() -> None:
        nonlocal answered
        for _ in range(count // 2):
            answered = loop.create_future()
            asked.set_result(None)
            await answered

    async def answer() -> None:
        nonlocal asked
        for _ in range(count // 2):
            await asked
            asked = loop.create_future()
            answered.set_result(None)

    for task in (asyncio.create_task(answer()), asyncio.create_task(ask())):
        await task


@row("create_task + await", count=40_000, operation="one task", uvloop_goal=4)
async def create_task_await(count: int) -> None:
    for _ in range(count):
        await asyncio.create_task(_nothing())


@row("gather of 100", count=40_000, operation="one child", uvloop_goal=1.6, installed_goal=3)
async def gather_100(count: int) -> None:
    for _ in range(count // 100):
        await asyncio.gather(*[_nothing() for _ in range(100)])


@row("TaskGroup of 100", count=40_000, operation="one child", uvloop_goal=1.6, installed_goal=3)
async def task_group_100(count: int) -> None:
    for _ in range(count // 100):
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(_nothing())


@row("as_completed of 100", count=20_000, operation="one child", installed_goal=3)
async def as_completed_100(count: int) -> None:
    for _ in range(count // 100):
        for completed in asyncio.as_completed([_nothing() for _ in range(100)]):
            await completed


@row("wait of 100", count=20_000, operation="one task, made and waited for")
async def wait_100(count: int) -> None:
    for _ in range(count // 100):
        await asyncio.wait([asyncio.create_task(_nothing()) for _ in range(100)])


@row("wait_for", count=30_000, operation="one call that ends in time", installed_goal=4)
async def wait_for(count: int) -> None:
    for _ in range(count):
        await asyncio.wait_for(_nothing(), 60)


@row("asyncio.timeout", count=30_000, operation="one block that ends in time", installed_goal=4)
async def timeout(count: int) -> None:
    for _ in range(count):
        async with asyncio.timeout(60):
            await _nothing()
