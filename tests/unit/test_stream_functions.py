"""`open_connection`, `start_server` and their Unix forms, over real sockets."""

import asyncio
import contextlib
import gc
import socket

import pytest

FUNCTIONS = ("open_connection", "start_server", "open_unix_connection", "start_unix_server")


@pytest.fixture
def closing():
    """Close a writer and wait until it is closed."""

    async def close(*writers):
        for writer in writers:
            writer.close()
        for writer in writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    return close


async def shout(reader, writer):
    """Answer each line in upper case; close at the end of file."""
    async for line in reader:
        writer.write(line.upper())
        await writer.drain()
    writer.close()


def test_a_client_and_a_server_over_tcp(run_out, streams, closing):
    async def main():
        async with await streams.start_server(shout, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            reader, writer = await streams.open_connection(*address)
            assert type(reader) is streams.StreamReader
            assert type(writer) is streams.StreamWriter
            assert type(writer._protocol) is streams.StreamReaderProtocol
            assert writer._protocol._stream_reader is reader
            assert reader._transport is writer.transport
            assert writer.get_extra_info("peername") == address
            writer.write(b"one\ntwo\n")
            writer.write_eof()
            answer = await reader.read()
            await closing(writer)
        return answer

    assert run_out(main()) == b"ONE\nTWO\n"


def test_a_client_and_a_server_over_a_unix_socket(run_out, streams, closing, tmp_path):
    async def main():
        path = tmp_path / "socket"
        async with await streams.start_unix_server(shout, path) as server:
            assert server.sockets[0].getsockname() == str(path)
            reader, writer = await streams.open_unix_connection(path)
            assert type(writer._protocol) is streams.StreamReaderProtocol
            writer.writelines([b"one\n", b"two\n"])
            writer.write_eof()
            answer = await reader.read()
            await closing(writer)
        return answer

    assert run_out(main()) == b"ONE\nTWO\n"


def test_the_limit_reaches_both_readers(run_out, streams, closing, tmp_path):
    async def main():
        limits = []

        async def connected(reader, writer):
            limits.append(reader._limit)
            writer.close()

        unix = str(tmp_path / "socket")
        tcp = await streams.start_server(connected, "127.0.0.1", 0, limit=11)
        also = await streams.start_unix_server(connected, unix, limit=12)
        address = tcp.sockets[0].getsockname()
        for opened in (
            streams.open_connection(*address, limit=21),
            streams.open_unix_connection(unix, limit=22),
            streams.open_connection(*address),
            streams.open_unix_connection(path=unix),
        ):
            reader, writer = await opened
            limits.append(reader._limit)
            await reader.read()
            await closing(writer)
        for server in (tcp, also):
            server.close()
            await server.wait_closed()
        return sorted(limits)

    assert run_out(main()) == [11, 11, 12, 12, 21, 22, 65536, 65536]


def test_a_server_may_be_given_a_plain_function(run_out, streams, closing):
    async def main():
        clients = asyncio.Queue()
        server = await streams.start_server(
            lambda *both: clients.put_nowait(both), host="127.0.0.1", port=0
        )
        reader, writer = await streams.open_connection(
            host="127.0.0.1", port=server.sockets[0].getsockname()[1]
        )
        far_reader, far_writer = await clients.get()
        assert type(far_reader) is streams.StreamReader
        assert type(far_writer) is streams.StreamWriter
        far_writer.write(b"welcome")
        seen = await reader.readexactly(7)
        await closing(writer, far_writer)
        server.close()
        await server.wait_closed()
        return seen

    assert run_out(main()) == b"welcome"


def test_each_option_goes_to_the_loop(loop, run_out, streams, monkeypatch):
    calls = []

    def noting(name):
        async def call(factory, *args, **kwargs):
            calls.append((name, args, kwargs))
            raise LookupError(name)

        return call

    for name in (
        "create_connection",
        "create_server",
        "create_unix_connection",
        "create_unix_server",
    ):
        monkeypatch.setattr(loop, name, noting(name))

    async def main():
        for call in (
            streams.open_connection("host", 5, ssl=True, own="own"),
            streams.open_connection(sock="sock"),
            streams.start_server(shout, "host", 6, backlog=3, own="own"),
            streams.open_unix_connection("path", ssl=True),
            streams.open_unix_connection(),
            streams.start_unix_server(shout, "path", own="own"),
        ):
            with pytest.raises(LookupError):
                await call

    run_out(main())
    assert calls == [
        ("create_connection", ("host", 5), {"ssl": True, "own": "own"}),
        ("create_connection", (None, None), {"sock": "sock"}),
        ("create_server", ("host", 6), {"backlog": 3, "own": "own"}),
        ("create_unix_connection", ("path",), {"ssl": True}),
        ("create_unix_connection", (None,), {}),
        ("create_unix_server", ("path",), {"own": "own"}),
    ]


def test_the_transport_is_what_the_loop_gives(loop, run_out, streams):
    class Transport(asyncio.Transport):
        def is_closing(self):
            return True

    async def create(factory, *args, **kwargs):
        protocol = factory()
        assert factory() is protocol
        return Transport(), "ignored"

    async def main():
        loop.create_connection = create
        reader, writer = await streams.open_connection("any", 1)
        return type(writer.transport), reader._transport

    assert run_out(main()) == (Transport, None)


def test_each_client_has_a_reader_of_its_own(loop, run_out, streams):
    factories = []

    async def create(factory, *args, **kwargs):
        factories.append(factory)
        return "the server"

    async def main():
        loop.create_server = create
        return await streams.start_server(shout, "any", 1, limit=9)

    assert run_out(main()) == "the server"
    first, second = factories[0](), factories[0]()
    assert first is not second and first._stream_reader is not second._stream_reader
    assert type(first) is streams.StreamReaderProtocol
    assert first._client_connected_cb is shout
    assert first._stream_reader._limit == 9
    assert first._strong_reader is first._stream_reader


@pytest.mark.parametrize("name", ["open_connection", "open_unix_connection"])
def test_a_bad_limit_is_refused_before_connecting(run_out, streams, name):
    async def main():
        with pytest.raises(ValueError, match=r"^Limit cannot be <= 0$"):
            await getattr(streams, name)("/no/such/place", limit=0)

    run_out(main())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_outside_of_a_loop_there_is_an_error_when_awaited(streams, name):
    args = (shout,) if name.startswith("start") else ()
    call = getattr(streams, name)(*args)
    assert asyncio.iscoroutine(call)
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        call.send(None)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_arguments_are_refused_by_the_call_in_the_words_of_stock(streams, name):
    stock, tested = getattr(asyncio, name), getattr(streams, name)
    for call in (
        lambda function: function(1, 2, 3, 4, 5),
        lambda function: function(shout, host=1, limit=2, path=3, sock=4).close(),
    ):
        outcomes = []
        for function in (stock, tested):
            try:
                outcomes.append(call(function))
            except TypeError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_call_that_is_never_awaited_is_told(streams, name):
    args = (shout,) if name.startswith("start") else ()
    with pytest.warns(RuntimeWarning, match=f"^coroutine '{name}' was never awaited"):
        getattr(streams, name)(*args)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_they_have_their_names(streams, name):
    function = getattr(streams, name)
    assert function.__name__ == name
    assert function.__doc__


def test_a_refused_connection_is_an_error(run_out, streams):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

    async def main():
        with pytest.raises(ConnectionRefusedError):
            await streams.open_connection(*address)
        with pytest.raises(FileNotFoundError):
            await streams.open_unix_connection("/no/such/socket")
        gc.collect()

    run_out(main())


def test_both_ends_of_a_pair_in_every_turn(same_streams):
    async def scenario(trace, streams):
        near, far = socket.socketpair()
        reader, writer = await streams.open_connection(sock=near, limit=8)
        trace.note("near", repr(reader))
        others = await streams.open_connection(sock=far, limit=8)
        trace.note("far", repr(others[0]))

        async def answer(reader, writer):
            try:
                while True:
                    trace.note("asked", await reader.readuntil(b"--"))
                    writer.write(b"answer\n")
                    await writer.drain()
                    trace.note("drained")
            except asyncio.IncompleteReadError as error:
                trace.note(error, error.partial)
            except asyncio.LimitOverrunError as error:
                trace.note(error, error.consumed)
            writer.close()
            await writer.wait_closed()
            trace.note("closed")

        task = asyncio.ensure_future(answer(*others))
        for data in (b"one--", b"tw", b"o-", b"-three--", b"end"):
            writer.write(data)
            trace.note("written", await writer.drain())
            await trace.turns(2)
        trace.note(await reader.readline(), await reader.readexactly(3))
        trace.note(repr(reader))
        writer.write_eof()
        trace.note(await reader.read())
        await task
        trace.note(reader.at_eof(), writer.is_closing())
        writer.close()
        await writer.wait_closed()
        trace.note(repr(reader).partition(" transport")[0])

    same_streams(scenario)


def test_a_peer_that_is_gone_in_every_turn(same_streams):
    async def scenario(trace, streams):
        near, far = socket.socketpair()
        reader, writer = await streams.open_connection(sock=near)
        waiting = asyncio.ensure_future(reader.read(1))
        closed = asyncio.ensure_future(writer.wait_closed())
        await trace.turns(2)
        far.close()
        trace.note(await waiting, reader.at_eof())
        for _ in range(6):
            writer.write(b"to nobody")
            try:
                await writer.drain()
                trace.note("drained")
            except ConnectionError as error:
                trace.note(error)
            await trace.turns(1)
        trace.note(*await asyncio.gather(closed, return_exceptions=True))
        trace.note(reader.exception())
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError as error:
            trace.note(error)

    same_streams(scenario)


def test_a_client_cancelled_while_it_connects_leaves_nothing(run_out, streams, silent_address):
    async def main():
        task = asyncio.ensure_future(streams.open_connection(*silent_address))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gc.collect()

    run_out(main())


def test_a_handler_may_outlive_its_server(run_out, streams, closing):
    async def main():
        server = await streams.start_server(shout, "127.0.0.1", 0)
        reader, writer = await streams.open_connection(*server.sockets[0].getsockname())
        writer.write(b"one\n")
        seen = [await reader.readline()]
        server.close()
        writer.write(b"two\n")
        seen.append(await reader.readline())
        await closing(writer)
        await server.wait_closed()
        return seen

    assert run_out(main()) == [b"ONE\n", b"TWO\n"]
