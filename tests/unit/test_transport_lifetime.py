"""Who keeps a transport alive, and that a closed one leaves nothing behind."""

import asyncio
import contextlib
import gc
import os
import socket
import warnings
import weakref

import pytest
from descriptors import open_descriptors, strangers
from event_trace import fill


class Protocol(asyncio.Protocol):
    """A protocol that holds its transport, as programs do."""

    def connection_made(self, transport):
        self.transport = transport
        self.received = b""

    def data_received(self, data):
        self.received += data


async def turns(number=3):
    for _ in range(number):
        await asyncio.sleep(0)


async def connected(loop, factory=Protocol):
    """A transport, its protocol and the other socket of its pair."""
    near, far = socket.socketpair()
    far.setblocking(False)
    transport, protocol = await loop.create_connection(factory, sock=near)
    return transport, protocol, far


@pytest.mark.parametrize("how", ["close", "abort", "peer", "error", "half closed"])
def test_a_closed_connection_leaves_nothing(loop, run, how):
    async def main():
        transport, protocol, far = await connected(loop)
        made = [weakref.ref(transport), weakref.ref(protocol)]
        with far:
            if how == "peer":
                far.close()
            elif how == "error":
                protocol.received = None  # TypeError in data_received
                far.send(b"data")
            elif how == "half closed":
                transport.write_eof()
                far.shutdown(socket.SHUT_WR)
            else:
                getattr(transport, how)()
            await turns(5)
        del transport, protocol
        gc.collect()
        return [reference() for reference in made]

    loop.set_exception_handler(lambda *_: None)
    assert run(main()) == [None, None]


def test_a_served_connection_leaves_nothing(loop, run, tmp_path):
    made = []

    class Served(Protocol):
        def __init__(self):
            made.append(weakref.ref(self))

        def connection_made(self, transport):
            made.append(weakref.ref(transport))
            super().connection_made(transport)

    async def main():
        server = await loop.create_unix_server(Served, tmp_path / "socket")
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "socket"))
                client.send(b"data")
                await turns(5)
            await turns(4)
        gc.collect()
        alive = [reference for reference in made if reference() is not None]
        server.close()
        await server.wait_closed()
        return len(made), alive

    assert run(main()) == (6, [])


def test_the_protocol_of_a_closed_connection_is_released_by_the_transport(loop, run):
    # The transport may live on in a program that keeps it.
    async def main():
        transport, protocol, far = await connected(loop)
        with far:
            transport.close()
            await turns()
        reference = weakref.ref(protocol)
        del protocol.transport, protocol
        return transport.get_protocol(), reference()

    assert run(main()) == (None, None)


def test_an_open_connection_of_which_only_the_loop_knows_lives(loop, run):
    async def main():
        transport, protocol, far = await connected(loop)
        reference = weakref.ref(protocol)
        del transport, protocol
        gc.collect()
        with far:
            far.send(b"data")
            await turns()
            assert reference().received == b"data"
        await turns(4)
        gc.collect()
        return reference()

    assert run(main()) is None


def test_a_connection_with_unsent_data_lives_until_it_is_sent(loop, run):
    async def main():
        transport, protocol, far = await connected(loop)
        size = 1 << 21
        transport.write(b"x" * size)
        transport.pause_reading()
        transport.close()
        del transport, protocol
        gc.collect()
        received = 0
        with far:
            while received < size:
                try:
                    received += len(far.recv(1 << 20))
                except BlockingIOError:
                    await turns(1)
            await turns()
            return far.recv(10)

    assert run(main()) == b""


def test_an_abandoned_cycle_of_transport_and_protocol_is_collected(loop, run):
    async def main():
        transport, protocol, far = await connected(loop)
        transport.pause_reading()
        transport.itself = transport
        made = [weakref.ref(transport), weakref.ref(protocol)]
        await turns(1)
        with far, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport, protocol
            gc.collect()
            texts = [str(warning.message) for warning in caught]
            del caught[:]  # the warning has the transport as its source
            gc.collect()
            warned = sum(text.startswith("unclosed transport <") for text in texts)
            return [reference() for reference in made], warned, far.recv(10)

    assert run(main()) == ([None, None], 1, b"")


def test_a_cycle_through_a_closed_loop_is_collected(engine):
    # loop -> transport -> protocol -> loop
    async def main(loop):
        transport, protocol, far = await connected(loop)
        protocol.loop = loop
        return [weakref.ref(transport), weakref.ref(protocol), weakref.ref(loop)], far

    loop = engine.new_loop()
    made, far = loop.run_until_complete(main(loop))
    with far, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop.close()
        del loop
        gc.collect()
        assert [reference() for reference in made] == [None, None, None]
        assert far.recv(10) == b""


@pytest.mark.parametrize("method", ["create_server", "create_unix_server"])
def test_a_socket_given_to_a_server_is_closed_once(loop, run, tmp_path, method):
    async def main():
        if method == "create_server":
            sock = socket.create_server(("127.0.0.1", 0))
        else:
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(str(tmp_path / "socket"))
        server = await getattr(loop, method)(Protocol, sock=sock)
        server.close()
        assert sock.fileno() == -1
        with strangers():
            server.close()
            await server.wait_closed()
            sock.close()
            del server, sock
            gc.collect()
            await turns()

    run(main())


@pytest.mark.parametrize("how", ["close", "abort", "peer"])
def test_a_socket_given_to_a_connection_is_closed_once(loop, run, how):
    async def main():
        near, far = socket.socketpair()
        transport, _ = await loop.create_connection(Protocol, sock=near)
        if how == "peer":
            far.close()
        else:
            getattr(transport, how)()
        await turns(4)
        assert near.fileno() == -1
        far.close()
        with strangers():
            transport.close()
            transport.abort()
            near.close()
            del transport, near
            gc.collect()
            await turns()

    run(main())


def test_many_connections_leave_no_descriptor(loop, run):
    async def main():
        server = await loop.create_server(Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        for number in range(40):
            transport, _ = await loop.create_connection(Protocol, *address)
            transport.write(b"data")
            if number % 2:
                transport.close()
            else:
                transport.abort()
        server.close()
        for _ in range(200):
            await turns()
            if len(open_descriptors()) == len(before):
                break

    before = open_descriptors()
    run(main())
    assert open_descriptors() == before


def test_the_descriptor_stays_open_until_connection_lost_returned(loop, run):
    seen = []

    class Looking(Protocol):
        def connection_lost(self, exc):
            sock = self.transport.get_extra_info("socket")
            seen.append(os.fstat(sock.fileno()).st_ino)
            seen.append(sock.getpeername())

    async def main():
        near, far = socket.socketpair()
        inode = os.fstat(near.fileno()).st_ino
        transport, _ = await loop.create_connection(Looking, sock=near)
        with far:
            transport.close()
            await turns()
        return inode

    assert run(main()) == seen[0]


def test_what_is_written_when_all_was_sent_reaches_no_stranger(loop, run):
    # A close that had data to send calls connection_lost when the last of it is gone. What the
    # protocol writes in it, and anybody later, must not go to whoever gets the number next.
    near, far = socket.socketpair()
    far.setblocking(False)
    number = near.fileno()
    taken = []

    class Protocol(asyncio.Protocol):
        def connection_lost(self, exc):
            for data in (b"one", b"two", b"three"):
                transport.write(data)

    def take_the_number():
        # Due timers run last in a turn.
        if near.fileno() == -1 and not taken:
            taken.extend(socket.socketpair())

    async def main():
        nonlocal transport
        transport, _ = await loop.create_connection(Protocol, sock=near)
        await fill(transport)
        transport.close()
        while not taken:
            with contextlib.suppress(BlockingIOError):
                far.recv(1 << 20)
            loop.call_later(0, take_the_number)
            await asyncio.sleep(0)
        assert taken[0].fileno() == number
        for act in (lambda: transport.write(b"x"), transport.abort, transport.close):
            # CPython: a closed transport without _conn_lost fails at its missing loop.
            with contextlib.suppress(AttributeError):
                act()
        await asyncio.sleep(0)
        taken[1].setblocking(False)
        with pytest.raises(BlockingIOError):
            taken[1].recv(100)

    transport = None
    with far:
        run(main())
    for sock in taken:
        sock.close()


async def served(loop, path):
    """A transport that a server made, the socket of its client, and the server."""
    made = loop.create_future()

    class Served(Protocol):
        def connection_made(self, transport):
            made.set_result(transport)

    server = await loop.create_unix_server(Served, path)
    far = socket.socket(socket.AF_UNIX)
    far.connect(path)
    return await made, far, server


ACTS = {
    "write": lambda transport: transport.write(b"data"),
    "write twice": lambda transport: [transport.write(b"data") for _ in range(2)],
    "writelines": lambda transport: transport.writelines([b"one", b"two"]),
    "write_eof": lambda transport: transport.write_eof(),
    "read": lambda transport: transport._read_ready(),
}


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("how", ["closed by the program", "finalized"])
@pytest.mark.parametrize("act", ACTS)
def test_a_number_that_the_transport_no_longer_owns_is_left_alone(
    loop, run, tmp_path, side, how, act
):
    # What stock's transport asks is the socket object, which knows that it is closed.
    async def main():
        with contextlib.ExitStack() as stack:
            if side == "client":
                transport, _, far = await connected(loop)
            else:
                transport, far, server = await served(loop, str(tmp_path / "socket"))
                stack.callback(server.close)
            stack.enter_context(far)
            await turns()
            transport.pause_reading()
            number = transport._sock_fd
            if how == "finalized":
                with pytest.warns(ResourceWarning, match="^unclosed transport <"):
                    transport.__del__()
            else:
                transport.get_extra_info("socket")._sock.close()
            pair = socket.socketpair()
            for sock in pair:
                sock.setblocking(False)
                stack.enter_context(sock)
            stranger, peer = pair if pair[0].fileno() == number else pair[::-1]
            assert stranger.fileno() == number
            peer.send(b"for the stranger")
            with contextlib.suppress(OSError):
                ACTS[act](transport)
            await turns()
            with pytest.raises(BlockingIOError):
                peer.recv(100)
            assert stranger.recv(100) == b"for the stranger"
            transport.abort()
            await turns()

    run(main())


@pytest.mark.parametrize("act", ACTS)
def test_a_socket_closed_behind_its_transports_back_fails_as_on_stock(same_trace, act):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            await trace.turns(3)
            transport.get_extra_info("socket")._sock.close()
            try:
                ACTS[act](transport)
            except OSError as error:
                trace.note("raised", error)
            await trace.turns(5)
            transport.abort()
            await trace.turns(5)

    same_trace(scenario)
