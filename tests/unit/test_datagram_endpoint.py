"""create_datagram_endpoint: addresses, options, errors; what the transport says of itself."""

import asyncio
import gc
import os
import socket
import sys
import warnings

import pytest
from descriptors import open_descriptors
from event_trace import shown

Protocol = asyncio.DatagramProtocol
LOCAL = ("127.0.0.1", 0)


@pytest.fixture
def endpoint(loop, run):
    """Make an endpoint with these arguments; return its transport. It is aborted at the end."""
    made = []

    def make(*args, factory=Protocol, **kwargs):
        made.append(run(loop.create_datagram_endpoint(factory, *args, **kwargs)))
        return made[-1][0]

    yield make
    for transport, _ in made:
        transport.abort()
    run(asyncio.sleep(0))


@pytest.fixture
def receiver():
    """A UDP socket of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        sock.setblocking(False)
        yield sock


def option(transport, level, name):
    return transport.get_extra_info("socket").getsockopt(level, name)


def test_the_classes_of_a_datagram_transport(endpoint):
    transport = endpoint(LOCAL)
    assert isinstance(transport, asyncio.BaseTransport)
    assert isinstance(transport, asyncio.transports._FlowControlMixin)
    if sys.version_info >= (3, 12):
        assert isinstance(transport, asyncio.DatagramTransport)
    assert isinstance(transport.get_protocol(), Protocol)
    assert transport.is_closing() is False


def test_a_bound_endpoint(endpoint):
    transport = endpoint(local_addr=LOCAL)
    info = transport.get_extra_info
    assert info("sockname")[0] == "127.0.0.1"
    assert info("sockname")[1] > 0
    assert info("peername") is None
    sock = info("socket")
    assert type(sock).__name__ == "TransportSocket"
    assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_DGRAM)
    assert os.get_blocking(sock.fileno()) is False
    assert os.get_inheritable(sock.fileno()) is False
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 0
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
    assert info("other") is None


def test_a_connected_endpoint(endpoint, receiver):
    transport = endpoint(remote_addr=receiver.getsockname())
    assert transport.get_extra_info("peername") == receiver.getsockname()
    assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
    both = endpoint(local_addr=("127.0.0.2", 0), remote_addr=receiver.getsockname())
    assert both.get_extra_info("sockname")[0] == "127.0.0.2"
    assert both.get_extra_info("peername") == receiver.getsockname()


def test_an_endpoint_of_a_family_alone(endpoint):
    transport = endpoint(family=socket.AF_INET)
    assert transport.get_extra_info("sockname") == ("0.0.0.0", 0)
    assert transport.get_extra_info("peername") is None


def test_reuse_port_and_allow_broadcast(endpoint):
    first = endpoint(LOCAL, reuse_port=True, allow_broadcast=True)
    assert option(first, socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
    assert option(first, socket.SOL_SOCKET, socket.SO_BROADCAST) == 1
    second = endpoint(first.get_extra_info("sockname"), reuse_port=True)
    assert second.get_extra_info("sockname") == first.get_extra_info("sockname")


def test_a_broadcast_endpoint_is_not_connected(endpoint, receiver):
    # CPython: with allow_broadcast a remote address is where to send, not a connection.
    transport = endpoint(remote_addr=receiver.getsockname(), allow_broadcast=True)
    assert transport.get_extra_info("peername") is None
    transport.sendto(b"to the address")
    transport.sendto(b"again", receiver.getsockname())
    assert receiver.recv(100) == b"to the address"
    assert receiver.recv(100) == b"again"
    with pytest.raises(ValueError, match="^Invalid address: must be None or "):
        transport.sendto(b"elsewhere", ("127.0.0.1", 9))


def test_ipv6_and_names(endpoint):
    try:
        transport = endpoint(local_addr=("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert transport.get_extra_info("sockname")[0] == "::1"
    assert len(transport.get_extra_info("sockname")) == 4
    named = endpoint(local_addr=("localhost", 0), family=socket.AF_INET)
    assert named.get_extra_info("sockname")[0] == "127.0.0.1"


def test_unix_endpoints(endpoint, tmp_path):
    path = str(tmp_path / "socket")
    bound = endpoint(path, family=socket.AF_UNIX)
    assert bound.get_extra_info("sockname") == path
    connected = endpoint(None, path, family=socket.AF_UNIX)
    assert connected.get_extra_info("peername") == path
    connected.sendto(b"hello")
    assert bound.get_extra_info("socket").family == socket.AF_UNIX
    bound.abort()
    # The stale socket is replaced.
    assert endpoint(path, family=socket.AF_UNIX).get_extra_info("sockname") == path


def test_a_given_socket(endpoint, receiver):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(LOCAL)
    sock.connect(receiver.getsockname())
    transport = endpoint(sock=sock)
    assert sock.getblocking() is False
    assert transport.get_extra_info("peername") == receiver.getsockname()
    transport.sendto(b"hello")
    assert receiver.recv(10) == b"hello"


def wrong_arguments():
    """Calls of create_datagram_endpoint that raise, and the sockets they name."""
    tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    address = ("127.0.0.1", 1)
    return (tcp, udp), [
        {},
        {"sock": tcp},
        {"sock": udp, "local_addr": address},
        {"sock": udp, "remote_addr": address, "family": 1, "proto": 1, "flags": 1},
        {"sock": udp, "reuse_port": True, "allow_broadcast": True},
        {"local_addr": "127.0.0.1"},
        {"local_addr": ("127.0.0.1",)},
        {"local_addr": ("127.0.0.1", 0, 0)},
        {"local_addr": ["127.0.0.1", 0]},
        {"remote_addr": 5},
        {"local_addr": ("127.0.0.1", 0), "remote_addr": ("::1", 1)},
        {"local_addr": ("127.0.0.1", 0), "family": socket.AF_INET6},
        {"local_addr": ("127.0.0.1", "no such service")},
        {"local_addr": ("198.51.100.1", 0)},
        {"remote_addr": ("255.255.255.255", 9)},
        {"local_addr": 5, "family": socket.AF_UNIX},
        {"local_addr": b"bytes", "family": socket.AF_UNIX},
        {"local_addr": "/nowhere/socket", "family": socket.AF_UNIX},
        {"remote_addr": "/nowhere/socket", "family": socket.AF_UNIX},
        {"local_addr": address, "reuse_address": True},
        {"unknown": 1},
    ]


@pytest.mark.parametrize("number", range(21))
def test_wrong_arguments_raise_what_stock_raises(same_as_stock, number):
    def scenario(loop, _):
        sockets, calls = wrong_arguments()
        before = open_descriptors()

        async def main():
            return await loop.create_datagram_endpoint(Protocol, **calls[number])

        with sockets[0], sockets[1]:
            try:
                transport, _ = loop.run_until_complete(main())
                transport.abort()
                return "returned", None, ""
            except Exception as exc:
                text = shown(str(exc)).replace("BaseEventLoop", "EventLoop")
                error = type(exc), getattr(exc, "errno", None), text
            gc.collect()
            assert open_descriptors() == before
        return error

    kind, (exception, *_) = same_as_stock(scenario)
    assert kind == "returned"
    assert issubclass(exception, Exception)


def test_an_error_in_the_factory_is_raised_as_on_stock(same_as_stock):
    def scenario(loop, _):
        def factory():
            raise ValueError("of the program")

        async def main():
            await loop.create_datagram_endpoint(factory, LOCAL)

        before = open_descriptors()
        text = None
        try:
            loop.run_until_complete(main())
        except ValueError as exc:
            text = str(exc)
        gc.collect()
        assert open_descriptors() == before
        return text

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # stock leaves the socket to the gc
        assert same_as_stock(scenario) == ("returned", "of the program")


def test_an_error_in_connection_made_is_reported_and_the_endpoint_lives(same_trace):
    async def scenario(trace):
        def made(*_):
            raise ValueError("of the program")

        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        protocol = trace.protocol("near", Protocol, connection_made=made)
        transport, _ = await trace.loop.create_datagram_endpoint(lambda: protocol, sock=near)
        with far:
            far.send(b"data")
            await trace.turns(3)
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert [event[1] for event in trace[:1] + trace[2:-1]] == [
        "connection_made",
        "datagram_received",
        "connection_lost",
    ]
    assert trace[1][2:] == ["exception handle message", "ValueError(of the program)"]


def test_the_repr_in_each_state(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        trace.note("connected", repr(transport))
        transport.pause_reading()
        trace.note("paused", repr(transport), transport.is_reading())
        transport.resume_reading()
        with far:
            for _ in range(600):
                transport.sendto(b"x" * 1000)
            trace.note("full", repr(transport))
            transport.close()
            trace.note("closing", repr(transport))
            transport.abort()
            await trace.turns(2)
            trace.note("closed", repr(transport))

    reprs = {event[0]: event[1] for event in same_trace(scenario)}
    polling = "<DatagramTransport fd=N read=polling write=<"
    assert reprs["connected"] == polling + "idle, bufsize=0>>"
    assert reprs["paused"] == "<DatagramTransport fd=N read=idle write=<idle, bufsize=0>>"
    assert reprs["full"].startswith(polling + "polling, bufsize=")
    assert reprs["closing"].startswith("<DatagramTransport closing fd=N read=idle write=<polling")
    assert reprs["closed"] == "<DatagramTransport closed fd=N>"


def test_an_unclosed_endpoint_warns_and_closes_its_socket(loop, run):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(LOCAL)
    transport, _ = run(loop.create_datagram_endpoint(Protocol, sock=sock))
    transport.pause_reading()
    text = f"unclosed transport {transport!r}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del transport, _
        gc.collect()
    assert [str(warning.message) for warning in caught] == [text]
    assert sock.fileno() == -1


@pytest.mark.parametrize("kwargs", [{"local_addr": LOCAL}, {"family": socket.AF_INET}])
def test_endpoints_are_logged_in_debug_mode(same_as_stock, caplog, kwargs):
    import logging

    def scenario(loop, _):
        caplog.set_level(logging.DEBUG, logger="asyncio")
        loop.set_debug(True)
        loop.slow_callback_duration = 60
        caplog.clear()
        making = loop.create_datagram_endpoint(Protocol, **kwargs)
        transport, _ = loop.run_until_complete(making)
        found = [
            (record.levelname, shown(record.getMessage()).partition("created: (")[0])
            for record in caplog.records
            if "Datagram endpoint" in record.getMessage()
        ]
        caplog.clear()
        loop.set_debug(False)
        transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
        return found

    expected = (
        ("INFO", "Datagram endpoint local_addr=('127.0.0.1', PORT) remote_addr=None ")
        if "local_addr" in kwargs
        else ("DEBUG", "Datagram endpoint remote_addr=None ")
    )
    assert same_as_stock(scenario) == ("returned", [expected])
