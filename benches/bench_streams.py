"""Rows about StreamReader by itself: one task feeds it, another reads. No sockets, no transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rows import row

LINE = b"x" * 1023 + b"\n"
LINES_AT_ONCE = 64
SHORT_LINE = b"y" * 99 + b"\n"


async def _feed_and_read(
    count: int, read: Callable[[asyncio.StreamReader], Awaitable[bytes]]
) -> None:
    """Each line is read by a task that waits for it, and the next one comes a turn later."""
    reader = asyncio.StreamReader()

    async def consume() -> None:
        for _ in range(count):
            assert await read(reader) == LINE

    task = asyncio.create_task(consume())
    for _ in range(count):
        await asyncio.sleep(0)
        reader.feed_data(LINE)
    await task


@row("StreamReader, read of 1 KiB, fed by a task", count=20_000, operation="1 KiB")
async def reader_read(count: int) -> None:
    await _feed_and_read(count, lambda reader: reader.read(2048))


@row(
    "StreamReader, readexactly(1 KiB), fed by a task", count=20_000, operation="1 KiB fed and read"
)
async def reader_readexactly(count: int) -> None:
    await _feed_and_read(count, lambda reader: reader.readexactly(1024))


@row("StreamReader, readline of 1 KiB, fed by a task", count=20_000, operation="1 KiB")
async def reader_readline(count: int) -> None:
    await _feed_and_read(count, lambda reader: reader.readline())


@row("StreamReader, 64 lines of 100 B fed at once", count=60_000, operation="one line read")
async def reader_lines(count: int) -> None:
    reader = asyncio.StreamReader()
    for begun in range(0, count, LINES_AT_ONCE):
        lines = min(LINES_AT_ONCE, count - begun)
        reader.feed_data(SHORT_LINE * lines)
        for _ in range(lines):
            assert await reader.readline() == SHORT_LINE
