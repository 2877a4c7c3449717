"""create_connection and its sisters: every keyword, every error, ownership of `sock`."""

import asyncio
import errno
import os
import socket
import sys

import pytest
from event_trace import shown

Protocol = asyncio.Protocol


@pytest.fixture
def listener():
    """A listening TCP socket of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def closed_port():
    """A port of 127.0.0.1 on which nobody listens while the test runs."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def resolves(monkeypatch):
    """Let socket.getaddrinfo give these (host, port) pairs for every name."""

    def resolve(*addresses):
        infos = [
            (
                socket.AF_INET6 if ":" in host else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (host, port, 0, 0) if ":" in host else (host, port),
            )
            for host, port in addresses
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)

    return resolve


def connected_peer(loop, run, *args, **kwargs):
    """The peer name and local name of a connection made so; it is closed again."""
    transport, protocol = run(loop.create_connection(Protocol, *args, **kwargs))
    assert isinstance(protocol, Protocol)
    names = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    transport.abort()
    run(asyncio.sleep(0))
    return names


def raised(function, *args, **kwargs):
    """The type and text of what the call raises, awaited where that is needed."""
    try:
        result = function(*args, **kwargs)
    except Exception as exc:
        return type(exc), str(exc)
    return "returned", result


def test_connecting_to_an_address(loop, run, listener):
    address = listener.getsockname()
    assert connected_peer(loop, run, *address)[0] == address
    assert connected_peer(loop, run, "127.0.0.1", str(address[1]))[0] == address
    assert connected_peer(loop, run, host="127.0.0.1", port=address[1])[0] == address
    assert connected_peer(loop, run, b"127.0.0.1", address[1])[0] == address
    assert connected_peer(loop, run, "localhost", address[1], family=socket.AF_INET)[0] == address
    proto = socket.IPPROTO_TCP
    assert connected_peer(loop, run, *address, proto=proto)[0] == address
    assert connected_peer(loop, run, None, address[1], family=socket.AF_INET)[0] == address


def test_the_local_address(loop, run, listener):
    address = listener.getsockname()
    _, local = connected_peer(loop, run, *address, local_addr=("127.0.0.2", 0))
    assert local[0] == "127.0.0.2"
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.3", 0))
        port = free.getsockname()[1]
    _, local = connected_peer(loop, run, *address, local_addr=("127.0.0.3", port))
    assert local == ("127.0.0.3", port)


def test_a_local_address_in_use_raises_with_its_own_text(same_as_stock, listener):
    def scenario(loop, _):
        address = listener.getsockname()
        connecting = loop.create_connection(Protocol, *address, local_addr=address)
        return raised(loop.run_until_complete, connecting)

    kind, (exception, text) = same_as_stock(scenario)
    assert (kind, exception) == ("returned", OSError)
    assert f"error while attempting to bind on address {listener.getsockname()!r}: " in text


def test_a_local_address_of_another_family_raises_what_stock_raises(same_as_stock, listener):
    def scenario(loop, _):
        connecting = loop.create_connection(
            Protocol, *listener.getsockname(), local_addr=("::1", 0)
        )
        return raised(loop.run_until_complete, connecting)

    kind, (exception, text) = same_as_stock(scenario)
    assert (kind, exception) == ("returned", OSError)
    assert text == f"no matching local address with family={socket.AF_INET!r} found"


def test_ipv6_with_and_without_scope(loop, run):
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listening:
        address = listening.getsockname()
        assert connected_peer(loop, run, *address[:2])[0] == address
        assert connected_peer(loop, run, "::1%0", address[1])[0] == address


def test_a_zone_that_does_not_exist_raises_what_stock_raises(same_as_stock):
    def scenario(loop, _):
        connecting = loop.create_connection(Protocol, "fe80::1%nowhere", 80)
        return raised(loop.run_until_complete, connecting)

    assert same_as_stock(scenario)[1][0] is socket.gaierror


def wrong_arguments():
    """Calls of create_connection that raise before a socket is connected."""
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket()
    address = ("127.0.0.1", 1)
    calls = [
        ((), {}),
        (("127.0.0.1",), {"sock": tcp}),
        ((None, 1), {"sock": tcp}),
        ((), {"sock": udp}),
        ((), {"sock": unix}),
        ((), {"server_hostname": "name", "sock": tcp}),
        (address, {"server_hostname": "name"}),
        (address, {"ssl_handshake_timeout": 1}),
        (address, {"ssl_shutdown_timeout": 1}),
        ((), {"ssl": True, "sock": tcp}),
        (("", 1), {"ssl": True}),
        (("127.0.0.1", "no such service"), {}),
        (address, {"family": socket.AF_INET6}),
        (address, {"local_addr": ("127.0.0.1", 0, 0, 0, 0)}),
        (address, {"local_addr": "127.0.0.1"}),
        (("127.0.0.1", 1, 2), {}),
        (address, {"unknown": 1}),
    ]
    return (unix, udp, tcp), calls


def test_wrong_arguments_raise_what_stock_raises(same_as_stock):
    def scenario(loop, _):
        sockets, calls = wrong_arguments()
        found = []
        for args, kwargs in calls:

            async def main(args=args, kwargs=kwargs):
                return await loop.create_connection(Protocol, *args, **kwargs)

            exception, text = raised(loop.run_until_complete, main())
            text = text.replace("BaseEventLoop.", "").replace("EventLoop.", "")
            found.append((exception.__name__, shown(text)))
        assert all(sock.fileno() >= 0 for sock in sockets)
        for sock in sockets:
            sock.close()
        return found

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert found[0] == ("ValueError", "host and port was not specified and no sock specified")
    assert all(exception.endswith("rror") for exception, _ in found), found


def test_a_refused_connection_raises_with_errno_and_text(same_as_stock, closed_port):
    def scenario(loop, _):
        exception, text = raised(
            loop.run_until_complete, loop.create_connection(Protocol, "127.0.0.1", closed_port)
        )
        return exception, text

    assert same_as_stock(scenario) == (
        "returned",
        (
            ConnectionRefusedError,
            f"[Errno {errno.ECONNREFUSED}] Connect call failed ('127.0.0.1', {closed_port})",
        ),
    )


def test_the_next_address_is_tried_when_one_refuses(loop, run, resolves, listener, closed_port):
    address = listener.getsockname()
    resolves(("127.0.0.1", closed_port), ("127.0.0.2", closed_port), address)
    assert connected_peer(loop, run, "a name", 1)[0] == address


def test_different_errors_of_several_addresses_are_joined(same_as_stock, resolves, closed_port):
    resolves(("127.0.0.1", closed_port), ("127.0.0.2", closed_port))

    def scenario(loop, _):
        return raised(loop.run_until_complete, loop.create_connection(Protocol, "a name", 1))

    kind, (exception, text) = same_as_stock(scenario)
    assert (kind, exception) == ("returned", OSError)
    assert text.startswith("Multiple exceptions: [Errno 111] Connect call failed ('127.0.0.1', ")


def test_equal_errors_of_several_addresses_raise_one(same_as_stock, resolves, closed_port):
    resolves(("127.0.0.1", closed_port), ("127.0.0.1", closed_port))

    def scenario(loop, _):
        return raised(loop.run_until_complete, loop.create_connection(Protocol, "a name", 1))

    assert same_as_stock(scenario)[1][0] is ConnectionRefusedError


@pytest.mark.skipif(sys.version_info < (3, 12), reason="all_errors is new in Python 3.12")
@pytest.mark.parametrize("count", [1, 3])
def test_all_errors_raises_a_group(loop, run, resolves, closed_port, count):
    resolves(*[("127.0.0.1", closed_port)] * count)
    with pytest.raises(ExceptionGroup, match="^create_connection failed") as caught:
        run(loop.create_connection(Protocol, "a name", 1, all_errors=True))
    assert [type(exc) for exc in caught.value.exceptions] == [ConnectionRefusedError] * count


@pytest.mark.parametrize("kwargs", [{}, {"happy_eyeballs_delay": 0.01}])
def test_no_address_at_all_raises(same_as_stock, resolves, kwargs):
    resolves()

    def scenario(loop, _):
        connecting = loop.create_connection(Protocol, "a name", 1, **kwargs)
        return raised(loop.run_until_complete, connecting)

    assert same_as_stock(scenario) == (
        "returned",
        (OSError, "getaddrinfo() returned empty list"),
    )


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, "4a 4b 4c 6a 6b"),
        ({"interleave": 0}, "4a 4b 4c 6a 6b"),
        ({"interleave": 1}, "4a 6a 4b 6b 4c"),
        ({"interleave": 2}, "4a 4b 6a 4c 6b"),
        ({"interleave": 9}, "4a 4b 4c 6a 6b"),
        ({"happy_eyeballs_delay": 0}, "4a 6a 4b 6b 4c"),
        ({"happy_eyeballs_delay": 0, "interleave": 0}, "4a 4b 4c 6a 6b"),
    ],
)
def test_interleave_orders_the_addresses_by_family(
    loop, run, resolves, monkeypatch, kwargs, expected
):
    names = {"4a": "127.0.0.1", "4b": "127.0.0.2", "4c": "127.0.0.3", "6a": "::1", "6b": "::2"}
    resolves(*((host, 1) for host in names.values()))
    tried = []

    class Refusing(socket.socket):
        """A socket that notes to where it should connect, and refuses."""

        def connect(self, address):
            tried.append(address[0])
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"no {address[0]}")

    monkeypatch.setattr(socket, "socket", Refusing)
    connecting = loop.create_connection(Protocol, "a name", 1, **kwargs)
    with pytest.raises(OSError, match=r"^Multiple exceptions: \[Errno 111\] no 127\.0\.0\.1, "):
        run(connecting)
    assert tried == [names[name] for name in expected.split()]


def test_happy_eyeballs_starts_the_next_address_after_the_delay(
    loop, run, resolves, listener, silent_address
):
    address = listener.getsockname()
    resolves(silent_address, address)
    before = len(os.listdir("/proc/self/fd"))
    start = loop.time()
    assert connected_peer(loop, run, "a name", 1, happy_eyeballs_delay=0.05)[0] == address
    assert 0.05 <= loop.time() - start < 0.9  # a second SYN to the silent one leaves after 1 s
    assert len(os.listdir("/proc/self/fd")) == before


def test_happy_eyeballs_does_not_wait_when_an_address_refuses(
    loop, run, resolves, listener, closed_port
):
    address = listener.getsockname()
    resolves(("127.0.0.1", closed_port), address)
    start = loop.time()
    assert connected_peer(loop, run, "a name", 1, happy_eyeballs_delay=20)[0] == address
    assert loop.time() - start < 10


def test_happy_eyeballs_raises_what_all_addresses_raised(same_as_stock, resolves, closed_port):
    resolves(("127.0.0.1", closed_port), ("127.0.0.2", closed_port))

    def scenario(loop, _):
        connecting = loop.create_connection(Protocol, "a name", 1, happy_eyeballs_delay=0.01)
        return raised(loop.run_until_complete, connecting)

    kind, (exception, text) = same_as_stock(scenario)
    assert (kind, exception) == ("returned", OSError)
    assert text.startswith("Multiple exceptions: ")


def test_a_given_socket_that_is_not_connected_does_what_stock_does(same_as_stock):
    def scenario(loop, _):
        async def main():
            sock = socket.socket()
            transport, _ = await loop.create_connection(Protocol, sock=sock)
            names = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            for _ in range(4):
                await asyncio.sleep(0)
            return names, transport.is_closing(), sock.fileno()

        return loop.run_until_complete(main())

    kind, (names, closing, fd) = same_as_stock(scenario)
    assert (kind, names) == ("returned", (None, ("0.0.0.0", 0)))
    assert (closing, fd) == (True, -1)


@pytest.mark.parametrize("method", ["create_connection", "connect_accepted_socket"])
def test_a_closed_socket_raises_what_stock_raises(same_as_stock, method):
    def scenario(loop, _):
        near, far = socket.socketpair()
        near.close()
        far.close()
        return raised(loop.run_until_complete, getattr(loop, method)(Protocol, sock=near))

    assert same_as_stock(scenario)[1][0] in {OSError, ValueError}


def test_an_overridden_getaddrinfo_of_the_loop_is_asked(loop, run, listener):
    asked = []
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())]

    async def getaddrinfo(host, port, **kwargs):
        asked.append((host, port, sorted(kwargs)))
        return answer

    loop.getaddrinfo = getaddrinfo
    assert connected_peer(loop, run, "a name", 5)[0] == listener.getsockname()
    # CPython: addresses in numbers never reach it.
    assert connected_peer(loop, run, *listener.getsockname())[0] == listener.getsockname()
    assert asked == [("a name", 5, ["family", "flags", "proto", "type"])]


def test_an_overridden_sock_connect_of_the_loop_is_called(loop, listener):
    addresses = []

    class Loop(type(loop)):
        async def sock_connect(self, sock, address):
            addresses.append(address)
            return await super().sock_connect(sock, address)

    own = Loop()
    address = listener.getsockname()
    assert connected_peer(own, own.run_until_complete, *address)[0] == address
    own.close()
    assert addresses == [address]
