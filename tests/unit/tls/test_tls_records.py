"""Records as OpenSSL takes them: more than an application takes, alerts, errors of others."""

import _ssl
import asyncio
import contextlib
import ctypes
import ssl
import struct

import pytest
from event_trace import events
from tls_peer import BASES, serve

import ferrio


@pytest.mark.parametrize("room", [1, 7, 64])
def test_more_than_the_application_has_room_for(trace_of_server, room):
    async def scenario(trace, transport, peer, protocol):
        protocol.space = bytearray(room)
        records = [peer.encrypted(bytes([number]) * 20) for number in range(3)]
        peer.sock.sendall(b"".join(records)[:-9])
        await trace.turns(70)
        trace.note("all but the last")
        peer.sock.sendall(records[-1][-9:])
        peer.close()
        await trace.turns(30)

    trace_of_server(scenario, asyncio.BufferedProtocol)


@pytest.mark.parametrize("base", BASES)
def test_a_pause_between_records_that_came_together(trace_of_server, base):
    def pause(protocol, *_):
        protocol.transport.pause_reading()

    async def scenario(trace, transport, peer, protocol):
        protocol.space = bytearray(6)
        for _ in range(2):
            together = b"".join(peer.encrypted(b"record") for _ in range(4))
            peer.sock.sendall(together[:-4])
            for _ in range(5):
                await trace.turns(3)
                transport.resume_reading()
            peer.sock.sendall(together[-4:])
            await trace.turns(3)
        trace.note(len(protocol.received))

    trace_of_server(scenario, base, data_received=pause, buffer_updated=pause)


def test_a_fatal_alert_on_an_open_connection(trace_of_server):
    async def scenario(trace, transport, peer, protocol):
        peer.write(b"before")
        peer.incoming.write(struct.pack(">BHH", 23, 0x0303, 40) + b"x" * 40)
        with pytest.raises(ssl.SSLError):
            peer.tls.read(1)
        peer.flush()
        await trace.turns(4)
        trace.note(transport.is_closing())

    trace = trace_of_server(scenario)
    ((*_, lost),) = events(trace, "connection_lost")
    assert "ALERT" in str(lost)


class App(asyncio.Protocol):
    """It keeps what it was told."""

    def __init__(self):
        self.events = []

    def data_received(self, data):
        self.events.append(data)

    def eof_received(self):
        self.events.append("eof")

    def connection_lost(self, exception):
        self.events.append(exception)


class Turns:
    """Turns of the running loop, for who connects a peer without a trace."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()

    async def turns(self, number):
        for _ in range(number):
            await asyncio.sleep(0)


def test_errors_that_others_left_are_not_the_connections(server_side, client_side):
    """Stock takes them for its own, and ends the connection."""
    library = ctypes.CDLL(_ssl.__file__)
    library.ERR_peek_error.restype = ctypes.c_ulong

    async def main():
        turns, app = Turns(), App()
        transport, peer = await serve(turns, app, server_side, client_side)
        record = peer.encrypted(b"record")
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.tls.unwrap()
        for piece in (record[:-4], record[-4:], peer.outgoing.read()):
            library.BIO_new_file(b"/there/is/no/such/file", b"r")
            peer.sock.sendall(piece)
            transport.write(b"answer")
            await turns.turns(3)
            assert library.ERR_peek_error() != 0
            library.ERR_clear_error()
        peer.sock.close()
        return app.events

    loop = ferrio.new_event_loop()
    assert loop.run_until_complete(main()) == [b"record", "eof", None]
    loop.close()


def test_more_connections_at_once_than_keep_their_buffers(run, server_side, client_side):
    """128 do, and when they are over others may."""

    async def echo(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def talk(port, number):
        options = {"ssl": client_side, "server_hostname": "localhost"}
        reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
        for size in (1, 1000, 40_000):
            data = bytes([number]) * size
            writer.write(data)
            assert await reader.readexactly(size) == data
        ready.append(number)
        while len(ready) < 70:
            await asyncio.sleep(0)
        writer.write(b"last")
        assert await reader.readexactly(4) == b"last"
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_side)
        port = server.sockets[0].getsockname()[1]
        async with server:
            for _ in range(2):
                ready.clear()
                await asyncio.gather(*(talk(port, number) for number in range(70)))

    ready = []
    run(main())
