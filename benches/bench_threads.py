"""Rows where another thread, or the resolver, takes part."""

from __future__ import annotations

import asyncio
import socket
import threading

from rows import row


@row(
    "call_soon_threadsafe",
    count=50_000,
    operation="one callback, from its call in another thread until it has run in the loop",
    repeatable=False,
    uvloop_goal=2,
)
async def call_soon_threadsafe(count: int) -> None:
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    left = count

    def callback() -> None:
        nonlocal left
        left -= 1
        if not left:
            finished.set_result(None)

    def produce() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(callback)

    producer = threading.Thread(target=produce)
    producer.start()
    await finished
    producer.join()


@row(
    "to_thread(int)",
    count=2_000,
    operation="one call and its result",
    repeatable=False,
    uvloop_goal=1.5,
)
async def to_thread(count: int) -> None:
    for _ in range(count):
        await asyncio.to_thread(int)


@row(
    'getaddrinfo("127.0.0.1")',
    count=2_000,
    operation="one look-up",
    repeatable=False,
    uvloop_goal=25,
)
async def getaddrinfo(count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.getaddrinfo("127.0.0.1", 80)


@row('getaddrinfo("127.0.0.1", STREAM)', count=2_000, operation="one look-up", repeatable=False)
async def getaddrinfo_stream(count: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
