"""Large and long transfers over streams: every byte of both directions; half-closed; over TLS."""

import asyncio
import contextlib
import random
import socket

import pytest

SIZE = 3_000_000


def made_up(seed, size=SIZE):
    """Bytes without a pattern, with newlines in them."""
    return random.Random(seed).randbytes(size)


@pytest.fixture(params=["unix pair", "tcp"])
def pair(request, streams, tcp_pair):
    """Connect two sockets as streams; (reader, writer, reader, writer)."""

    async def connect(limit=2**16, **options):
        near, far = socket.socketpair() if request.param == "unix pair" else tcp_pair()
        return (
            *await streams.open_connection(sock=near, limit=limit, **options),
            *await streams.open_connection(sock=far, limit=limit, **options),
        )

    return connect


async def close(*writers):
    for writer in writers:
        writer.close()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def read_exactly_by(reader, sizes):
    received = bytearray()
    for size in sizes:
        received += await reader.readexactly(size)
    return received


async def read_by(reader, size):
    received = bytearray()
    while data := await reader.read(size):
        received += data
    return received


async def read_lines(reader):
    return b"".join([line async for line in reader])


async def send(writer, data, size):
    for at in range(0, len(data), size):
        writer.write(data[at : at + size])
        await writer.drain()
    writer.write_eof()


@pytest.mark.parametrize("limit", [1000, 2**16, 2**22])
@pytest.mark.parametrize(
    "receive",
    [
        lambda reader: reader.read(),
        lambda reader: reader.readexactly(SIZE),
        lambda reader: read_exactly_by(reader, [1, 99, 4096, 500_000, SIZE - 504_196]),
        lambda reader: read_by(reader, 777),
        lambda reader: read_by(reader, 10_000_000),
    ],
    ids=["to the end", "at once", "in parts", "by little", "what comes"],
)
def test_both_directions_at_once(run_out, pair, receive, limit):
    there, back = made_up(1), made_up(2)

    async def main():
        near, near_writer, far, far_writer = await pair(limit)
        received = await asyncio.gather(
            receive(near),
            receive(far),
            send(near_writer, there, 100_001),
            send(far_writer, back, 4096),
        )
        await close(near_writer, far_writer)
        return received

    received_back, received_there, *_ = run_out(main())
    assert received_there == there
    assert received_back == back


def test_lines_of_every_length(run_out, pair):
    rng = random.Random(3)
    lines = [b"x" * rng.choice((0, 1, 10, 100, 1000, 60_000)) + b"\n" for _ in range(1000)]

    async def main():
        _, near_writer, far, far_writer = await pair()
        received, _ = await asyncio.gather(
            read_lines(far), send(near_writer, b"".join(lines), 8191)
        )
        await close(near_writer, far_writer)
        return received

    assert run_out(main()) == b"".join(lines)


def test_a_reader_that_is_slow_pauses_who_writes(run_out, pair):
    data = made_up(4, 10_000_000)

    async def main():
        _, near_writer, far, far_writer = await pair(1000)
        sending = asyncio.ensure_future(send(near_writer, data, 65536))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not sending.done()
        assert near_writer._protocol._paused and far._paused
        assert len(far._buffer) > 2000
        received = await far.readexactly(len(data))
        await sending
        assert await far.read() == b""
        await close(near_writer, far_writer)
        return received == data

    assert run_out(main())


def test_one_direction_ends_before_the_other(run_out, pair):
    async def main():
        near, near_writer, far, far_writer = await pair()
        near_writer.write(b"question")
        assert near_writer.can_write_eof()
        near_writer.write_eof()
        assert await far.read() == b"question" and far.at_eof()
        far_writer.writelines([b"a long ", b"answer"])
        await far_writer.drain()
        assert await near.readuntil(b" ") == b"a "
        far_writer.close()
        assert await near.read() == b"long answer"
        await close(near_writer, far_writer)

    run_out(main())


def test_a_buffer_may_change_after_it_was_written(run_out, pair):
    async def main():
        _, near_writer, far, far_writer = await pair()
        piece = bytearray(b"first")
        near_writer.write(piece)
        near_writer.write(memoryview(piece)[1:3])
        await near_writer.drain()
        received = await far.readexactly(7)
        piece[:] = b"other"
        await close(near_writer, far_writer)
        return received

    assert run_out(main()) == b"firstir"


def test_many_small_exchanges(run_out, pair):
    async def answer(reader, writer):
        while line := await reader.readline():
            writer.write(b"%d:" % len(line) + line)
            await writer.drain()
        writer.close()

    async def main():
        near, near_writer, far, far_writer = await pair(64)
        answering = asyncio.ensure_future(answer(far, far_writer))
        for number in range(2000):
            near_writer.write(b"%d\n" % number)
            length = await near.readuntil(b":")
            line = await near.readexactly(int(length[:-1]))
            assert line == b"%d\n" % number
        near_writer.write_eof()
        await answering
        await close(near_writer, far_writer)

    run_out(main())


def test_over_tls_from_the_first_byte(run_out, streams, server_context, client_context):
    there, back = made_up(5), made_up(6)

    async def main():
        received = []

        async def connected(reader, writer):
            received.append(await reader.readexactly(SIZE))
            writer.write(back)
            await writer.drain()
            await close(writer)

        server = await streams.start_server(connected, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await streams.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context
        )
        assert writer._protocol._over_ssl is True
        assert not writer.can_write_eof()
        writer.write(there)
        await writer.drain()
        received.append(await reader.read())
        await close(writer)
        server.close()
        await server.wait_closed()
        return received

    assert run_out(main()) == [there, back]


def test_start_tls_with_bytes_in_the_reader(run_out, loop, streams, server_context, client_context):
    """Both ends say a word in the clear first, and one end has more of it than it has read."""

    async def main():
        seen, ready = [], asyncio.Event()

        async def connected(reader, writer):
            writer.write(b"hello\nleft over\n")
            seen.append(await reader.readline())
            ready.set()
            await writer.start_tls(server_context)
            seen.append(await reader.readline())
            writer.write(b"secret\n")
            await writer.drain()
            seen.append(await reader.read())
            await close(writer)

        server = await streams.start_server(connected, "127.0.0.1", 0)
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
        clear = writer.transport
        assert await reader.readline() == b"hello\n"
        while not reader._buffer:
            await asyncio.sleep(0)
        writer.write(b"begin\n")
        await ready.wait()
        await writer.start_tls(client_context, server_hostname="any")
        assert writer.transport is not clear
        assert writer._protocol._transport is writer.transport
        assert writer._protocol._over_ssl is True
        assert writer.get_extra_info("cipher")[0].startswith("AECDH")
        assert reader._buffer == b"left over\n"
        writer.write(b"private\n")
        seen += [await reader.readline(), await reader.readline()]
        await close(writer)
        server.close()
        await server.wait_closed()
        return sorted(seen)

    assert run_out(main()) == [b"", b"begin\n", b"left over\n", b"private\n", b"secret\n"]


def test_start_tls_drains_first_and_says_which_side_it_is(run_out, loop, streams):
    async def main():
        seen = []

        async def start_tls(transport, protocol, context, **options):
            seen.append((transport, protocol, context, options))
            return transport

        async def connected(reader, writer):
            await writer.start_tls("of the server")
            writer.close()

        loop.start_tls = start_tls
        server = await streams.start_server(connected, "127.0.0.1", 0)
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        await writer.start_tls("of the client", server_hostname="name", ssl_handshake_timeout=3)
        reader.set_exception(ConnectionError("broken"))
        try:
            await writer.start_tls("never")
        except ConnectionError as error:
            seen.append(str(error))
        assert seen[1][:2] == (writer.transport, writer._protocol)
        await close(writer)
        server.close()
        await server.wait_closed()
        return [(one[2], one[3]["server_side"], one[3]["server_hostname"]) for one in seen[:2]], (
            seen[1][3]["ssl_handshake_timeout"],
            seen[2:],
        )

    assert run_out(main()) == (
        [("of the server", True, None), ("of the client", False, "name")],
        (3, ["broken"]),
    )
