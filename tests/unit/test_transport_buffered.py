"""BufferedProtocol: the buffers it may give, and how they are filled."""

import array
import asyncio
import socket

import pytest
from event_trace import events


def test_a_buffered_protocol_is_filled_in_place(same_trace):
    async def scenario(trace):
        space = bytearray(b"." * 8)
        protocol = trace.protocol(
            "near",
            asyncio.BufferedProtocol,
            get_buffer=lambda *_: memoryview(space)[2:6],
            buffer_updated=lambda *_: trace.note("space", space),
        )
        _, far = await trace.connect(protocol)
        far.send(b"abcdefg")
        await trace.turns(5)
        far.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert events(trace, "space", "get_buffer", "buffer_updated")[:6] == [
        ["near", "get_buffer", -1],
        ["near", "buffer_updated", 4],
        ["space", b"..abcd.."],
        ["near", "get_buffer", -1],
        ["near", "buffer_updated", 3],
        ["space", b"..efgd.."],
    ]
    assert [event[1] for event in trace[-3:-1]] == ["eof_received", "connection_lost"]


@pytest.mark.parametrize("kind", ["bytearray", "memoryview", "array", "cast"])
def test_a_buffer_may_be_any_writable_buffer(loop, run, kind):
    filled = loop.create_future()
    spaces = {
        "bytearray": bytearray(8),
        "memoryview": memoryview(bytearray(8)),
        "array": array.array("I", [0, 0]),
        "cast": memoryview(bytearray(8)).cast("I"),
    }
    space = spaces[kind]

    class Protocol(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint):
            return space

        def buffer_updated(self, nbytes):
            filled.set_result(nbytes)

    async def main():
        near, far = socket.socketpair()
        with far:
            transport, _ = await loop.create_connection(Protocol, sock=near)
            far.send(b"abcde")
            nbytes = await filled
            transport.close()
            await asyncio.sleep(0)
            return nbytes, bytes(space)

    assert run(main()) == (5, b"abcde\0\0\0")


def test_the_buffer_is_free_again_when_buffer_updated_runs(loop, run):
    resized = loop.create_future()

    class Protocol(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint):
            self.space = bytearray(8)
            return self.space

        def buffer_updated(self, nbytes):
            del self.space[nbytes:]  # BufferError while somebody exports it
            resized.set_result(bytes(self.space))

    async def main():
        near, far = socket.socketpair()
        with far:
            transport, _ = await loop.create_connection(Protocol, sock=near)
            far.send(b"abc")
            result = await resized
            transport.close()
            await asyncio.sleep(0)
            return result

    assert run(main()) == b"abc"


def test_every_read_asks_for_a_buffer_anew(same_trace):
    async def scenario(trace):
        spaces = [bytearray(size) for size in (3, 5, 1, 100)]
        protocol = trace.protocol(
            "near", asyncio.BufferedProtocol, get_buffer=lambda *_: spaces.pop(0)
        )
        _, far = await trace.connect(protocol)
        far.send(b"0123456789")
        await trace.turns(6)
        trace.note("left", len(spaces))
        protocol.hooks["get_buffer"] = lambda *_: bytearray(1)
        far.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    updates = [event[2] for event in events(trace, "buffer_updated")]
    assert updates == [3, 5, 1, 1]
    assert ["left", 0] in trace


def test_end_of_file_asks_for_a_buffer_and_updates_none(same_trace):
    async def scenario(trace):
        _, far = await trace.connect(trace.protocol("near", asyncio.BufferedProtocol))
        far.close()
        await trace.turns(4)

    assert same_trace(scenario)[1:-1] == [
        ["near", "get_buffer", -1],
        ["near", "eof_received"],
        ["near", "connection_lost", None],
    ]


def test_set_protocol_inside_get_buffer_updates_the_new_protocol(same_trace):
    # CPython: each of the two calls looks the transport's protocol up.
    async def scenario(trace):
        second = trace.protocol("second", asyncio.BufferedProtocol)

        def switch(self, _):
            self.transport.set_protocol(second)
            return self.space

        _, far = await trace.connect(
            trace.protocol("first", asyncio.BufferedProtocol, get_buffer=switch)
        )
        far.send(b"abc")
        await trace.turns(4)
        far.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert trace[1:3] == [["first", "get_buffer", -1], ["second", "buffer_updated", 3]]


@pytest.mark.parametrize("act", ["close", "abort", "pause_reading"])
def test_stopping_inside_get_buffer_still_fills_it(same_trace, act):
    async def scenario(trace):
        def stop(self, _):
            getattr(self.transport, act)()
            return self.space

        transport, far = await trace.connect(
            trace.protocol("near", asyncio.BufferedProtocol, get_buffer=stop)
        )
        with far:
            far.send(b"abc")
            await trace.turns(4)
            transport.abort()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert trace[1:3] == [["near", "get_buffer", -1], ["near", "buffer_updated", 3]]


@pytest.mark.parametrize("buffer", [b"read-only", "text", 5, [1], bytearray()])
def test_a_wrong_buffer_of_a_server_is_reported_as_that_of_a_client(same_trace, tmp_path, buffer):
    async def scenario(trace):
        def factory():
            return trace.protocol("server", asyncio.BufferedProtocol, get_buffer=lambda *_: buffer)

        path = str(tmp_path / "socket")
        server = await trace.loop.create_unix_server(factory, path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.send(b"data")
            await trace.turns(8)
        server.close()
        await server.wait_closed()

    trace = same_trace(scenario)
    (report,) = events(trace, "reported")
    assert events(trace, "connection_lost") == [["server", "connection_lost", report[3]]]


@pytest.mark.parametrize("buffered", [False, True])
def test_a_served_connection_reads_into_what_its_protocol_offers(loop, run, tmp_path, buffered):
    path = str(tmp_path / "socket")
    received = bytearray()
    ended = loop.create_future()

    class Buffered(asyncio.BufferedProtocol):
        def connection_made(self, transport):
            self.space = bytearray(1000)

        def get_buffer(self, sizehint):
            return self.space

        def buffer_updated(self, nbytes):
            received.extend(self.space[:nbytes])

        def connection_lost(self, exc):
            ended.set_result(exc)

    class Plain(asyncio.Protocol):
        def data_received(self, data):
            received.extend(data)

        def connection_lost(self, exc):
            ended.set_result(exc)

    async def main():
        server = await loop.create_unix_server(Buffered if buffered else Plain, path)
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(bytes(range(256)) * 40)
        writer.close()
        await writer.wait_closed()
        result = await ended
        server.close()
        return result

    assert run(main()) is None
    assert received == bytes(range(256)) * 40
