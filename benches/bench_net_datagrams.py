"""Echo of UDP datagrams: DatagramProtocol, and sock_recvfrom with sock_sendto."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from net_rows import KIB, READ_SIZE, Address, Kept, add_row, echo_load, server, size_label


class DatagramEcho(asyncio.DatagramProtocol):
    """Sends each datagram back to where it came from."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.transport.sendto(data, addr)


@server
async def datagrams(at: Address, kept: Kept) -> Address:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(DatagramEcho, local_addr=(at.host, at.port))
    kept.append(transport)
    return at._replace(port=transport.get_extra_info("sockname")[1])


async def echo_datagrams(own: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        data, peer = await loop.sock_recvfrom(own, READ_SIZE)
        await loop.sock_sendto(own, data, peer)


@server
async def sock_datagrams(at: Address, kept: Kept) -> Address:
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.setblocking(False)
    own.bind((at.host, at.port))
    kept.append(asyncio.ensure_future(echo_datagrams(own)))
    return at._replace(port=own.getsockname()[1])


for size in (KIB, 64):
    for peers in (1, 50):
        add_row(
            f"udp_{peers}x{size}",
            f"UDP, {peers} x {size_label(size)}",
            server="datagrams",
            at="udp:127.0.0.1:0",
            load=echo_load(peers, size),
            # One peer at a time: nearly all of it is going to sleep and waking up.
            uvloop_goal=1.3 if peers > 1 else None,
            by_default=peers > 1,
        )
add_row(
    "sock_udp_50x1024",
    "UDP, sock_recvfrom and sock_sendto, 50 x 1 KiB",
    server="sock_datagrams",
    at="udp:127.0.0.1:0",
    load=echo_load(50, KIB),
    by_default=False,
)
