"""Accepting: many at once, what accepted sockets are like, and running out of descriptors."""

import asyncio
import gc
import json
import os
import socket
import sys
import warnings

import pytest
from event_trace import events


def test_connections_are_accepted_backlog_by_backlog(same_trace, tmp_path):
    async def scenario(trace):
        path = str(tmp_path / "socket")
        numbers = iter(range(10))

        def factory():
            number = next(numbers)
            trace.note("factory", number)
            return trace.protocol(f"server {number}")

        server = await trace.loop.create_unix_server(factory, path, backlog=2)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for client in clients:
            client.connect(path)
        await trace.turns(7)
        for client in clients:
            client.close()
        await trace.turns(4)
        server.close()
        await trace.turns(2)

    assert len(events(same_trace(scenario), "connection_lost")) == 3


def test_an_accepted_connection_counts_in_the_default_names_of_tasks(same_as_stock):
    """Stock takes a task to accept, and programs log the names of the tasks that come after it."""

    async def main(loop):
        lost = asyncio.Queue()

        class Protocol(asyncio.Protocol):
            def connection_lost(self, exc):
                lost.put_nowait(exc)

        names = [asyncio.current_task().get_name()]
        server = await loop.create_server(Protocol, "127.0.0.1", 0)
        for _ in range(3):
            with socket.create_connection(server.sockets[0].getsockname()):
                pass
            await lost.get()
            names.append(loop.create_task(asyncio.sleep(0)).get_name())
        server.close()
        await asyncio.sleep(0)
        numbers = [int(name.removeprefix("Task-")) for name in names]
        return [number - numbers[0] for number in numbers]

    def scenario(loop, _):
        return loop.run_until_complete(main(loop))

    assert same_as_stock(scenario)[0] == "returned"


def test_many_clients_at_once_are_all_served(loop, run, tmp_path):
    path = str(tmp_path / "socket")
    count = 300

    class Greeter(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(b"hello %d" % next(numbers))
            transport.close()

    async def main():
        server = await loop.create_unix_server(Greeter, path, backlog=2 * count)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(count)]
        for client in clients:
            client.connect(path)
            client.setblocking(False)
        answers = [await loop.sock_recv(client, 100) for client in clients]
        for client in clients:
            client.close()
        server.close()
        await server.wait_closed()
        return answers

    numbers = iter(range(count))
    assert run(main()) == [b"hello %d" % number for number in range(count)]


def test_over_tcp_the_awaiting_coroutine_resumes_before_the_first_data(loop, run):
    first = []

    class Greeter(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(b"hello")

    class Client(asyncio.Protocol):
        def __init__(self):
            self.resumed = False
            self.received = loop.create_future()

        def data_received(self, data):
            first.append("coroutine" if self.resumed else "data")
            self.received.set_result(data)

    async def connect(address):
        transport, protocol = await loop.create_connection(Client, *address)
        protocol.resumed = True
        await protocol.received
        transport.close()

    async def main():
        server = await loop.create_server(Greeter, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        await asyncio.gather(*(connect(address) for _ in range(100)))
        server.close()

    run(main())
    for _ in range(4):
        run(asyncio.sleep(0))
    assert first == ["coroutine"] * 100


def test_accepted_and_connected_sockets_do_not_block_and_are_not_inherited(loop, run):
    async def main():
        accepted = loop.create_future()

        class Server(asyncio.Protocol):
            def connection_made(self, transport):
                accepted.set_result(transport)

        server = await loop.create_server(Server, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        client, _ = await loop.create_connection(asyncio.Protocol, *address)
        for transport in (client, await accepted):
            fd = transport.get_extra_info("socket").fileno()
            assert os.get_blocking(fd) is False
            assert os.get_inheritable(fd) is False
        assert os.get_inheritable(server.sockets[0].fileno()) is False
        served = accepted.result()
        assert served.get_extra_info("peername") == client.get_extra_info("sockname")
        assert served.get_extra_info("sockname") == client.get_extra_info("peername") == address
        client.abort()
        served.abort()
        server.close()
        await asyncio.sleep(0)

    run(main())


def test_a_client_that_leaves_before_it_is_accepted(same_trace, tmp_path):
    async def scenario(trace):
        path = str(tmp_path / "socket")
        server = await trace.loop.create_unix_server(lambda: trace.protocol("server"), path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.send(b"bye")
        await trace.turns(8)
        server.close()
        await trace.turns(2)

    assert [event[1:] for event in events(same_trace(scenario), "server")] == [
        ["connection_made", "the transport"],
        ["data_received", b"bye"],
        ["eof_received"],
        ["connection_lost", None],
    ]


def test_a_client_that_resets_before_it_is_accepted_does_not_stop_the_server(loop, run):
    made = []

    class Server(asyncio.Protocol):
        def connection_made(self, transport):
            made.append(transport)
            transport.close()

    async def main():
        server = await loop.create_server(Server, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        for _ in range(3):
            client = socket.create_connection(address)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        reader, writer = await asyncio.open_connection(*address)
        ended = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        for _ in range(4):
            await asyncio.sleep(0)
        return ended

    assert run(main()) == b""
    assert made


def test_two_loops_may_accept_from_one_listening_socket(loop, run, tmp_path):
    # The other loop may have been faster: accept gives EAGAIN, and nothing is said of it.
    reported = []
    loop.set_exception_handler(lambda _, context: reported.append(context))

    async def main():
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind(str(tmp_path / "socket"))
            duplicate = listener.dup()
            server = await loop.create_unix_server(asyncio.Protocol, sock=duplicate)
            listener.setblocking(False)
            client.connect(str(tmp_path / "socket"))
            await asyncio.sleep(0)
            taken, _ = listener.accept()
            for _ in range(3):
                await asyncio.sleep(0)
            taken.close()
            server.close()
            return server.sockets

    assert run(main()) == ()
    assert reported == []


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["factory", "connection_made"])
def test_exits_of_a_server_leave_run_forever_and_it_serves_on(
    loop, run, tmp_path, exception, place
):
    path = str(tmp_path / "socket")
    made, raised = [], []

    class Server(asyncio.Protocol):
        def __init__(self):
            self.leave("factory")

        def connection_made(self, transport):
            made.append(transport)
            self.leave("connection_made")
            transport.write(b"served")
            transport.close()

        def leave(self, where):
            if where == place and not raised:
                raised.append(where)
                raise exception("out")

    server = run(loop.create_unix_server(Server, path))
    with socket.socket(socket.AF_UNIX) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        client.connect(path)
        with pytest.raises(exception, match="^out$"):
            loop.run_forever()

        async def connect():
            reader, writer = await asyncio.open_unix_connection(path)
            received = await reader.read()
            writer.close()
            await writer.wait_closed()
            server.close()
            for transport in made:
                transport.abort()
            await asyncio.sleep(0)
            return received

        assert run(connect()) == b"served"
        gc.collect()


OUT_OF_DESCRIPTORS = """
    import json, os, resource, socket, sys

    loop = new_loop()
    seen, made = [], loop.create_future()

    def report(loop, context):
        exc = context["exception"]
        sock = context.get("socket")
        seen.append([context["message"], sorted(context), type(exc).__name__, exc.errno])
        seen[-1].append([type(sock).__name__, sock.getsockname()])

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            made.set_result(loop.time())
            transport.close()

    async def main():
        path = sys.argv[1]
        server = await loop.create_unix_server(Protocol, path, backlog=1)
        client = socket.socket(socket.AF_UNIX)
        used = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(7)[1]))
        try:
            while True:
                used.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        client.connect(path)
        start = loop.time()
        while not seen:
            await asyncio.sleep(0)
        for fd in used:
            os.close(fd)
        # Nobody looks at the socket again before the second is over.
        await asyncio.sleep(0.05)
        early = made.done()
        waited = await made - start
        # Each attempt to accept was reported, and each report begins to serve again.
        while any(not handle.cancelled() for handle in loop._scheduled):
            await asyncio.sleep(0)
        client.close()
        server.close()
        await asyncio.sleep(0.01)
        return [early, waited]

    loop.set_exception_handler(report)
    early, waited = loop.run_until_complete(main())
    loop.close()
    print(json.dumps([seen, early, waited]))
"""


def test_serving_on_a_closed_socket_is_an_error(loop_factory):
    async def main():
        loop = asyncio.get_running_loop()
        listener = socket.socket()
        listener.setblocking(False)
        listener.close()
        with pytest.raises(ValueError, match="^Invalid file descriptor: -1$"):
            loop._start_serving(asyncio.Protocol, listener, None, None, 100)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_accept_without_descriptors_reports_and_waits_a_second(run_python, tmp_path):
    path = str(tmp_path / "socket")
    source = OUT_OF_DESCRIPTORS.replace("sys.argv[1]", repr(path))
    result = run_python(source)
    assert result.stderr == ""
    seen, early, waited = json.loads(result.stdout)
    report = [
        "socket.accept() out of system resource",
        ["exception", "message", "socket"],
        "OSError",
        24,
        ["TransportSocket", path],
    ]
    # One for each try of a wake-up: as many as the backlog, since 3.14 one more.
    assert seen == [report] * (2 if sys.version_info >= (3, 14) else 1)
    assert early is False
    assert 0.9 < waited < 5


def test_the_default_handler_logs_a_full_table_of_descriptors(run_python, tmp_path):
    path = str(tmp_path / "socket")
    source = OUT_OF_DESCRIPTORS.replace("sys.argv[1]", repr(path))
    source = source.replace(
        "loop.set_exception_handler(report)",
        "loop.default_exception_handler = lambda context, old=loop.default_exception_handler: "
        "(old(context), report(loop, context))",
    )
    result = run_python(source)
    lines = result.stderr.splitlines()
    assert lines[0] == "socket.accept() out of system resource"
    assert lines[1].startswith("socket: <asyncio.TransportSocket fd=")
    assert lines[-1] == "OSError: [Errno 24] Too many open files"


def test_a_server_that_is_closed_before_its_turn_accepts_nobody(loop, run):
    """A connection was reported, and what ran before it closed the server and opened another."""
    reported, accepted = [], []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    strangers = []

    def close_and_listen(server):
        number = server.sockets[0].fileno()
        server.close()
        stranger = socket.create_server(("127.0.0.1", 0))
        strangers.append(stranger)
        assert stranger.fileno() == number
        strangers.append(socket.create_connection(stranger.getsockname()))
        stranger.setblocking(False)

    async def main():
        server = await loop.create_server(
            lambda: accepted.append("made") or asyncio.Protocol(), "127.0.0.1", 0
        )
        strangers.append(socket.create_connection(server.sockets[0].getsockname()))
        loop.call_soon(close_and_listen, server)
        for _ in range(5):
            await asyncio.sleep(0)
        connection, _ = strangers[1].accept()
        strangers.append(connection)

    run(main())
    for stranger in strangers:
        stranger.close()
    assert (reported, accepted) == ([], [])
