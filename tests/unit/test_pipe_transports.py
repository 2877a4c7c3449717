"""Pipe transports where the native code takes ways of its own: what it keeps of a write, events
that a pause has overtaken, errors of the kernel, ends before the beginning."""

import asyncio
import contextlib
import gc
import io
import os
import pty
import socket
import weakref

import pytest
from event_trace import events
from pipe_ends import Ends, connect, fill


async def drain(trace, fd, expected):
    """Read `expected` bytes from the descriptor; where there are none, the loop runs a turn."""
    os.set_blocking(fd, False)
    received = bytearray()
    while len(received) < expected:
        try:
            received += os.read(fd, 1 << 20)
        except BlockingIOError:
            await trace.turns(1)
    return bytes(received)


@pytest.mark.parametrize("debug", [False, True])
def test_data_and_end_of_file_are_received(same_trace, debug):
    async def scenario(trace):
        trace.loop.slow_callback_duration = 60
        trace.loop.set_debug(debug)
        transport, ends = await connect(trace, "read")
        trace.note(repr(transport), transport.is_reading(), transport.is_closing())
        os.write(ends.far, b"one")
        await trace.turns(3)
        os.write(ends.far, b"two")
        os.write(ends.far, b"three")
        await trace.turns(3)
        ends.__exit__()
        await trace.turns(1)
        trace.note(repr(transport), transport.is_reading(), transport.is_closing())
        await trace.turns(4)
        trace.note(repr(transport), transport.is_reading(), transport.is_closing())
        trace.note(transport.get_extra_info("pipe") is ends.pipe, ends.pipe.closed)
        trace.loop.set_debug(False)

    trace = same_trace(scenario)
    assert [event[2] for event in events(trace, "data_received")] == [b"one", b"twothree"]


@pytest.mark.parametrize("debug", [False, True])
def test_a_paused_reader_receives_nothing(same_trace, debug):
    async def scenario(trace):
        trace.loop.slow_callback_duration = 60
        trace.loop.set_debug(debug)
        transport, ends = await connect(trace, "read")
        transport.pause_reading()
        transport.pause_reading()
        trace.note(repr(transport), transport.is_reading())
        os.write(ends.far, b"one")
        await trace.turns(3)
        transport.resume_reading()
        transport.resume_reading()
        trace.note(repr(transport), transport.is_reading())
        await trace.turns(3)
        os.write(ends.far, b"two")
        # The event is queued in the turn in which the reader pauses and goes on.
        trace.loop.call_soon(transport.pause_reading)
        trace.loop.call_soon(transport.resume_reading)
        await trace.turns(4)
        transport.close()
        transport.pause_reading()
        transport.resume_reading()
        trace.note(repr(transport), transport.is_reading())
        await trace.turns(3)
        ends.__exit__()
        trace.loop.set_debug(False)

    same_trace(scenario)


@pytest.mark.parametrize("callback", ["connection_made", "data_received", "eof_received"])
@pytest.mark.parametrize("act", ["close", "raise"])
def test_a_reader_that_closes_or_fails_in_a_callback(same_trace, callback, act):
    async def scenario(trace):
        def hook(protocol, *_):
            if act == "close":
                protocol.transport.close()
                protocol.transport.close()
            else:
                raise ZeroDivisionError("in a callback")

        transport, ends = await connect(trace, "read", **{callback: hook})
        with contextlib.suppress(BrokenPipeError):
            os.write(ends.far, b"one")
        await trace.turns(4)
        ends.__exit__()
        await trace.turns(4)
        trace.note(repr(transport))
        transport.close()
        await trace.turns(4)

    same_trace(scenario)


def test_a_reader_with_an_error_of_the_kernel(same_trace):
    async def scenario(trace):
        near, far = socket.socketpair()
        protocol = trace.protocol("r")
        transport, _ = await trace.loop.connect_read_pipe(lambda: protocol, near)
        # What a peer leaves unread makes the end of a Unix socket an error.
        near.send(b"never read")
        far.close()
        await trace.turns(5)
        trace.note(repr(transport), near.fileno())

    trace = same_trace(scenario)
    (report,) = events(trace, "reported")
    assert report[1] == "Fatal read error on pipe transport"


@pytest.mark.parametrize("debug", [False, True])
def test_the_end_of_a_terminal_is_no_fatal_error(same_trace, debug):
    async def scenario(trace):
        trace.loop.slow_callback_duration = 60
        trace.loop.set_debug(debug)
        near, far = pty.openpty()
        protocol = trace.protocol("r")
        file = io.FileIO(near, "r")
        await trace.loop.connect_read_pipe(lambda: protocol, file)
        os.write(far, b"text\n")
        while not protocol.received:
            await trace.turns(1)
        os.close(far)
        while not file.closed:
            await trace.turns(1)
        trace.loop.set_debug(False)
        # The kernel passes on what a terminal says when it has time.
        trace.events = [(0, *event[1:]) for event in trace.events]
        trace.turn = 0

    assert not events(same_trace(scenario), "reported")


def test_max_size_is_the_most_of_one_read(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "read")
        trace.note(transport.max_size)
        transport.max_size = 3
        os.write(ends.far, b"0123456789")
        await trace.turns(8)
        transport.close()
        await trace.turns(2)
        ends.__exit__()

    same_trace(scenario)


@pytest.mark.parametrize("end", ["close", "write_eof", "abort"])
@pytest.mark.parametrize("debug", [False, True])
def test_what_does_not_fit_is_written_later(same_trace, end, debug):
    async def scenario(trace):
        trace.loop.slow_callback_duration = 60
        trace.loop.set_debug(debug)
        transport, ends = await connect(trace, "write")
        written = fill(transport)
        trace.note(repr(transport), transport.get_write_buffer_size())
        later = bytearray(b"begin")
        for data in (later, b"middle", memoryview(b"abcdef")[1:4], b"", memoryview(b"end")):
            transport.write(data)
        later[:] = b"-----"
        trace.note(bytes(transport._buffer), transport.get_write_buffer_size())
        getattr(transport, end)()
        trace.note(repr(transport), transport.get_write_buffer_size())
        if end == "abort":
            await trace.turns(4)
        else:
            received = await drain(trace, ends.far, written + len(b"beginmiddlebcdend"))
            trace.note(received[written:], transport.get_write_buffer_size())
            await trace.turns(4)
            trace.note(os.read(ends.far, 10))
        trace.note(repr(transport))
        ends.__exit__()
        trace.loop.set_debug(False)

    same_trace(scenario)


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("debug", [False, True])
def test_a_writer_whose_peer_closes(same_trace, pending, debug):
    async def scenario(trace):
        trace.loop.slow_callback_duration = 60
        trace.loop.set_debug(debug)
        transport, ends = await connect(trace, "write")
        if pending:
            fill(transport)
        ends.__exit__()
        await trace.turns(5)
        trace.note(repr(transport))
        for _ in range(8):
            transport.write(b"too late")
        trace.loop.set_debug(False)

    same_trace(scenario)


@pytest.mark.parametrize("debug", [False, True])
def test_a_write_that_finds_the_peer_gone(same_trace, debug):
    async def scenario(trace):
        trace.loop.slow_callback_duration = 60
        trace.loop.set_debug(debug)
        transport, ends = await connect(trace, "write")
        ends.__exit__()
        for _ in range(8):
            transport.write(b"too late")
        trace.note(repr(transport), transport._conn_lost)
        await trace.turns(4)
        trace.note(repr(transport))
        trace.loop.set_debug(False)

    same_trace(scenario)


def test_a_protocol_is_paused_above_the_high_water_mark(same_trace):
    async def scenario(trace):
        def more(protocol, *_):
            protocol.transport.write(b"more")

        transport, ends = await connect(trace, "write", resume_writing=more)
        transport.set_write_buffer_limits(high=4)
        trace.note(transport.get_write_buffer_limits())
        written = fill(transport)
        trace.note(transport._protocol_paused)
        await drain(trace, ends.far, written + len(b"more"))
        transport.set_write_buffer_limits(high=0)
        written = fill(transport)
        await drain(trace, ends.far, written + len(b"more"))
        transport.set_write_buffer_limits(high=float("inf"), low=0)
        transport.write(b"x" * 1_000_000)
        trace.note(transport._protocol_paused)
        transport.set_write_buffer_limits(high=10)
        trace.note(transport._protocol_paused)
        transport.abort()
        await trace.turns(3)
        ends.__exit__()

    same_trace(scenario)


@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing", "connection_lost"])
def test_a_writer_that_fails_in_a_callback(same_trace, callback):
    async def scenario(trace):
        def hook(protocol, *_):
            raise ZeroDivisionError("in a callback")

        transport, ends = await connect(trace, "write", **{callback: hook})
        transport.set_write_buffer_limits(high=0)
        written = fill(transport)
        await drain(trace, ends.far, written)
        transport.close()
        await trace.turns(4)
        trace.note(repr(transport), ends.pipe.closed)
        ends.__exit__()

    same_trace(scenario)


@pytest.mark.parametrize("data", ["text", 5, None, [b"list"]])
def test_a_writer_refuses_what_is_not_bytes(same_trace, data):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        for call in (transport.write, lambda data: transport.write(data=data)):
            try:
                call(data)
            except AssertionError as error:
                trace.note(error)
        transport.close()
        await trace.turns(3)
        ends.__exit__()

    same_trace(scenario)


def test_a_memoryview_with_gaps_is_refused_and_closes_an_idle_writer(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        fill(transport)
        try:
            transport.write(memoryview(b"abcdef")[::2])
        except TypeError as error:
            trace.note(error)
        await drain(trace, ends.far, 50_000)
        while transport.get_write_buffer_size():
            await drain(trace, ends.far, 1)
        transport.write(memoryview(b"abcdef")[::2])
        trace.note(transport.is_closing())
        await trace.turns(4)
        ends.__exit__()

    (report,) = events(same_trace(scenario), "reported")
    assert report[1] == "Fatal write error on pipe transport"


def test_a_released_memoryview_raises(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        view = memoryview(b"abcdef")
        view.release()
        try:
            transport.write(view)
        except ValueError as error:
            trace.note(error)
        transport.close()
        await trace.turns(3)
        ends.__exit__()

    same_trace(scenario)


def test_a_writer_on_a_socket_ends_when_the_peer_speaks(same_trace):
    async def scenario(trace):
        near, far = socket.socketpair()
        protocol = trace.protocol("w")
        transport, _ = await trace.loop.connect_write_pipe(lambda: protocol, near)
        transport.write(b"question")
        trace.note(far.recv(100))
        await trace.turns(3)
        far.send(b"answer")
        await trace.turns(5)
        trace.note(repr(transport))
        far.close()

    same_trace(scenario)


def test_abort_twice_and_after_the_end(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        transport.abort()
        transport.abort()
        await trace.turns(4)
        try:
            transport.abort()
        except AttributeError as error:
            trace.note(error)
        ends.__exit__()

    same_trace(scenario)


def test_a_protocol_can_be_exchanged(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "read")
        trace.note(repr(transport.get_protocol()))
        transport.set_protocol(trace.protocol("other"))
        trace.note(repr(transport.get_protocol()))
        os.write(ends.far, b"one")
        ends.__exit__()
        await trace.turns(5)
        trace.note(repr(transport.get_protocol()))
        transport.set_protocol(None)

    same_trace(scenario)


def test_a_transport_closed_before_it_was_connected(same_trace):
    async def scenario(trace):
        for make in ("read", "write"):
            ends = Ends(make)
            create = getattr(trace.loop, f"_make_{make}_pipe_transport")
            waiter = trace.loop.create_future()
            transport = create(ends.pipe, trace.protocol(make), waiter, {"name": "value"})
            trace.note(repr(transport), transport.get_extra_info("name"))
            transport.close()
            trace.note(repr(transport))
            await waiter
            await trace.turns(3)
            trace.note(repr(transport))
            ends.__exit__()

    same_trace(scenario)


def test_a_writer_closed_at_once_is_not_watched(engine, loop, run):
    if engine.name == "asyncio":
        pytest.skip("stock leaves its reader in the selector")

    class Closing(asyncio.Protocol):
        def connection_made(self, transport):
            transport.close()

    async def main():
        ends = Ends("write")
        await loop.connect_write_pipe(Closing, ends.pipe)
        await asyncio.sleep(0)
        ends.__exit__()
        assert ends.pipe.closed
        assert ends.fd not in loop._selector.get_map()

    run(main())


def test_transports_take_attributes_and_weak_references(loop, run):
    async def main():
        ends = Ends("read")
        transport, _ = await loop.connect_read_pipe(asyncio.Protocol, ends.pipe)
        transport.note = "mine"
        assert transport.__dict__.get("note") == "mine"
        dead = weakref.ref(transport)
        assert dead() is transport
        transport.close()
        await asyncio.sleep(0)
        ends.__exit__()
        del transport
        return dead

    dead = run(main())
    gc.collect()
    assert dead() is None
