"""create_unix_server and create_unix_connection: names, stale sockets, clean-up, errors."""

import asyncio
import errno
import os
import pathlib
import socket
import stat
import sys
import uuid
import warnings

import pytest
from event_trace import shown

Protocol = asyncio.Protocol
IN_313 = sys.version_info >= (3, 13)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


@pytest.fixture
def exchange(loop, run):
    """Serve at the first name, connect to the second, and return what the client received."""

    async def main(at, to, kwargs):
        class Greeter(asyncio.Protocol):
            def connection_made(self, transport):
                transport.write(b"hello")
                transport.close()

        server = await loop.create_unix_server(Greeter, at, **kwargs)
        reader, writer = await asyncio.open_unix_connection(to)
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.sleep(0)
        return received

    def greet(at, to, **kwargs):
        return run(main(at, to, kwargs))

    return greet


def raised(loop, method, *args, **kwargs):
    """The type, errno and text of what the method of the loop raises."""

    async def main():
        return await getattr(loop, method)(Protocol, *args, **kwargs)

    try:
        transport = loop.run_until_complete(main())
    except Exception as exc:
        return type(exc), getattr(exc, "errno", None), shown(str(exc).replace("_Unix", ""))
    (transport[0] if isinstance(transport, tuple) else transport).close()
    return "returned"


@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path])
def test_names_of_every_kind(exchange, path, kind):
    assert exchange(kind(path), kind(path)) == b"hello"


@pytest.mark.parametrize("kind", [str, str.encode])
def test_abstract_names(exchange, kind):
    name = kind(f"\0ferrio test {uuid.uuid4()}")
    assert exchange(name, name) == b"hello"


def test_a_relative_name(exchange, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert exchange("socket", str(tmp_path / "socket")) == b"hello"


def test_extra_info_of_an_abstract_name(loop, run):
    name = f"\0ferrio test {uuid.uuid4()}"
    server = run(loop.create_unix_server(Protocol, name))
    assert server.sockets[0].getsockname() == name.encode()
    transport, _ = run(loop.create_unix_connection(Protocol, name))
    assert transport.get_extra_info("peername") == name.encode()
    assert transport.get_extra_info("sockname") == ""
    transport.abort()
    server.close()
    run(asyncio.sleep(0))
    run(asyncio.sleep(0))


def test_a_stale_socket_is_replaced(exchange, path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert exchange(path, path) == b"hello"


def test_a_file_in_the_way_raises_and_stays(same_as_stock, path):
    pathlib.Path(path).write_text("precious")

    def scenario(loop, _):
        return raised(loop, "create_unix_server", path)

    assert same_as_stock(scenario) == (
        "returned",
        (OSError, errno.EADDRINUSE, f"[Errno 98] Address {path!r} is already in use"),
    )
    assert pathlib.Path(path).read_text() == "precious"


def test_a_missing_folder_raises_what_stock_raises(same_as_stock, tmp_path):
    def scenario(loop, _):
        return [
            raised(loop, method, str(tmp_path / "missing" / "socket"))
            for method in ("create_unix_server", "create_unix_connection")
        ]

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert [exception for exception, *_ in found] == [FileNotFoundError] * 2


@pytest.mark.parametrize("name", ["x" * 200, "", b"", "\0" * 200, "nul\0inside"])
@pytest.mark.parametrize("method", ["create_unix_server", "create_unix_connection"])
def test_names_that_cannot_be_raise_what_stock_raises(same_as_stock, tmp_path, method, name):
    def scenario(loop, _):
        return raised(loop, method, name)

    with warnings.catch_warnings():
        # CPython: some of these leave the new socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        assert same_as_stock(scenario)[0] == "returned"


def test_a_socket_where_nobody_listens_refuses(same_as_stock, path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)

    def scenario(loop, _):
        return raised(loop, "create_unix_connection", path)

    kind, (exception, number, _) = same_as_stock(scenario)
    assert (kind, exception, number) == ("returned", ConnectionRefusedError, errno.ECONNREFUSED)


def wrong_arguments(path):
    """Names of methods, their wrong arguments; and the sockets these name."""
    unix, datagram = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    tcp = socket.socket()
    both = [
        ((), {}),
        ((path,), {"sock": unix}),
        ((), {"sock": tcp}),
        ((), {"sock": datagram}),
        ((path,), {"ssl_handshake_timeout": 1}),
        ((path,), {"ssl_shutdown_timeout": 1}),
        ((path,), {"unknown": 1}),
        ((5,), {}),
    ]
    calls = [("create_unix_server", *call) for call in both]
    calls += [("create_unix_connection", *call) for call in both]
    calls += [
        ("create_unix_server", (path,), {"ssl": True}),
        ("create_unix_connection", (path,), {"ssl": True}),
        ("create_unix_connection", (path,), {"server_hostname": "name"}),
    ]
    return (unix, datagram, tcp), calls


@pytest.mark.parametrize("number", range(19))
def test_wrong_arguments_raise_what_stock_raises(same_as_stock, path, number):
    def scenario(loop, _):
        sockets, calls = wrong_arguments(path)
        method, args, kwargs = calls[number]
        with sockets[0], sockets[1], sockets[2]:
            found = raised(loop, method, *args, **kwargs)
            assert all(sock.fileno() >= 0 for sock in sockets)
        return found

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert found[0] in {ValueError, TypeError}


@pytest.mark.parametrize("kind", ["path", "sock"])
def test_closing_the_server_removes_its_name_from_313_on(loop, run, path, kind):
    if kind == "path":
        server = run(loop.create_unix_server(Protocol, path))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        server = run(loop.create_unix_server(Protocol, sock=sock))
    assert os.path.exists(path)
    server.close()
    assert os.path.exists(path) is not IN_313


@pytest.mark.skipif(not IN_313, reason="new in Python 3.13")
@pytest.mark.parametrize("cleanup_socket", [True, False])
def test_cleanup_socket(loop, run, path, cleanup_socket):
    server = run(loop.create_unix_server(Protocol, path, cleanup_socket=cleanup_socket))
    server.close()
    assert os.path.exists(path) is not cleanup_socket


def test_a_name_that_another_server_took_over_stays(loop, run, path):
    first = run(loop.create_unix_server(Protocol, path))
    second = run(loop.create_unix_server(Protocol, path))
    inode = os.stat(path).st_ino
    first.close()
    assert os.stat(path).st_ino == inode
    second.close()
    assert os.path.exists(path) is not IN_313


def test_a_name_that_was_removed_before_does_not_disturb_the_close(loop, run, path, caplog):
    server = run(loop.create_unix_server(Protocol, path))
    os.unlink(path)
    server.close()
    assert caplog.records == []


def test_a_name_that_cannot_be_removed_is_logged(same_as_stock, path, monkeypatch, caplog):
    real_unlink = os.unlink

    def unlink(name, **kwargs):
        if name == path:
            raise PermissionError(errno.EPERM, "not allowed", name)
        real_unlink(name, **kwargs)

    def scenario(loop, _):
        server = loop.run_until_complete(loop.create_unix_server(Protocol, path))
        monkeypatch.setattr(os, "unlink", unlink)
        server.close()
        monkeypatch.undo()
        texts = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return texts

    kind, texts = same_as_stock(scenario)
    assert kind == "returned"
    text = f"Unable to clean up listening UNIX socket {path!r}: PermissionError(1, 'not allowed')"
    assert texts == ([text] if IN_313 else [])


def test_a_unix_connection_over_a_given_socket(loop, run):
    near, far = socket.socketpair()
    with far:
        transport, protocol = run(loop.create_unix_connection(Protocol, sock=near))
        assert isinstance(protocol, Protocol)
        transport.write(b"hello")
        assert far.recv(10) == b"hello"
        transport.close()
        run(asyncio.sleep(0))
    assert near.fileno() == -1


def test_a_full_queue_of_connections_does_what_stock_does(same_as_stock, path):
    # CPython: connect() of a Unix socket gives EAGAIN then, and sock_connect waits for the writer.
    def scenario(loop, _):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(0)
            os.chmod(path, 0o600)
            clients = []

            async def main():
                endings = []
                for _ in range(4):
                    connecting = loop.create_task(loop.create_unix_connection(Protocol, path))
                    for _ in range(6):
                        await asyncio.sleep(0)
                    endings.append(connecting.done() and connecting.exception() is None)
                    if connecting.done():
                        if connecting.exception() is None:
                            clients.append(connecting.result()[0])
                        else:
                            endings[-1] = shown(str(connecting.exception()))
                    else:
                        connecting.cancel()
                        await asyncio.wait([connecting])
                for client in clients:
                    client.abort()
                await asyncio.sleep(0)
                return endings

            found = loop.run_until_complete(main())
        os.unlink(path)
        return found

    kind, endings = same_as_stock(scenario)
    assert kind == "returned"
    assert endings[0] is True
