"""What debug mode says of connections, whose descriptor it is, and fork."""

import asyncio
import os
import socket
import sys
import time

import pytest
from event_trace import events, shown


@pytest.fixture
def connected(loop, run):
    """A transport, its socket and the other socket of its pair."""
    near, far = socket.socketpair()
    far.setblocking(False)
    with far:
        transport, _ = run(loop.create_connection(asyncio.Protocol, sock=near))
        yield transport, near, far
        transport.abort()
        run(asyncio.sleep(0))


def logged(trace):
    """The level and text of what was logged."""
    return [tuple(event[1:]) for event in events(trace, "logged")]


def test_connecting_and_accepting_are_logged_in_debug_mode(same_trace, tmp_path):
    async def scenario(trace):
        path = str(tmp_path / "socket")
        with trace.debug():
            server = await trace.loop.create_unix_server(lambda: trace.protocol("server"), path)
            near = socket.socket(socket.AF_UNIX)
            near.connect(path)
            transport, _ = await trace.loop.create_connection(
                lambda: trace.protocol("client"), sock=near
            )
            await trace.turns(4)
            transport.close()
            await trace.turns(4)
            server.close()
            await server.wait_closed()

    texts = [text for _, text in logged(same_trace(scenario))]
    assert [text for text in texts if "got a new connection from ''" in text]
    connected = [text for text in texts if " connected to None:None: (" in text]
    assert len(connected) == 1
    assert connected[0].endswith(", <protocol client>)")
    assert connected[0].startswith("<asyncio.TransportSocket fd=N, ")


def test_a_tcp_connection_is_logged_with_host_and_port(same_as_stock):
    def scenario(loop, _):
        import logging

        texts = []
        handler = logging.Handler()
        handler.emit = lambda record: texts.append((record.levelname, shown(record.getMessage())))
        logger = logging.getLogger("asyncio")
        logger.addHandler(handler)
        level = logger.level
        logger.setLevel(logging.DEBUG)

        async def main():
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            host, port = server.sockets[0].getsockname()
            transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
            with socket.create_server((host, 0)) as listener, socket.socket() as client:
                client.connect(listener.getsockname())
                accepted, _ = listener.accept()
                second, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
                second.close()
            transport.abort()
            server.close()
            for _ in range(3):
                await asyncio.sleep(0)
            return port

        loop.set_debug(True)
        loop.slow_callback_duration = 60
        try:
            port = loop.run_until_complete(main())
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
        kinds = {" is serving": 0, f" connected to 127.0.0.1:{port}: (": 0, " handled: (": 0}
        for _, text in texts:
            for kind in kinds:
                kinds[kind] += kind in text
        return list(kinds.values()), sorted({level for level, text in texts if "serving" in text})

    assert same_as_stock(scenario) == ("returned", ([1, 1, 1], ["INFO"]))


def test_end_of_file_is_logged_in_debug_mode(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with trace.debug():
            far.close()
            await trace.turns(4)
            trace.note("closing", transport.is_closing())

    (line,) = logged(same_trace(scenario))
    assert line[0] == "DEBUG"
    assert line[1].startswith("<SocketTransport fd=N read=polling write=<idle, bufsize=0>>")
    assert line[1].endswith(" received EOF")


def test_nothing_is_logged_without_debug_mode(same_trace, tmp_path):
    async def scenario(trace):
        path = str(tmp_path / "socket")
        server = await trace.loop.create_unix_server(lambda: trace.protocol("server"), path)
        transport, _ = await trace.loop.create_unix_connection(
            lambda: trace.protocol("client"), path
        )
        transport.pause_reading()
        transport.resume_reading()
        await trace.turns(4)
        transport.close()
        await trace.turns(4)
        server.close()
        await server.wait_closed()

    assert logged(same_trace(scenario)) == []


SLOW = "Executing <Handle "


@pytest.mark.parametrize("callback", ["data_received", "connection_made", "connection_lost"])
def test_a_slow_protocol_callback_is_logged_in_debug_mode(loop, run, caplog, callback):
    def slow(*_):
        time.sleep(0.003)

    protocol = type("Protocol", (asyncio.Protocol,), {callback: slow})()

    async def main():
        near, far = socket.socketpair()
        with far:
            await loop.create_connection(lambda: protocol, sock=near)
            far.send(b"data")
            for _ in range(3):
                await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)

    loop.set_debug(True)
    loop.slow_callback_duration = 0.003
    run(main())
    texts = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    # On a busy machine others may be slow as well.
    slow_texts = [text for text in texts if text.startswith(SLOW)]
    assert slow_texts
    for text in slow_texts:
        assert " took 0." in text
        assert text.endswith(" seconds")


def test_callbacks_of_transports_are_quick_enough_to_be_silent(loop, run, caplog):
    async def main():
        near, far = socket.socketpair()
        with far:
            await loop.create_connection(asyncio.Protocol, sock=near)
            far.send(b"data")
            await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)

    loop.set_debug(True)
    loop.slow_callback_duration = 10
    run(main())
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("method", ["add_reader", "add_writer", "remove_reader", "remove_writer"])
@pytest.mark.parametrize("how", ["number", "socket"])
def test_the_descriptor_of_a_transport_is_not_for_readers(loop, connected, method, how):
    transport, near, _ = connected
    fd = near.fileno() if how == "number" else near
    arguments = [print] if method.startswith("add") else []
    with pytest.raises(RuntimeError) as caught:
        getattr(loop, method)(fd, *arguments)
    assert str(caught.value) == f"File descriptor {fd!r} is used by transport {transport!r}"


@pytest.mark.parametrize(
    "method", ["sock_recv", "sock_recv_into", "sock_sendall", "sock_accept", "sock_connect"]
)
def test_the_socket_of_a_transport_in_sock_methods(same_as_stock, method):
    # CPython: the check comes when the call has to wait, not before.
    def scenario(loop, _):
        near, far = socket.socketpair()
        far.setblocking(False)

        async def main():
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
            arguments = {
                "sock_recv": [10],
                "sock_recv_into": [bytearray(10)],
                "sock_sendall": [b"x" * (1 << 22)],
                "sock_accept": [],
                "sock_connect": ["/nowhere"],
            }
            try:
                return await getattr(loop, method)(near, *arguments[method])
            except Exception as exc:
                return type(exc), shown(str(exc))
            finally:
                transport.abort()
                await asyncio.sleep(0)

        with far:
            return loop.run_until_complete(main())

    kind, (exception, text) = same_as_stock(scenario)
    assert kind == "returned"
    if method in {"sock_recv", "sock_recv_into", "sock_sendall"}:
        assert exception is RuntimeError
        assert " is used by transport <SocketTransport " in text


def test_the_descriptor_of_a_closing_transport_may_be_watched(loop, run, connected):
    transport, near, _ = connected
    transport.close()
    loop.add_reader(near, print)
    assert loop.remove_reader(near) is True
    run(asyncio.sleep(0))


def test_the_number_of_a_closed_transport_may_be_used_again(loop, run):
    async def main():
        near, far = socket.socketpair()
        left, right = socket.socketpair()
        fd = near.fileno()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        transport.close()
        await asyncio.sleep(0)
        with far, left, right:
            os.dup2(left.fileno(), fd)
            seen = loop.create_future()
            loop.add_reader(fd, seen.set_result, "read")
            right.send(b"x")
            result = await seen
            loop.remove_reader(fd)
            os.close(fd)
            assert transport.get_extra_info("socket").fileno() == -1
            return result

    assert run(main()) == "read"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 lets transports share a descriptor")
@pytest.mark.parametrize("kind", ["socket", "datagram"])
def test_a_second_transport_on_one_descriptor(same_as_stock, kind):
    def scenario(loop, _):
        type_ = socket.SOCK_STREAM if kind == "socket" else socket.SOCK_DGRAM
        near, far = socket.socketpair(socket.AF_UNIX, type_)

        async def connect():
            if kind == "socket":
                return await loop.create_connection(asyncio.Protocol, sock=near)
            return await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=near)

        async def main():
            first, _ = await connect()
            try:
                await connect()
            except RuntimeError as exc:
                return shown(str(exc))
            finally:
                first.abort()
                await asyncio.sleep(0)

        with far:
            return loop.run_until_complete(main())

    kind_, text = same_as_stock(scenario)
    assert kind_ == "returned"
    assert " is used by transport <" in text


def test_a_child_of_fork_does_not_disturb_the_parents_connection(loop, run):
    async def main():
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=near)
        with far:
            far.setblocking(False)
            writer.write(b"before")
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
            writer.write(b" after")
            sent = b""
            while len(sent) < len(b"before after"):
                sent += await loop.sock_recv(far, 100)
            far.send(b"answer\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return sent, answer, far.recv(10)

    assert run(main()) == (b"before after", b"answer\n", b"")


def test_closing_a_transport_in_the_parent_while_a_child_holds_the_socket(loop, run):
    # epoll forgets a socket only when its last descriptor is closed, and the child has one.
    events_seen = []

    class Protocol(asyncio.Protocol):
        def data_received(self, data):
            events_seen.append(data)

        def connection_lost(self, exc):
            events_seen.append(exc)

    async def main():
        near, far = socket.socketpair()
        transport, _ = await loop.create_connection(Protocol, sock=near)
        go, stop = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(stop)
            os.read(go, 1)  # until the parent closes its end
            os._exit(0)
        os.close(go)
        with far:
            transport.close()
            await asyncio.sleep(0)
            far.send(b"nobody reads this")
            for _ in range(5):
                await asyncio.sleep(0)
            os.close(stop)
            os.waitpid(child, 0)
            return list(events_seen)

    assert run(main()) == [None]
