"""Accepted TLS connections: the task that each has until its handshake is over."""

import asyncio
import gc
import socket
import warnings

import pytest


@pytest.fixture
def seen():
    return []


@pytest.fixture
def protocol(seen):
    """A class of protocols that note what they are told."""

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            seen.append("connection_made")
            transport.close()

        def connection_lost(self, exc):
            seen.append(("connection_lost", type(exc)))

    return Protocol


@pytest.fixture
def serve(loop, run, tmp_path, server_side):
    """Start a server at a Unix socket, and connect to it without a word."""
    path = str(tmp_path / "socket")
    opened = []

    def start(factory, **kwargs):
        made = loop.create_unix_server(factory, path, ssl=server_side, **kwargs)
        opened.append(run(made))
        opened.append(socket.socket(socket.AF_UNIX))
        opened[-1].connect(path)
        return opened[-1]

    yield start
    for server in opened:
        server.close()
    run(asyncio.sleep(0))


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


def tasks_beside_the_own():
    return asyncio.all_tasks() - {asyncio.current_task()}


async def task_in_handshake():
    await turns(3)
    (task,) = tasks_beside_the_own()
    return task


def test_a_task_waits_for_the_end_of_the_handshake(run, serve, protocol):
    silent = serve(protocol)

    async def main():
        task = await task_in_handshake()
        silent.close()
        await asyncio.wait([task])
        return task.get_coro().__qualname__, task.cancelled(), task.exception(), task.result()

    name = "BaseSelectorEventLoop._accept_connection2"
    assert run(main()) == (name, False, None, None)


def test_a_cancelled_task_closes_the_connection_and_ends_well(run, serve, protocol, seen):
    silent = serve(protocol)

    async def main():
        task = await task_in_handshake()
        task.cancel()
        await asyncio.wait([task])
        silent.settimeout(20)
        left = await asyncio.to_thread(silent.recv, 10)
        return task.cancelled(), task.exception(), left

    assert run(main()) == (False, None, b"")
    assert seen == []


def test_a_task_that_is_cancelled_before_its_first_step(run, serve, protocol, seen):
    silent = serve(protocol)

    async def main():
        while not tasks_beside_the_own():
            await asyncio.sleep(0)
        (task,) = tasks_beside_the_own()
        assert task._fut_waiter is None
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        assert run(main())
        gc.collect()
    silent.settimeout(20)
    assert silent.recv(10) == b""
    assert seen == []


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_exits_of_the_factory_leave_the_loop(loop, serve, exception):
    def factory():
        raise exception("out")

    serve(factory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(exception, match="^out$"):
            loop.run_forever()
        gc.collect()


@pytest.mark.parametrize("exception", [ValueError, BaseException])
def test_a_factory_that_raises_leaves_nobody_with_the_connection(run, serve, exception):
    def factory():
        raise exception("no protocol")

    silent = serve(factory)
    silent.settimeout(20)

    async def main():
        task = None
        while task is None or not task.done():
            await asyncio.sleep(0)
            task = next(iter(tasks_beside_the_own()), task)
        return task.exception()

    def run_and_collect():
        raised = run(main())
        gc.collect()
        return raised

    with pytest.warns(ResourceWarning, match="unclosed <socket"):
        raised = run_and_collect()
    assert raised is None
    assert silent.recv(10) == b""


def test_a_method_put_on_the_loop_makes_the_connections(loop, run, serve, protocol):
    made = []
    original = loop._make_ssl_transport

    def make(*args, **kwargs):
        made.append(sorted(kwargs))
        return original(*args, **kwargs)

    loop._make_ssl_transport = make
    silent = serve(protocol)
    run(turns(3))
    silent.close()
    run(turns(3))
    names = ["extra", "server", "server_side", "ssl_handshake_timeout", "ssl_shutdown_timeout"]
    assert made == [[*names, "waiter"]]


def test_a_method_of_a_subclass_makes_the_connections(loop, tmp_path, server_side, protocol, seen):
    class Loop(type(loop)):
        async def _accept_connection2(self, protocol_factory, conn, *args):
            seen.append(type(conn).__name__)
            conn.close()

    path = str(tmp_path / "socket")
    with asyncio.Runner(loop_factory=Loop) as runner, socket.socket(socket.AF_UNIX) as silent:
        own = runner.get_loop()
        server = runner.run(own.create_unix_server(protocol, path, ssl=server_side))
        silent.connect(path)
        runner.run(turns(4))
        assert silent.recv(10) == b""
        server.close()
        runner.run(turns(2))
    assert seen == ["socket"]


def test_a_task_factory_sees_each_connection(loop, run, serve, protocol):
    coroutines = []

    def factory(loop, coro, **kwargs):
        coroutines.append(coro.__qualname__)
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    serve(protocol).close()
    run(turns(4))
    assert "BaseSelectorEventLoop._accept_connection2" in coroutines


def test_debug_mode_that_begins_in_a_handshake_tells_of_its_end(loop, run, serve, protocol):
    silent = serve(protocol)
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))

    async def main():
        task = await task_in_handshake()
        loop.set_debug(True)
        silent.close()
        await asyncio.wait([task])

    run(main())
    loop.set_debug(False)
    (context,) = contexts
    assert sorted(context) == ["exception", "message", "protocol", "transport"]
    assert context["message"] == "Error on transport creation for incoming connection"
    assert isinstance(context["exception"], ConnectionResetError)
    assert isinstance(context["protocol"], protocol)
