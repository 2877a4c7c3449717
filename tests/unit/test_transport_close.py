"""close, abort and what a transport does after them: order, texts, callbacks."""

import asyncio
import contextlib
import gc
import socket
import struct

import pytest
from event_trace import drained, events, fill


def test_close_calls_connection_lost_with_none_in_the_next_turn(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            transport.close()
            trace.note("closed", transport.is_closing(), transport.is_reading())
            trace.loop.call_soon(trace.note, "queued after close")
            await trace.turns(3)
            return far.recv(10)

    assert same_trace(scenario) == [
        ["near", "connection_made", "the transport"],
        ["closed", True, False],
        ["near", "connection_lost", None],
        ["queued after close"],
        ["returned", b""],
    ]


def test_close_twice_and_abort_after_close_call_connection_lost_once(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            for act in (transport.close, transport.close, transport.abort, transport.close):
                trace.note("returned", act())
            await trace.turns(3)
            for act in (transport.close, transport.abort):
                try:
                    trace.note("returned", act())
                except Exception as exc:
                    trace.note("raised", exc)
            await trace.turns(3)

    trace = same_trace(scenario)
    assert events(trace, "connection_lost") == [["near", "connection_lost", None]]


def test_a_write_after_close_is_dropped_and_the_fifth_logs_a_warning(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            transport.close()
            for number in range(7):
                trace.note("write", number, transport.write(b"lost"))
            trace.note("size", transport.get_write_buffer_size())
            await trace.turns(3)
            for number in range(2):
                trace.note("write after connection_lost", number, transport.write(b"lost"))
            return far.recv(100)

    trace = same_trace(scenario)
    warning = ["logged", "WARNING", "socket.send() raised exception."]
    writes = [index for index, event in enumerate(trace) if event[0].startswith("write")]
    # `close` counts as the first; each write stands in the trace after what it logged.
    logged = [sum(event == warning for event in trace[:index]) for index in writes]
    assert logged == [0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert trace[-1] == ["returned", b""]


def test_a_write_after_connection_lost_is_dropped(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        far.close()
        await trace.turns(4)
        trace.note("write", transport.write(b"lost"), transport.is_closing())
        trace.note("empty write", transport.write(b""))
        trace.note("eof", transport.write_eof())
        trace.note("size", transport.get_write_buffer_size())

    trace = same_trace(scenario)
    assert ["near", "connection_lost", None] in trace
    assert ["write", None, True] in trace


@pytest.mark.parametrize("data", [[], [b"lost"], [b"", b"lost"]])
def test_writelines_after_close_sends_nothing(same_trace, data):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            transport.close()
            # CPython 3.12.1, 3.13.0: the transport calls its missing _write_ready.
            with contextlib.suppress(TypeError):
                transport.writelines(data)
            await trace.turns(3)
            return far.recv(100)

    trace = same_trace(scenario)
    assert trace[1:] == [["near", "connection_lost", None], ["returned", b""]]


def test_close_with_data_buffered_sends_all_of_it_first(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            written = await fill(transport)
            transport.close()
            await trace.turns(3)
            trace.note("closing", transport.is_closing(), transport.get_write_buffer_size() > 0)
            received = await drained(trace, far, written)
            trace.note("all was received", received == written)
            await trace.turns(2)
            return far.recv(10)

    assert same_trace(scenario)[-3:] == [
        ["near", "connection_lost", None],
        ["all was received", True],
        ["returned", b""],
    ]


def test_writes_after_close_with_data_buffered_are_counted_as_stock_does(same_trace):
    # A closing transport that still sends takes more data: nothing says that it is closed.
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            written = await fill(transport)
            transport.close()
            for _ in range(7):
                transport.write(b"more")
            received = await drained(trace, far, written)
            await trace.turns(2)
            return received, len(far.recv(100))

    trace = same_trace(scenario)
    assert ["near", "connection_lost", None] in trace


def test_abort_drops_what_is_buffered(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            written = await fill(transport)
            trace.note("abort", transport.abort())
            trace.note("size", transport.get_write_buffer_size(), transport.is_closing())
            trace.loop.call_soon(trace.note, "queued after abort")
            await trace.turns(2)
            received = 0
            while data := far.recv(1 << 20):
                received += len(data)
            return received < written

    trace = same_trace(scenario)
    assert trace[-5:] == [
        ["abort", None],
        ["size", 0, True],
        ["near", "connection_lost", None],
        ["queued after abort"],
        ["returned", True],
    ]


def test_abort_after_close_with_data_buffered_ends_the_wait(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            await fill(transport)
            transport.close()
            await trace.turns(2)
            transport.abort()
            await trace.turns(2)

    assert same_trace(scenario)[-2:] == [["near", "connection_lost", None], ["returned", None]]


@pytest.mark.parametrize("act", ["close", "abort"])
def test_closing_inside_connection_made_delivers_no_data(same_trace, act):
    async def scenario(trace):
        near, far = socket.socketpair()
        with far:
            far.send(b"early")
            protocol = trace.protocol(
                "near", connection_made=lambda _, transport: getattr(transport, act)()
            )
            transport, _ = await trace.loop.create_connection(lambda: protocol, sock=near)
            trace.note("connected", transport.is_closing())
            await trace.turns(3)

    assert same_trace(scenario) == [
        ["near", "connection_made", "the transport"],
        ["near", "connection_lost", None],
        ["connected", True],
        ["returned", None],
    ]


@pytest.mark.parametrize("act", ["close", "abort"])
def test_closing_inside_data_received_ends_the_reading(same_trace, act):
    async def scenario(trace):
        protocol = trace.protocol("near")
        protocol.hooks["data_received"] = lambda self, _: getattr(self.transport, act)()
        _, far = await trace.connect(protocol)
        with far:
            far.send(b"one")
            await trace.turns(2)
            far.send(b"two")
            await trace.turns(4)

    trace = same_trace(scenario)
    assert events(trace, "data_received") == [["near", "data_received", b"one"]]
    assert trace[-2] == ["near", "connection_lost", None]


def test_closing_and_writing_inside_connection_lost_do_nothing(same_trace):
    async def scenario(trace):
        def lost(self, _):
            self.transport.close()
            self.transport.abort()
            self.transport.write(b"lost")
            trace.note("closing", self.transport.is_closing(), self.transport.is_reading())

        transport, far = await trace.connect(trace.protocol("near", connection_lost=lost))
        with far:
            transport.close()
            await trace.turns(4)
            return far.recv(10)

    trace = same_trace(scenario)
    assert len(events(trace, "connection_lost")) == 1
    assert trace[-1] == ["returned", b""]


def test_both_ends_closed_in_one_turn_lose_the_connection_in_that_order(same_trace):
    async def scenario(trace):
        left, right = await trace.pair(trace.protocol("left"), trace.protocol("right"))
        right.close()
        left.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert trace[-3:-1] == [["right", "connection_lost", None], ["left", "connection_lost", None]]


def test_the_end_that_closes_loses_the_connection_before_its_peer(same_trace):
    async def scenario(trace):
        left, _ = await trace.pair(trace.protocol("left"), trace.protocol("right"))
        left.write(b"bye")
        left.close()
        await trace.turns(6)

    assert same_trace(scenario)[2:-1] == [
        ["left", "connection_lost", None],
        ["right", "data_received", b"bye"],
        ["right", "eof_received"],
        ["right", "connection_lost", None],
    ]


def reset(sock):
    """Close a TCP socket so that its peer gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("debug", [False, True])
def test_a_reset_is_given_to_connection_lost_and_not_reported(same_as_stock, tcp_pair, debug):
    # CPython: _fatal_error is silent about every OSError, debug mode logs it.
    def scenario(loop, _):
        near, far = tcp_pair()
        lost = loop.create_future()

        class Protocol(asyncio.Protocol):
            def connection_lost(self, exc):
                lost.set_result(exc)

        async def main():
            loop.set_debug(debug)
            loop.slow_callback_duration = 60
            transport, _ = await loop.create_connection(Protocol, sock=near)
            reset(far)
            exc = await lost
            return type(exc), exc.errno, transport.is_closing()

        reported = []
        loop.set_exception_handler(lambda _, context: reported.append(context))
        return loop.run_until_complete(main()), reported

    outcome = same_as_stock(scenario)
    assert outcome == ("returned", ((ConnectionResetError, 104, True), []))


def test_a_write_to_a_peer_that_is_gone_closes_the_transport(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        transport.pause_reading()
        far.close()
        transport.write(b"lost")
        trace.note("closing", transport.is_closing())
        transport.write(b"lost too")
        await trace.turns(3)

    trace = same_trace(scenario)
    assert trace[1:-1] == [
        ["closing", True],
        ["near", "connection_lost", "BrokenPipeError([Errno 32] Broken pipe)"],
    ]


def test_buffered_data_for_a_peer_that_is_gone_is_given_up(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        transport.pause_reading()
        await fill(transport)
        far.close()
        await trace.turns(3)
        trace.note("size", transport.get_write_buffer_size())

    trace = same_trace(scenario)
    assert trace[1:-1] == [
        ["near", "pause_writing"],
        ["near", "connection_lost", "BrokenPipeError([Errno 32] Broken pipe)"],
        ["size", 0],
    ]


def test_the_socket_is_closed_in_connection_lost_and_not_before(same_trace):
    async def scenario(trace):
        near, far = socket.socketpair()
        with far:
            protocol = trace.protocol(
                "near", connection_lost=lambda *_: trace.note("fd", near.fileno() >= 0)
            )
            transport, _ = await trace.loop.create_connection(lambda: protocol, sock=near)
            transport.close()
            trace.note("fd after close", near.fileno() >= 0)
            await trace.turns(2)
            trace.note("fd in the end", near.fileno())

    trace = same_trace(scenario)
    assert trace[1:-1] == [
        ["fd after close", True],
        ["near", "connection_lost", None],
        ["fd", True],
        ["fd in the end", -1],
    ]


def test_an_error_in_connection_lost_is_reported_and_the_socket_closed(same_trace):
    async def scenario(trace):
        near, far = socket.socketpair()
        with far:
            protocol = trace.protocol("near", connection_lost=lambda *_: 1 / 0)
            transport, _ = await trace.loop.create_connection(lambda: protocol, sock=near)
            transport.close()
            await trace.turns(2)
            trace.note("fd", near.fileno())

    (report,) = [event for event in same_trace(scenario) if event[0] == "reported"]
    assert report[1] == "Exception in callback"
    assert report[2:] == ["exception handle message", "ZeroDivisionError(division by zero)"]


def test_a_transport_of_a_closed_loop_warns_and_closes_its_socket(loop):
    near, far = socket.socketpair()
    with far:

        async def main():
            return await loop.create_connection(asyncio.Protocol, sock=near)

        made = list(loop.run_until_complete(main()))
        loop.close()
        assert made[0].is_closing() is False

        def drop():
            made.clear()
            gc.collect()

        with pytest.warns(ResourceWarning, match="^unclosed transport <"):
            drop()
        assert near.fileno() == -1
