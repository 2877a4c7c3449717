"""sock_recv, sock_recv_into, sock_recvfrom, sock_recvfrom_into: sizes, buffers, errors."""

import array
import asyncio
import contextlib
import itertools
import mmap
import socket

import pytest

PAIRS = {
    "unix stream": (socket.AF_UNIX, socket.SOCK_STREAM),
    "unix datagrams": (socket.AF_UNIX, socket.SOCK_DGRAM),
    "unix packets": (socket.AF_UNIX, socket.SOCK_SEQPACKET),
}


@pytest.fixture
def pair():
    """Two connected sockets that do not block."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def bound_datagrams(host):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, 0))
    return sock


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("kind", PAIRS)
def test_what_is_there_or_comes_later_is_received(loop, run, kind, early):
    left, right = socket.socketpair(*PAIRS[kind])
    with left, right:
        left.setblocking(False)
        if early:
            right.send(b"hello")
        else:
            loop.call_soon(loop.call_soon, right.send, b"hello")
        assert run(loop.sock_recv(left, 100)) == b"hello"


@pytest.mark.parametrize("size", [1, 100, 5000, 65536, 1 << 20, 1 << 31])
def test_no_more_than_asked_for_is_received(loop, run, pair, size):
    left, right = pair
    sent = bytes(range(256)) * 8
    right.send(sent)
    assert run(loop.sock_recv(left, size)) == sent[:size]


def test_received_bytes_do_not_share_memory(loop, run, pair):
    left, right = pair
    received = []
    for content in (b"a" * 40_000, b"b" * 10, b"c" * 60_000, b"d" * 33_000, b"e"):
        right.send(content)
        received.append(run(loop.sock_recv(left, 65536)))
    assert [(data[:1], set(data[1:]) <= set(data[:1]), len(data)) for data in received] == [
        (b"a", True, 40_000),
        (b"b", True, 10),
        (b"c", True, 60_000),
        (b"d", True, 33_000),
        (b"e", True, 1),
    ]


def test_the_end_of_a_stream_is_empty_bytes(loop, run, pair):
    left, right = pair
    right.close()
    assert run(loop.sock_recv(left, 10)) == b""
    assert run(loop.sock_recv_into(left, bytearray(3))) == 0


@pytest.mark.parametrize("size", [0, -1, 1 << 63, 1 << 62, True, 2.0, "3", None])
@pytest.mark.parametrize("method", ["sock_recv", "sock_recvfrom"])
def test_odd_sizes(same_as_stock, pair, method, size):
    left, right = pair

    def scenario(loop, engine):
        right.send(b"data")
        try:
            return loop.run_until_complete(getattr(loop, method)(left, size))
        finally:
            left.recv(10) if size != 1 else left.recv(3)

    same_as_stock(scenario)


BUFFERS = {
    "bytearray": lambda: bytearray(8),
    "empty": lambda: bytearray(),
    "memoryview": lambda: memoryview(bytearray(8)),
    "a part": lambda: memoryview(bytearray(8))[2:5],
    "not contiguous": lambda: memoryview(bytearray(8))[::2],
    "array of ints": lambda: array.array("i", range(4)),
    "two dimensions": lambda: memoryview(bytearray(8)).cast("B", (2, 4)),
    "mmap": lambda: mmap.mmap(-1, 16),
    "bytes": lambda: b"12345678",
    "read-only": lambda: memoryview(b"12345678"),
    "no buffer": lambda: "12345678",
}


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("kind", BUFFERS)
def test_receiving_into_buffers(same_as_stock, pair, kind, early):
    left, right = pair

    def scenario(loop, engine):
        buffer = BUFFERS[kind]()
        if early:
            right.send(b"hello")
        else:
            loop.call_soon(loop.call_soon, right.send, b"hello")
        try:
            count = loop.run_until_complete(loop.sock_recv_into(left, buffer))
            return count, bytes(buffer)
        finally:
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(asyncio.sleep(0))
            left.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                left.recv(100)

    same_as_stock(scenario)


@pytest.mark.parametrize("count", [0, 3, 8, 9, -1, None])
def test_receiving_a_number_of_bytes_into_a_buffer(same_as_stock, count):
    def scenario(loop, engine):
        with bound_datagrams("127.0.0.1") as here, bound_datagrams("127.0.0.1") as there:
            buffer = bytearray(8)
            there.sendto(b"hello", here.getsockname())
            arguments = () if count is None else (count,)
            received = loop.run_until_complete(loop.sock_recvfrom_into(here, buffer, *arguments))
            return received[0], received[1] == there.getsockname(), bytes(buffer)

    same_as_stock(scenario)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_datagram_comes_with_its_sender(loop, run, host, early):
    with bound_datagrams(host) as here, bound_datagrams(host) as there:
        for _ in range(2):
            if early:
                there.sendto(b"hello", here.getsockname())
            else:
                loop.call_soon(loop.call_soon, there.sendto, b"hello", here.getsockname())
            assert run(loop.sock_recvfrom(here, 100)) == (b"hello", there.getsockname())


@pytest.mark.parametrize("name", [None, "", "path", "long path"])
def test_the_sender_of_a_unix_datagram(same_as_stock, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbers = itertools.count()

    def scenario(loop, engine):
        number = next(numbers)
        kind = socket.AF_UNIX, socket.SOCK_DGRAM
        with socket.socket(*kind) as here, socket.socket(*kind) as there:
            here.setblocking(False)
            here.bind(f"here-{number}")
            if name is not None:
                # An empty name has the kernel choose an abstract one.
                there.bind({"": "", "path": f"{number}", "long path": f"{number}" * 107}[name])
            there.sendto(b"hello", here.getsockname())
            data, sender = loop.run_until_complete(loop.sock_recvfrom(here, 100))
            return data, sender == there.getsockname() or (sender, there.getsockname())

    same_as_stock(scenario)


def test_an_empty_datagram_is_received(loop, run):
    with bound_datagrams("127.0.0.1") as here, bound_datagrams("127.0.0.1") as there:
        there.sendto(b"", here.getsockname())
        assert run(loop.sock_recvfrom(here, 100)) == (b"", there.getsockname())


def test_a_stream_has_no_sender(same_as_stock, pair, tcp_pair):
    streams = [pair, tcp_pair()]

    def scenario(loop, engine):
        received = []
        for left, right in streams:
            right.send(b"twice")
            received.append(loop.run_until_complete(loop.sock_recvfrom(left, 2)))
            into = loop.sock_recvfrom_into(left, bytearray(10))
            received.append(loop.run_until_complete(into))
        return received

    same_as_stock(scenario)


METHODS = {
    "sock_recv": (10,),
    "sock_recv_into": (bytearray(10),),
    "sock_recvfrom": (10,),
    "sock_recvfrom_into": (bytearray(10),),
}


@pytest.mark.parametrize("method", METHODS)
def test_errors_are_those_of_the_socket(same_as_stock, method):
    def scenario(loop, engine):
        seen = []
        closed = socket.socket()
        closed.setblocking(False)
        closed.close()
        detached = socket.socket()
        detached.setblocking(False)
        number = detached.detach()
        with socket.socket(fileno=number) as unconnected:
            unconnected.setblocking(False)
            for sock in (closed, detached, unconnected):
                try:
                    loop.run_until_complete(getattr(loop, method)(sock, *METHODS[method]))
                except OSError as exc:
                    seen.append((type(exc), exc.errno, str(exc), exc.args))
        return seen

    assert len(same_as_stock(scenario)[1]) == 3


@pytest.mark.parametrize("method", METHODS)
def test_an_error_that_comes_while_waiting(same_as_stock, method):
    def scenario(loop, engine):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            with near:
                near.setblocking(False)
                far, _ = listener.accept()

                def reset():
                    linger = b"\1\0\0\0\0\0\0\0"
                    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    far.close()

                loop.call_soon(loop.call_soon, reset)
                loop.run_until_complete(getattr(loop, method)(near, *METHODS[method]))

    kind, error, _ = same_as_stock(scenario)
    assert (kind, error) == ("raised", ConnectionResetError)


def test_a_socket_closed_while_its_event_is_queued_says_so(same_as_stock):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        left.setblocking(False)

        async def main():
            task = loop.create_task(loop.sock_recv(left, 10))
            await asyncio.sleep(0)

            def close_first():
                # Called in the turn in which the event is found, and before it is handled.
                left.close()

            right.send(b"late")
            loop.call_soon(close_first)
            with right:
                return await task

        return loop.run_until_complete(main())

    kind, error, text = same_as_stock(scenario)
    assert (kind, error, text) == ("raised", OSError, "[Errno 9] Bad file descriptor")


def test_a_buffer_can_be_resized_while_the_call_waits(loop, run, pair):
    left, right = pair
    buffer = bytearray(2)

    async def main():
        task = loop.create_task(loop.sock_recv_into(left, buffer))
        await asyncio.sleep(0)
        buffer.extend(b"more")
        right.send(b"hello")
        return await task

    assert run(main()) == 5
    assert buffer == b"helloe"
