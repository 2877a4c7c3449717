"""TLS connections, event by event and turn by turn: callbacks, errors and logs as on stock."""

import asyncio
import socket
import ssl
import struct

import pytest
from event_trace import events
from tls_peer import BASES, Peer, serve, settle


@pytest.mark.parametrize("base", BASES)
def test_data_of_both_directions(trace_of_server, base):
    async def scenario(trace, transport, peer, protocol):
        peer.write(b"hello")
        await trace.turns(1)
        transport.write(b"world")
        trace.note("peer", await peer.read(trace, 5))
        peer.write(b"x" * 200)
        await trace.turns(5)
        transport.writelines([b"a", bytearray(b"b"), memoryview(b"c"), b"d" * 40_000])
        trace.note("peer", len(await peer.read(trace, 40_003)))
        transport.close()

    trace_of_server(scenario, base)


@pytest.mark.parametrize("base", BASES)
def test_records_that_come_together_are_given_together(trace_of_server, base):
    async def scenario(trace, transport, peer, protocol):
        together = b"".join(peer.encrypted(data) for data in (b"one ", b"two ", b"three"))
        peer.sock.sendall(together)
        await trace.turns(3)
        transport.close()

    trace_of_server(scenario, base)


@pytest.mark.parametrize("base", BASES)
def test_a_record_that_comes_in_pieces(trace_of_server, base):
    async def scenario(trace, transport, peer, protocol):
        record = peer.encrypted(b"in pieces") + peer.encrypted(b"whole")
        for place in range(0, len(record), 7):
            peer.sock.sendall(record[place : place + 7])
            await trace.turns(1)
        transport.close()

    trace_of_server(scenario, base)


def test_session_tickets_come_though_nobody_writes(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        await trace.turns(3)
        peer.take()
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.read(1)
        trace.note(peer.tls.version(), peer.tls.session.has_ticket)
        transport.close()

    assert ["TLSv1.3", True] in trace_of_server(scenario)


def test_session_tickets_are_nothing_that_waits(trace_of_server):
    def look(protocol, transport):
        transport.set_write_buffer_limits(high=1)
        protocol.trace.note(transport.get_write_buffer_size())

    async def scenario(trace, transport, peer, protocol):
        await trace.turns(3)
        transport.close()

    def connection_made(protocol, transport):
        protocol.trace.loop.call_soon(look, protocol, transport)

    trace = trace_of_server(scenario, connection_made=connection_made)
    assert [0] in trace
    assert not events(trace, "pause_writing")


def test_a_connection_that_is_aborted_before_its_session_tickets_left(
    same_trace, server_side, client_side
):
    def fill_and_abort(protocol, transport):
        transport.set_write_buffer_limits(high=1000)
        while not events([event[1:] for event in protocol.trace.events], "pause_writing"):
            transport.write(b"x" * 100_000)
        transport.abort()

    def connection_made(protocol, transport):
        protocol.trace.loop.call_soon(fill_and_abort, protocol, transport)

    async def scenario(trace):
        protocol = trace.protocol("app", connection_made=connection_made)
        _, peer = await serve(trace, protocol, server_side, client_side)
        await settle(trace, peer)

    trace = same_trace(scenario, turns=False)
    assert events(trace, "connection_lost") == [["app", "connection_lost", None]]
    assert not events(trace, "resume_writing")


def test_close_reads_no_more(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        peer.write(b"before")
        await trace.turns(3)
        transport.close()
        trace.note(transport.is_closing())
        peer.write(b"after")
        await trace.turns(3)
        trace.note("peer", await peer.read(trace, 1))
        peer.close()
        await trace.turns(3)

    trace = trace_of_server(scenario)
    assert ["app", "data_received", b"before"] in trace
    assert ["app", "data_received", b"after"] not in trace


def test_the_peer_closes_in_good_order(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        peer.write(b"last words")
        peer.close()
        await trace.turns(3)
        trace.note("peer", await peer.read(trace, 1))

    trace = trace_of_server(scenario)
    assert ["app", "eof_received"] in trace


def test_the_stream_ends_without_a_farewell(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        peer.write(b"ragged")
        peer.sock.shutdown(socket.SHUT_WR)
        await trace.turns(4)

    trace_of_server(scenario)


def test_true_from_eof_received_has_no_effect(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        peer.close()
        await trace.turns(3)

    trace = trace_of_server(scenario, eof_received=lambda protocol: True)
    assert any("has no effect when using ssl" in str(event) for event in trace)


def test_abort_calls_connection_lost_alone(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        transport.write(b"may be lost")
        transport.abort()
        await trace.turns(2)
        transport.write(b"ignored")

    assert ["app", "eof_received"] not in trace_of_server(scenario)


def broken(alert, data):
    """A record with a length that is not its own, or contents that nobody encrypted."""
    return struct.pack(">BHH", alert, 0x0303, len(data)) + data


@pytest.mark.parametrize(
    "bytes_on_the_wire",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        broken(23, b"not encrypted" * 3),
        broken(23, b""),
        struct.pack(">BHH", 23, 0x0303, 0xFFFF) + b"x" * 100,
        b"\x00" * 50,
        broken(22, b"\x01\x00\x00\x01x"),
    ],
)
def test_garbage_on_an_open_connection(trace_of_server, bytes_on_the_wire):
    async def scenario(trace, transport, peer, protocol):
        peer.sock.sendall(bytes_on_the_wire)
        await trace.turns(4)
        trace.note(transport.is_closing())

    trace = trace_of_server(scenario)
    assert events(trace, "connection_lost")


def test_a_truncated_record_and_then_the_end(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        peer.sock.sendall(peer.encrypted(b"never whole")[:-3])
        await trace.turns(2)
        peer.sock.close()
        await trace.turns(4)

    trace = trace_of_server(scenario)
    assert not events(trace, "data_received")


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "callback", ["connection_made", "data_received", "buffer_updated", "get_buffer", "eof_received"]
)
def test_an_exception_in_a_callback(same_trace, server_side, client_side, callback, base):
    def fail(*_):
        raise ZeroDivisionError("on purpose")

    async def scenario(trace):
        near, far = socket.socketpair()
        far.setblocking(False)
        protocol = trace.protocol("app", base, **{callback: fail})
        connecting = asyncio.ensure_future(
            trace.loop.connect_accepted_socket(lambda: protocol, near, ssl=server_side)
        )
        peer = Peer(far, client_side, server_hostname="localhost")
        await peer.handshake(trace)
        await trace.turns(3)
        try:
            peer.write(b"data")
            peer.close()
        except OSError as error:
            trace.note("peer", error)
        await trace.turns(5)
        if not connecting.done():
            connecting.cancel()
        (result,) = await asyncio.gather(connecting, return_exceptions=True)
        trace.note("connected" if isinstance(result, tuple) else result)
        await settle(trace, peer)

    same_trace(scenario)


@pytest.mark.parametrize("leaving", [KeyboardInterrupt, SystemExit])
def test_an_exception_that_ends_the_loop(engine, server_side, client_side, leaving):
    loop = engine.new_loop()

    class App(asyncio.Protocol):
        def data_received(self, data):
            raise leaving

    async def main():
        near, far = socket.socketpair()
        far.setblocking(False)
        connecting = asyncio.ensure_future(loop.connect_accepted_socket(App, near, ssl=server_side))
        peer = Peer(far, client_side, server_hostname="localhost")

        class Turns:
            turns = staticmethod(lambda number: asyncio.sleep(0))

        await peer.handshake(Turns)
        transport, _ = await connecting
        peer.write(b"data")
        kept.append((transport, far))
        await asyncio.sleep(10)

    kept = []
    with pytest.raises(leaving):
        loop.run_until_complete(main())
    transport, far = kept.pop()
    transport.abort()
    far.close()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.mark.parametrize("base", BASES)
def test_a_reader_that_pauses(trace_of_server, base):
    async def scenario(trace, transport, peer, protocol):
        transport.pause_reading()
        trace.note(transport.is_reading())
        peer.write(b"waits")
        await trace.turns(3)
        trace.note(transport.get_read_buffer_size() > 0)
        transport.resume_reading()
        await trace.turns(3)
        transport.pause_reading()
        peer.close()
        await trace.turns(3)
        transport.resume_reading()
        await trace.turns(3)

    trace_of_server(scenario, base)


def test_a_paused_reader_stops_the_socket_in_the_end(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        transport.set_read_buffer_limits(high=1000)
        trace.note(transport.get_read_buffer_limits())
        transport.pause_reading()
        below = transport._ssl_protocol._transport
        for _ in range(4):
            peer.write(b"x" * 600)
            await trace.turns(2)
            trace.note(below.is_reading())
        transport.resume_reading()
        await trace.turns(3)
        trace.note(below.is_reading(), len(protocol.received))
        transport.close()

    trace_of_server(scenario)


def test_flow_control_of_the_writer(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        transport.set_write_buffer_limits(high=100_000, low=20_000)
        trace.note(transport.get_write_buffer_limits())
        below = transport._ssl_protocol._transport
        written = 0
        while not events([event[1:] for event in trace.events], "pause_writing"):
            transport.write(b"x" * 50_000)
            written += 50_000
        trace.note(below.get_write_buffer_size() > 0)
        trace.note(len(await peer.read(trace, written)) == written)
        transport.close()

    trace = trace_of_server(scenario, turns=False)
    assert events(trace, "pause_writing")
    assert events(trace, "resume_writing")


def test_writes_after_the_end_are_warned_of(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        transport.close()
        for _ in range(8):
            transport.write(b"ignored")
        await trace.turns(4)
        transport.write(b"ignored")

    trace = trace_of_server(scenario)
    assert any("SSL connection is closed" in str(event) for event in trace)


def test_wrong_data_is_refused(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        for data in ("text", 1, None):
            try:
                transport.write(data)
            except TypeError as error:
                trace.note(error)
        try:
            transport.writelines([b"fine", 1])
        except TypeError as error:
            trace.note(error)
        for limits in ({"high": 1, "low": 2}, {"high": -1}):
            try:
                transport.set_write_buffer_limits(**limits)
            except ValueError as error:
                trace.note(error)
        transport.close()

    trace_of_server(scenario)


def test_a_second_close_lets_go_of_the_protocol(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        transport.close()
        transport.close()
        trace.note(transport._ssl_protocol)
        for method in (transport.get_protocol, transport.is_reading, lambda: transport.write(b"x")):
            try:
                method()
            except AttributeError as error:
                trace.note(error)

    trace_of_server(scenario)


def test_a_transport_that_nobody_closes_warns(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        protocol.transport = None
        del transport
        peer.sock.close()
        await trace.turns(5)

    trace_of_server(scenario)


def test_debug_mode_logs_what_stock_logs(same_trace, server_side, client_side):
    async def scenario(trace):
        with trace.debug():
            protocol = trace.protocol("app")
            _, peer = await serve(trace, protocol, server_side, client_side)
            peer.write(b"data")
            await trace.turns(2)
            peer.close()
            await trace.turns(3)
            await settle(trace, peer)
        trace.events = [
            (0, "log", event[3].split(":")[0]) if "handshake took" in str(event) else event
            for event in trace.events
        ]

    same_trace(scenario, turns=False)


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01", b"\x00" * 600])
def test_a_client_without_tls(same_trace, server_side, first):
    async def scenario(trace):
        near, far = socket.socketpair()
        far.setblocking(False)
        protocol = trace.protocol("app")
        connecting = asyncio.ensure_future(
            trace.loop.connect_accepted_socket(lambda: protocol, near, ssl=server_side)
        )
        await trace.turns(2)
        far.sendall(first)
        await trace.turns(3)
        far.close()
        trace.note(*await asyncio.gather(connecting, return_exceptions=True))
        await trace.turns(3)
        trace.note(near.fileno())

    trace = same_trace(scenario)
    assert not events(trace, "app")
    assert ["returned", None] in trace


def test_writes_before_the_handshake_go_out_after_it(same_trace, server_side, client_side):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("plain"))
        protocol = trace.protocol("app")
        starting = asyncio.ensure_future(
            trace.loop.start_tls(transport, protocol, server_side, server_side=True)
        )
        await trace.turns(3)
        secure = transport.get_protocol()._app_transport
        secure.write(b"before ")
        secure.writelines([b"the ", b"handshake"])
        trace.note(secure.get_write_buffer_size())
        peer = Peer(far, client_side, server_hostname="localhost")
        await peer.handshake(trace)
        assert await starting is secure
        trace.note("peer", await peer.read(trace, 20))
        trace.note(secure.get_write_buffer_size())
        secure.close()
        await settle(trace, peer)

    trace = same_trace(scenario)
    assert ["peer", b"before the handshake"] in trace


def test_closing_in_the_handshake(same_trace, server_side):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("plain"))
        starting = asyncio.ensure_future(
            trace.loop.start_tls(transport, trace.protocol("app"), server_side, server_side=True)
        )
        await trace.turns(2)
        transport.get_protocol()._app_transport.close()
        trace.note(*await asyncio.gather(starting, return_exceptions=True))
        far.close()
        await trace.turns(3)

    same_trace(scenario, turns=False)


@pytest.mark.parametrize("turns", range(4))
def test_start_tls_that_is_cancelled(same_trace, server_side, turns):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("plain"))
        starting = asyncio.ensure_future(
            trace.loop.start_tls(transport, trace.protocol("app"), server_side, server_side=True)
        )
        await trace.turns(turns)
        starting.cancel()
        trace.note(*await asyncio.gather(starting, return_exceptions=True))
        await trace.turns(3)
        trace.note(transport.is_closing())
        if turns == 0:
            transport.close()
        far.close()
        await trace.turns(3)

    same_trace(scenario)


def test_both_timeouts(same_trace, server_side, client_side):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("plain"))
        starting = trace.loop.start_tls(
            transport,
            trace.protocol("app"),
            server_side,
            server_side=True,
            ssl_handshake_timeout=0.01,
        )
        trace.note(*await asyncio.gather(starting, return_exceptions=True))
        far.close()
        protocol = trace.protocol("second")
        transport, peer = await serve(
            trace, protocol, server_side, client_side, ssl_shutdown_timeout=0.01
        )
        lost = trace.loop.create_future()
        protocol.hooks["connection_lost"] = lambda _, exc: lost.set_result(exc)
        transport.close()
        trace.note(await lost)
        await settle(trace, peer)

    same_trace(scenario, turns=False)


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("seconds", [0, -1, -0.5])
def test_a_timeout_must_be_positive(same_trace, server_side, name, seconds):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("plain"))
        starting = trace.loop.start_tls(
            transport, trace.protocol("app"), server_side, server_side=True, **{name: seconds}
        )
        trace.note(*await asyncio.gather(starting, return_exceptions=True))
        transport.close()
        far.close()
        await trace.turns(3)

    same_trace(scenario)


def test_start_tls_with_bytes_in_the_reader(same_trace, server_side, client_side):
    """Since gh-142352 they are the beginning of the handshake; before, nobody looks at them."""

    async def scenario(trace):
        near, far = socket.socketpair()
        far.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=near)
        peer = Peer(far, client_side, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.do_handshake()
        far.sendall(b"go\n" + peer.outgoing.read())
        trace.note(await reader.readline())
        starting = asyncio.ensure_future(
            trace.loop.start_tls(
                writer.transport,
                writer._protocol,
                server_side,
                server_side=True,
                ssl_handshake_timeout=0.3,
            )
        )
        await trace.turns(6)
        peer.take()
        trace.note(len(peer.incoming.read()) > 0, len(reader._buffer) > 0)
        (outcome,) = await asyncio.gather(starting, return_exceptions=True)
        trace.note(outcome if isinstance(outcome, Exception) else "started")
        far.close()
        writer.close()
        await trace.turns(5)

    same_trace(scenario, turns=False)


def test_ciphertext_that_came_before_tls_began(same_trace, server_side, client_side):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("plain"))
        transport.pause_reading()
        peer = Peer(far, client_side, server_hostname="localhost")
        shaking = asyncio.ensure_future(peer.handshake(trace))
        await trace.turns(3)
        protocol = trace.protocol("app")
        secure = await trace.loop.start_tls(transport, protocol, server_side, server_side=True)
        await shaking
        peer.write(b"secret")
        await trace.turns(3)
        secure.close()
        await settle(trace, peer)

    trace = same_trace(scenario, turns=False)
    assert ["app", "data_received", b"secret"] in trace
    assert not events(trace, "plain")[1:]
