"""The row about a child that answers line by line, as servers of tools and of languages do."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE

from rows import Stopwatch, Timing, row

LINE = b"x" * 99 + b"\n"


@row(
    "a line of 100 B to a child and back",
    count=5_000,
    operation="write, drain, readline; CPU of the parent",
    repeatable=False,
)
async def child_lines(count: int) -> Timing:
    child = await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE, stdout=PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    watch = Stopwatch()
    for _ in range(count):
        child.stdin.write(LINE)
        await child.stdin.drain()
        assert await child.stdout.readline() == LINE
    timing = watch.elapsed()
    child.stdin.close()
    assert await child.wait() == 0
    return timing
