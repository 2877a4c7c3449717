"""sock_connect and sock_accept: addresses, results, errors, and whose sockets they close."""

import asyncio
import contextlib
import gc
import itertools
import socket

import pytest


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def fresh(family=socket.AF_INET):
    sock = socket.socket(family)
    sock.setblocking(False)
    return sock


@pytest.fixture
def refused():
    """An address where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_connecting_and_accepting(loop, run, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener, fresh(family) as client:
        listener.setblocking(False)
        address = (host, listener.getsockname()[1])

        async def main():
            connected, accepted = await asyncio.gather(
                loop.sock_connect(client, address), loop.sock_accept(listener)
            )
            assert connected is None
            return accepted

        server, peer = run(main())
        with server:
            assert peer == client.getsockname() == server.getpeername()
            run(loop.sock_sendall(client, b"hello"))
            assert run(loop.sock_recv(server, 10)) == b"hello"


@pytest.mark.parametrize("default_timeout", [None, 0.0, 5.0])
def test_an_accepted_socket_is_made_as_accept_makes_it(same_as_stock, default_timeout):
    def scenario(loop, engine):
        with socket.create_server(("127.0.0.1", 0)) as listener, fresh() as client:
            listener.setblocking(False)
            socket.setdefaulttimeout(default_timeout)
            try:
                client.connect_ex(listener.getsockname())
                server, _ = loop.run_until_complete(loop.sock_accept(listener))
            finally:
                socket.setdefaulttimeout(None)
            with server:
                return (
                    type(server),
                    server.gettimeout(),
                    server.getblocking(),
                    server.family,
                    server.type,
                    server.proto,
                    server.get_inheritable(),
                    server._closed,
                    server._io_refs,
                )

    _kind, facts = same_as_stock(scenario)
    assert facts[:3] == (socket.socket, 0.0, False)


@pytest.mark.parametrize("name", [None, "path", "long path"])
def test_the_address_of_a_unix_client(same_as_stock, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    numbers = itertools.count()

    def scenario(loop, engine):
        with fresh(socket.AF_UNIX) as listener, fresh(socket.AF_UNIX) as client:
            number = next(numbers)
            listener.bind(f"server-{number}")
            listener.listen()
            if name is not None:
                # The longest that the interpreter takes.
                client.bind(f"{number}" * (1 if name == "path" else 107))
            loop.run_until_complete(loop.sock_connect(client, f"server-{number}"))
            server, peer = loop.run_until_complete(loop.sock_accept(listener))
            with server:
                return peer == server.getpeername()

    assert same_as_stock(scenario) == ("returned", True)


def test_several_clients_are_accepted_in_order(loop, run, listener):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(fresh()) for _ in range(3)]
        for client in clients:
            client.connect_ex(listener.getsockname())
        for client in clients:
            server, peer = run(loop.sock_accept(listener))
            stack.enter_context(server)
            assert peer == client.getsockname()


def test_a_refused_connection_names_the_address(same_as_stock, refused):
    def scenario(loop, engine):
        seen = []
        for address in (refused, (refused[0], str(refused[1])), ("localhost", refused[1])):
            with fresh() as sock:
                try:
                    loop.run_until_complete(loop.sock_connect(sock, address))
                except OSError as exc:
                    seen.append((type(exc), exc.errno, str(exc)))
        return seen

    _kind, seen = same_as_stock(scenario)
    assert (
        seen
        == [
            (ConnectionRefusedError, 111, f"[Errno 111] Connect call failed {refused}"),
        ]
        * 3
    )


def test_a_refused_ipv6_connection_names_the_whole_address(same_as_stock):
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        port = taken.getsockname()[1]

        def scenario(loop, engine):
            seen = []
            for address in (("::1", port), ("::1", port, 0), ("::1", port, 0, 0)):
                with fresh(socket.AF_INET6) as sock:
                    try:
                        loop.run_until_complete(loop.sock_connect(sock, address))
                    except OSError as exc:
                        seen.append((type(exc), str(exc)))
            return seen

        _kind, seen = same_as_stock(scenario)
    text = f"[Errno 111] Connect call failed ('::1', {port}, 0, 0)"
    assert seen == [(ConnectionRefusedError, text)] * 3


def test_unix_connections_that_fail(same_as_stock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbers = itertools.count()

    def scenario(loop, engine):
        seen = []
        with fresh(socket.AF_UNIX) as dead:
            name = f"dead-{next(numbers)}"
            dead.bind(name)
            for address in ("nowhere", name, b"nowhere", 5, None, "x" * 200):
                with fresh(socket.AF_UNIX) as sock:
                    try:
                        loop.run_until_complete(loop.sock_connect(sock, address))
                    except (OSError, TypeError) as exc:
                        seen.append((type(exc), str(exc).replace(name, "dead")))
        return seen

    assert len(same_as_stock(scenario)[1]) == 6


ADDRESSES = {
    "text": "127.0.0.1",
    "short": ("127.0.0.1",),
    "empty": (),
    "long": ("127.0.0.1", 1, 2, 3),
    "very long": ("127.0.0.1", 1, 2, 3, 4, 5),
    "list": ["127.0.0.1", 1],
    "none": None,
    "no host": (None, 1),
    "no port": ("127.0.0.1", None),
    "port as bytes": ("127.0.0.1", b"1"),
    "port too large": ("127.0.0.1", 1 << 20),
    "negative port": ("127.0.0.1", -1),
    "zone": ("127.0.0.1%lo", 1),
    "host as bytes": (b"127.0.0.1", 1),
    "IPv6 host": ("::1", 1),
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_odd_addresses(same_as_stock, kind):
    def scenario(loop, engine):
        with fresh() as sock:
            loop.run_until_complete(loop.sock_connect(sock, ADDRESSES[kind]))

    assert same_as_stock(scenario)[0] == "raised"


def test_connecting_closed_and_connected_sockets(same_as_stock, listener):
    def scenario(loop, engine):
        seen = []
        closed = fresh()
        closed.close()
        with fresh() as connected:
            connected.connect_ex(listener.getsockname())
            for sock in (closed, connected):
                try:
                    loop.run_until_complete(loop.sock_connect(sock, listener.getsockname()))
                    seen.append("connected")
                except OSError as exc:
                    seen.append((type(exc), str(exc)))
        return seen

    same_as_stock(scenario)


def test_accepting_on_sockets_that_cannot(same_as_stock):
    def scenario(loop, engine):
        seen = []
        closed = fresh()
        closed.close()
        with fresh() as idle, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.setblocking(False)
            for sock in (closed, idle, datagrams):
                try:
                    loop.run_until_complete(loop.sock_accept(sock))
                except OSError as exc:
                    seen.append((type(exc), exc.errno, str(exc)))
        return seen

    assert len(same_as_stock(scenario)[1]) == 3


def test_a_datagram_socket_is_connected(loop, run):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            here.setblocking(False)
            run(loop.sock_connect(here, there.getsockname()))
            assert here.getpeername() == there.getsockname()


def test_a_cancelled_connection_leaves_the_socket_open_and_unwatched(loop, run, silent_address):
    with fresh() as sock:

        async def main():
            task = loop.create_task(loop.sock_connect(sock, silent_address))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(main())
        assert sock.fileno() >= 0
        assert loop.remove_writer(sock) is False


def test_a_cancelled_accept_takes_no_connection(loop, run, listener):
    async def main():
        task = loop.create_task(loop.sock_accept(listener))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.remove_reader(listener) is False

    run(main())
    with fresh() as client:
        client.connect_ex(listener.getsockname())
        server, peer = run(loop.sock_accept(listener))
        with server:
            assert peer == client.getsockname()


def test_an_accepted_socket_is_closed_once_when_nobody_takes_it(loop, run, listener):
    with fresh() as client:
        client.connect_ex(listener.getsockname())

        def accept_and_forget():
            run(loop.sock_accept(listener))
            gc.collect()

        with pytest.warns(ResourceWarning, match="unclosed <socket.socket"):
            accept_and_forget()
        client.setblocking(True)
        client.settimeout(5)
        assert client.recv(1) == b""
