"""Datagrams that do not fit: the buffer, pause and resume, closing with a full buffer."""

import asyncio
import sys

import pytest
from event_trace import events

Protocol = asyncio.DatagramProtocol


def fill(transport, size=1000):
    """Send numbered datagrams until more is buffered than the high water mark; how many."""
    number = 0
    while transport.get_write_buffer_size() <= transport.get_write_buffer_limits()[1]:
        transport.sendto(b"%06d" % number + b"x" * size)
        number += 1
    return number


async def drained(trace, far, number):
    """Receive that many datagrams; they must be those of `fill`, in order."""
    for expected in range(number):
        while True:
            try:
                data = far.recv(100_000)
                break
            except BlockingIOError:
                await trace.turns(1)
        assert data[:6] == b"%06d" % expected


def test_datagrams_that_do_not_fit_are_sent_later_in_order(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            number = fill(transport)
            trace.note("full", transport.is_closing())
            await drained(trace, far, number)
            await trace.turns(2)
            transport.sendto(b"after")
            trace.note("after", far.recv(10))
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario, turns=False)
    assert [event[1] for event in events(trace, "near", "full")] == [
        "connection_made",
        "pause_writing",
        False,
        "resume_writing",
        "connection_lost",
    ]
    assert ["after", b"after"] in trace


def test_the_buffer_size_counts_what_is_not_sent(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            sizes = [0]
            while sizes[-1] < 500:
                transport.sendto(b"x" * 100)
                sizes.append(transport.get_write_buffer_size())
            trace.note("sizes", *filter(None, sizes))
            transport.abort()
            await trace.turns(2)

    (sizes,) = events(same_trace(scenario), "sizes")
    each = 108 if sys.version_info >= (3, 13) else 100  # from 3.13 on with a header of 8
    assert sizes[1:] == [each * (index + 1) for index in range(len(sizes) - 1)]


def test_a_buffered_bytearray_changed_after_sendto_is_sent_as_it_was(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            number = fill(transport)
            data = bytearray(b"before")
            transport.sendto(data)
            transport.sendto(memoryview(data))
            data[:] = b"AFTER!"
            data.clear()  # BufferError while somebody exports it
            await drained(trace, far, number)
            await trace.turns(3)
            trace.note("received", far.recv(10), far.recv(10))
            transport.close()
            await trace.turns(2)

    assert ["received", b"before", b"before"] in same_trace(scenario, turns=False)


def test_close_sends_what_is_buffered_first(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            number = fill(transport)
            transport.close()
            await trace.turns(3)
            trace.note("closing", transport.is_closing())
            await drained(trace, far, number)
            await trace.turns(3)

    trace = same_trace(scenario, turns=False)
    assert trace.index(["closing", True]) < trace.index(["near", "connection_lost", None])


def test_abort_drops_what_is_buffered(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            number = fill(transport)
            transport.abort()
            await trace.turns(3)
            received = 0
            try:
                while far.recv(10_000):
                    received += 1
            except OSError:
                return 0 < received < number

    trace = same_trace(scenario)
    assert trace[-2:] == [["near", "connection_lost", None], ["returned", True]]


def test_a_receiver_that_is_gone_while_datagrams_are_buffered(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        transport.pause_reading()
        transport.set_write_buffer_limits(high=100)
        fill(transport, 10)
        far.close()
        await trace.turns(20)
        trace.note("closing", transport.is_closing())
        transport.abort()
        await trace.turns(2)

    trace = same_trace(scenario, turns=False)
    assert events(trace, "error_received")
    assert ["closing", False] in trace


def test_sending_after_close_is_dropped_and_logged_after_five(loop, run, caplog):
    # CPython: for an endpoint with a remote address; others try to send.
    async def main():
        transport, _ = await loop.create_datagram_endpoint(Protocol, remote_addr=("127.0.0.1", 9))
        transport.close()
        counts = []
        for _ in range(7):
            transport.sendto(b"lost")
            counts.append(len(caplog.records))
        await asyncio.sleep(0)
        transport.sendto(b"lost")
        transport.close()
        transport.abort()
        return counts

    assert run(main()) == [0, 0, 0, 0, 1, 2, 3]
    assert {record.getMessage() for record in caplog.records} == {"socket.send() raised exception."}
    assert {record.levelname for record in caplog.records} == {"WARNING"}


@pytest.mark.parametrize("limits", [{"high": 0}, {"high": 500, "low": 100}])
def test_the_water_marks_of_datagrams(same_trace, limits):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            transport.set_write_buffer_limits(**limits)
            trace.note("limits", *transport.get_write_buffer_limits())
            number = fill(transport, 100)
            trace.note("full")
            await drained(trace, far, number)
            await trace.turns(2)
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario, turns=False)
    assert ["limits", limits.get("low", 0), limits["high"]] in trace
    assert trace.index(["near", "pause_writing"]) < trace.index(["full"])


def test_an_error_in_pause_writing_is_reported(same_trace):
    async def scenario(trace):
        def fail(*_):
            raise ValueError("of the program")

        transport, far = await trace.connect_datagrams(
            trace.protocol("near", Protocol, pause_writing=fail)
        )
        with far:
            fill(transport)
            transport.abort()
            await trace.turns(2)

    (report,) = events(same_trace(scenario), "reported")
    assert report[1:3] == [
        "protocol.pause_writing() failed",
        "exception message protocol transport",
    ]


def test_pause_and_resume_reading_of_datagrams(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            for act in ("pause", "pause", "resume", "resume", "pause"):
                trace.note(act, getattr(transport, f"{act}_reading")(), transport.is_reading())
            far.send(b"data")
            await trace.turns(3)
            trace.note("resumed", transport.resume_reading())
            await trace.turns(3)
            transport.close()
            trace.note("closed", transport.is_reading())
            await trace.turns(2)

    trace = same_trace(scenario)
    assert trace.index(["resumed", None]) < trace.index(
        ["near", "datagram_received", b"data", "THE PEER"]
    )


def test_set_protocol_of_datagrams(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("first", Protocol))
        with far:
            far.send(b"one")
            await trace.turns(3)
            second = trace.protocol("second", Protocol)
            trace.note("set", transport.set_protocol(second))
            trace.note("got", transport.get_protocol() is second)
            far.send(b"two")
            await trace.turns(3)
            transport.close()
            await trace.turns(2)

    assert [event[0] for event in events(same_trace(scenario), "first", "second")] == [
        "first",
        "first",
        "second",
        "second",
    ]
