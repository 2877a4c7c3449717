"""add_reader and its relatives on descriptors that a transport owns; _ensure_fd_no_transport."""

import asyncio
import os
import socket

import pytest

METHODS = {
    "add_reader": (print,),
    "add_writer": (print,),
    "remove_reader": (),
    "remove_writer": (),
    "_ensure_fd_no_transport": (),
}


class Named:
    """An object with a number."""

    def __init__(self, answer):
        self.answer = answer

    def fileno(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def __repr__(self):
        return f"<named {self.answer!r}>"


@pytest.fixture
def owned(loop, run):
    """A transport with its descriptor, closed at the end."""
    near, far = socket.socketpair()
    with far:
        transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
        yield transport, near
        transport.abort()
        run(asyncio.sleep(0))


@pytest.mark.parametrize("form", ["number", "socket", "named"])
@pytest.mark.parametrize("method", METHODS)
def test_the_descriptor_of_a_transport_is_refused(loop, run, owned, method, form):
    transport, sock = owned
    fd = sock.fileno()
    file = {"number": fd, "socket": sock, "named": Named(fd)}[form]
    with pytest.raises(RuntimeError) as caught:
        getattr(loop, method)(file, *METHODS[method])
    assert str(caught.value) == f"File descriptor {file!r} is used by transport {transport!r}"


@pytest.mark.parametrize("method", METHODS)
def test_that_of_a_closing_transport_is_not(loop, run, owned, method):
    transport, sock = owned
    transport.close()
    assert not getattr(loop, method)(sock.fileno(), *METHODS[method])
    loop.remove_reader(sock)
    loop.remove_writer(sock)
    run(asyncio.sleep(0))


FILES = {
    "closed socket": lambda: closed(),
    "no file": lambda: object(),
    "text": lambda: "3",
    "float": lambda: 1.0,
    "negative": lambda: -1,
    "huge": lambda: 1 << 80,
    "large": lambda: 1 << 31,
    "true": lambda: True,
    "fileno is text": lambda: Named("3x"),
    "fileno is a digit": lambda: Named("1000000"),
    "fileno is none": lambda: Named(None),
    "fileno is negative": lambda: Named(-5),
    "fileno raises ValueError": lambda: Named(ValueError("broken")),
    "fileno raises OSError": lambda: Named(OSError(5, "broken")),
}


def closed():
    sock = socket.socket()
    sock.close()
    return sock


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("method", METHODS)
def test_odd_files(same_as_stock, method, kind):
    if method.startswith("add") and kind == "true":
        pytest.skip("would watch the test's own output")

    def scenario(loop, engine):
        return getattr(loop, method)(FILES[kind](), *METHODS[method])

    same_as_stock(scenario)


@pytest.mark.parametrize("alive", [True, False])
def test_a_transport_of_somebody_else_counts_while_it_lives(same_as_stock, alive):
    class Transport:
        def is_closing(self):
            return False

        def __repr__(self):
            return "<their transport>"

    def scenario(loop, engine):
        read, write = os.pipe()
        transport = Transport()
        try:
            loop._transports[read] = transport
            if not alive:
                del transport
            loop.add_reader(read, print)
            return loop.remove_reader(read)
        except RuntimeError as exc:
            return str(exc).replace(str(read), "N")
        finally:
            os.close(read)
            os.close(write)

    refused = "File descriptor N is used by transport <their transport>"
    assert same_as_stock(scenario) == ("returned", refused if alive else True)


def test_arguments_by_name(loop, run):
    read, write = os.pipe()
    seen = []
    try:
        loop.add_reader(fd=read, callback=seen.append)
        assert loop.remove_reader(fd=read) is True
        loop.add_reader(read, callback=lambda: (seen.append(os.read(read, 1)), loop.stop()))
        os.write(write, b"x")
        loop.run_forever()
        assert seen == [b"x"]
        assert loop.remove_reader(read) is True
    finally:
        os.close(read)
        os.close(write)


def test_nothing_is_returned_and_arguments_are_passed_on(loop):
    read, write = os.pipe()
    seen = []
    try:
        assert (
            loop.add_writer(write, lambda *args: (seen.append(args), loop.stop()), 1, "two") is None
        )
        loop.run_forever()
        assert seen == [(1, "two")]
        assert loop.remove_writer(write) is True
        assert loop.remove_writer(write) is False
    finally:
        os.close(read)
        os.close(write)
