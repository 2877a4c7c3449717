"""Rows about callbacks and timers: call_soon, call_later, sleeps of a millisecond."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rows import Stopwatch, Timing, row


@row("call_soon chain", count=100_000, operation="one callback", uvloop_goal=4)
async def call_soon_chain(count: int) -> None:
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    left = count

    def callback() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(callback)
        else:
            finished.set_result(None)

    loop.call_soon(callback)
    await finished


@row("call_later + cancel", count=100_000, operation="one timer", uvloop_goal=2.2)
async def call_later_cancel(count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count // 100):
        for _ in range(100):
            loop.call_later(60, _never_called).cancel()
        await asyncio.sleep(0)


def _never_called() -> None:
    raise AssertionError("a cancelled timer fired")


@row(
    "100 000 timers in order, made and fired",
    count=100_000,
    operation="one timer of 1 ms",
    uvloop_goal=2,
    repeatable=False,
)
async def timers_in_order(count: int) -> None:
    await _schedule_timers(count, first_s=0.001, spread_s=0)


@row(
    "100 000 timers in mixed order, made and fired",
    count=100_000,
    operation="one timer of 1 to 21 ms",
    uvloop_goal=2,
    repeatable=False,
)
async def timers_mixed(count: int) -> None:
    await _schedule_timers(count, first_s=0.001, spread_s=0.02)


@row(
    "100 000 timers in mixed order, firing only",
    count=100_000,
    operation="one timer, without its call_later",
    uvloop_goal=2,
    repeatable=False,
)
async def timers_firing(count: int) -> Timing:
    fired = _schedule_timers(count, first_s=0.3, spread_s=0.02)
    watch = Stopwatch()
    await fired
    return watch.elapsed()


def _schedule_timers(count: int, *, first_s: float, spread_s: float) -> asyncio.Future[None]:
    """Make timers due over `spread_s` in mixed order; the future is done when all have fired.

    No delay is under 1 ms: uvloop rounds to whole milliseconds and runs a delay of 0 as call_soon.
    """
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()
    left = count

    def callback() -> None:
        nonlocal left
        left -= 1
        if not left:
            finished.set_result(None)

    for number in range(count):
        loop.call_later(first_s + spread_s * (number * 7919 % count) / count, callback)
    return finished


@row(
    "short sleeps of 1000 tasks",
    count=40_000,
    operation="one sleep(0.001)",
    uvloop_goal=2,
    repeatable=False,
    installed_goal=2.5,
)
async def short_sleeps_1000(count: int) -> None:
    await _sleep_shortly(asyncio.sleep, count)


@row(
    "short ferrio.sleep of 1000 tasks",
    count=40_000,
    operation="one sleep(0.001)",
    stands_for="short_sleeps_1000",
    repeatable=False,
)
async def ferrio_short_sleeps_1000(count: int) -> None:
    import ferrio

    await _sleep_shortly(ferrio.sleep, count)


async def _sleep_shortly(sleep: Callable[[float], Awaitable[None]], count: int) -> None:
    async def nap(times: int) -> None:
        for _ in range(times):
            await sleep(0.001)

    for task in [asyncio.create_task(nap(count // 1000)) for _ in range(1000)]:
        await task
