"""Connections made: create_connection and open_connection to a bare server, one echo, close."""

from __future__ import annotations

import asyncio
from typing import Any

from net_rows import KIB, Address, add_row, client, echo_load

MESSAGE = bytes(KIB)


class OneEcho(asyncio.Protocol):
    """Sends a message, and closes when as much has come back."""

    transport: Any

    def __init__(self) -> None:
        self.missing = len(MESSAGE)
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(MESSAGE)

    def data_received(self, data: bytes) -> None:
        self.missing -= len(data)
        if not self.missing:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc:
            self.closed.set_exception(exc)
        else:
            self.closed.set_result(self.missing)


@client
async def connect_protocol(to: Address) -> None:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(OneEcho, to.host, to.port)
    assert await protocol.closed == 0


@client
async def connect_streams(to: Address) -> None:
    reader, writer = await asyncio.open_connection(to.host, to.port)
    writer.write(MESSAGE)
    assert await reader.readexactly(KIB) == MESSAGE
    writer.close()
    await writer.wait_closed()


for name, label in (("protocol", "create_connection"), ("streams", "open_connection")):
    add_row(
        f"connect_{name}",
        f"{label}, 50 at once, 1 KiB",
        server=f"connect_{name}",
        load=("--at-once", "50"),
        bare=echo_load(50, KIB, "--churn"),
        operation="connect, one echo, close; CPU of the client",
    )
