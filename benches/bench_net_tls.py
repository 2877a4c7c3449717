"""Echo over TLS 1.3: Protocol and streams; and handshakes."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from bench_net_streams import APIS, Echo, echo_what_comes
from net_rows import (
    BACKLOG,
    KIB,
    Address,
    Kept,
    add_row,
    bound_address,
    echo_load,
    server,
    size_label,
)

certificates: list[Path] = []
"""The certificate that the servers have, with its key."""


def context() -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(certificates[-1])
    return made


@server
async def tls_protocol(at: Address, kept: Kept) -> Address:
    loop = asyncio.get_running_loop()
    running = await loop.create_server(Echo, at.host, at.port, backlog=BACKLOG, ssl=context())
    kept.append(running)
    return bound_address(at, running)


@server
async def tls_streams(at: Address, kept: Kept) -> Address:
    loop = asyncio.get_running_loop()

    # As asyncio.start_server does it, which knows nothing of a loop that is patched.
    def connection() -> asyncio.StreamReaderProtocol:
        reader = asyncio.StreamReader(loop=loop)
        return asyncio.StreamReaderProtocol(reader, echo_what_comes, loop=loop)

    running = await loop.create_server(connection, at.host, at.port, backlog=BACKLOG, ssl=context())
    kept.append(running)
    return bound_address(at, running)


for api in ("protocol", "streams"):
    for connections, size in ((100, KIB), (10, 100 * KIB)):
        add_row(
            f"tls_{api}_{connections}x{size // KIB}k",
            f"TLS, {APIS[api]}, {connections} x {size_label(size)}",
            server=f"tls_{api}",
            load=echo_load(connections, size, "--tls"),
            bare_limit=1.15,
        )
    add_row(
        f"tls_handshake_{api}",
        f"TLS handshakes, {APIS[api]}, 20 at once, 1 KiB",
        server=f"tls_{api}",
        load=echo_load(20, KIB, "--tls", "--churn"),
        operation="connect, handshake, one echo, close",
        bare_limit=1.15,
    )
