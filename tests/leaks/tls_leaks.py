"""TLS connections: accepted, refused, given up, and made of ones that were plain."""

import asyncio
import contextlib
import functools
import os
import ssl
import tempfile

import trustme
from leak_stage import SENTINEL, scenario


class End(asyncio.Protocol):
    """The end of a connection, which says what came and when it was lost."""

    transport = None

    def __init__(self, loop):
        self.came, self.lost = loop.create_future(), loop.create_future()
        self.itself, self.extra = self, SENTINEL  # a cycle

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.came.done() or self.came.set_result(data)

    def connection_lost(self, error):
        self.lost.set_result(error)


class Echo(End):
    """The server's end."""

    def data_received(self, data):
        self.transport.write(data)


@functools.cache
def contexts():
    """Those of a server, of a client that trusts it, and of one that does not."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client, ssl.create_default_context()


async def upgraded(loop, plain, accepted):
    """The transport of the client's end when both have gone over to TLS."""
    server_side, client_side, _ = contexts()
    made = await asyncio.gather(
        loop.start_tls(accepted.transport, accepted, server_side, server_side=True),
        loop.start_tls(plain, plain.get_protocol(), client_side, server_hostname="localhost"),
    )
    accepted.transport, transport = made
    return transport


async def talk(transport, accepted):
    """One echo, and the end of the connection by the client."""
    end = transport.get_protocol()
    transport.write(b"a piece")
    assert await end.came == b"a piece"
    transport.close()
    await asyncio.wait([end.lost, accepted.lost])


@scenario
async def tls_connections(loop, count):
    """Served, refused by the client, given up after each turn, and begun as plain ones."""
    server_side, client_side, without_trust = contexts()
    served, plain_served = [], []

    def accept(ends):
        ends.append(Echo(loop))
        return ends[-1]

    async def connect(context):
        transport, _ = await loop.create_unix_connection(
            lambda: End(loop), path, ssl=context, server_hostname="localhost"
        )
        return transport

    # The server's end is told of each client that does not go on.
    loop.set_exception_handler(lambda loop, context: None)
    with tempfile.TemporaryDirectory() as folder:
        path, plain_path = os.path.join(folder, "tls"), os.path.join(folder, "plain")
        server = await loop.create_unix_server(lambda: accept(served), path, ssl=server_side)
        plain_server = await loop.create_unix_server(lambda: accept(plain_served), plain_path)
        for number in range(count // 400):
            transport = await connect(client_side)
            await talk(transport, served[-1])
            with contextlib.suppress(ssl.SSLCertVerificationError):
                await connect(without_trust)
            given_up = loop.create_task(connect(client_side))
            for _ in range(number % 12):
                await asyncio.sleep(0)
            given_up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await given_up).abort()
            plain, _ = await loop.create_unix_connection(lambda: End(loop), plain_path)
            while not (plain_served and plain_served[-1].transport):
                await asyncio.sleep(0)
            transport = await upgraded(loop, plain, plain_served[-1])
            await talk(transport, plain_served.pop())
            while len(asyncio.all_tasks()) > 1:  # those of connections in their handshakes
                await asyncio.sleep(0)
            served.clear()
        server.close()
        plain_server.close()
