"""Server objects: close, wait_closed, close_clients, start_serving, serve_forever, sockets."""

import asyncio
import gc
import socket
import sys
import warnings

import pytest
from event_trace import events, shown

NEW_IN_313 = pytest.mark.skipif(sys.version_info < (3, 13), reason="new in Python 3.13")


async def turns(number):
    for _ in range(number):
        await asyncio.sleep(0)


async def unix_server(trace, tmp_path, **kwargs):
    """A server at a Unix socket whose protocols note what happens; its path."""
    path = str(tmp_path / "socket")
    server = await trace.loop.create_unix_server(lambda: trace.protocol("server"), path, **kwargs)
    return server, path


def connected(path):
    """A blocking socket connected to the path."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    return client


def test_a_server_is_an_asyncio_server(loop, run):
    server = run(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    assert isinstance(server, asyncio.AbstractServer)
    assert isinstance(server, asyncio.Server)
    assert isinstance(server, asyncio.base_events.Server)
    assert server.get_loop() is loop
    assert server.is_serving() is True
    assert server._ssl_context is None
    (sock,) = server.sockets
    assert type(sock).__name__ == "TransportSocket"
    assert server._sockets[0].fileno() == sock.fileno()
    server.close()


def test_the_repr_shows_the_sockets(same_as_stock):
    def scenario(loop, _):
        server = loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
        opened = shown(repr(server))
        server.close()
        return opened, repr(server)

    kind, (opened, closed) = same_as_stock(scenario)
    assert kind == "returned"
    assert opened.startswith("<Server sockets=(<asyncio.TransportSocket fd=N, family=")
    assert closed == "<Server sockets=()>"


def test_sockets_is_a_new_tuple_while_open_and_empty_when_closed(loop, run):
    server = run(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    assert isinstance(server.sockets, tuple)
    assert server.sockets is not server.sockets
    listening = server.sockets[0]
    server.close()
    assert server.sockets == ()
    assert listening.fileno() == -1
    assert server.is_serving() is False
    assert server.close() is None


def test_close_leaves_the_connections_open(same_trace, tmp_path):
    async def scenario(trace):
        server, path = await unix_server(trace, tmp_path)
        with connected(path) as client:
            await trace.turns(4)
            server.close()
            client.send(b"data")
            await trace.turns(3)
        await trace.turns(4)

    assert [event[1] for event in events(same_trace(scenario), "server")] == [
        "connection_made",
        "data_received",
        "eof_received",
        "connection_lost",
    ]


def test_connections_that_wait_when_the_server_closes_are_not_accepted(same_trace, tmp_path):
    async def scenario(trace):
        server, path = await unix_server(trace, tmp_path)
        with connected(path) as client:
            server.close()
            await trace.turns(5)
            client.setblocking(False)
            try:
                return client.recv(10)
            except ConnectionResetError as exc:
                return shown(exc)

    trace = same_trace(scenario)
    assert events(trace, "server") == []


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("first", ["server", "connections"])
def test_wait_closed_waits_for_what_stock_waits_for(same_trace, tmp_path, count, first):
    # 3.11 waits for nobody once the server is closed; later versions for every connection.
    async def scenario(trace):
        server, path = await unix_server(trace, tmp_path)
        clients = [connected(path) for _ in range(count)]
        await trace.turns(5)

        async def wait(number):
            await server.wait_closed()
            trace.note("waited", number)

        waiting = [trace.loop.create_task(wait(number)) for number in range(2)]
        await trace.turns(2)
        if first == "server":
            trace.note("close", server.close())
            await trace.turns(3)
        for client in clients:
            trace.note("client closes")
            client.close()
            await trace.turns(4)
        if first != "server":
            trace.note("close", server.close())
            await trace.turns(3)
        waiting.append(trace.loop.create_task(wait("late")))
        await trace.turns(3)
        for task in waiting:
            trace.note("done", task.done())
            task.cancel()

    trace = same_trace(scenario)
    assert len(events(trace, "connection_lost")) == count
    if sys.version_info >= (3, 12):
        assert [event[1] for event in events(trace, "done")] == [True] * 3
        assert trace.index(["waited", 0]) > trace.index(["close", None])


def test_wait_closed_can_be_cancelled(loop, run):
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        waiting = loop.create_task(server.wait_closed())
        other = loop.create_task(server.wait_closed())
        await turns(2)
        waiting.cancel()
        await turns(2)
        assert waiting.cancelled()
        server.close()
        await other

    run(main())


@NEW_IN_313
@pytest.mark.parametrize("act", ["close_clients", "abort_clients"])
@pytest.mark.parametrize("closed", [False, True])
def test_close_clients_and_abort_clients(same_trace, tmp_path, act, closed):
    async def scenario(trace):
        server, path = await unix_server(trace, tmp_path)
        clients = [connected(path) for _ in range(3)]
        await trace.turns(5)
        if closed:
            server.close()
        trace.note(act, getattr(server, act)(), server.is_serving())
        trace.note(act, getattr(server, act)())
        await trace.turns(3)
        for client in clients:
            trace.note("client", client.recv(10))
            client.close()
        server.close()
        await server.wait_closed()

    trace = same_trace(scenario)
    assert [act, None, not closed] in trace
    assert events(trace, "connection_lost") == [["server", "connection_lost", None]] * 3
    assert events(trace, "client") == [["client", b""]] * 3


@NEW_IN_313
@pytest.mark.parametrize("act", ["close_clients", "abort_clients"])
def test_close_clients_sends_what_is_buffered_and_abort_clients_does_not(same_trace, tmp_path, act):
    async def scenario(trace):
        made = []
        path = str(tmp_path / "socket")

        def factory():
            made.append(trace.protocol("server"))
            return made[-1]

        server = await trace.loop.create_unix_server(factory, path)
        with connected(path) as client:
            client.setblocking(False)
            await trace.turns(4)
            written = 0
            while made[0].transport.get_write_buffer_size() <= 65536:
                made[0].transport.write(b"x" * 65536)
                written += 65536
            server.close()
            getattr(server, act)()
            received = 0
            while True:
                try:
                    data = client.recv(1 << 20)
                except BlockingIOError:
                    await trace.turns(1)
                    continue
                if not data:
                    break
                received += len(data)
            await server.wait_closed()
            return received == written

    assert same_trace(scenario)[-1] == ["returned", act == "close_clients"]


@NEW_IN_313
def test_connections_of_a_server_are_held_weakly(loop, run, tmp_path):
    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            transport.pause_reading()

    async def main():
        server = await loop.create_unix_server(Protocol, tmp_path / "socket")
        with connected(str(tmp_path / "socket")) as client:
            # Stock's transport is in a cycle with itself, Ferrio's is not and goes at once.
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                await turns(5)
                gc.collect()
            texts = [str(warning.message) for warning in caught]
            assert any(text.startswith("unclosed transport <") for text in texts)
            assert client.recv(10) == b""
        server.close()
        await server.wait_closed()

    run(main())


def test_start_serving_false_listens_when_told(same_trace, tmp_path):
    async def scenario(trace):
        server, path = await unix_server(trace, tmp_path, start_serving=False)
        trace.note("serving", server.is_serving(), len(server.sockets))
        with pytest.raises(ConnectionRefusedError):
            connected(path)
        trace.note("started", await server.start_serving(), server.is_serving())
        trace.note("again", await server.start_serving(), server.is_serving())
        with connected(path):
            await trace.turns(4)
        await trace.turns(4)
        server.close()
        trace.note("closed", server.is_serving())

    trace = same_trace(scenario)
    assert ["serving", False, 1] in trace
    assert ["started", None, True] in trace
    assert len(events(trace, "connection_made")) == 1


def test_a_server_closed_before_it_served(same_trace, tmp_path):
    async def scenario(trace):
        server, _ = await unix_server(trace, tmp_path, start_serving=False)
        server.close()
        trace.note("closed", server.is_serving(), server.sockets)
        await server.wait_closed()
        for act in (server.start_serving, server.serve_forever):
            try:
                trace.note("returned", await act())
            except (RuntimeError, TypeError) as exc:
                trace.note("raised", type(exc).__name__)

    assert ["closed", False, ()] in same_trace(scenario)


def test_async_with_closes_the_server(same_trace, tmp_path):
    async def scenario(trace):
        server, path = await unix_server(trace, tmp_path)
        async with server as entered:
            trace.note("entered", entered is server, entered.is_serving())
            with connected(path):
                await trace.turns(4)
            await trace.turns(4)
        trace.note("left", server.is_serving(), server.sockets)

    trace = same_trace(scenario)
    assert ["entered", True, True] in trace
    assert ["left", False, ()] in trace


def test_async_with_closes_the_server_after_an_error(loop, run):
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        with pytest.raises(ValueError, match="^of the program$"):
            async with server:
                raise ValueError("of the program")
        return server.sockets

    assert run(main()) == ()


def test_serve_forever_serves_until_it_is_cancelled(same_trace, tmp_path):
    async def scenario(trace):
        server, path = await unix_server(trace, tmp_path, start_serving=False)
        serving = trace.loop.create_task(server.serve_forever())
        await trace.turns(2)
        trace.note("serving", server.is_serving())
        with connected(path):
            await trace.turns(4)
        await trace.turns(4)
        serving.cancel()
        await asyncio.wait([serving])
        trace.note("cancelled", serving.cancelled(), server.is_serving(), server.sockets)

    trace = same_trace(scenario)
    assert ["serving", True] in trace
    assert ["cancelled", True, False, ()] in trace
    assert len(events(trace, "connection_lost")) == 1


def test_closing_a_server_ends_serve_forever(same_trace, tmp_path):
    async def scenario(trace):
        server, _ = await unix_server(trace, tmp_path)
        serving = trace.loop.create_task(server.serve_forever())
        await trace.turns(2)
        server.close()
        await asyncio.wait([serving])
        trace.note("cancelled", serving.cancelled(), server.sockets)

    assert ["cancelled", True, ()] in same_trace(scenario)


def test_serve_forever_twice_and_after_close_raises(same_trace, tmp_path):
    async def scenario(trace):
        server, _ = await unix_server(trace, tmp_path)
        serving = trace.loop.create_task(server.serve_forever())
        await trace.turns(1)
        for step in ("twice", "closed"):
            try:
                await server.serve_forever()
            except RuntimeError as exc:
                trace.note(step, str(exc))
            server.close()
            await asyncio.wait([serving])

    trace = same_trace(scenario)
    (twice,) = events(trace, "twice")
    assert twice[1].endswith(" is already being awaited on serve_forever()")
    assert ["closed", "server <Server sockets=()> is closed"] in trace


def test_closing_a_server_inside_its_own_factory_gives_the_connection_up(
    loop, run, tmp_path, monkeypatch
):
    # CPython: a transport refuses the server that is closed, and its finalizer fails (3.13).
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    made = []

    class Protocol(asyncio.Protocol):
        def __init__(self):
            server.close()

        def connection_made(self, transport):
            made.append(transport)

    async def main():
        nonlocal server
        server = await loop.create_unix_server(Protocol, tmp_path / "socket")
        with connected(str(tmp_path / "socket")) as client:
            client.setblocking(False)
            await turns(6)
            gc.collect()
            return server.sockets, client.recv(10)

    server = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        assert run(main()) == ((), b"")
    assert made == []


def test_a_server_in_the_loop_that_closes_is_given_up(engine):
    loop = engine.new_loop()
    server = loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
    sock = server._sockets[0]
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        server.close()
        del server
        gc.collect()
    assert sock.fileno() == -1
