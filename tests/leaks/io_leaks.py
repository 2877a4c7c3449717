"""Descriptors, sockets, pipes, children."""

import asyncio
import contextlib
import io
import os
import socket
import sys

from leak_stage import SENTINEL, scenario


@scenario
async def readers(loop, count):
    left, right = socket.socketpair()
    with left, right:
        right.send(b"x")
        for _ in range(count // 4):
            loop.add_reader(left, SENTINEL, SENTINEL)
            loop.add_reader(left, SENTINEL, SENTINEL)
            loop.add_writer(left, SENTINEL, SENTINEL)
            await asyncio.sleep(0)
            loop.remove_writer(left)
            loop.remove_reader(left)


@scenario
async def socket_calls(loop, count):
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    right.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data, buffer = bytes(40_000), bytearray(50_000)
    with left, right:
        for _ in range(count // 8):
            await loop.sock_sendall(right, b"x")
            await loop.sock_recv(left, 100)
            reading = loop.create_task(loop.sock_recv_into(left, buffer))
            await asyncio.sleep(0)
            await loop.sock_sendall(right, b"x")
            await reading
            cancelled = loop.create_task(loop.sock_recv(left, 1 << 16))
            await asyncio.sleep(0)
            cancelled.cancel()
            loop.sock_recv(left, 1).close()
            with contextlib.suppress(OSError):
                await loop.sock_accept(left)
            with contextlib.suppress(ValueError):
                await loop.sock_recvfrom(left, -1)
        for _ in range(count // 100):
            sending = loop.create_task(loop.sock_sendall(right, data))
            received = 0
            while received < len(data):
                received += len(await loop.sock_recv(left, 1 << 16))
            await sending


@scenario
async def accepted_sockets(loop, count):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for _ in range(count // 50):
            with socket.socket() as client:
                client.setblocking(False)
                accepting = loop.create_task(loop.sock_accept(listener))
                await asyncio.sleep(0)
                await loop.sock_connect(client, listener.getsockname())
                server, _ = await accepting
                with server:
                    # No connection of the scenario stays in TIME_WAIT.
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class Connected(asyncio.Protocol):
    """The end of a connection that is made."""

    def __init__(self):
        self.extra = SENTINEL

    def connection_made(self, transport):
        self.transport = transport


def no_protocol():
    """A protocol factory that fails."""
    raise ValueError(SENTINEL)


def reset_accepted(listener):
    """End what waits at the listener without a connection that stays in TIME_WAIT."""
    with contextlib.suppress(BlockingIOError):
        while True:
            with listener.accept()[0] as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@scenario
async def connections(loop, count):
    """Made, refused, cancelled after each turn, and without a protocol."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as closed:
        listener.setblocking(False)
        closed.bind(("127.0.0.1", 0))
        for number in range(count // 40):
            address = listener.getsockname()
            transport, _ = await loop.create_connection(Connected, *address)
            transport.abort()
            with contextlib.suppress(ConnectionRefusedError):
                await loop.create_connection(Connected, *closed.getsockname())
            with contextlib.suppress(ValueError):
                await loop.create_connection(no_protocol, *address)
            connecting = loop.create_task(loop.create_connection(Connected, *address))
            for _ in range(number % 6):
                await asyncio.sleep(0)
            if not connecting.cancel():
                connecting.result()[0].abort()
            await asyncio.wait([connecting])
            reset_accepted(listener)
            await asyncio.sleep(0)


class Answers(asyncio.DatagramProtocol):
    """Sends every datagram back, or sets `self.answer`."""

    answer = None
    error_received = SENTINEL

    def connection_made(self, transport):
        self.transport = transport
        self.extra = SENTINEL

    def datagram_received(self, data, addr):
        if self.answer is None:
            self.transport.sendto(data, addr)
        else:
            self.answer.set_result(SENTINEL)


@scenario
async def datagrams(loop, count):
    local = {"local_addr": ("127.0.0.1", 0)}
    there, _ = await loop.create_datagram_endpoint(Answers, **local)
    address = there.get_extra_info("sockname")
    here, protocol = await loop.create_datagram_endpoint(Answers, **local)
    for number in range(count // 4):
        protocol.answer = loop.create_future()
        data = bytes(number % 2000 + 1)
        here.sendto(data if number % 2 else bytearray(data), tuple(address))
        await protocol.answer
    here.sendto(bytes(70_000), address)
    here.close()
    there.close()
    await asyncio.sleep(0)


@scenario
async def datagram_endpoints(loop, count):
    for number in range(count // 20):
        far, near = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        with far:
            far.bind("")
            near.bind("")
            near.connect(far.getsockname())
            far.connect(near.getsockname())
            transport, _ = await loop.create_datagram_endpoint(Answers, sock=near)
            transport.extra = SENTINEL
            far.send(b"x")
            if number % 2:
                await asyncio.sleep(0)
                transport.close()
            else:
                for _ in range(20):  # more than the other end's queue takes
                    transport.sendto(b"data")
                transport.abort()
            await asyncio.sleep(0)


@scenario
async def pipes(loop, count):
    """Transports of both ends of pipes, with data left unread and unwritten."""

    class Reading(asyncio.Protocol):
        sentinel = SENTINEL

    for number in range(count // 10):
        reading, writing = os.pipe()
        near, _ = await loop.connect_read_pipe(Reading, io.FileIO(reading, "r"))
        far, _ = await loop.connect_write_pipe(Reading, io.FileIO(writing, "w"))
        far.write(b"x" * (100_000 if number % 3 else 10))
        await asyncio.sleep(0)
        if number % 2:
            far.abort()
        near.close()
        far.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@scenario
async def children(loop, count):
    """Short-lived child processes, a few of them killed."""
    engine = sys.modules.get("ferrio", asyncio)
    for number in range(count // 100):
        process = await engine.create_subprocess_exec(
            "/bin/cat", stdin=-1, stdout=-1, stderr=asyncio.subprocess.DEVNULL
        )
        if number % 4:
            await process.communicate(b"text")
        else:
            process.kill()
            await process.communicate()
