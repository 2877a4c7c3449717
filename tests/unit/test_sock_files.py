"""sock_sendfile: ranges, the file's own position, what cannot be sent natively, errors."""

import asyncio
import errno
import io
import os
import socket
from unittest import mock

import pytest

CONTENT = bytes(range(256)) * 3000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        yield file


@pytest.fixture
def pair():
    """Two connected sockets that do not block and buffer little."""
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    with left, right:
        yield left, right


async def transfer(loop, pair, file, number, *arguments, **keywords):
    """What sock_sendfile returned, and what arrived."""
    left, right = pair

    async def receive():
        received = bytearray()
        while len(received) < number:
            received += await loop.sock_recv(right, 1 << 16)
        return bytes(received)

    return await asyncio.gather(loop.sock_sendfile(left, file, *arguments, **keywords), receive())


RANGES = [
    (0, None),
    (1000, None),
    (0, 1000),
    (0, len(CONTENT)),
    (0, len(CONTENT) + 1000),
    (len(CONTENT) - 10, 10),
    (len(CONTENT) - 10, 20),
    (5, 300_000),
]


@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize(("offset", "count"), RANGES)
def test_a_part_of_a_file_arrives(same_as_stock, pair, file, offset, count, fallback):
    end = len(CONTENT) if count is None else min(offset + count, len(CONTENT))

    def scenario(loop, engine):
        file.seek(0)
        sending = transfer(loop, pair, file, end - offset, offset, count, fallback=fallback)
        sent, received = loop.run_until_complete(sending)
        assert received == CONTENT[offset:end]
        assert loop.remove_writer(pair[0]) is False
        return sent, file.tell()

    assert same_as_stock(scenario) == ("returned", (end - offset, end))


@pytest.mark.parametrize(("offset", "count"), [(len(CONTENT), None), (len(CONTENT) + 5, 10)])
def test_nothing_is_left_to_send(same_as_stock, pair, file, offset, count):
    def scenario(loop, engine):
        file.seek(7)
        sent = loop.run_until_complete(loop.sock_sendfile(pair[0], file, offset, count))
        return sent, file.tell()

    same_as_stock(scenario)


def test_an_empty_file(same_as_stock, pair, tmp_path):
    def scenario(loop, engine):
        with (tmp_path / "empty").open("wb+") as file:
            return loop.run_until_complete(loop.sock_sendfile(pair[0], file))

    assert same_as_stock(scenario) == ("returned", 0)


@pytest.mark.parametrize("count", [None, 1000])
def test_what_is_no_file_is_read_and_sent(same_as_stock, pair, count):
    def scenario(loop, engine):
        file = io.BytesIO(CONTENT)
        number = count or len(CONTENT)
        sent, received = loop.run_until_complete(transfer(loop, pair, file, number, 0, count))
        assert received == CONTENT[:number]
        return sent, file.tell()

    same_as_stock(scenario)


class WithoutNumber(io.BytesIO):
    """Has no usable fileno()."""

    def __init__(self, answer):
        super().__init__(b"content")
        self.answer = answer

    def fileno(self):
        if isinstance(self.answer, type):
            raise self.answer("no number")
        return self.answer


@pytest.mark.parametrize(
    "answer", [AttributeError, io.UnsupportedOperation, ValueError, -1, 10_000]
)
def test_files_without_a_usable_number(same_as_stock, pair, answer):
    def scenario(loop, engine):
        file = WithoutNumber(answer)
        loop.run_until_complete(loop.sock_sendfile(pair[0], file, fallback=False))

    assert same_as_stock(scenario)[0] == "raised"


def test_a_system_without_sendfile(same_as_stock, pair, file):
    def scenario(loop, engine):
        with mock.patch("asyncio.unix_events.os", spec=["fstat", "lseek"]):
            loop.run_until_complete(loop.sock_sendfile(pair[0], file, fallback=False))

    _kind, error, text = same_as_stock(scenario)
    assert (error, text) == (asyncio.SendfileNotAvailableError, "os.sendfile() is not available")


ERRORS = {
    "at first": [OSError(errno.EINVAL, "not that one")],
    "not connected at first": [OSError(errno.ENOTCONN, "gone")],
    "later": [10, OSError(errno.EINVAL, "not that one")],
    "not connected later": [10, OSError(errno.ENOTCONN, "gone")],
    "connection error later": [10, ConnectionError(errno.ENOTCONN, "gone")],
    "would block, then fails": [BlockingIOError(errno.EAGAIN, "wait"), OSError(errno.EIO, "disk")],
    "no OSError": [10, RuntimeError("odd")],
    "would block, then sends": [10, BlockingIOError(errno.EAGAIN, "wait"), 20, 0],
    "interrupted, then sends": [InterruptedError(errno.EINTR, "again"), 20, 0],
}


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_of_sendfile(same_trace, file, kind):
    async def scenario(trace):
        left, right = socket.socketpair()
        left.setblocking(False)
        file.seek(3)
        results = iter(ERRORS[kind])

        def sendfile(out_fd, in_fd, offset, count):
            trace.note("asked", offset, count)
            result = next(results)
            if isinstance(result, Exception):
                raise result
            return result

        with left, right, mock.patch("os.sendfile", sendfile):
            try:
                trace.note(
                    "sent", await trace.loop.sock_sendfile(left, file, 0, 100, fallback=False)
                )
            except Exception as exc:
                trace.note("raised", exc, exc.__cause__)
            trace.note("position", os.lseek(file.fileno(), 0, os.SEEK_CUR))
            trace.note("watched", trace.loop.remove_writer(left))

    same_trace(scenario)


def test_a_peer_that_goes_away(loop, run, pair, file):
    left, right = pair

    async def main():
        task = loop.create_task(loop.sock_sendfile(left, file))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
        right.close()
        with pytest.raises(ConnectionError):
            await task
        assert loop.remove_writer(left) is False

    run(main())


def test_a_cancelled_transfer_stops(loop, run, pair, file):
    left, _ = pair

    async def main():
        task = loop.create_task(loop.sock_sendfile(left, file))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.remove_writer(left) is False

    run(main())


BAD = {
    "text file": lambda path: (path.open("r"), 0, None),
    "count zero": lambda path: (path.open("rb"), 0, 0),
    "count negative": lambda path: (path.open("rb"), 0, -1),
    "count no number": lambda path: (path.open("rb"), 0, 1.5),
    "offset negative": lambda path: (path.open("rb"), -1, None),
    "offset no number": lambda path: (path.open("rb"), "0", None),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_arguments(same_as_stock, pair, tmp_path, kind):
    path = tmp_path / "file"
    path.write_bytes(b"content")

    def scenario(loop, engine):
        file, offset, count = BAD[kind](path)
        with file:
            loop.run_until_complete(loop.sock_sendfile(pair[0], file, offset, count))

    assert same_as_stock(scenario)[0] == "raised"


def test_a_datagram_socket_is_refused(same_as_stock, file):
    def scenario(loop, engine):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            loop.run_until_complete(loop.sock_sendfile(sock, file))

    assert same_as_stock(scenario)[1] is ValueError
