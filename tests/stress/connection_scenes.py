"""Servers under stress. Each first tells its address, then answers cues until it is told to end."""

import asyncio
import collections
import hashlib
import socket

from stress_stage import allow_descriptors

SPARE_DESCRIPTORS = 100


class Guestbook:
    """Which connections there are, how the others ended, and who waits for their end."""

    def __init__(self, loop):
        self._loop = loop
        self.present = 0
        self.made = 0
        self.lost = collections.Counter()
        self._few = None

    def arrive(self):
        """A connection is made."""
        self.present += 1
        self.made += 1

    def leave(self, kind, exc):
        """A connection of a kind ended, with that exception or None."""
        self.present -= 1
        self.lost[f"{kind} {type(exc).__name__}"] += 1
        if self._few is not None and self.present <= self._few[0]:
            self._few[1].set_result(None)
            self._few = None

    async def few(self, number=0):
        """Wait until at most that many connections are left, and what follows an end is done."""
        if self.present > number:
            self._few = (number, self._loop.create_future())
            await self._few[1]
        for _ in range(3):
            await asyncio.sleep(0)


class Echo(asyncio.Protocol):
    """Sends back what it gets, and ends after `bye`."""

    def __init__(self, book):
        self.book = book

    def connection_made(self, transport):
        self.transport = transport
        self.book.arrive()

    def data_received(self, data):
        self.transport.write(data)
        if data.endswith(b"bye"):
            self.transport.close()

    def connection_lost(self, exc):
        self.book.leave("echo", exc)


class BufferedEcho(asyncio.BufferedProtocol):
    """Sends back what it gets, through a buffer of its own, and ends after `bye`."""

    def __init__(self, book):
        self.book = book
        self.buffer = bytearray(1024)

    def connection_made(self, transport):
        self.transport = transport
        self.book.arrive()

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, nbytes):
        data = bytes(self.buffer[:nbytes])
        self.transport.write(data)
        if data.endswith(b"bye"):
            self.transport.close()

    def connection_lost(self, exc):
        self.book.leave("echo", exc)


async def echo_stream(book, reader, writer):
    """Send back what arrives on a stream, to its end or to `bye`."""
    book.arrive()
    error = None
    try:
        data = b""
        while not data.endswith(b"bye") and (data := await reader.read(1024)):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
    except ConnectionError as exc:
        error = exc
        writer.close()
    finally:
        book.leave("echo", error)


async def start_server(loop, kind, book, path):
    """A server of that kind, on a Unix path or on a TCP port of the loopback interface."""
    if kind == "streams":

        async def answer(reader, writer):
            await echo_stream(book, reader, writer)

        if path:
            return await asyncio.start_unix_server(answer, path, backlog=1000)
        return await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    protocol = {"protocol": Echo, "buffered": BufferedEcho, "manners": Manners}[kind]

    def make():
        return protocol(book)

    if path:
        return await loop.create_unix_server(make, path, backlog=1000)
    return await loop.create_server(make, "127.0.0.1", 0, backlog=1000)


async def serve(stage, kind, number, path=None):
    """An echo server for `number` connections at once.

    Cues: `count` tells what is open now, `empty` the same when no connection is left.
    """
    allow_descriptors(number + SPARE_DESCRIPTORS)
    book = Guestbook(stage.loop)
    server = await start_server(stage.loop, kind, book, path)
    stage.tell(address=path or server.sockets[0].getsockname())
    while cue := await stage.cue():
        if cue == "empty":
            await book.few()
        stage.tell(made=book.made, present=book.present, lost=book.lost, **stage.count())
    server.close()
    await server.wait_closed()


BIG = bytes(range(256)) * 256 * 64  # 4 MiB: more than the kernel keeps for who does not read
KERNEL_BUFFER = 65536
PATIENCE_S = 0.1


def set_send_buffer(transport, size):
    """Let the kernel keep no more than about `size` bytes for a peer that does not read."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


class Manners(asyncio.Protocol):
    """Takes the first line for the peer's kind, and does what that kind of peer needs.

    It echoes what follows. Kinds that begin with `big` get BIG and the end of the stream. Who
    stalls is given up PATIENCE_S after the buffer is over its high-water mark.
    """

    def __init__(self, book):
        self.book = book
        self.kind = None
        self.line = b""

    def connection_made(self, transport):
        self.transport = transport
        self.book.arrive()

    def data_received(self, data):
        if self.kind is None:
            self.line += data
            if b"\n" not in self.line:
                return
            line, _, data = self.line.partition(b"\n")
            self.kind = line.decode()
            if self.kind.startswith("big"):
                set_send_buffer(self.transport, KERNEL_BUFFER)
                self.transport.write(BIG)
                if self.kind != "big_stall":
                    self.transport.close()
        if data:
            self.transport.write(data)

    def pause_writing(self):
        if self.kind == "big_stall":
            asyncio.get_running_loop().call_later(PATIENCE_S, self.transport.abort)

    def connection_lost(self, exc):
        self.book.leave(self.kind, exc)


CHUNK = 16 * 1024
CHUNKS = 256  # 4 MiB a stream


def chunk(index):
    """The chunk of that index: its bytes tell its place."""
    return hashlib.blake2b(b"%d" % index, digest_size=64).digest() * (CHUNK // 64)


async def write_with_drain(stage, number):
    """A server that writes CHUNKS chunks to each of `number` clients and drains after each.

    Cues: `blocked` tells when every writer waits in drain(), `cancel` cancels the third that is
    left and tells when all have ended.
    """
    allow_descriptors(number + SPARE_DESCRIPTORS)
    book = Guestbook(stage.loop)
    writers = {}
    blocked = Blocked(number)

    async def write(reader, writer):
        book.arrive()
        writers[asyncio.current_task()] = writer
        set_send_buffer(writer.transport, KERNEL_BUFFER)
        error = None
        try:
            for index in range(CHUNKS):
                writer.write(chunk(index))
                await blocked.watch(writer.drain())
        except (ConnectionError, asyncio.CancelledError) as exc:
            error = exc
        finally:
            del writers[asyncio.current_task()]
            writer.transport.abort() if error else writer.close()
            book.leave("writer", error)

    server = await asyncio.start_server(write, "127.0.0.1", 0, backlog=1000)
    stage.tell(address=server.sockets[0].getsockname())
    while cue := await stage.cue():
        if cue == "blocked":
            await blocked.all()
        elif cue == "cancel":
            await book.few(number // 3)
            for task in list(writers):
                task.cancel()
            await book.few()
        sizes = [writer.transport.get_write_buffer_size() for writer in writers.values()]
        stage.tell(buffered=sizes, lost=book.lost, **stage.count())
    server.close()
    await server.wait_closed()


class Blocked:
    """Counts the writers that wait in drain() and says when all of them do."""

    def __init__(self, number):
        self._missing = number
        self._all = None

    async def watch(self, drain):
        """Await drain(); in between, the writer counts as blocked."""
        self._change(-1)
        try:
            await drain
        finally:
            self._change(1)

    def _change(self, by):
        self._missing += by
        if self._all is not None and not self._missing:
            self._all.set_result(None)
            self._all = None

    async def all(self):
        """Wait until every writer waits: one that need not wait is seen only while it runs."""
        while self._missing:
            self._all = asyncio.get_running_loop().create_future()
            await self._all
