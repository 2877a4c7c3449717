"""create_server: hosts, ports, families, socket options, and the errors of wrong arguments."""

import asyncio
import errno
import gc
import socket
import sys
import warnings

import pytest
from descriptors import open_descriptors
from event_trace import shown

Protocol = asyncio.Protocol


@pytest.fixture
def serve(loop, run):
    """Make a server with these arguments; return its sockets. It is closed at the end."""
    servers = []

    def start(*args, **kwargs):
        servers.append(run(loop.create_server(Protocol, *args, **kwargs)))
        return servers[-1].sockets

    yield start
    for server in servers:
        server.close()
    run(asyncio.sleep(0))


@pytest.fixture
def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")


def addresses(sockets):
    """The hosts that the sockets listen on, sorted."""
    return sorted(sock.getsockname()[0] for sock in sockets)


def raised(loop, *args, **kwargs):
    """The type, errno and text of what create_server raises; no descriptor may be left."""
    before = open_descriptors()

    async def main():  # a wrong keyword raises when the method is called
        return await loop.create_server(Protocol, *args, **kwargs)

    try:
        return "returned", loop.run_until_complete(main())
    except Exception as exc:
        error = type(exc), getattr(exc, "errno", None), shown(str(exc).replace("Base", ""))
    gc.collect()  # CPython: after a wrong backlog the sockets are garbage
    assert open_descriptors() == before
    return error


def test_one_host_and_a_free_port(serve):
    (sock,) = serve("127.0.0.1", 0)
    host, port = sock.getsockname()
    assert host == "127.0.0.1"
    assert port > 0
    assert sock.family == socket.AF_INET
    assert sock.type == socket.SOCK_STREAM
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
    socket.create_connection((host, port)).close()


def test_a_port_as_text(serve):
    (sock,) = serve("127.0.0.1", "0")
    assert sock.getsockname()[0] == "127.0.0.1"


def test_several_hosts_with_port_zero_get_a_port_each(serve):
    sockets = serve(["127.0.0.1", "127.0.0.2", "127.0.0.3"], 0)
    assert addresses(sockets) == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    for sock in sockets:
        socket.create_connection(sock.getsockname()).close()


def test_several_hosts_with_one_port_share_it(serve):
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sockets = serve(("127.0.0.1", "127.0.0.2"), port)
    assert {sock.getsockname()[1] for sock in sockets} == {port}


@pytest.mark.parametrize("kind", [list, tuple, set, iter, dict.fromkeys])
def test_hosts_may_be_any_iterable_and_repeat(serve, kind):
    sockets = serve(kind(["127.0.0.1", "127.0.0.2", "127.0.0.1"]), 0)
    assert addresses(sockets) == ["127.0.0.1", "127.0.0.2"]


def test_ipv4_and_ipv6_together(serve, has_ipv6):
    sockets = serve(["127.0.0.1", "::1"], 0)
    assert addresses(sockets) == ["127.0.0.1", "::1"]
    for sock in sockets:
        if sock.family == socket.AF_INET6:
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
            assert len(sock.getsockname()) == 4


@pytest.mark.parametrize("host", [None, "", [None], [""]])
@pytest.mark.parametrize("family", [socket.AF_UNSPEC, socket.AF_INET])
def test_no_host_means_all_interfaces(same_as_stock, host, family):
    def scenario(loop, _):
        server = loop.run_until_complete(loop.create_server(Protocol, host, 0, family=family))
        found = addresses(server.sockets)
        server.close()
        return found

    kind, found, *_ = same_as_stock(scenario)
    if kind == "returned":
        assert "0.0.0.0" in found
        assert family == socket.AF_UNSPEC or found == ["0.0.0.0"]


def test_family_selects_addresses(serve, has_ipv6):
    (sock,) = serve("::1", 0, family=socket.AF_INET6)
    assert sock.family == socket.AF_INET6
    (sock,) = serve("localhost", 0, family=socket.AF_INET)
    assert sock.getsockname()[0] == "127.0.0.1"


def test_names_go_through_socket_getaddrinfo(serve, monkeypatch):
    asked = []

    def getaddrinfo(*args, **kwargs):
        asked.append((*args, *kwargs.values()))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.4", 0))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    (sock,) = serve("some name", 0)
    assert sock.getsockname()[0] == "127.0.0.4"
    kind = (socket.AF_UNSPEC, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    assert asked == [("some name", 0, *kind)]


def test_reuse_port_lets_two_servers_share_a_port(serve):
    (first,) = serve("127.0.0.1", 0, reuse_port=True)
    assert first.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
    (second,) = serve(*first.getsockname(), reuse_port=True)
    assert second.getsockname() == first.getsockname()


def test_reuse_address_false_is_honoured(serve):
    (sock,) = serve("127.0.0.1", 0, reuse_address=False)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in Python 3.13")
def test_keep_alive_is_set_on_the_listening_socket(serve):
    (sock,) = serve("127.0.0.1", 0, keep_alive=True)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_a_port_in_use_raises_with_the_address(same_as_stock):
    def scenario(loop, _):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = taken.getsockname()
            exception, number, text = raised(loop, *address)
            return exception, number, text.replace(str(address[1]), "PORT")

    kind, (exception, number, text) = same_as_stock(scenario)
    assert (kind, exception, number) == ("returned", OSError, errno.EADDRINUSE)
    assert "error while attempting to bind on address ('127.0.0.1', PORT): " in text


def test_one_host_that_fails_closes_the_sockets_of_the_others(same_as_stock):
    def scenario(loop, _):
        with socket.create_server(("127.0.0.5", 0)) as taken:
            hosts = [f"127.0.0.{number}" for number in range(1, 9)]
            exception, number, _ = raised(loop, hosts, taken.getsockname()[1])
            return exception, number

    assert same_as_stock(scenario) == ("returned", (OSError, errno.EADDRINUSE))


@pytest.mark.parametrize(
    "hosts", [["198.51.100.1"], ["127.0.0.1", "198.51.100.1"], ["198.51.100.1", "203.0.113.1"]]
)
def test_an_address_of_another_machine_does_what_stock_does(same_as_stock, hosts):
    # 3.13 passes over addresses that this machine does not have, older versions raise.
    def scenario(loop, _):
        found = raised(loop, hosts, 0)
        if found[0] == "returned":
            server = found[1]
            found = addresses(server.sockets)
            server.close()
        else:
            found = found[0], found[1]
        return found

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    if sys.version_info >= (3, 13) and "127.0.0.1" in hosts:
        assert found == ["127.0.0.1"]
    else:
        assert found[0] is OSError


def wrong_arguments():
    """Calls of create_server that raise; and the sockets they name."""
    tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return (tcp, udp), [
        ((), {}),
        (("127.0.0.1", 0), {"sock": tcp}),
        ((None, 0), {"sock": tcp}),
        ((), {"sock": udp}),
        (("127.0.0.1", 0), {"ssl": True}),
        (("127.0.0.1", 0), {"ssl": False}),
        (("127.0.0.1", 0), {"ssl_handshake_timeout": 1}),
        (("127.0.0.1", 0), {"ssl_shutdown_timeout": 1}),
        (("127.0.0.1", "no such service"), {}),
        (("127.0.0.1", 0), {"family": socket.AF_INET6}),
        (("127.0.0.1", 70000), {}),
        (("127.0.0.1", -1), {}),
        ((5, 0), {}),
        (([5], 0), {}),
        (("127.0.0.1", 0), {"unknown": 1}),
        (("127.0.0.1", 0), {"backlog": "many"}),
        (([], 0), {}),
        ((b"127.0.0.1", 0), {}),
    ]


@pytest.mark.parametrize("number", range(18))
def test_wrong_arguments_raise_what_stock_raises(same_as_stock, number):
    def scenario(loop, _):
        sockets, calls = wrong_arguments()
        args, kwargs = calls[number]
        with sockets[0], sockets[1]:
            found = raised(loop, *args, **kwargs)
            assert sockets[0].fileno() >= 0
            assert sockets[1].fileno() >= 0
        if found[0] == "returned":
            found[1].close()
            return "returned", found[1].sockets
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert found[0] == "returned" or issubclass(found[0], Exception)


def test_the_backlog_is_given_to_listen_and_bounds_the_accepts_of_a_turn(same_as_stock):
    def scenario(loop, _):
        made = []

        class Counting(asyncio.Protocol):
            def connection_made(self, transport):
                made.append(transport)

        async def main():
            server = await loop.create_server(Counting, "127.0.0.1", 0, backlog=3)
            clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(3)]
            counts = []
            while len(made) < 3:
                await asyncio.sleep(0)
                counts.append(len(made))
            for client in clients:
                client.close()
            for transport in made:
                transport.abort()
            server.close()
            await asyncio.sleep(0)
            return counts[-1]

        return loop.run_until_complete(main())

    assert same_as_stock(scenario) == ("returned", 3)


def test_a_given_socket_is_listened_on_and_closed_with_the_server(loop, run, serve):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    (listening,) = serve(sock=sock)
    assert listening.fileno() == sock.fileno()
    assert sock.getblocking() is False
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    server = run(loop.create_server(Protocol, sock=socket.create_server(("127.0.0.1", 0))))
    own = server._sockets[0]
    server.close()
    assert own.fileno() == -1


def test_a_unix_socket_may_be_given_to_create_server(run, loop, tmp_path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "socket"))
    server = run(loop.create_server(Protocol, sock=sock))
    assert server.sockets[0].family == socket.AF_UNIX
    server.close()
