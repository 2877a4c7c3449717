"""The HTTP client of aiohttp, against a server that costs little and runs on the other core."""

from __future__ import annotations

import asyncio
from typing import Any

from bench_http_servers import CONNECTIONS, PLAIN_TEXT
from net_rows import BACKLOG, Address, Kept, add_row, bound_address, client, closing, server

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (
    len(PLAIN_TEXT),
    PLAIN_TEXT,
)
END = b"\r\n\r\n"

_sessions: list[Any] = []


class Answering(asyncio.Protocol):
    """The same answer to every request; a request has no body and comes in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not data.endswith(END):
            raise RuntimeError(f"a request in pieces: {data!r}")
        self.transport.write(ANSWER)


@server
async def http_answers(at: Address, kept: Kept) -> Address:
    loop = asyncio.get_running_loop()
    running = await loop.create_server(Answering, at.host, at.port, backlog=BACKLOG)
    kept.append(running)
    return bound_address(at, running)


async def close_session() -> None:
    for session in _sessions:
        await session.close()


closing.append(close_session)


@client
async def aiohttp_client(at: Address) -> None:
    import aiohttp

    if not _sessions:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        _sessions.append(aiohttp.ClientSession(connector=connector))
    async with _sessions[0].get(f"http://{at.host}:{at.port}/") as response:
        if await response.read() != PLAIN_TEXT:
            raise RuntimeError(f"a wrong answer, status {response.status}")


add_row(
    "aiohttp_client",
    "aiohttp client, 13 B of plain text",
    server="aiohttp_client",
    load=("--at-once", str(CONNECTIONS)),
    operation="one request",
)
