"""Data that goes from a socket into a reader: whoever stands in between is asked, as on stock.

A native transport may hand what it receives straight to a native reader. These programs would see
it if it did so at the wrong time.
"""

import asyncio
import contextlib
import socket
import weakref

import pytest


async def connect(streams, limit=2**16):
    """Reader and writer of one end of a pair, and the other socket."""
    near, far = socket.socketpair()
    far.setblocking(False)
    return *await streams.open_connection(sock=near, limit=limit), far


async def end(trace, writer, far):
    far.close()
    writer.close()
    await trace.turns(3)


def note_reports(trace):
    """Note what reaches the exception handler."""
    trace.loop.set_exception_handler(
        lambda _, context: trace.note(
            "reported", context["message"], *sorted(context), context.get("exception")
        )
    )


def replaced(trace, owner, name):
    """Note calls of the method of one object, which still does its work."""
    kept = getattr(owner, name)

    def call(*args):
        trace.note("call", name, *args)
        return kept(*args)

    setattr(owner, name, call)


TALK = [
    ("protocol", "data_received"),
    ("protocol", "eof_received"),
    ("reader", "feed_data"),
    ("reader", "feed_eof"),
    ("reader", "_wakeup_waiter"),
]


@pytest.mark.parametrize(("owner", "name"), TALK)
@pytest.mark.parametrize("early", [True, False])
def test_a_method_that_is_replaced_on_one_object_is_called(same_streams, owner, name, early):
    async def scenario(trace, streams):
        reader, writer, far = await connect(streams)
        target = writer._protocol if owner == "protocol" else reader
        if early:
            replaced(trace, target, name)
        for data in (b"one\n", b"two\n"):
            task = asyncio.ensure_future(reader.readline())
            await trace.turns(1)
            far.send(data)
            trace.note(await task)
            if not early and data == b"one\n":
                replaced(trace, target, name)
        far.shutdown(socket.SHUT_WR)
        trace.note(await reader.read())
        delattr(target, name)
        await end(trace, writer, far)

    assert any(event[:2] == ["call", name] for event in same_streams(scenario))


@pytest.mark.parametrize("owner", ["protocol", "reader"])
def test_a_subclass_is_asked(same_streams, owner):
    async def scenario(trace, streams):
        class Reader(streams.StreamReader):
            def feed_data(self, data):
                trace.note("feed_data", data)
                super().feed_data(data.upper())

        class Protocol(streams.StreamReaderProtocol):
            def data_received(self, data):
                trace.note("data_received", data)
                super().data_received(data + b"!")

        kind = Reader if owner == "reader" else streams.StreamReader
        reader = kind(loop=trace.loop)
        kind = Protocol if owner == "protocol" else streams.StreamReaderProtocol
        protocol = kind(reader, loop=trace.loop)
        near, far = socket.socketpair()
        transport, _ = await trace.loop.create_connection(lambda: protocol, sock=near)
        writer = streams.StreamWriter(transport, protocol, reader, trace.loop)
        far.send(b"data")
        trace.note(await reader.read(9))
        await end(trace, writer, far)

    same_streams(scenario)


def test_another_protocol_takes_over(same_streams):
    class Other(asyncio.Protocol):
        def __init__(self, trace):
            self.trace = trace

        def data_received(self, data):
            self.trace.note("other", data)

        def connection_lost(self, exc):
            self.trace.note("other lost", exc)

    async def scenario(trace, streams):
        reader, writer, far = await connect(streams)
        far.send(b"to the reader")
        trace.note(await reader.read(20))
        transport, protocol = writer.transport, writer._protocol
        transport.set_protocol(Other(trace))
        far.send(b"to the other")
        await trace.turns(3)
        trace.note(bytes(reader._buffer), transport.get_protocol() is protocol)
        transport.set_protocol(protocol)
        far.send(b"to the reader again")
        trace.note(await reader.read(20))
        await end(trace, writer, far)
        trace.note(reader.at_eof())

    same_streams(scenario)


def test_data_for_a_reader_that_is_gone_is_dropped(same_streams):
    async def scenario(trace, streams):
        reader, writer, far = await connect(streams)
        protocol = writer._protocol
        protocol._stream_reader_wr = None
        far.send(b"to nobody")
        await trace.turns(3)
        trace.note(bytes(reader._buffer), protocol._stream_reader)
        await end(trace, writer, far)

    same_streams(scenario)


def test_data_goes_to_the_reader_that_the_protocol_names(same_streams):
    async def scenario(trace, streams):
        reader, writer, far = await connect(streams)
        other = streams.StreamReader(loop=trace.loop)
        writer._protocol._stream_reader_wr = weakref.ref(other)
        far.send(b"to the other")
        trace.note(await other.read(20), bytes(reader._buffer))
        await end(trace, writer, far)
        trace.note(other.at_eof(), reader.at_eof())

    same_streams(scenario)


def test_data_after_the_end_that_the_program_said_is_an_error(same_streams):
    async def scenario(trace, streams):
        reader, writer, far = await connect(streams)
        note_reports(trace)
        reader.feed_eof()
        far.send(b"late")
        await trace.turns(4)
        trace.note(bytes(reader._buffer), writer.is_closing(), reader.exception())
        try:
            await writer.wait_closed()
        except AssertionError as error:
            trace.note(error)
        far.close()

    events = same_streams(scenario)
    assert any("feed_data after feed_eof" in str(event) for event in events)


def test_a_view_of_the_buffer_when_data_comes_is_an_error(same_streams):
    async def scenario(trace, streams):
        reader, writer, far = await connect(streams)
        note_reports(trace)
        far.send(b"first")
        trace.note(await reader.read(2))
        with memoryview(reader._buffer):
            far.send(b"second")
            await trace.turns(4)
        trace.note(bytes(reader._buffer), writer.is_closing(), reader.exception())
        try:
            trace.note(await reader.read(20))
        except BufferError as error:
            trace.note(error)
        try:
            await writer.wait_closed()
        except BufferError as error:
            trace.note(error)
        far.close()

    same_streams(scenario)


def test_the_buffer_is_seen_and_changed_between_arrivals(same_streams):
    async def scenario(trace, streams):
        reader, writer, far = await connect(streams)
        for change in (
            lambda: reader._buffer.extend(b"++"),
            lambda: reader._buffer.clear(),
            lambda: setattr(reader, "_buffer", bytearray(b"new ")),
            lambda: None,
        ):
            far.send(b"data")
            await trace.turns(2)
            trace.note(bytes(reader._buffer))
            change()
            far.send(b"more")
            await trace.turns(2)
            trace.note(bytes(reader._buffer))
        trace.note(await reader.read(100))
        await end(trace, writer, far)

    same_streams(scenario)


@pytest.mark.parametrize("size", [1, 7, 16, 17, 40, 5000, 200_000])
@pytest.mark.parametrize("method", ["read", "readexactly", "readline", "readuntil"])
def test_each_size_pauses_and_resumes_as_on_stock(same_streams, size, method):
    async def scenario(trace, streams):
        reader, writer, far = await connect(streams, limit=8)
        data = (b"x" * 4 + b"\n") * (size // 5) + b"y" * (size % 5)
        left = memoryview(data)
        received = []
        for _ in range(12):
            with contextlib.suppress(BlockingIOError):
                left = left[far.send(left[:60_000]) :]
            await trace.turns(2)
            task = asyncio.ensure_future(
                getattr(reader, method)(*{"read": (9,), "readexactly": (3,)}.get(method, ()))
            )
            await trace.turns(1)
            if not task.done():
                await trace.turns(2)
            trace.note(reader._paused, len(reader._buffer), task.done())
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                received.append(task.exception() or task.result())
        trace.note(*received)
        await end(trace, writer, far)

    same_streams(scenario)


def test_reading_is_paused_by_the_program(same_streams):
    async def scenario(trace, streams):
        reader, writer, far = await connect(streams)
        writer.transport.pause_reading()
        far.send(b"held back")
        await trace.turns(3)
        trace.note(bytes(reader._buffer), reader._paused, writer.transport.is_reading())
        task = asyncio.ensure_future(reader.read(4))
        await trace.turns(3)
        trace.note(task.done())
        writer.transport.resume_reading()
        trace.note(await task)
        await end(trace, writer, far)

    same_streams(scenario)


def test_in_debug_mode_it_is_the_same(same_streams):
    async def scenario(trace, streams):
        with trace.debug():
            reader, writer, far = await connect(streams, limit=4)
            far.send(b"one\n")
            trace.note(await reader.readline())
            far.send(b"a long line\n")
            with pytest.raises(ValueError, match="Separator is found"):
                await reader.readline()
            far.send(b"end")
            trace.note(await reader.readexactly(3))
            await end(trace, writer, far)

    same_streams(scenario)


@pytest.mark.parametrize(
    "name",
    [
        "write",
        "writelines",
        "write_eof",
        "can_write_eof",
        "close",
        "is_closing",
        "get_extra_info",
        "pause_reading",
        "resume_reading",
    ],
)
def test_a_method_that_is_replaced_on_the_transport_is_called(same_streams, name):
    async def scenario(trace, streams):
        # Stock's transport asks itself, too, when it is paused.
        limit = 100 if name == "is_closing" else 2
        reader, writer, far = await connect(streams, limit)
        transport = writer.transport
        kept = getattr(transport, name)

        def call(*args):
            trace.note("call", name, *args)
            return kept(*args)

        setattr(transport, name, call)
        writer.write(b"one ")
        if name != "write":  # which writelines of a transport calls before 3.12
            writer.writelines([b"two ", b"three"])
        await writer.drain()
        await trace.turns(1)
        trace.note(far.recv(100), writer.is_closing(), writer.can_write_eof())
        trace.note(writer.get_extra_info("nothing", "default"))
        far.send(b"over the limit")
        await trace.turns(3)
        trace.note(reader._paused, await reader.readexactly(14))
        writer.write_eof()
        trace.note(far.recv(100))
        writer.close()
        await writer.wait_closed()
        far.close()
        delattr(transport, name)

    assert any(event[:2] == ["call", name] for event in same_streams(scenario))
