"""Streams, over no socket and over sockets."""

import asyncio
import contextlib
import socket
import sys

from leak_stage import SENTINEL, batches, scenario


class FakeTransport(asyncio.Transport):
    """Takes what is written, and can be paused."""

    extra = SENTINEL
    closing = False

    def write(self, data):
        self.written = data

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    def pause_reading(self):
        self.paused = SENTINEL

    resume_reading = pause_reading


@scenario
async def fed_streams(loop, count):
    """Read in every way, looked into, cancelled while they wait, failed, and never read."""
    engine = sys.modules.get("ferrio", asyncio)
    for size in batches(count // 10):
        readers = [engine.StreamReader(8, loop) for _ in range(size)]
        waiting = []
        for number, reader in enumerate(readers):
            reader.set_transport(FakeTransport())
            read = (reader.readline, reader.read, lambda reader=reader: reader.readexactly(100))
            waiting.append(loop.create_task(read[number % 3]()))
        await asyncio.sleep(0)
        for number, reader in enumerate(readers):
            if number % 7 == 0:
                reader.set_exception(ValueError(SENTINEL))
            reader.feed_data(b"a piece ")
            reader.feed_data(b"and another\nthat is long")
            reader.feed_eof()
            if number % 4 == 0:
                reader.itself = (reader, reader._buffer, SENTINEL)
            if number % 5 == 0:
                waiting[number].cancel()
        await asyncio.wait(waiting)
        assert sum(task.cancelled() for task in waiting) == len(range(0, size, 5))
        for task in waiting:
            _ = task.cancelled() or task.exception()


@scenario
async def stream_protocols(loop, count):
    """Connections made and lost over no socket, with and without a callback, in cycles."""
    engine = sys.modules.get("ferrio", asyncio)

    async def serve(reader, writer):
        writer.mark = (reader, writer, SENTINEL)
        writer.write(await reader.readuntil(b"."))
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    for number in range(count // 10):
        reader = engine.StreamReader(loop=loop)
        protocol = engine.StreamReaderProtocol(reader, [None, serve][number % 2], loop)
        transport = FakeTransport()
        protocol.connection_made(transport)
        protocol.pause_writing()
        if number % 3 == 0:
            writer = engine.StreamWriter(transport, protocol, reader, loop)
            draining = loop.create_task(writer.drain())
            await asyncio.sleep(0)
            protocol.resume_writing()
            protocol.pause_writing()
            await draining
            closed = loop.create_task(writer.wait_closed())
            writer.close()
        protocol.data_received(b"text.")
        protocol.eof_received()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        transport.close()
        protocol.connection_lost(OSError(SENTINEL) if number % 5 == 0 else None)
        await asyncio.sleep(0)
        if number % 3 == 0:
            await asyncio.wait([closed])
            _ = closed.exception()


class FakeChild(asyncio.SubprocessTransport):
    """A child with all three pipes."""

    def __init__(self):
        self.pipes = [FakeTransport() for _ in range(3)]

    def get_pipe_transport(self, fd):
        return self.pipes[fd]

    def close(self):
        self.closed = SENTINEL


@scenario
async def child_protocols(loop, count):
    """The streams of children that are none, ended, broken and left alone, in cycles."""
    for number in range(count // 10):
        module = sys.modules.get("ferrio._ferrio", asyncio.subprocess)
        protocol = module.SubprocessStreamProtocol(100, loop)
        child = FakeChild()
        child.protocol = protocol
        protocol.connection_made(child)
        protocol.pipe_data_received(1, b"text")
        protocol.pause_writing()
        draining = loop.create_task(protocol.stdin.drain())
        await asyncio.sleep(0)
        error = OSError(SENTINEL) if number % 3 == 0 else None
        for fd in range(3):
            protocol.pipe_connection_lost(fd, error)
        await asyncio.wait([draining])
        _ = draining.exception()
        if number % 2:
            protocol.process_exited()
        else:
            protocol.itself = (protocol, repr(protocol), SENTINEL)


@scenario
async def open_streams(loop, count):
    """Connections of streams over sockets, to a server of streams and to nobody."""
    engine = sys.modules.get("ferrio", asyncio)

    async def echo(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            writer.write(await reader.readexactly(4))
        writer.transport.abort()

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = await engine.start_server(echo, "127.0.0.1", 0)
        for number in range(count // 100):
            reader, writer = await engine.open_connection(*server.sockets[0].getsockname())
            writer.mark = (reader, writer, SENTINEL)
            writer.write([b"text", b"te"][number % 2])
            if number % 3 == 0:
                writer.write_eof()
            elif number % 2:
                writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            with contextlib.suppress(ConnectionRefusedError):
                await engine.open_connection(*closed.getsockname())
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)
