"""TLS over the loop's own socket transports: connections, servers, start_tls."""

import asyncio
import contextlib
import socket
import ssl

import pytest
from event_trace import shown


class Echo(asyncio.Protocol):
    """Answers in upper case; closes at the end of file."""

    def __init__(self, seen=None):
        self.seen = [] if seen is None else seen

    def connection_made(self, transport):
        self.transport = transport
        self.seen.append("connection_made")

    def data_received(self, data):
        self.transport.write(data.upper())

    def eof_received(self):
        self.seen.append("eof_received")

    def connection_lost(self, exc):
        self.seen.append(("connection_lost", exc))


@pytest.fixture
def serve(loop, run, server_context):
    """Start an echo server; gives its address."""
    servers = []

    def start(factory=Echo, **kwargs):
        kwargs.setdefault("ssl", server_context)
        servers.append(run(loop.create_server(factory, "127.0.0.1", 0, **kwargs)))
        return servers[-1].sockets[0].getsockname()

    yield start
    for server in servers:
        server.close()
    run(asyncio.sleep(0))


def test_an_echo_over_tls(loop, run, serve, client_context):
    address = serve()

    async def main():
        reader, writer = await asyncio.open_connection(*address, ssl=client_context)
        writer.write(b"hello\n")
        answer = await reader.readline()
        writer.writelines([b"more ", bytearray(b"than "), memoryview(b"one\n")])
        second = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer, second

    assert run(main()) == (b"HELLO\n", b"MORE THAN ONE\n")


def test_a_large_message_over_tls(loop, run, serve, client_context):
    address = serve()
    sent = bytes(range(97, 113)) * 100_000

    async def main():
        reader, writer = await asyncio.open_connection(*address, ssl=client_context)
        writing = loop.create_task(writer.drain())
        writer.write(sent)
        received = await reader.readexactly(len(sent))
        await writing
        writer.close()
        await writer.wait_closed()
        return received == sent.upper()

    assert run(main())


def test_long_writes_of_one_step_to_a_peer_that_reads_late(
    loop, run, server_context, client_context
):
    """The first is longer than the mark of the transport below, by what TLS adds to it."""
    rounds = [(bytes([number]) * 65_536, bytes([number]) * 37_000) for number in range(200)]

    async def main():
        written = loop.create_future()

        async def write(reader, writer):
            await reader.readexactly(1)
            for first, second in rounds:
                writer.write(first)
                writer.write(second)
                await asyncio.sleep(0)
            below = writer.transport._ssl_protocol._transport
            sizes = writer.transport.get_write_buffer_size(), below.get_write_buffer_size()
            written.set_result(sizes)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(write, "127.0.0.1", 0, ssl=server_context)
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address, ssl=client_context)
        # Linux lets the buffer of a peer that once read much grow to 32 MiB: all that is written.
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        writer.transport.pause_reading()
        writer.write(b"x")
        above, below = await written
        writer.transport.resume_reading()
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return above > 512 * 1024, below > 65_536, received == b"".join(map(b"".join, rounds))

    assert run(main()) == (True, True, True)


def test_extra_info_of_a_tls_transport(loop, run, serve, client_context):
    address = serve()

    async def main():
        transport, protocol = await loop.create_connection(Echo, *address, ssl=client_context)
        info = transport.get_extra_info
        assert info("peername") == address
        assert info("sockname")[0] == "127.0.0.1"
        assert info("socket").getpeername() == address
        assert info("sslcontext") is client_context
        assert isinstance(info("ssl_object"), ssl.SSLObject)
        assert info("ssl_object").version() == "TLSv1.2"
        assert info("cipher") == info("ssl_object").cipher()
        assert info("compression") is None
        assert info("peercert", "none") in ({}, None, "none")
        assert info("other") is None
        assert transport.get_protocol() is protocol
        assert transport._ssl_protocol._transport.get_protocol() is transport._ssl_protocol
        assert isinstance(transport._ssl_protocol._transport, asyncio.Transport)
        closed = loop.create_future()
        protocol.connection_lost = closed.set_result
        transport.close()
        return await closed

    assert run(main()) is None


def test_start_tls_on_both_ends(loop, run, server_context, client_context, tcp_pair):
    near, far = tcp_pair()

    async def main():
        client_protocol, server_protocol = Echo(), Echo()
        client, _ = await loop.create_connection(lambda: client_protocol, sock=near)
        server, _ = await loop.connect_accepted_socket(lambda: server_protocol, far)
        secure_server, secure_client = await asyncio.gather(
            loop.start_tls(server, server_protocol, server_context, server_side=True),
            loop.start_tls(client, client_protocol, client_context, server_hostname="name"),
        )
        server_protocol.transport = secure_server
        received = loop.create_future()
        client_protocol.data_received = received.set_result
        secure_client.write(b"secret")
        answer = await received
        assert secure_client.get_extra_info("cipher")[0].startswith("AECDH")
        assert client.get_protocol() is secure_client._ssl_protocol
        secure_client.close()
        secure_server.close()
        while near.fileno() >= 0 or far.fileno() >= 0:
            await asyncio.sleep(0)
        # start_tls calls no connection_made of the program again.
        return answer, client_protocol.seen, server_protocol.seen

    answer, client_seen, server_seen = run(main())
    assert answer == b"SECRET"
    lost = ("connection_lost", None)
    assert client_seen in (["connection_made", lost], ["connection_made", "eof_received", lost])
    assert server_seen in (["connection_made", lost], ["connection_made", "eof_received", lost])


def test_streams_upgrade_to_tls_in_the_middle(loop, run, server_context, client_context):
    async def serve(reader, writer):
        while line := await reader.readline():
            if line == b"STARTTLS\n":
                writer.write(b"go\n")
                await writer.start_tls(server_context)
            else:
                writer.write(line.upper())
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"plain\n")
        answers = [await reader.readline()]
        writer.write(b"STARTTLS\n")
        answers.append(await reader.readline())
        await writer.start_tls(client_context, server_hostname="name")
        writer.write(b"secret\n")
        answers.append(await reader.readline())
        secure = writer.get_extra_info("ssl_object") is not None
        writer.close()
        await writer.wait_closed()
        server.close()
        for _ in range(10):
            await asyncio.sleep(0)
        return answers, secure

    assert run(main()) == ([b"PLAIN\n", b"go\n", b"SECRET\n"], True)


@pytest.mark.parametrize("case", ["no context", "a bool", "a datagram transport", "no transport"])
def test_start_tls_with_wrong_arguments(same_as_stock, client_context, case):
    def scenario(loop, _):
        near, far = socket.socketpair()
        kinds = {"no context": None, "a bool": True}

        async def main():
            transport, protocol = await loop.create_connection(asyncio.Protocol, sock=near)
            target = transport
            if case == "a datagram transport":
                target, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
                )
            elif case == "no transport":
                target = object
            try:
                await loop.start_tls(target, protocol, kinds.get(case, client_context))
            except Exception as exc:
                return type(exc).__name__, shown(str(exc))
            finally:
                transport.abort()
                if case == "a datagram transport":
                    target.abort()
                for _ in range(3):
                    await asyncio.sleep(0)

        with far:
            return loop.run_until_complete(main())

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert found[0] == "TypeError"


def test_a_client_that_speaks_no_tls_is_reported_as_on_stock(same_as_stock, server_context):
    def scenario(loop, _):
        reported = []
        loop.set_exception_handler(
            lambda _, context: reported.append(
                (context["message"], sorted(context), type(context["exception"]).__name__)
            )
        )
        seen = []

        async def main():
            server = await loop.create_server(
                lambda: Echo(seen), "127.0.0.1", 0, ssl=server_context
            )
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            writer.close()
            server.close()
            for _ in range(5):
                await asyncio.sleep(0)

        loop.run_until_complete(main())
        return reported, [str(event) for event in seen]

    kind, (_, seen) = same_as_stock(scenario)
    assert kind == "returned"
    assert "connection_made" not in seen


def test_a_server_that_hangs_up_in_the_handshake(loop, run, client_context):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            connecting = loop.create_task(
                loop.create_connection(Echo, *listener.getsockname(), ssl=client_context)
            )
            far, _ = await loop.sock_accept(listener)
            await loop.sock_recv(far, 1000)
            far.close()
            with pytest.raises(ConnectionResetError):
                await connecting

    run(main())


def test_the_handshake_times_out_with_stocks_text(loop, run, client_context, tcp_pair):
    near, _ = tcp_pair()

    async def main():
        await loop.create_connection(
            Echo, sock=near, ssl=client_context, server_hostname="", ssl_handshake_timeout=0.02
        )

    with pytest.raises(ConnectionAbortedError) as caught:
        run(main())
    assert str(caught.value) == (
        "SSL handshake is taking longer than 0.02 seconds: aborting the connection"
    )
    run(asyncio.sleep(0))
    assert near.fileno() == -1


def test_a_cancelled_handshake_closes_the_socket(loop, run, client_context, tcp_pair):
    async def main():
        for number in range(6):
            near, far = tcp_pair()
            connecting = loop.create_task(
                loop.create_connection(Echo, sock=near, ssl=client_context, server_hostname="")
            )
            for _ in range(number):
                await asyncio.sleep(0)
            connecting.cancel()
            await asyncio.wait([connecting])
            far.close()
            for _ in range(50):
                await asyncio.sleep(0)
            assert (near.fileno() == -1) == (number > 0)

    run(main())


def test_abort_and_pause_reach_the_transport_below(loop, run, serve, client_context):
    address = serve()

    async def main():
        transport, protocol = await loop.create_connection(Echo, *address, ssl=client_context)
        below = transport._ssl_protocol._transport
        transport.pause_reading()
        assert transport.is_reading() is False
        transport.resume_reading()
        assert transport.is_reading() is True
        transport.set_write_buffer_limits(high=5)
        assert transport.get_write_buffer_limits() == (1, 5)
        lost = loop.create_future()
        protocol.connection_lost = lost.set_result
        transport.abort()
        assert await lost is None
        assert below.is_closing()
        assert transport.can_write_eof() is False
        with pytest.raises(NotImplementedError):
            transport.write_eof()

    run(main())
