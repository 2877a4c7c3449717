"""loop.sendfile and loop.sock_sendfile: native, fallback, what is refused, positions."""

import asyncio
import io
import os
import socket
import sys

import pytest
from event_trace import shown

DATA = b"".join(b"%08d" % number for number in range(50_000))  # 400 kB


@pytest.fixture
def file(tmp_path):
    """An open file of 400 kB."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as opened:
        yield opened


@pytest.fixture
def sockets():
    """Two connected sockets that do not block."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


async def read(loop, far, size):
    """Read that much, or to the end."""
    received = bytearray()
    while len(received) < size:
        data = await loop.sock_recv(far, 1 << 20)
        if not data:
            break
        received += data
    return bytes(received)


RANGES = [(0, None), (0, 10), (100, None), (100, 200_000), (399_990, 50), (400_000, None)]


@pytest.mark.parametrize(("offset", "count"), RANGES)
def test_sock_sendfile(loop, run, file, sockets, offset, count):
    near, far = sockets
    expected = DATA[offset:][:count]

    async def main():
        reading = loop.create_task(read(loop, far, len(expected)))
        sent = await loop.sock_sendfile(near, file, offset, count)
        return sent, await reading

    assert run(main()) == (len(expected), expected)
    # Since 3.14 the file's position is set also when there was nothing to send.
    moved = expected or sys.version_info >= (3, 14)
    assert file.tell() == (offset + len(expected) if moved else 0)


@pytest.mark.parametrize(("offset", "count"), RANGES)
def test_sendfile_over_a_transport(loop, run, file, sockets, offset, count):
    near, far = sockets
    expected = b"before " + DATA[offset:][:count] + b" after"

    async def main():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        reading = loop.create_task(read(loop, far, len(expected)))
        transport.write(b"before ")
        sent = await loop.sendfile(transport, file, offset, count)
        transport.write(b" after")
        received = await reading
        transport.close()
        await asyncio.sleep(0)
        return sent, received

    assert run(main()) == (len(expected) - 13, expected)


def test_sendfile_waits_for_what_is_buffered(loop, run, file, sockets):
    near, far = sockets

    async def main():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        transport.write(b"x" * 1_000_000)
        sending = loop.create_task(loop.sendfile(transport, file, 0, 10))
        await asyncio.sleep(0)
        assert transport.is_reading() is False
        received = await read(loop, far, 1_000_010)
        assert await sending == 10
        assert transport.is_reading() is True
        transport.close()
        await asyncio.sleep(0)
        return received

    assert run(main()) == b"x" * 1_000_000 + DATA[:10]


def test_writing_while_a_file_is_sent_raises(loop, run, file, sockets):
    near, far = sockets
    texts = []

    async def main():
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        sending = loop.create_task(loop.sendfile(transport, file))
        await asyncio.sleep(0)
        for method, argument in (("write", b"x"), ("writelines", [b"x"])):
            with pytest.raises(RuntimeError) as caught:
                getattr(transport, method)(argument)
            texts.append(str(caught.value))
        received = await read(loop, far, len(DATA))
        await sending
        transport.write(b"works again")
        again = await read(loop, far, 11)
        transport.close()
        await asyncio.sleep(0)
        return received == DATA, again

    assert run(main()) == (True, b"works again")
    assert texts[0] == "unable to write; sendfile is in progress"
    assert texts[1].endswith("; sendfile is in progress")


def test_what_arrives_while_a_file_is_sent_is_kept(loop, run, file, sockets):
    near, far = sockets
    received = loop.create_future()

    class Protocol(asyncio.Protocol):
        def data_received(self, data):
            received.set_result(data)

    async def main():
        transport, _ = await loop.create_connection(Protocol, sock=near)
        sending = loop.create_task(loop.sendfile(transport, file))
        far.send(b"question")
        for _ in range(5):
            await asyncio.sleep(0)
        assert not received.done()
        await read(loop, far, len(DATA))
        await sending
        data = await received
        transport.close()
        await asyncio.sleep(0)
        return data

    assert run(main()) == b"question"


@pytest.mark.parametrize("method", ["sendfile", "sock_sendfile"])
@pytest.mark.parametrize("fallback", [True, False])
def test_an_object_without_a_descriptor(same_as_stock, method, fallback):
    def scenario(loop, _):
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)

        async def main():
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
            file = io.BytesIO(DATA)
            target = transport
            if method == "sock_sendfile":
                near2, far2 = socket.socketpair()
                near2.setblocking(False)
                far2.setblocking(False)
                target = near2
            reader = loop.create_task(
                read(loop, far2 if method == "sock_sendfile" else far, len(DATA) - 5)
            )
            try:
                sent = await getattr(loop, method)(target, file, 5, fallback=fallback)
                return sent, await reader == DATA[5:], file.tell()
            except Exception as exc:
                reader.cancel()
                return type(exc), str(exc), file.tell()
            finally:
                transport.abort()
                if method == "sock_sendfile":
                    near2.close()
                    far2.close()
                await asyncio.sleep(0)

        with far:
            return loop.run_until_complete(main())

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    if fallback:
        assert found == (len(DATA) - 5, True, len(DATA))
    else:
        assert found == (asyncio.SendfileNotAvailableError, "not a regular file", 0)


@pytest.mark.parametrize("source", ["pipe", "socket", "device", "empty"])
@pytest.mark.parametrize("fallback", [True, False])
def test_files_that_are_not_regular(same_as_stock, tmp_path, source, fallback):
    def scenario(loop, _):
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        extra, fd = None, -1
        if source == "pipe":
            fd, extra = os.pipe()
            os.write(extra, b"through a pipe")
            os.close(extra)
        elif source == "socket":
            left, right = socket.socketpair()
            right.send(b"through a socket")
            right.close()
            fd = left.detach()
        elif source == "device":
            fd = os.open("/dev/null", os.O_RDONLY)
        else:
            (tmp_path / "empty").write_bytes(b"")
            fd = os.open(tmp_path / "empty", os.O_RDONLY)

        async def main():
            with near, far, open(fd, "rb", 0) as file:
                try:
                    sent = await loop.sock_sendfile(near, file, fallback=fallback)
                except Exception as exc:
                    return type(exc), str(exc)
                return sent, far.recv(100) if sent else b""

        return loop.run_until_complete(main())

    assert same_as_stock(scenario)[0] == "returned"


WRONG = [
    {"offset": -1},
    {"offset": "0"},
    {"offset": 1.5},
    {"count": 0},
    {"count": -1},
    {"count": "5"},
    {"count": 1.5},
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_numbers_raise_what_stock_raises(same_as_stock, file, number):
    def scenario(loop, _):
        near, far = socket.socketpair()
        near.setblocking(False)
        with near, far:
            sending = loop.sock_sendfile(near, file, **WRONG[number])
            try:
                loop.run_until_complete(sending)
            except (ValueError, TypeError) as exc:
                return type(exc), str(exc)

    kind, (_, text) = same_as_stock(scenario)
    assert kind == "returned"
    assert " must be a " in text


@pytest.mark.parametrize("case", ["text mode", "datagram", "blocking"])
def test_wrong_files_and_sockets_raise_what_stock_raises(same_as_stock, tmp_path, case):
    def scenario(loop, _):
        type_ = socket.SOCK_DGRAM if case == "datagram" else socket.SOCK_STREAM
        near, far = socket.socketpair(socket.AF_UNIX, type_)
        near.setblocking(False)
        loop.set_debug(case == "blocking")
        loop.slow_callback_duration = 60
        path = tmp_path / "file"
        path.write_text("content")
        if case == "blocking":
            near.setblocking(True)
        mode = "r" if case == "text mode" else "rb"
        with near, far, open(path, mode) as file:
            try:
                return loop.run_until_complete(loop.sock_sendfile(near, file))
            except ValueError as exc:
                return str(exc)

    assert same_as_stock(scenario) == (
        "returned",
        {
            "text mode": "file should be opened in binary mode",
            "datagram": "only SOCK_STREAM type sockets are supported",
            "blocking": "the socket must be non-blocking",
        }[case],
    )


@pytest.mark.parametrize("case", ["closing", "datagram", "pipe"])
def test_transports_that_refuse_files(same_as_stock, file, case):
    def scenario(loop, _):
        near, far = socket.socketpair()

        async def main():
            if case == "closing":
                transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
                transport.close()
            elif case == "datagram":
                transport, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
                )
            else:
                transport, _ = await loop.connect_write_pipe(asyncio.Protocol, near)
            try:
                await loop.sendfile(transport, file)
            except Exception as exc:
                return type(exc), shown(str(exc))
            finally:
                transport.abort()
                await asyncio.sleep(0)

        with near, far:
            return loop.run_until_complete(main())

    kind, (exception, _) = same_as_stock(scenario)
    assert kind == "returned"
    # CPython: a datagram transport does not say no, and fails later.
    assert exception in {RuntimeError, ValueError}


def test_a_peer_that_leaves_while_a_file_is_sent(loop, run, file, sockets):
    near, far = sockets
    lost = loop.create_future()

    class Protocol(asyncio.Protocol):
        def connection_lost(self, exc):
            lost.set_result(exc)

    async def main():
        transport, _ = await loop.create_connection(Protocol, sock=near)
        sending = loop.create_task(loop.sendfile(transport, file))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        far.close()
        with pytest.raises(ConnectionError):
            await sending
        transport.abort()
        await lost
        return transport.is_closing(), 0 < file.tell() < len(DATA)

    assert run(main()) == (True, True)


def test_a_cancelled_sock_sendfile_watches_the_socket_no_more(loop, run, file, sockets):
    near, far = sockets

    async def main():
        sending = loop.create_task(loop.sock_sendfile(near, file))
        for _ in range(3):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()
        assert loop.remove_writer(near) is False
        near.close()
        return await read(loop, far, len(DATA))

    received = run(main())
    assert 0 < len(received) < len(DATA)
    assert received == DATA[: len(received)]


def test_the_fallback_over_a_transport_pauses_reading_and_restores(loop, run, sockets):
    near, far = sockets

    async def main():
        transport, protocol = await loop.create_connection(asyncio.Protocol, sock=near)
        sending = loop.create_task(loop.sendfile(transport, io.BytesIO(DATA)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert transport.is_reading() is False
        assert transport.get_protocol() is not protocol
        received = await read(loop, far, len(DATA))
        assert await sending == len(DATA)
        assert transport.is_reading() is True
        assert transport.get_protocol() is protocol
        transport.close()
        await asyncio.sleep(0)
        return received == DATA

    assert run(main())
