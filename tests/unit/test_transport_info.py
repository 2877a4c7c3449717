"""What a stream transport says of itself: extra info, its socket, its repr, its classes."""

import asyncio
import copy
import gc
import pickle
import socket
import unittest.mock
import warnings

import pytest
from event_trace import drained, fill, shown


@pytest.fixture
def connected(loop, run):
    """A transport, its protocol, and the other socket of its pair."""
    near, far = socket.socketpair()
    far.setblocking(False)
    with far:
        transport, protocol = run(loop.create_connection(asyncio.Protocol, sock=near))
        yield transport, protocol, far
        transport.abort()
        run(asyncio.sleep(0))


def test_a_transport_is_an_asyncio_transport(connected):
    transport, protocol, _ = connected
    assert isinstance(transport, asyncio.Transport)
    assert isinstance(transport, asyncio.ReadTransport)
    assert isinstance(transport, asyncio.WriteTransport)
    assert isinstance(transport, asyncio.BaseTransport)
    assert isinstance(transport, asyncio.transports._FlowControlMixin)
    assert not isinstance(transport, asyncio.DatagramTransport)
    assert transport.get_protocol() is protocol


def test_a_transport_takes_attributes_and_weak_references(connected):
    import weakref

    transport, _, _ = connected
    transport.program_attribute = 5
    assert transport.program_attribute == 5
    assert weakref.ref(transport)() is transport
    assert len({transport, transport}) == 1


def test_a_write_assigned_to_the_instance_is_what_callers_reach(connected):
    transport, _, far = connected
    written = []
    transport.write = written.append
    transport.write(b"caught")
    assert written == [b"caught"]
    del transport.write
    transport.write(b"sent")
    assert far.recv(10) == b"sent"


def test_a_get_extra_info_patched_in_asyncio_is_the_one_that_answers(connected, monkeypatch):
    transport, _, _ = connected
    patched = unittest.mock.MagicMock(return_value=("host", 1234))
    monkeypatch.setattr(asyncio.BaseTransport, "get_extra_info", patched)
    assert transport.get_extra_info("peername") == ("host", 1234)
    patched.assert_called_once_with("peername")
    assert transport.get_extra_info("peername", default=5) == ("host", 1234)
    monkeypatch.setattr(asyncio.Transport, "get_extra_info", lambda *words: words, raising=False)
    assert transport.get_extra_info("peername") == (transport, "peername")
    monkeypatch.undo()
    assert transport.get_extra_info("peername") == ""


def test_extra_info_of_a_tcp_connection(same_as_stock, tcp_pair):
    def scenario(loop, _):
        near, far = tcp_pair()

        async def main():
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
            info = transport.get_extra_info
            found = [
                info("sockname") == near.getsockname() == far.getpeername(),
                info("peername") == near.getpeername() == far.getsockname(),
                type(info("socket")).__name__,
                sorted(transport._extra),
            ]
            names = "sslcontext ssl_object cipher compression peercert pipe subprocess addr other"
            found += [*map(info, names.split()), info(5), info("other", 5)]
            transport.close()
            await asyncio.sleep(0)
            # CPython: what was read when the transport was made stays.
            found += [info("sockname")[0], info("peername")[0], info("socket").fileno()]
            return found

        return loop.run_until_complete(main())

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert found[:4] == [True, True, "TransportSocket", ["peername", "socket", "sockname"]]
    assert found[14] == 5
    assert found[4:14] == [None] * 10
    assert found[-3:] == ["127.0.0.1", "127.0.0.1", -1]


def test_extra_info_of_unix_and_accepted_sockets(same_as_stock, tmp_path):
    def scenario(loop, _):
        path = str(tmp_path / "socket")
        found = []

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
                names = ("sockname", "peername")
                found.extend((name, transport.get_extra_info(name)) for name in names)

        async def main():
            server = await loop.create_unix_server(Protocol, path)
            transport, _ = await loop.create_unix_connection(Protocol, path)
            for _ in range(4):
                await asyncio.sleep(0)
            transport.close()
            server.close()
            for _ in range(4):
                await asyncio.sleep(0)
            return sorted(found, key=str)

        return loop.run_until_complete(main())

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert len(found) == 4
    assert ("peername", str(tmp_path / "socket")) in found
    assert ("sockname", str(tmp_path / "socket")) in found


def test_extra_info_of_ipv6_has_four_parts(run, loop, tcp_pair):
    try:
        near, _ = tcp_pair("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
    assert transport.get_extra_info("sockname") == near.getsockname()
    assert transport.get_extra_info("peername") == near.getpeername()
    assert len(near.getpeername()) == 4
    transport.close()
    run(asyncio.sleep(0))


def test_a_peer_that_left_has_no_peername(run, loop, tcp_pair):
    near, far = tcp_pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far.close()
    transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
    assert transport.get_extra_info("peername") is None
    assert transport.get_extra_info("peername", "default") is None
    transport.close()
    run(asyncio.sleep(0))


def test_the_transport_socket_has_the_methods_of_stock(same_as_stock, tcp_pair):
    def scenario(loop, _):
        near, _ = tcp_pair()
        transport, _ = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=near))
        sock = transport.get_extra_info("socket")
        duplicate = sock.dup()
        found = [
            sock is transport.get_extra_info("socket"),
            sock.fileno() == near.fileno(),
            (sock.family, sock.type, sock.proto),
            sock.getsockname() == near.getsockname(),
            sock.getpeername() == near.getpeername(),
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE, 4),
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            near.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            sock.get_inheritable(),
            sock.gettimeout(),
            sock.settimeout(0),
            sock.setblocking(False),
            duplicate.fileno() != sock.fileno(),
            shown(repr(sock)),
        ]
        duplicate.close()
        for wrong in (
            lambda: sock.settimeout(5),
            lambda: sock.settimeout(None),
            lambda: sock.setblocking(True),
            lambda: sock.close(),
            lambda: sock.send(b"x"),
            lambda: pickle.dumps(sock),
            lambda: copy.copy(sock),
            lambda: setattr(sock, "other", 1),
        ):
            try:
                found.append(wrong())
            except Exception as exc:
                found.append((type(exc), str(exc)))
        found.append(sock.shutdown(socket.SHUT_WR))
        transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
        return [*found, shown(repr(sock))]

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert found[:2] == [True, True]
    assert found[5] == 1
    assert found[-1].startswith("<asyncio.TransportSocket fd=")


class Waiting(asyncio.Protocol):
    """A protocol whose `made` is a future for the transport."""

    def __init__(self, loop):
        self.made = loop.create_future()
        self.received = []

    def connection_made(self, transport):
        self.made.set_result(transport)

    def data_received(self, data):
        self.received.append(data)

    def connection_lost(self, exc):
        self.received.append(exc)


@pytest.mark.parametrize("end", ["connected", "accepted"])
def test_tcp_nodelay_is_set_on_both_ends(loop, run, end):
    async def main():
        protocol = Waiting(loop)
        server = await loop.create_server(lambda: protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        ends = {"connected": transport, "accepted": await protocol.made}
        sock = ends[end].get_extra_info("socket")
        nodelay = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for transport in ends.values():
            transport.abort()
        server.close()
        await asyncio.sleep(0)
        return nodelay

    assert run(main()) == 1


@pytest.mark.parametrize("proto", [0, socket.IPPROTO_TCP])
@pytest.mark.parametrize("how", ["create_connection", "connect_accepted_socket"])
def test_tcp_nodelay_of_a_given_socket_depends_on_its_proto(loop, run, tcp_pair, how, proto):
    # CPython: _set_nodelay; a socket of `socket.socket()` says that its proto is 0.
    made, _ = tcp_pair()
    near = socket.socket(made.family, made.type, proto, fileno=made.detach())
    if how == "create_connection":
        transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
    else:
        transport, _ = run(loop.connect_accepted_socket(asyncio.Protocol, near))
    assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == bool(proto)
    transport.close()
    run(asyncio.sleep(0))


def test_the_socket_of_a_transport_is_made_non_blocking(loop, run, tcp_pair):
    near, _ = tcp_pair()
    near.setblocking(True)
    transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
    assert near.getblocking() is False
    transport.close()
    run(asyncio.sleep(0))


def test_the_repr_tells_the_state_in_each_state(same_trace):
    async def scenario(trace):
        def note(when, transport):
            trace.note(when, repr(transport))

        protocol = trace.protocol("near", connection_made=lambda _, t: note("made", t))
        transport, far = await trace.connect(protocol)
        protocol.hooks["connection_lost"] = lambda *_: note("losing", transport)
        with far:
            note("connected", transport)
            transport.pause_reading()
            note("paused", transport)
            transport.resume_reading()
            note("resumed", transport)
            written = await fill(transport)
            note("full", transport)
            await trace.turns(2)
            transport.close()
            note("closing", transport)
            await drained(trace, far, written)
            await trace.turns(2)
            note("closed", transport)

    shapes = [
        (name, text)
        for name, text, *_ in same_trace(scenario)
        if isinstance(text, str) and text.startswith("<")
    ]
    assert [name for name, _ in shapes] == [
        "made",
        "connected",
        "paused",
        "resumed",
        "full",
        "closing",
        "losing",
        "closed",
    ]
    by_name = dict(shapes)
    assert by_name["made"] == "<SocketTransport fd=N read=idle write=<idle, bufsize=0>>"
    assert by_name["connected"] == "<SocketTransport fd=N read=polling write=<idle, bufsize=0>>"
    assert by_name["paused"] == "<SocketTransport fd=N read=idle write=<idle, bufsize=0>>"
    assert by_name["full"].startswith("<SocketTransport fd=N read=polling write=<polling, bufsize=")
    assert by_name["closing"].startswith("<SocketTransport closing fd=N read=idle write=<polling, ")
    assert by_name["closed"] == "<SocketTransport closed fd=N>"


def test_the_repr_after_the_loop_closed_has_no_state(loop, run):
    near, far = socket.socketpair()
    with near, far:
        transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
        loop.close()
        assert shown(repr(transport)) == "<SocketTransport fd=N>"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del transport, _
            gc.collect()


def test_an_unclosed_transport_warns_and_closes_its_socket(loop, run):
    near, far = socket.socketpair()
    with far:
        transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
        transport.pause_reading()  # now nothing but this function holds it
        text = f"unclosed transport {transport!r}"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport, _
            gc.collect()
        (warning,) = [w for w in caught if issubclass(w.category, ResourceWarning)]
        assert str(warning.message) == text
        assert isinstance(warning.source, asyncio.Transport)
        del caught[:], warning
        assert near.fileno() == -1
        assert far.recv(10) == b""


@pytest.mark.parametrize("how", ["close", "abort", "peer"])
def test_a_closed_transport_does_not_warn(loop, run, how):
    near, far = socket.socketpair()
    transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
    with far:
        if how != "peer":
            getattr(transport, how)()
    for _ in range(3):
        run(asyncio.sleep(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del transport, _
        gc.collect()
    assert near.fileno() == -1


def test_calling_the_finalizer_closes_an_open_transport_with_a_warning(loop, run):
    near, far = socket.socketpair()
    with far:
        transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
        transport.pause_reading()
        with pytest.warns(ResourceWarning, match="^unclosed transport <"):
            transport.__del__()
        assert near.fileno() == -1
        transport.abort()
        run(asyncio.sleep(0))


def test_a_transport_that_reads_is_kept_alive_by_the_loop(loop, run):
    near, far = socket.socketpair()
    protocol = Waiting(loop)
    with far:
        run(loop.create_connection(lambda: protocol, sock=near))
        del protocol.made
        gc.collect()
        far.send(b"data")
        for _ in range(2):
            run(asyncio.sleep(0))
        assert protocol.received == [b"data"]
    for _ in range(3):
        run(asyncio.sleep(0))
    assert protocol.received == [b"data", None]
