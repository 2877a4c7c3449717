"""Pipe transports: reading, writing, flow control, closing, errors."""

import os

import pytest
from event_trace import events
from pipe_ends import Ends, connect, fill


async def drained(trace, ends, expected):
    """Read that much from the other end, turns of the loop in between."""
    received = 0
    os.set_blocking(ends.far, False)
    while received < expected:
        try:
            received += len(ends.read())
        except BlockingIOError:
            await trace.turns(1)
    return received


@pytest.mark.parametrize("early", [False, True])
def test_reading_to_the_end(same_trace, early):
    async def scenario(trace):
        ends = Ends("read")
        protocol = trace.protocol("near")
        if early:
            os.write(ends.far, b"early")
        await trace.loop.connect_read_pipe(lambda: protocol, ends.pipe)
        trace.note("connected")
        for data in (b"one", b"two"):
            os.write(ends.far, data)
            await trace.turns(3)
        with ends:
            pass
        trace.loop.call_soon(trace.note, "closed at the other end")
        await trace.turns(5)
        trace.note("closed", ends.pipe.closed)

    trace = same_trace(scenario)
    assert [event[1] for event in events(trace, "near")][-2:] == ["eof_received", "connection_lost"]
    data = b"".join(event[2] for event in events(trace, "data_received"))
    assert data == b"early" * early + b"onetwo"
    assert ["closed", True] in trace


def test_what_eof_received_returns_does_not_matter(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "read", eof_received=lambda _: True)
        with ends:
            pass
        await trace.turns(2)
        trace.note("closing", transport.is_closing())
        await trace.turns(3)

    trace = same_trace(scenario)
    assert events(trace, "connection_lost") == [["near", "connection_lost", None]]


def test_writing_and_closing(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        with ends:
            for data in (b"bytes ", bytearray(b"array "), memoryview(b"..view..")[2:6], b""):
                trace.note("write", transport.write(data), transport.get_write_buffer_size())
            transport.writelines([b"and ", bytearray(b"lines")])
            trace.note("peer", ends.read())
            trace.note("close", transport.close(), transport.is_closing())
            trace.loop.call_soon(trace.note, "queued after close")
            await trace.turns(2)
            return ends.read()

    trace = same_trace(scenario)
    assert ["peer", b"bytes array viewand lines"] in trace
    assert trace[-3:] == [
        ["near", "connection_lost", None],
        ["queued after close"],
        ["returned", b""],
    ]


@pytest.mark.parametrize("data", ["text", None, 5, [b"x"]])
def test_writing_a_wrong_type_raises_assertion_error(same_trace, data):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        with ends:
            try:
                transport.write(data)
            except AssertionError as exc:
                trace.note("raised", exc)
            transport.close()
            await trace.turns(2)

    assert ["raised", f"AssertionError({data!r})"] in same_trace(scenario)


@pytest.mark.parametrize("act", ["close", "write_eof"])
def test_closing_a_full_pipe_sends_all_first(same_trace, act):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        with ends:
            written = fill(transport)
            trace.note("can", transport.can_write_eof())
            getattr(transport, act)()
            await trace.turns(2)
            trace.note("closing", transport.is_closing())
            received = await drained(trace, ends, written)
            await trace.turns(2)
            return received == written, ends.read()

    trace = same_trace(scenario)
    assert trace[-1] == ["returned", (True, b"")]
    assert trace.index(["closing", True]) < trace.index(["near", "connection_lost", None])


def test_abort_drops_what_is_buffered(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        with ends:
            written = fill(transport)
            transport.abort()
            trace.note("size", transport.get_write_buffer_size(), transport.is_closing())
            await trace.turns(2)
            received = 0
            while data := ends.read():
                received += len(data)
            return received < written

    assert same_trace(scenario)[-3:] == [
        ["size", 0, True],
        ["near", "connection_lost", None],
        ["returned", True],
    ]


def test_flow_control_of_a_pipe(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        with ends:
            written = fill(transport)
            trace.note("full")
            await drained(trace, ends, written)
            await trace.turns(2)
            transport.close()
            await trace.turns(2)

    assert [event[-1] for event in same_trace(scenario)[1:4]] == [
        "pause_writing",
        "full",
        "resume_writing",
    ]


@pytest.mark.parametrize("full", [False, True])
def test_the_reader_goes_away(same_trace, full):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        if full:
            fill(transport)
        with ends:
            pass
        await trace.turns(4)
        trace.note("closing", transport.is_closing())

    trace = same_trace(scenario)
    lost = "BrokenPipeError()" if full else None
    assert events(trace, "connection_lost") == [["near", "connection_lost", lost]]
    assert events(trace, "reported") == []


def test_writing_to_a_reader_that_is_gone(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        with ends:
            pass
        for _ in range(8):
            transport.write(b"lost")
        trace.note("closing", transport.is_closing())
        await trace.turns(3)

    trace = same_trace(scenario)
    text = "pipe closed by peer or os.write(pipe, data) raised exception."
    assert events(trace, "logged") == [["logged", "WARNING", text]] * 3
    assert events(trace, "connection_lost") == [
        ["near", "connection_lost", "BrokenPipeError([Errno 32] Broken pipe)"]
    ]


def test_writes_after_close_are_dropped_and_logged_after_five(same_trace):
    async def scenario(trace):
        transport, ends = await connect(trace, "write")
        with ends:
            transport.close()
            for number in range(8):
                trace.note("write", number, transport.write(b"lost"))
            await trace.turns(2)
            trace.note("write", "late", transport.write(b"lost"))
            transport.close()
            transport.write_eof()
            return ends.read()

    trace = same_trace(scenario)
    assert len(events(trace, "logged")) == 4
    assert trace[-1] == ["returned", b""]


@pytest.mark.parametrize("debug", [False, True])
def test_pause_and_resume_reading_of_a_pipe(same_trace, debug):
    async def scenario(trace):
        transport, ends = await connect(trace, "read")
        trace.loop.set_debug(debug)
        trace.loop.slow_callback_duration = 60
        with ends:
            for act in ("resume", "pause", "pause"):
                trace.note(act, getattr(transport, f"{act}_reading")(), transport.is_reading())
            os.write(ends.far, b"data")
            await trace.turns(3)
            for act in ("resume", "resume"):
                trace.note(act, getattr(transport, f"{act}_reading")(), transport.is_reading())
            await trace.turns(3)
        await trace.turns(4)
        trace.note("pause", transport.pause_reading(), transport.is_reading())
        trace.note("resume", transport.resume_reading(), transport.is_reading())
        trace.loop.set_debug(False)

    trace = same_trace(scenario)
    states = [event[2] for event in events(trace, "pause", "resume")]
    assert states == [True, False, False, True, True, False, False]


@pytest.mark.parametrize("act", ["close", "pause_reading"])
@pytest.mark.parametrize("callback", ["connection_made", "data_received"])
def test_acting_inside_a_callback(same_trace, act, callback):
    async def scenario(trace):
        def hook(self, *_):
            getattr(self.transport, act)()

        transport, ends = await connect(trace, "read", **{callback: hook})
        with ends:
            for data in (b"one", b"two"):
                if not ends.pipe.closed:
                    os.write(ends.far, data)
                await trace.turns(3)
            await trace.turns(3)
            transport.close()
            await trace.turns(3)

    trace = same_trace(scenario)
    assert len(events(trace, "data_received")) == (callback == "data_received")
    assert events(trace, "connection_lost") == [["near", "connection_lost", None]]


def test_an_error_in_data_received_of_a_pipe_is_reported_and_it_lives(same_trace):
    # CPython: unlike a socket's, the pipe transport lets the error reach the loop.
    async def scenario(trace):
        def fail(*_):
            raise ValueError("of the program")

        transport, ends = await connect(trace, "read", data_received=fail)
        with ends:
            os.write(ends.far, b"data")
            await trace.turns(3)
            trace.note("closing", transport.is_closing())
        await trace.turns(4)

    trace = same_trace(scenario)
    assert ["closing", False] in trace
    (report,) = events(trace, "reported")
    assert report[2:] == ["exception handle message", "ValueError(of the program)"]
