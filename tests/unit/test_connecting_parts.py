"""Connections made in one piece: what programs see of the parts that stock makes them of."""

import asyncio
import gc
import inspect
import os
import socket
import subprocess
import sys
import textwrap
import warnings

import pytest

Protocol = asyncio.Protocol


@pytest.fixture
def listener():
    """A listening TCP socket of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as sock:
        yield sock


@pytest.fixture
def unix_listener(tmp_path):
    """A listening Unix socket with a name."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "listener"))
        sock.listen(100)
        yield sock


def closed_at_once(loop, made):
    transport, _ = made
    transport.abort()
    loop.run_until_complete(asyncio.sleep(0))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_of_the_same_loop_is_connected_when_the_call_returns(loop, run, host):
    seen = []

    class Serving(Protocol):
        def connection_made(self, transport):
            seen.append(transport)

    async def main():
        async with await loop.create_server(Serving, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for number in range(1, 51):
                made = await loop.create_connection(Protocol, host, port, family=socket.AF_INET)
                assert len(seen) == number
                made[0].abort()
                seen[-1].abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    run(main())


def test_the_call_returns_before_the_first_data(loop, run):
    events = []

    class Greeting(Protocol):
        def connection_made(self, transport):
            transport.write(b"hello")
            transport.close()

    class Listening(Protocol):
        def __init__(self):
            self.lost = loop.create_future()

        def data_received(self, data):
            events.append(data)

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    async def main():
        async with await loop.create_server(Greeting, "127.0.0.1", 0) as server:
            for _ in range(50):
                address = server.sockets[0].getsockname()
                transport, protocol = await loop.create_connection(Listening, *address)
                events.append("returned")
                await protocol.lost
                transport.close()
        assert events == ["returned", b"hello"] * 50

    run(main())


PARTS = [
    "_ensure_resolved",
    "getaddrinfo",
    "_connect_sock",
    "sock_connect",
    "_create_connection_transport",
    "_make_socket_transport",
    "create_future",
]


def counting(original, calls):
    """A function that stands for a method of a loop, or for one bound to a loop."""

    def method(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    return method


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("place", ["subclass", "instance", "class"])
def test_replaced_parts_are_called(engine, listener, monkeypatch, part, place):
    loop = engine.new_loop()
    calls = []
    replace = counting(getattr(type(loop), part), calls)
    try:
        if place == "subclass":
            loop.close()
            loop = type("Sub", (type(loop),), {part: replace})()
        elif place == "instance":
            monkeypatch.setattr(loop, part, counting(getattr(loop, part), calls))
        else:
            monkeypatch.setattr(type(loop), part, replace)
        host = "localhost" if part == "getaddrinfo" else "127.0.0.1"
        connecting = loop.create_connection(
            Protocol, host, listener.getsockname()[1], family=socket.AF_INET
        )
        closed_at_once(loop, loop.run_until_complete(connecting))
        assert calls
        if getattr(loop, "_default_executor", None) is not None:
            loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        monkeypatch.undo()
        loop.close()


def test_a_replaced_socket_class_makes_the_sockets(loop, run, listener, unix_listener, monkeypatch):
    made = []

    class Recorded(socket.socket):
        def connect(self, address):
            made.append(address)
            return super().connect(address)

    monkeypatch.setattr(socket, "socket", Recorded)
    closed_at_once(loop, run(loop.create_connection(Protocol, *listener.getsockname())))
    name = unix_listener.getsockname()
    closed_at_once(loop, run(loop.create_unix_connection(Protocol, name)))
    assert made == [listener.getsockname(), name]


def test_a_patched_connect_method_may_forbid_it(loop, run, listener, monkeypatch):
    closed_at_once(loop, run(loop.create_connection(Protocol, *listener.getsockname())))

    def connect(self, address):
        raise PermissionError(f"no way to {address[0]}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(PermissionError, match="no way to 127"):
        run(loop.create_connection(Protocol, *listener.getsockname()))
    monkeypatch.undo()
    closed_at_once(loop, run(loop.create_connection(Protocol, *listener.getsockname())))


def test_an_audit_hook_sees_connections_and_can_forbid_them(run_python):
    result = run_python(
        """
        import socket, sys
        seen, forbidden = [], []
        def hook(event, args):
            if event == "socket.connect":
                assert type(args[0]) is socket.socket and args[0].fileno() >= 0
                seen.append((event, args[1]))
                if forbidden:
                    raise RuntimeError("forbidden")
            elif event == "socket.__new__" and args[1] == socket.AF_INET:
                seen.append(event)
        loop = new_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            sys.addaudithook(hook)
            async def main():
                transport, _ = await loop.create_connection(asyncio.Protocol, *address)
                assert transport.get_extra_info("peername") == address
                transport.abort()
                await asyncio.sleep(0)
                assert seen[0] == "socket.__new__", seen
                assert ("socket.connect", address) in seen
                forbidden.append(True)
                try:
                    await loop.create_connection(asyncio.Protocol, *address)
                except RuntimeError as exc:
                    print(exc)
            loop.run_until_complete(main())
        loop.close()
        """,
        "-W",
        "error",
    )
    assert (result.stdout, result.stderr) == ("forbidden\n", "")


def test_a_factory_that_fails_leaves_no_descriptor(loop, run, listener):
    def factory():
        raise LookupError("no protocol")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(LookupError, match="no protocol") as raised:
            run(loop.create_connection(factory, *listener.getsockname()))
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        with accepted:
            if sys.version_info < (3, 14):
                with pytest.raises(BlockingIOError):
                    accepted.recv(1)  # the exception's traceback still holds the socket
            del raised
            gc.collect()
            accepted.setblocking(True)
            assert accepted.recv(1) == b""
    unclosed = [str(warning.message)[:23] for warning in caught]
    assert unclosed == ["unclosed <socket.socket"] * (sys.version_info < (3, 14))


def test_a_failed_connection_leaves_nothing_to_the_collector(loop, run):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))

        async def main():
            try:
                await loop.create_connection(Protocol, *sock.getsockname())
            except ConnectionRefusedError as exc:
                return exc

        run(asyncio.sleep(0))
        gc.collect()
        gc.disable()
        try:
            exc = run(main())
            exc = exc.with_traceback(None)
            assert gc.get_referrers(exc) in ([], [main])
        finally:
            gc.enable()


def test_the_name_of_a_unix_peer(loop, run, unix_listener):
    made = run(loop.create_unix_connection(Protocol, unix_listener.getsockname()))
    assert made[0].get_extra_info("peername") == unix_listener.getsockname()
    assert made[0].get_extra_info("sockname") == ""
    assert made[0].get_extra_info("socket").getpeername() == unix_listener.getsockname()
    closed_at_once(loop, made)
    assert made[0].get_extra_info("peername") == unix_listener.getsockname()


@pytest.mark.parametrize("name", ["create_connection", "create_unix_connection"])
def test_they_look_as_on_stock(loop, name):
    method, stock = getattr(loop, name), getattr(asyncio.SelectorEventLoop, name)
    assert inspect.iscoroutinefunction(method)
    assert method.__qualname__ == stock.__qualname__
    found = [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]
    wanted = [(p.name, p.kind, p.default) for p in inspect.signature(stock).parameters.values()]
    assert found == wanted[1:]


@pytest.mark.parametrize("name", ["create_connection", "create_unix_connection"])
def test_what_replaces_them_in_asyncio_itself_is_called(
    loop, run, listener, unix_listener, monkeypatch, name
):
    calls = []
    method = counting(getattr(asyncio.SelectorEventLoop, name), calls)
    if name == "create_connection":
        base, address = asyncio.BaseEventLoop, listener.getsockname()
    else:
        base, address = asyncio.SelectorEventLoop, [unix_listener.getsockname()]
    monkeypatch.setattr(base, name, method)
    closed_at_once(loop, run(getattr(loop, name)(Protocol, *address)))
    assert len(calls) == 1
    monkeypatch.undo()
    closed_at_once(loop, run(getattr(loop, name)(Protocol, *address)))
    assert len(calls) == 1


def test_a_socket_class_that_was_replaced_early_guards_connections():
    program = """
    import asyncio, socket
    class Guarded(socket.socket):
        def __new__(cls, *args, **kwargs):
            if kwargs:
                raise PermissionError("no sockets")
            return super().__new__(cls, *args, **kwargs)
    stock, socket.socket = socket.socket, Guarded
    import ferrio
    loop = ferrio.new_event_loop()
    with stock() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        connecting = loop.create_connection(asyncio.Protocol, *listener.getsockname())
        try:
            loop.run_until_complete(connecting)
        except PermissionError as exc:
            print(exc)
    loop.close()
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=25,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path)),
    )
    assert (result.stdout, result.stderr) == ("no sockets\n", "")


def test_an_audit_hook_that_closes_the_socket_fails_the_attempt(run_python):
    result = run_python(
        """
        import socket, sys
        def hook(event, args):
            if event == "socket.connect":
                args[0].close()
        loop = new_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            connecting = loop.create_connection(asyncio.Protocol, *listener.getsockname())
            sys.addaudithook(hook)
            try:
                loop.run_until_complete(connecting)
            except OSError as exc:
                print(exc)
        loop.close()
        """,
        "-W",
        "error",
    )
    assert (result.stdout, result.stderr) == ("[Errno 9] Bad file descriptor\n", "")
