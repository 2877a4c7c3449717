"""Half-closed connections: write_eof, eof_received and what may still be sent."""

import asyncio
import socket

import pytest
from event_trace import drained, events, fill


def test_can_write_eof(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            trace.note("can", transport.can_write_eof())
            transport.close()
            trace.note("can", transport.can_write_eof())
            await trace.turns(2)
            trace.note("can", transport.can_write_eof())

    assert events(same_trace(scenario), "can") == [["can", True]] * 3


def test_write_eof_sends_end_of_file_and_keeps_reading(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        transport.write(b"last")
        trace.note("eof", transport.write_eof(), transport.is_closing())
        trace.note("peer", far.recv(10), far.recv(10))
        far.send(b"answer")
        await trace.turns(3)
        far.close()
        await trace.turns(4)

    assert same_trace(scenario)[1:] == [
        ["eof", None, False],
        ["peer", b"last", b""],
        ["near", "data_received", b"answer"],
        ["near", "eof_received"],
        ["near", "connection_lost", None],
        ["returned", None],
    ]


def test_write_eof_waits_until_the_buffer_is_empty(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            written = await fill(transport)
            transport.write_eof()
            received = await drained(trace, far, written)
            await trace.turns(2)
            trace.note("end", received == written, far.recv(10), transport.is_closing())
            transport.close()
            await trace.turns(2)

    assert ["end", True, b"", False] in same_trace(scenario)


@pytest.mark.parametrize("data", [b"data", b"", bytearray(b"x")])
@pytest.mark.parametrize("method", ["write", "writelines"])
def test_writing_after_write_eof_raises(same_trace, method, data):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            transport.write_eof()
            try:
                getattr(transport, method)([data] if method == "writelines" else data)
            except RuntimeError as exc:
                trace.note("raised", exc)
            transport.close()
            await trace.turns(2)

    (raised,) = events(same_trace(scenario), "raised")
    assert raised[1].startswith("RuntimeError(Cannot call write")
    assert raised[1].endswith(" after write_eof())")


def test_write_eof_twice_and_after_close_does_nothing(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            trace.note("eof", transport.write_eof(), transport.write_eof())
            transport.close()
            trace.note("eof", transport.write_eof())
            await trace.turns(2)
            trace.note("eof", transport.write_eof())

    assert same_trace(scenario)[1:-1] == [
        ["eof", None, None],
        ["eof", None],
        ["near", "connection_lost", None],
        ["eof", None],
    ]


def test_a_write_after_close_without_write_eof_does_not_raise(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            transport.close()
            transport.write_eof()
            trace.note("write", transport.write(b"x"))
            await trace.turns(2)

    assert ["write", None] in same_trace(scenario)


@pytest.mark.parametrize("keep_open", [True, 1, "yes", False, None, 0])
@pytest.mark.parametrize("base", [asyncio.Protocol, asyncio.BufferedProtocol])
def test_what_eof_received_returns_decides(same_trace, keep_open, base):
    async def scenario(trace):
        protocol = trace.protocol("near", base, eof_received=lambda *_: keep_open)
        transport, far = await trace.connect(protocol)
        with far:
            far.shutdown(socket.SHUT_WR)
            await trace.turns(4)
            trace.note("state", transport.is_closing(), transport.is_reading())
            transport.write(b"still here")
            await trace.turns(3)
            trace.note("peer", far.recv(100))
            transport.close()
            await trace.turns(3)

    trace = same_trace(scenario)
    # CPython: is_reading() stays true although the transport reads no more.
    assert ["state", not keep_open, bool(keep_open)] in trace
    assert ["peer", b"still here" if keep_open else b""] in trace
    assert len(events(trace, "eof_received")) == 1
    assert events(trace, "connection_lost") == [["near", "connection_lost", None]]


def test_a_half_closed_connection_can_answer_at_length(same_trace):
    async def scenario(trace):
        def answer(self):
            self.written = 0
            while self.transport.get_write_buffer_size() <= 65536:
                self.transport.write(b"x" * 65536)
                self.written += 65536
            self.transport.write_eof()
            return True

        protocol = trace.protocol("near", eof_received=answer)
        transport, far = await trace.connect(protocol)
        with far:
            far.send(b"question")
            far.shutdown(socket.SHUT_WR)
            await trace.turns(4)
            received = await drained(trace, far, protocol.written)
            await trace.turns(2)
            trace.note("end", received == protocol.written, far.recv(10))
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert ["end", True, b""] in trace
    assert len(events(trace, "eof_received")) == 1


def test_eof_received_is_called_again_after_pause_and_resume(same_trace):
    # CPython: resume_reading watches the socket again, and end of file is still there.
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near", eof_received=lambda _: True))
        with far:
            far.shutdown(socket.SHUT_WR)
            await trace.turns(3)
            transport.pause_reading()
            transport.resume_reading()
            await trace.turns(3)
            transport.close()
            await trace.turns(2)

    assert len(events(same_trace(scenario), "eof_received")) == 2


def test_close_inside_eof_received_that_asks_to_stay_open(same_trace):
    async def scenario(trace):
        def eof(self):
            self.transport.write(b"bye")
            self.transport.close()
            return True

        _, far = await trace.connect(trace.protocol("near", eof_received=eof))
        with far:
            far.shutdown(socket.SHUT_WR)
            await trace.turns(4)
            return far.recv(10), far.recv(10)

    trace = same_trace(scenario)
    assert events(trace, "connection_lost") == [["near", "connection_lost", None]]
    assert trace[-1] == ["returned", (b"bye", b"")]


@pytest.mark.parametrize("first", ["left", "right"])
def test_both_ends_send_end_of_file(same_trace, first):
    async def scenario(trace):
        left = trace.protocol("left", eof_received=lambda _: True)
        right = trace.protocol("right", eof_received=lambda _: True)
        transports = await trace.pair(left, right)
        for transport in transports if first == "left" else transports[::-1]:
            transport.write_eof()
            await trace.turns(4)
            trace.note("closing", *(end.is_closing() for end in transports))
        transports[0].close()
        await trace.turns(2)
        trace.note("closing", *(end.is_closing() for end in transports))
        transports[1].close()
        await trace.turns(2)

    trace = same_trace(scenario)
    assert len(events(trace, "eof_received")) == 2
    assert events(trace, "closing")[:2] == [["closing", False, False]] * 2


def test_data_and_end_of_file_in_one_turn_come_in_two(same_trace):
    async def scenario(trace):
        _, far = await trace.connect(trace.protocol("near"))
        far.send(b"data")
        far.close()
        await trace.turns(5)

    assert [event[1] for event in events(same_trace(scenario), "near")] == [
        "connection_made",
        "data_received",
        "eof_received",
        "connection_lost",
    ]


def test_write_eof_to_a_peer_that_reset_does_what_stock_does(same_as_stock, tcp_pair):
    def scenario(loop, _):
        near, far = tcp_pair()

        async def main():
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
            transport.pause_reading()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            far.close()
            try:
                return transport.write_eof()
            finally:
                transport.abort()
                await asyncio.sleep(0)

        return loop.run_until_complete(main())

    kind, exception, text = same_as_stock(scenario)
    assert (kind, exception) == ("raised", OSError)
    assert "not connected" in text
