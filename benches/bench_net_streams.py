"""Echo over TCP and Unix sockets: Protocol, BufferedProtocol, streams, sock_*; and churn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from net_rows import (
    BACKLOG,
    KIB,
    READ_SIZE,
    Address,
    Kept,
    add_row,
    bound_address,
    echo_load,
    server,
    size_label,
)

OWN_BUFFER_SIZE = 256 * KIB
"""Room that a BufferedProtocol offers: as much as stock reads at once for a Protocol."""


class Echo(asyncio.Protocol):
    """Writes back what it receives."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The same with a buffer of its own, out of which it copies what it writes."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(OWN_BUFFER_SIZE))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.view

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(bytes(self.view[:nbytes]))


async def serve(factory: Callable[[], asyncio.BaseProtocol], at: Address, kept: Kept) -> Address:
    loop = asyncio.get_running_loop()
    if at.kind == "unix":
        running = await loop.create_unix_server(factory, at.host, backlog=BACKLOG)
    else:
        running = await loop.create_server(factory, at.host, at.port, backlog=BACKLOG)
    kept.append(running)
    return bound_address(at, running)


@server
async def protocol(at: Address, kept: Kept) -> Address:
    return await serve(Echo, at, kept)


@server
async def buffered(at: Address, kept: Kept) -> Address:
    return await serve(BufferedEcho, at, kept)


async def echo_what_comes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_SIZE):
        writer.write(data)
        await writer.drain()
    writer.close()


StreamHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


def echo_messages_of(size: int) -> StreamHandler:
    """As a program does that knows how long a message is."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await reader.readexactly(size))
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    return echo


async def echo_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As a program does whose messages end with a newline."""
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def serve_streams(handler: StreamHandler, at: Address, kept: Kept) -> Address:
    if at.kind == "unix":
        running = await asyncio.start_unix_server(handler, at.host, backlog=BACKLOG)
    else:
        running = await asyncio.start_server(handler, at.host, at.port, backlog=BACKLOG)
    kept.append(running)
    return bound_address(at, running)


@server
async def streams(at: Address, kept: Kept) -> Address:
    return await serve_streams(echo_what_comes, at, kept)


@server
async def streams_exactly(at: Address, kept: Kept) -> Address:
    return await serve_streams(echo_messages_of(KIB), at, kept)


@server
async def streams_exactly_100k(at: Address, kept: Kept) -> Address:
    return await serve_streams(echo_messages_of(100 * KIB), at, kept)


@server
async def streams_lines(at: Address, kept: Kept) -> Address:
    return await serve_streams(echo_lines, at, kept)


async def echo_bytes(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with connection:
        while data := await loop.sock_recv(connection, READ_SIZE):
            await loop.sock_sendall(connection, data)


async def echo_buffer(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    view = memoryview(bytearray(READ_SIZE))
    with connection:
        while count := await loop.sock_recv_into(connection, view):
            await loop.sock_sendall(connection, view[:count])


async def accept_for_ever(
    listener: socket.socket, handler: Callable[[socket.socket], object], tasks: set[object]
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = loop.create_task(handler(connection))  # type: ignore[arg-type]
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def serve_sockets(handler: Callable[[socket.socket], object], at: Address, kept: Kept) -> Address:
    listener = socket.create_server((at.host, at.port), backlog=BACKLOG)
    listener.setblocking(False)
    tasks: set[object] = set()
    kept.append(asyncio.ensure_future(accept_for_ever(listener, handler, tasks)))
    return at._replace(port=listener.getsockname()[1])


@server
async def sock(at: Address, kept: Kept) -> Address:
    return serve_sockets(echo_bytes, at, kept)


@server
async def sock_into(at: Address, kept: Kept) -> Address:
    return serve_sockets(echo_buffer, at, kept)


APIS = {
    "protocol": "Protocol",
    "buffered": "BufferedProtocol",
    "streams": "streams",
    "sock": "sock_*",
}
BY_DEFAULT = {(1, KIB), (100, KIB), (1000, KIB), (100, 10 * KIB), (10, 100 * KIB)}
BARE_LIMITS = {
    ("protocol", 100, KIB): 1.08,
    ("protocol", 10, 100 * KIB): 1.10,
    ("streams", 100, KIB): 1.2,
    ("sock", 100, KIB): 1.5,
}

for api, api_label in APIS.items():
    for size in (KIB, 10 * KIB, 100 * KIB):
        for connections in (1, 10, 100, 1000):
            if connections == 10 and size != 100 * KIB:
                continue
            add_row(
                f"{api}_{connections}x{size // KIB}k",
                f"{api_label}, {connections} x {size_label(size)}",
                server=api,
                load=echo_load(connections, size),
                bare_limit=BARE_LIMITS.get((api, connections, size)),
                by_default=(connections, size) in BY_DEFAULT,
            )

for connections in (1, 100):
    add_row(
        f"streams_exactly_{connections}x1k",
        f"streams with readexactly, {connections} x 1 KiB",
        server="streams_exactly",
        load=echo_load(connections, KIB),
    )
    add_row(
        f"streams_lines_{connections}x1k",
        f"streams with readline, {connections} x 1 KiB",
        server="streams_lines",
        load=echo_load(connections, KIB, "--lines"),
    )
add_row(
    "streams_exactly_10x100k",
    "streams with readexactly, 10 x 100 KiB",
    server="streams_exactly_100k",
    load=echo_load(10, 100 * KIB),
)
add_row(
    "sock_into_100x1k",
    "sock_recv_into, 100 x 1 KiB",
    server="sock_into",
    load=echo_load(100, KIB),
    by_default=False,
)
for api in ("protocol", "streams"):
    add_row(
        f"unix_{api}_100x1k",
        f"Unix, {APIS[api]}, 100 x 1 KiB",
        server=api,
        at="unix:",
        load=echo_load(100, KIB),
    )
for api in ("protocol", "streams"):
    add_row(
        f"churn_{api}",
        f"churn, {APIS[api]}, 50 at once, 1 KiB",
        server=api,
        load=echo_load(50, KIB, "--churn"),
        operation="connect, one echo, close",
        uvloop_goal=1.5,
    )
add_row(
    "churn_unix",
    "churn, Unix, Protocol, 50 at once, 1 KiB",
    server="protocol",
    at="unix:",
    load=echo_load(50, KIB, "--churn"),
    operation="connect, one echo, close",
)
