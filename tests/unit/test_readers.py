"""add_reader, add_writer and their removals, on real sockets and pipes."""

import asyncio
import contextlib
import errno
import os
import socket
import tempfile

import pytest


@pytest.fixture
def pair():
    """Two connected non-blocking sockets."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def fill(write):
    """Write until there is no room."""
    with contextlib.suppress(BlockingIOError):
        while True:
            write()


def test_a_reader_is_called_when_there_is_something_to_read(loop, pair):
    left, right = pair
    seen = []

    def readable(*args):
        seen.append((args, left.recv(100)))
        loop.stop()

    assert loop.add_reader(left, readable, 1, "two") is None
    right.send(b"hello")
    loop.run_forever()
    assert seen == [((1, "two"), b"hello")]
    assert loop.remove_reader(left) is True


def test_a_reader_is_not_called_without_reason(loop, pair, turns):
    left, _ = pair
    seen = []
    loop.add_reader(left, seen.append, 1)
    turns(5)
    assert seen == []
    loop.remove_reader(left)


def test_a_reader_is_called_again_until_all_is_read(loop, pair):
    left, right = pair
    seen = []

    def readable():
        seen.append(left.recv(1))
        if len(seen) == 5:
            loop.stop()

    loop.add_reader(left, readable)
    right.send(b"12345")
    loop.run_forever()
    assert b"".join(seen) == b"12345"
    loop.remove_reader(left)


def test_a_writer_is_called_while_there_is_room(loop, pair):
    left, _ = pair
    count = 0

    def writable():
        nonlocal count
        count += 1
        if count == 3:
            loop.stop()

    assert loop.add_writer(left, writable) is None
    loop.run_forever()
    assert count == 3
    assert loop.remove_writer(left) is True


def test_a_writer_waits_for_room(loop, pair):
    left, right = pair
    fill(lambda: left.send(b"x" * 65536))
    seen = []
    loop.add_writer(left, lambda: (seen.append("writable"), loop.stop()))
    loop.stop()
    loop.run_forever()
    assert seen == []

    def drain():
        try:
            while right.recv(65536):
                pass
        except BlockingIOError:
            pass

    loop.call_soon(drain)
    loop.run_forever()
    assert seen == ["writable"]
    loop.remove_writer(left)


def test_reader_and_writer_on_one_fd_are_both_called(loop, pair):
    left, right = pair
    seen = []
    loop.add_reader(left, lambda: (seen.append("read"), loop.remove_reader(left)))
    loop.add_writer(left, lambda: (seen.append("write"), loop.remove_writer(left)))
    right.send(b"x")
    loop.stop()
    loop.run_forever()
    loop.stop()
    loop.run_forever()
    assert seen == ["read", "write"]


@pytest.mark.parametrize("first_removed", ["reader", "writer"])
def test_removing_one_side_keeps_the_other(loop, pair, first_removed):
    left, right = pair
    seen = []
    loop.add_reader(left, lambda: (seen.append("reader"), loop.stop()))
    loop.add_writer(left, lambda: (seen.append("writer"), loop.stop()))
    right.send(b"x")
    getattr(loop, f"remove_{first_removed}")(left)
    loop.run_forever()
    assert seen == ["writer" if first_removed == "reader" else "reader"]
    loop.remove_reader(left)
    loop.remove_writer(left)


def test_a_second_reader_replaces_the_first(loop, pair):
    left, right = pair
    seen = []
    loop.add_reader(left, seen.append, "first")
    loop.add_reader(left, lambda: (seen.append("second"), loop.stop()))
    right.send(b"x")
    loop.run_forever()
    assert seen == ["second"]
    assert loop.remove_reader(left) is True
    assert loop.remove_reader(left) is False


def test_a_second_writer_replaces_the_first(loop, pair):
    left, _ = pair
    seen = []
    loop.add_writer(left, seen.append, "first")
    loop.add_writer(left, lambda: (seen.append("second"), loop.stop()))
    loop.run_forever()
    assert seen == ["second"]
    loop.remove_writer(left)


def test_removal_says_whether_something_was_removed(loop, pair):
    left, _ = pair
    assert loop.remove_reader(left) is False
    assert loop.remove_writer(left) is False
    loop.add_reader(left, print)
    assert loop.remove_writer(left) is False
    assert loop.remove_reader(left) is True
    assert loop.remove_reader(left) is False


def test_numbers_and_objects_with_fileno_mean_the_same_descriptor(loop, pair):
    left, right = pair
    seen = []

    class WithFileno:
        def fileno(self):
            return left.fileno()

    loop.add_reader(WithFileno(), seen.append, "object")
    loop.add_reader(left.fileno(), lambda: (seen.append("number"), loop.stop()))
    right.send(b"x")
    loop.run_forever()
    assert seen == ["number"]
    assert loop.remove_reader(left) is True


def test_pipes_work_too(loop):
    reading, writing = os.pipe()
    seen = []
    loop.add_reader(reading, lambda: (seen.append(os.read(reading, 10)), loop.stop()))
    loop.add_writer(writing, lambda: (os.write(writing, b"pipe"), loop.remove_writer(writing)))
    loop.run_forever()
    assert seen == [b"pipe"]
    loop.remove_reader(reading)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("close", ["peer closed", "shut down"])
def test_the_end_of_the_other_side_is_readable(loop, pair, close):
    left, right = pair
    seen = []
    loop.add_reader(left, lambda: (seen.append(left.recv(10)), loop.stop()))
    right.close() if close == "peer closed" else right.shutdown(socket.SHUT_WR)
    loop.run_forever()
    assert seen == [b""]
    loop.remove_reader(left)


def test_a_broken_pipe_calls_the_writer(loop):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fill(lambda: os.write(writing, b"x" * 65536))
    seen = []
    loop.add_writer(writing, lambda: (seen.append("writer"), loop.stop()))
    os.close(reading)
    loop.run_forever()
    assert seen == ["writer"]
    loop.remove_writer(writing)
    os.close(writing)


BAD_FDS = {
    "negative": -1,
    "very negative": -(2**40),
    "closed": 10**6,
    "too large": 2**40,
    "huge": 2**100,
    "text": "1",
    "none": None,
    "float": 1.5,
    "object": object(),
    "fileno of text": type("F", (), {"fileno": lambda self: "x"})(),
    "fileno negative": type("F", (), {"fileno": lambda self: -1})(),
}


@pytest.mark.parametrize("method", ["add_reader", "add_writer", "remove_reader", "remove_writer"])
@pytest.mark.parametrize("fd", BAD_FDS.values(), ids=BAD_FDS)
def test_a_bad_descriptor_has_the_outcome_of_stock(same_as_stock, method, fd):
    args = (print,) if method.startswith("add") else ()
    same_as_stock(lambda loop, engine: getattr(loop, method)(fd, *args))


@pytest.mark.parametrize("named_by", ["object", "number"])
def test_a_closed_object_is_removed_when_it_was_what_was_added(same_as_stock, named_by):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        with right:
            loop.add_reader(left if named_by == "object" else left.fileno(), print)
            left.close()
            return loop.remove_reader(left), loop.remove_writer(right)

    same_as_stock(scenario)


def test_an_object_that_was_removed_is_not_found_again_when_closed(same_as_stock):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        with right:
            loop.add_reader(left, print)
            loop.add_writer(left, print)
            loop.remove_reader(left)
            loop.remove_writer(left)
            left.close()
            return loop.remove_reader(left)

    assert same_as_stock(scenario)[0] == "raised"


def test_the_error_of_a_bad_descriptor_has_its_number(loop):
    with tempfile.TemporaryFile() as file, pytest.raises(PermissionError) as caught:
        loop.add_reader(file, print)
    assert caught.value.errno == errno.EPERM
    with pytest.raises(OSError, match="^\\[Errno 9\\] Bad file descriptor$") as caught:
        loop.add_writer(10**6, print)
    assert caught.value.errno == errno.EBADF


def test_a_regular_file_is_refused_as_on_stock(same_as_stock):
    with tempfile.TemporaryFile() as file:
        outcome = same_as_stock(lambda loop, engine: loop.add_reader(file, print))
        assert outcome[:2] == ("raised", PermissionError)
        same_as_stock(lambda loop, engine: loop.add_writer(file.fileno(), print))
        same_as_stock(lambda loop, engine: loop.remove_reader(file))


def test_a_descriptor_of_a_transport_is_refused_as_on_stock(same_as_stock):
    def scenario(loop, engine):
        left, right = socket.socketpair()

        async def main():
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=left)
            number = left.fileno()
            try:
                loop.add_reader(number, print)
            except RuntimeError as exc:
                return str(exc).replace(str(number), "NUMBER")
            finally:
                transport.close()
                await asyncio.sleep(0)

        with right:
            return loop.run_until_complete(main())

    assert same_as_stock(scenario)[1].startswith("File descriptor NUMBER is used by transport ")


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_missing_arguments_are_refused(loop, pair, method):
    with pytest.raises(TypeError):
        getattr(loop, method)(pair[0])
    with pytest.raises(TypeError):
        getattr(loop, method)()
