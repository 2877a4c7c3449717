"""Writing to stream transports: what may be written, what is kept, what is sent when."""

import array
import asyncio
import collections
import itertools
import socket
import struct
import sys
import time

import pytest
from event_trace import drained, events, fill


@pytest.fixture
def connected(loop, run):
    """A transport, and the other socket of its pair."""
    near, far = socket.socketpair()
    far.setblocking(False)
    with far:
        transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
        yield transport, far
        transport.abort()
        run(asyncio.sleep(0))


PIECES = [
    b"bytes",
    bytearray(b"bytearray"),
    memoryview(b"memoryview"),
    memoryview(b"..part..")[2:6],
    memoryview(bytearray(b"writable")),
    array.array("I", [1, 2, 3]),
    memoryview(array.array("I", [1, 2, 3])),
]


@pytest.mark.parametrize("data", PIECES[:5], ids=lambda data: bytes(data).decode())
def test_write_sends_at_once(connected, data):
    transport, far = connected
    assert transport.write(data) is None
    assert transport.get_write_buffer_size() == 0
    assert far.recv(100) == bytes(data)


def test_a_subclass_of_bytes_is_written(connected):
    class Sub(bytes):
        pass

    transport, far = connected
    transport.write(Sub(b"sub"))
    assert far.recv(10) == b"sub"


@pytest.mark.parametrize(
    "data", ["text", None, 5, 5.5, [b"x"], (b"x",), {b"x"}, object, array.array("B", b"x")]
)
@pytest.mark.parametrize("state", ["open", "closing", "ended"])
def test_writing_a_wrong_type_raises(same_trace, data, state):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            if state == "closing":
                transport.close()
            elif state == "ended":
                transport.write_eof()
            try:
                transport.write(data)
            except TypeError as exc:
                trace.note("raised", exc)
            transport.abort()
            await trace.turns(2)
            trace.note("lost")
            try:
                transport.write(data)
            except TypeError as exc:
                trace.note("raised", exc)

    wanted = "a bytes-like object"
    if sys.version_info >= (3, 14):
        wanted = "a bytes, bytearray, or memoryview object"
    text = f"data argument must be {wanted}, not {type(data).__name__!r}"
    assert events(same_trace(scenario), "raised") == [["raised", f"TypeError({text})"]] * 2


@pytest.mark.parametrize(
    "data", [["text"], [b"ok", "text"], [5], 5, None, "text", [None], [b"ok", [b"x"]]]
)
def test_writelines_of_a_wrong_type_raises_what_stock_raises(same_trace, data):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            try:
                trace.note("returned", transport.writelines(data))
            except TypeError as exc:
                trace.note("raised", exc)
            trace.note("size", transport.get_write_buffer_size())
            transport.abort()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert ["size", 0] in trace


@pytest.mark.skipif(sys.version_info < (3, 14), reason="stock buffers what is never sent")
@pytest.mark.parametrize("data", [[b"x"], ["text"], [5, b""], [None], 5, [b""]])
def test_writelines_after_the_connection_was_lost_does_what_stock_does(same_trace, data):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            transport.abort()
            for _ in range(8):
                try:
                    trace.note("returned", transport.writelines(data))
                except TypeError as exc:
                    trace.note("raised", exc)
                trace.note("size", transport.get_write_buffer_size())

    trace = same_trace(scenario)
    assert len(events(trace, "returned")) + len(events(trace, "raised")) == 9


@pytest.mark.parametrize("data", [b"", bytearray(), memoryview(b"")])
def test_writing_nothing_does_nothing(same_trace, data):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            trace.note("empty", transport.write(data), transport.writelines([]))
            trace.note("size", transport.get_write_buffer_size(), repr(transport))
            await trace.turns(2)
            transport.write(b"x")
            trace.note("peer", far.recv(10))
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert ["empty", None, None] in trace
    assert ["peer", b"x"] in trace


@pytest.mark.parametrize("pieces", [[b""], [b"", bytearray()], [b"", b"a", b"", b"b", b""]])
def test_empty_pieces_of_writelines_send_nothing_and_hold_nothing_up(connected, run, pieces):
    transport, far = connected
    transport.writelines(pieces)
    assert transport.get_write_buffer_size() == 0
    transport.write(b"c")
    # CPython 3.12+: an empty piece stays queued and sends what follows to the next turn.
    run(asyncio.sleep(0))
    run(asyncio.sleep(0))
    assert far.recv(10) == b"".join(pieces) + b"c"


@pytest.mark.parametrize("kind", [list, tuple, collections.deque, iter])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_writelines_sends_all_pieces_in_order(connected, kind, count):
    transport, far = connected
    pieces = PIECES[:count]
    assert transport.writelines(kind(pieces)) is None
    assert far.recv(1000) == b"".join(map(bytes, pieces))
    assert transport.get_write_buffer_size() == 0


def test_writelines_of_a_dictionary_view_and_of_a_generator(connected):
    transport, far = connected
    transport.writelines({b"a": 1, b"b": 2}.keys())
    transport.writelines(bytes([65 + number]) for number in range(3))
    assert far.recv(100) == b"abABC"


def test_writelines_of_more_pieces_than_one_system_call_takes(connected, run):
    transport, far = connected
    pieces = [b"%d," % number for number in range(5000)]
    transport.writelines(pieces)
    received = bytearray()
    while len(received) < sum(map(len, pieces)):
        try:
            received += far.recv(1 << 20)
        except BlockingIOError:
            run(asyncio.sleep(0))
    assert received == b"".join(pieces)


def test_writelines_behind_buffered_data_keeps_the_order(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            written = await fill(transport)
            transport.writelines([b"1", bytearray(b"2"), memoryview(b"3")])
            transport.write(b"4")
            transport.writelines([b"5"])
            await drained(trace, far, written)
            await trace.turns(3)
            transport.close()
            await trace.turns(2)
            return far.recv(100)

    kind, result = same_trace(scenario)[-1]
    assert kind == "returned"
    assert b"12345".endswith(result)


@pytest.mark.parametrize("method", ["write", "writelines"])
@pytest.mark.parametrize("full", [False, True])
def test_a_bytearray_changed_after_write_was_sent_as_it_was(loop, run, full, method):
    near, far = socket.socketpair()
    far.setblocking(False)

    async def main():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        written = await fill(transport) if full and sys.version_info < (3, 12) else 0
        data = bytearray(b"before")
        if method == "write":
            transport.write(data)
        else:
            transport.writelines([data])
        data[:] = b"AFTER!"
        received = bytearray()
        while len(received) < written + 6:
            try:
                received += far.recv(1 << 20)
            except BlockingIOError:
                await asyncio.sleep(0)
        transport.close()
        await asyncio.sleep(0)
        return bytes(received[written:])

    with far:
        assert run(main()) == b"before"


def test_the_unsent_rest_of_a_bytearray_is_what_was_written(loop, run):
    # A program may reuse its bytearray at once; CPython 3.12+ keeps a view of it and would send
    # the change, or refuse to resize it.
    near, far = socket.socketpair()
    far.setblocking(False)

    async def main():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        data = bytearray(b"x" * (1 << 22))
        transport.write(data)
        left = transport.get_write_buffer_size()
        assert 0 < left < len(data)
        received = 0
        while received < len(data):
            try:
                received += len(far.recv(1 << 20))
            except BlockingIOError:
                await asyncio.sleep(0)
        transport.close()
        await asyncio.sleep(0)
        data.clear()  # BufferError while somebody exports it
        return received

    with far:
        assert run(main()) == 1 << 22


def test_a_view_is_released_when_all_of_it_was_sent(connected):
    transport, far = connected
    data = bytearray(b"data")
    transport.write(data)
    data.append(1)
    view = memoryview(data)
    transport.write(view)
    view.release()
    data.append(2)
    assert far.recv(100) == b"datadata\1"


def test_what_does_not_fit_is_sent_later_in_order(loop, run):
    near, far = socket.socketpair()
    far.setblocking(False)

    async def main():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        sent = bytearray()
        for number in range(300):
            piece = bytes([number % 256]) * (number * 37 % 9000 + 1)
            sent += piece
            if number % 3:
                transport.write(piece)
            else:
                transport.writelines([piece[:10], piece[10:]])
        assert transport.get_write_buffer_size() > 0
        received = bytearray()
        while len(received) < len(sent):
            try:
                received += far.recv(50_001)
            except BlockingIOError:
                await asyncio.sleep(0)
        assert transport.get_write_buffer_size() == 0
        transport.close()
        await asyncio.sleep(0)
        return received == sent

    with far:
        assert run(main())


def test_several_writes_of_one_turn_arrive_in_order_before_the_next_read(same_trace):
    async def scenario(trace):
        left, right = await trace.pair(trace.protocol("left"), trace.protocol("right"))
        left.write(b"header ")
        left.writelines([b"body ", b"of two"])
        left.write(b" end")
        trace.note("size", left.get_write_buffer_size())
        await trace.turns(4)
        left.close()
        right.close()
        await trace.turns(2)

    trace = same_trace(scenario)
    assert ["right", "data_received", b"header body of two end"] in trace
    assert ["size", 0] in trace


def test_writes_of_one_turn_reach_a_reader_that_looks_at_once(connected):
    # CPython: a write with nothing buffered is a system call.
    transport, far = connected
    for piece in (b"one", b"two", b"three"):
        transport.write(piece)
        assert far.recv(100) == piece


def test_writing_inside_connection_made_and_data_received(same_trace):
    async def scenario(trace):
        def echo(self, data):
            self.transport.write(data.upper())
            self.transport.write(b"!")

        protocol = trace.protocol("near", data_received=echo)
        protocol.hooks["connection_made"] = lambda self, transport: transport.write(b"hello")
        transport, far = await trace.connect(protocol)
        with far:
            trace.note("peer", far.recv(100))
            far.send(b"abc")
            await trace.turns(2)
            trace.note("peer", far.recv(100))
            transport.close()
            await trace.turns(2)

    assert events(same_trace(scenario), "peer") == [["peer", b"hello"], ["peer", b"ABC!"]]


def test_writelines_over_the_high_mark_pause_the_protocol(loop, run, engine):
    if engine.name == "asyncio" and (3, 12) <= sys.version_info < (3, 12, 9):
        pytest.skip("gh-127655: writelines pauses nobody")
    if engine.name == "asyncio" and (3, 13) <= sys.version_info < (3, 13, 2):
        pytest.skip("gh-127655: writelines pauses nobody")
    paused = []

    class Protocol(asyncio.Protocol):
        def pause_writing(self):
            paused.append(transport.get_write_buffer_size())

    async def main():
        nonlocal transport
        near, far = socket.socketpair()
        transport, _ = await loop.create_connection(Protocol, sock=near)
        transport.set_write_buffer_limits(high=1_000_000)
        with far:
            while not transport.get_write_buffer_size():
                transport.writelines([b"x" * 50_000, b"x" * 50_000])
            assert paused == []
            while not paused:
                before = transport.get_write_buffer_size()
                assert before <= 1_000_000
                transport.writelines([b"x" * 50_000, b"x" * 50_000])
            transport.abort()
            await asyncio.sleep(0)

    transport = None
    run(main())
    assert paused == [paused[0]]
    assert paused[0] > 1_000_000


TCPI_DATA_SEGS_IN = 152
"""Offset in `struct tcp_info` of linux/tcp.h."""


def segments_received(sock):
    """Segments with data that have come in on a TCP socket."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("I", info, TCPI_DATA_SEGS_IN)[0]


class TwoPieces(asyncio.Protocol):
    """Answers with two writes in one step of a task, as HTTP servers do with header and body."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.answering = asyncio.ensure_future(self.answer())

    async def answer(self):
        self.transport.write(b"header ")
        self.transport.write(b"body")


def test_two_writes_of_a_turn_leave_in_one_segment(engine, loop, run_out):
    async def scenario():
        server = await loop.create_server(TwoPieces, "127.0.0.1", 0)
        counts = []
        with socket.socket() as peer:
            peer.setblocking(False)
            await loop.sock_connect(peer, server.sockets[0].getsockname())
            for _ in range(4):
                before = segments_received(peer)
                await loop.sock_sendall(peer, b"request")
                answer = b""
                while len(answer) < len(b"header body"):
                    answer += await loop.sock_recv(peer, 100)
                assert answer == b"header body"
                counts.append(segments_received(peer) - before)
        server.close()
        return counts

    counts = run_out(scenario())
    if engine.name == "ferrio":
        # The first answer shows that this protocol writes twice.
        assert counts == [2, 1, 1, 1]
    else:
        assert counts == [2, 2, 2, 2]


def test_the_first_write_of_a_turn_is_sent_before_the_callback_returns(loop, run_out):
    async def scenario():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        listening = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *listening)
        server.close()
        near, far = socket.socketpair()
        local, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        with far, socket.create_server(("127.0.0.1", 0)) as listener:
            over_tcp, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
            peer, _ = listener.accept()
            with peer:
                await asyncio.sleep(0)
                over_tcp.write(b"tcp")
                local.write(b"unix")
                received = [peer.recv(10), far.recv(10)]
                for each in (transport, over_tcp, local):
                    each.abort()
        return received

    assert run_out(scenario()) == [b"tcp", b"unix"]


def test_writes_on_many_transports_of_one_turn_arrive_in_their_order(loop, run_out):
    async def scenario():
        with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
            peers, transports = [], []
            for _ in range(150):
                made = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
                transports.append(made[0])
                peers.append(listener.accept()[0])
        await asyncio.sleep(0)
        for piece in (b"a", b"b", b"c"):
            for transport in transports:
                transport.write(piece)
        await asyncio.sleep(0)
        received = [peer.recv(10) for peer in peers]
        for end in (*transports, *peers):
            end.close()
        return received

    assert run_out(scenario()) == [b"abc"] * 150


def test_the_answer_of_a_slow_callback_does_not_wait_for_the_next(loop, run_out):
    """Several of a batch each work for milliseconds: each finds what the one before it has sent."""

    async def scenario():
        pairs = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for _ in range(4):
                made = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
                pairs.append((made[0], listener.accept()[0]))
        await asyncio.sleep(0)

        def answer(transport, before):
            if before is not None:
                received.append(before.recv(10))
            end = time.monotonic() + 0.002
            while time.monotonic() < end:
                pass
            transport.write(b"done")

        received, before = [], None
        for transport, peer in pairs:
            peer.settimeout(5)
            loop.call_soon(answer, transport, before)
            before = peer
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        received.append(before.recv(10))
        for end in itertools.chain(*pairs):
            end.close()
        return received

    assert run_out(scenario()) == [b"done"] * 4
