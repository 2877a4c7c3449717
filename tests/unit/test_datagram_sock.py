"""sock_recvfrom, sock_recvfrom_into and sock_sendto on datagram sockets."""

import asyncio
import socket

import pytest


@pytest.fixture
def sockets():
    """Two UDP sockets of 127.0.0.1 that do not block."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as left,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as right,
    ):
        for sock in (left, right):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        yield left, right


@pytest.mark.parametrize("waiting", [False, True])
def test_recvfrom_gives_data_and_address(loop, run, sockets, waiting):
    left, right = sockets

    async def main():
        if not waiting:
            right.sendto(b"hello", left.getsockname())
        receiving = loop.create_task(loop.sock_recvfrom(left, 100))
        await asyncio.sleep(0)
        if waiting:
            right.sendto(b"hello", left.getsockname())
        return await receiving

    assert run(main()) == (b"hello", right.getsockname())


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize(("nbytes", "expected"), [(0, b"hello..."), (3, b"hel.....")])
def test_recvfrom_into_fills_the_buffer(loop, run, sockets, waiting, nbytes, expected):
    left, right = sockets
    buffer = bytearray(b"." * 8)

    async def main():
        if not waiting:
            right.sendto(b"hello", left.getsockname())
        receiving = loop.create_task(loop.sock_recvfrom_into(left, buffer, nbytes))
        await asyncio.sleep(0)
        if waiting:
            right.sendto(b"hello", left.getsockname())
        return await receiving

    assert run(main()) == (nbytes or 5, right.getsockname())
    assert buffer == expected


def test_sendto_sends_datagrams_of_every_size(loop, run, sockets):
    left, right = sockets

    async def main():
        sizes = [await loop.sock_sendto(left, data, right.getsockname()) for data in pieces]
        return sizes, [await loop.sock_recv(right, 100_000) for _ in pieces]

    pieces = [b"", b"x", bytearray(b"array"), memoryview(b"view"), b"x" * 60_000]
    assert run(main()) == (list(map(len, pieces)), list(map(bytes, pieces)))


def test_sendto_waits_for_room(loop, run):
    near, far = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    with near, far:
        far.bind("")
        near.setblocking(False)
        far.setblocking(False)

        async def main():
            try:
                while True:
                    near.sendto(b"x" * 1000, far.getsockname())
            except BlockingIOError:
                pass
            sending = loop.create_task(loop.sock_sendto(near, b"last", far.getsockname()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not sending.done()
            while not sending.done():
                data = await loop.sock_recv(far, 2000)
                await asyncio.sleep(0)
            while data != b"last":
                data = await loop.sock_recv(far, 2000)
            return await sending

        assert run(main()) == 4


@pytest.mark.parametrize("method", ["sock_recvfrom", "sock_recvfrom_into"])
def test_a_cancelled_wait_watches_the_socket_no_more(loop, run, sockets, method):
    left, right = sockets

    async def main():
        argument = 100 if method == "sock_recvfrom" else bytearray(100)
        waiting = loop.create_task(getattr(loop, method)(left, argument))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert loop.remove_reader(left) is False
        right.sendto(b"next", left.getsockname())
        return await loop.sock_recvfrom(left, 100)

    assert run(main()) == (b"next", right.getsockname())


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("sock_recvfrom", ("text",)),
        ("sock_recvfrom", (-1,)),
        ("sock_recvfrom_into", (b"read-only",)),
        ("sock_recvfrom_into", (bytearray(2), 5)),
        ("sock_sendto", ("text", ("127.0.0.1", 9))),
        ("sock_sendto", (b"x", "address")),
        ("sock_sendto", (b"x", ("127.0.0.1", 70_000))),
        ("sock_sendto", (b"x" * 70_000, ("127.0.0.1", 9))),
        ("sock_sendto", (b"x", None)),
    ],
)
def test_wrong_arguments_raise_what_stock_raises(same_as_stock, sockets, method, arguments):
    def scenario(loop, _):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            sock.sendto(b"data", sock.getsockname())
            try:
                return loop.run_until_complete(getattr(loop, method)(sock, *arguments))
            except Exception as exc:
                return type(exc), str(exc)

    kind, (exception, _) = same_as_stock(scenario)
    assert kind == "returned"
    assert issubclass(exception, Exception)


@pytest.mark.parametrize("method", ["sock_recvfrom", "sock_recvfrom_into", "sock_sendto"])
def test_a_blocking_socket_raises_in_debug_mode(loop, run, sockets, method):
    left, right = sockets
    left.setblocking(True)
    arguments = {
        "sock_recvfrom": (10,),
        "sock_recvfrom_into": (bytearray(10),),
        "sock_sendto": (b"x", right.getsockname()),
    }
    loop.set_debug(True)
    loop.slow_callback_duration = 60
    with pytest.raises(ValueError, match="^the socket must be non-blocking$"):
        run(getattr(loop, method)(left, *arguments[method]))
