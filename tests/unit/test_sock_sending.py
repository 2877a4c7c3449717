"""sock_sendall and sock_sendto: partial sends, kinds of data, addresses, errors."""

import array
import asyncio
import contextlib
import ctypes
import mmap
import os
import socket

import pytest


@pytest.fixture
def pair():
    """Two connected sockets that do not block and buffer little."""
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with left, right:
        yield left, right


async def receive_all(loop, sock, number):
    received = bytearray()
    while len(received) < number:
        data = await loop.sock_recv(sock, 1 << 16)
        assert data
        received += data
    return bytes(received)


BIG = bytes(range(256)) * 2000
KINDS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "memoryview of a bytearray": lambda data: memoryview(bytearray(data)),
    "a part": lambda data: memoryview(b"(" + data + b")")[1:-1],
    "array of bytes": lambda data: array.array("B", data),
    "ctypes": lambda data: (ctypes.c_char * len(data)).from_buffer_copy(data),
    "subclass of bytes": lambda data: type("Data", (bytes,), {})(data),
}


@pytest.mark.parametrize("data", [b"", b"small", BIG], ids=["empty", "small", "big"])
@pytest.mark.parametrize("kind", KINDS)
def test_all_data_arrives_in_order(loop, run, pair, kind, data):
    left, right = pair

    async def main():
        received, sent = await asyncio.gather(
            receive_all(loop, right, len(data)), loop.sock_sendall(left, KINDS[kind](data))
        )
        assert sent is None
        return received

    assert run(main()) == data


def test_an_mmap_is_sent(loop, run, pair):
    left, right = pair
    with mmap.mmap(-1, 100) as memory:
        memory[:5] = b"hello"
        run(loop.sock_sendall(left, memory))
        assert run(loop.sock_recv(right, 200)) == b"hello" + bytes(95)


ODD = {
    "array of ints": lambda: array.array("i", range(8)),
    "many ints": lambda: array.array("i", range(40_000)),
    "no bytes": lambda: memoryview(b"").cast("B"),
    "two dimensions": lambda: memoryview(bytes(8)).cast("B", (2, 4)),
    "not contiguous": lambda: memoryview(bytes(8))[::2],
    "released": lambda: released_view(),
    "text": lambda: "text",
    "none": lambda: None,
    "number": lambda: 5,
}


def released_view():
    view = memoryview(b"data")
    view.release()
    return view


@pytest.mark.parametrize("kind", ODD)
def test_odd_data_fails_as_on_stock(same_as_stock, kind):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)

            async def main():
                # What is not a number of bytes makes stock wait for more to send for ever.
                task = loop.create_task(loop.sock_sendall(left, ODD[kind]()))
                for _ in range(8):
                    await asyncio.sleep(0)
                if not task.done():
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                    return "it waits"
                return task.result()

            return loop.run_until_complete(main())

    same_as_stock(scenario)


@pytest.mark.parametrize("data", [b"", b"hello", BIG], ids=["empty", "small", "big"])
def test_errors_are_those_of_the_socket(same_as_stock, data):
    def scenario(loop, engine):
        seen = []
        closed = socket.socket()
        closed.setblocking(False)
        closed.close()
        left, right = socket.socketpair()
        left.setblocking(False)
        right.close()
        with left, socket.socket() as unconnected:
            unconnected.setblocking(False)
            for sock in (closed, left, unconnected):
                try:
                    seen.append(loop.run_until_complete(loop.sock_sendall(sock, data)))
                except OSError as exc:
                    seen.append((type(exc), exc.errno, str(exc), exc.args))
        return seen

    assert len(same_as_stock(scenario)[1]) == 3


def test_a_peer_that_goes_while_data_waits(same_trace):
    async def scenario(trace):
        left, right = socket.socketpair()
        left.setblocking(False)
        with left:
            task = trace.loop.create_task(trace.loop.sock_sendall(left, bytes(1 << 22)))
            await trace.turns(3)
            trace.note("done", task.done())
            right.close()
            try:
                await task
            except OSError as exc:
                trace.note("raised", exc, exc.errno)

    trace = same_trace(scenario)
    assert trace[0] == ["done", False]
    assert trace[1][0] == "raised"


def test_a_bytearray_cannot_be_resized_while_it_is_sent(loop, run, pair):
    left, right = pair
    data = bytearray(BIG)

    async def main():
        task = loop.create_task(loop.sock_sendall(left, data))
        await asyncio.sleep(0)
        with pytest.raises(BufferError):
            data.clear()
        received = await receive_all(loop, right, len(BIG))
        await task
        data.clear()
        return received

    assert run(main()) == BIG


def test_data_is_released_when_all_is_sent_or_the_call_is_cancelled(loop, run, pair):
    left, right = pair
    sent, cancelled = bytearray(BIG), bytearray(BIG)

    async def main():
        tasks = [loop.create_task(loop.sock_sendall(left, sent))]
        await receive_all(loop, right, len(sent))
        await tasks[0]
        tasks.append(loop.create_task(loop.sock_sendall(left, cancelled)))
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait(tasks)
        sent.clear()
        cancelled.clear()

    run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_datagram_is_sent_to_an_address(loop, run, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.socket(family, socket.SOCK_DGRAM) as here,
        socket.socket(family, socket.SOCK_DGRAM) as there,
    ):
        here.setblocking(False)
        there.bind((host, 0))
        assert run(loop.sock_sendto(here, b"hello", there.getsockname())) == 5
        assert run(loop.sock_sendto(here, bytearray(), there.getsockname())) == 0
        assert there.recv(100) == b"hello"
        assert there.recv(100) == b""


def test_unix_addresses(loop, run, tmp_path):
    kind = socket.AF_UNIX, socket.SOCK_DGRAM
    for name in (
        str(tmp_path / "name"),
        os.fsencode(tmp_path / "other"),
        b"\0abstract-%d" % id(loop),
    ):
        with socket.socket(*kind) as here, socket.socket(*kind) as there:
            here.setblocking(False)
            there.bind(name)
            assert run(loop.sock_sendto(here, b"hello", name)) == 5
            assert there.recv(100) == b"hello"


def test_a_datagram_waits_for_room(loop, run, tmp_path):
    kind = socket.AF_UNIX, socket.SOCK_DGRAM
    name = str(tmp_path / "name")
    with socket.socket(*kind) as here, socket.socket(*kind) as there:
        here.setblocking(False)
        there.bind(name)
        there.setblocking(False)

        async def main():
            sent = 0
            # A queue of Unix datagrams holds a fixed number: the kernel refuses the next one.
            while True:
                task = loop.create_task(loop.sock_sendto(here, b"%d" % sent, name))
                await asyncio.sleep(0)
                if not task.done():
                    break
                sent += await task
            received = 0
            while not task.done():
                received += len(there.recv(100))
                await asyncio.sleep(0)
            return received > 0, await task == len(b"%d" % sent) or task.result()

        received, _ = run(main())
        assert received


ADDRESSES = {
    "no tuple": "127.0.0.1",
    "short": ("127.0.0.1",),
    "long": ("127.0.0.1", 1, 2, 3, 4),
    "port is text": ("127.0.0.1", "1"),
    "port too large": ("127.0.0.1", 70000),
    "none": None,
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_bad_addresses(same_as_stock, kind):
    def scenario(loop, engine):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            return loop.run_until_complete(loop.sock_sendto(sock, b"data", ADDRESSES[kind]))

    assert same_as_stock(scenario)[0] == "raised"


def test_a_stream_socket_ignores_or_refuses_an_address(same_as_stock, tcp_pair):
    near, far = tcp_pair()

    def scenario(loop, engine):
        return loop.run_until_complete(loop.sock_sendto(near, b"data", far.getsockname()))

    same_as_stock(scenario)


def test_audit_hooks_see_a_datagram_and_an_attempt_to_connect_and_may_forbid_them(run_python):
    program = """
        import socket, sys

        def hook(event, arguments):
            if event in ("socket.sendto", "socket.connect"):
                print(event, type(arguments[0]).__name__, arguments[1][0])
                if arguments[1][0] == "127.0.0.2":
                    raise RuntimeError("forbidden")

        loop = new_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            sys.addaudithook(hook)
            print(loop.run_until_complete(loop.sock_sendto(sock, b"data", sock.getsockname())))
            for call in (loop.sock_sendto(sock, b"data", ("127.0.0.2", 9)),
                         loop.sock_connect(sock, ("127.0.0.2", 9))):
                try:
                    loop.run_until_complete(call)
                except RuntimeError as exc:
                    print(exc)
            print(sock.recv(10))
        loop.close()
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "socket.sendto socket 127.0.0.1",
        "4",
        "socket.sendto socket 127.0.0.2",
        "forbidden",
        "socket.connect socket 127.0.0.2",
        "forbidden",
        "b'data'",
    ]
