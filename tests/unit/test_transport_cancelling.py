"""Cancelling what makes transports, at each step: no descriptor is lost or closed twice."""

import asyncio
import gc
import io
import os
import socket
import sys
import types
import warnings

import pytest
from descriptors import open_descriptors, strangers


async def turns(number):
    for _ in range(number):
        await asyncio.sleep(0)


def transport_of(result):
    """The transport or server that a maker returned."""
    return result[0] if isinstance(result, tuple) else result


async def end(task):
    """Wait for the cancelled task, at most 200 turns; close what it made all the same."""
    for _ in range(200):
        if task.done():
            break
        await asyncio.sleep(0)
    if task.cancelled():
        return "cancelled"
    transport_of(task.result()).close()
    return "returned"


async def cancelled_after(loop, number, make, *args):
    """Cancel `make(*args)` after that many turns; return how it ended and what it left open."""
    before = open_descriptors()
    task = loop.create_task(make(*args))
    await turns(number)
    task.cancel()
    ended = await end(task)
    del task
    await turns(3)
    with strangers():
        gc.collect()
        await turns(3)
    return ended, sorted(open_descriptors().items() - before.items())


async def cancelled_at_each_step(loop, make, prepare=lambda: ()):
    """Cancel `make` after 0, 1, 2, ... turns until it finishes first; return all the endings."""
    endings = []
    for number in range(40):
        ended, left = await cancelled_after(loop, number, make, *prepare())
        assert left == [], (number, ended)
        endings.append(ended)
        if ended == "returned":
            return endings
    return endings


@pytest.fixture
def unix_listener(tmp_path):
    """The path of a listening Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "listener"))
        sock.listen(100)
        yield str(tmp_path / "listener")


@pytest.fixture
def tcp_listener():
    """The address of a listening TCP socket."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as sock:
        yield sock.getsockname()


def test_create_unix_connection(same_as_stock, unix_listener):
    def scenario(loop, _):
        async def make():
            return await loop.create_unix_connection(asyncio.Protocol, unix_listener)

        return loop.run_until_complete(cancelled_at_each_step(loop, make))

    kind, endings = same_as_stock(scenario)
    assert kind == "returned"
    assert endings[0] == "cancelled"
    assert endings[-1] == "returned"


@pytest.mark.parametrize("kwargs", [{}, {"local_addr": ("127.0.0.1", 0)}])
def test_create_connection_to_an_address(loop, run, tcp_listener, kwargs):
    async def make():
        return await loop.create_connection(asyncio.Protocol, *tcp_listener, **kwargs)

    endings = run(cancelled_at_each_step(loop, make))
    assert endings[0] == "cancelled"
    assert endings[-1] == "returned"


def test_create_connection_to_the_next_address(loop, run, monkeypatch, tcp_listener):
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        infos = [(*kind, closed.getsockname())] * 2 + [(*kind, tcp_listener)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)

        async def make():
            return await loop.create_connection(asyncio.Protocol, "a name", 1)

        run(make())[0].abort()  # the thread that looks names up is there from now on
        for number in range(16):
            ended, left = run(cancelled_after(loop, number, make))
            assert left == [], (number, ended)


@types.coroutine
def closed_after(number, coroutine):
    """Resume the coroutine that often, then close it; give what it returned before."""
    for _ in range(number):
        try:
            future = coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        yield future
    coroutine.close()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_closing_the_coroutine_after_each_step(loop, run, tcp_listener, unix_listener, kind):
    async def main(number):
        if kind == "tcp":
            connecting = loop.create_connection(asyncio.Protocol, *tcp_listener)
        else:
            connecting = loop.create_unix_connection(asyncio.Protocol, unix_listener)
        before = open_descriptors()
        made = await closed_after(number, connecting)
        if made is not None:
            made[0].abort()
        await turns(3)
        with strangers():
            gc.collect()
            await turns(3)
        assert open_descriptors() == before
        return made is not None

    # A step ends where it waits: for the end of the attempt (TCP), for connection_made().
    waits = 2 if kind == "tcp" else 1
    connected = [run(main(number)) for number in range(1, 5)]
    assert connected == [number > waits for number in range(1, 5)]


@pytest.mark.parametrize("method", ["create_connection", "connect_accepted_socket"])
@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_a_given_socket_is_closed_or_not_as_on_stock(same_as_stock, tcp_pair, method, family):
    def scenario(loop, _):
        found = []

        async def main():
            for number in range(8):
                near, far = tcp_pair() if family == "tcp" else socket.socketpair()
                with far:
                    inode = os.fstat(near.fileno()).st_ino

                    async def make(near=near):
                        return await getattr(loop, method)(asyncio.Protocol, sock=near)

                    task = loop.create_task(make())
                    await turns(number)
                    task.cancel()
                    ended = await end(task)
                    await turns(3)
                    with strangers():
                        found.append((number, ended, near.fileno() == -1))
                        assert near.fileno() == -1 or os.fstat(near.fileno()).st_ino == inode
                        near.close()
                        del task, make
                        gc.collect()
                        await turns(2)

        loop.run_until_complete(main())
        return found

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    # Before its first step the coroutine does not own the socket.
    assert found[0] == (0, "cancelled", False)
    assert found[-1] == (7, "returned", True)
    assert {closed for _, ended, closed in found[1:]} == {True}


def test_a_connection_that_nobody_answers(loop, run, silent_address):
    async def make():
        return await loop.create_connection(asyncio.Protocol, *silent_address)

    for number in range(6):
        assert run(cancelled_after(loop, number, make)) == ("cancelled", [])


@pytest.mark.parametrize("delay", [0, 0.001, 10])
def test_happy_eyeballs(loop, run, monkeypatch, tcp_listener, silent_address, delay):
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    infos = [(*kind, silent_address)] * 2 + [(*kind, tcp_listener)]

    async def getaddrinfo(*args, **kwargs):
        return infos

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo, raising=False)

    async def make():
        return await loop.create_connection(
            asyncio.Protocol, "a name", 1, happy_eyeballs_delay=delay
        )

    for number in range(10):
        ended, left = run(cancelled_after(loop, number, make))
        assert left == [], (number, ended)


def test_sock_connect_leaves_the_socket_and_watches_it_no_more(loop, run, silent_address):
    async def main():
        for number in range(5):
            with socket.socket() as sock:
                sock.setblocking(False)
                inode = os.fstat(sock.fileno()).st_ino
                connecting = loop.create_task(loop.sock_connect(sock, silent_address))
                await turns(number)
                connecting.cancel()
                await turns(3)
                assert connecting.cancelled()
                assert os.fstat(sock.fileno()).st_ino == inode
                assert loop.remove_writer(sock) is False
                assert loop.remove_reader(sock) is False

    run(main())


@pytest.mark.parametrize("end", ["read", "write"])
def test_pipes(same_as_stock, end):
    def scenario(loop, _):
        found = []

        async def main():
            for number in range(6):
                before = open_descriptors()
                reading, writing = os.pipe()
                other = writing if end == "read" else reading
                pipe = io.FileIO(reading, "r") if end == "read" else io.FileIO(writing, "w")
                connect = getattr(loop, f"connect_{end}_pipe")
                task = loop.create_task(connect(asyncio.Protocol, pipe))
                await turns(number)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()[0].close()
                ended = task.cancelled()
                del task
                await turns(3)
                with strangers():
                    found.append((number, ended, pipe.closed))
                    pipe.close()
                    gc.collect()
                    await turns(2)
                os.close(other)
                assert open_descriptors() == before

        loop.run_until_complete(main())
        return found

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert found[0] == (0, True, False)
    assert found[-1] == (5, False, True)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"local_addr": ("127.0.0.1", 0)},
        {"remote_addr": ("127.0.0.1", 9)},
        {"local_addr": ("127.0.0.1", 0), "remote_addr": ("127.0.0.1", 9)},
        {"family": socket.AF_INET},
    ],
    ids=str,
)
def test_create_datagram_endpoint(loop, run, kwargs):
    async def make():
        return await loop.create_datagram_endpoint(asyncio.DatagramProtocol, **kwargs)

    endings = run(cancelled_at_each_step(loop, make))
    assert endings[0] == "cancelled"
    assert endings[-1] == "returned"


def test_create_server(loop, run):
    # CPython: a server that serves already when it is cancelled, in its last step, stays with the
    # loop; one that is not yet made leaves nothing.
    async def main():
        endings = []
        while "returned" not in endings:
            before = open_descriptors()
            task = loop.create_task(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))
            await turns(len(endings))
            task.cancel()
            endings.append(await end(task))
            del task
            gc.collect()
            left = open_descriptors().items() - before.items()
            assert len(left) <= (endings[-1] == "cancelled")
            listening = {name for _, name in left}
            for fd, _ in left:
                assert socket.socket(fileno=os.dup(fd)).getsockname()[0] == "127.0.0.1"
            if listening:
                break
        return endings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        endings = run(main())
        loop.close()
        gc.collect()
    assert endings[0] == "cancelled"


def test_a_server_that_does_not_serve_yet(loop, run):
    async def make():
        return await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, start_serving=False)

    endings = run(cancelled_at_each_step(loop, make))
    assert endings[0] == "cancelled"
    assert endings[-1] == "returned"


@pytest.mark.parametrize("number", range(7))
def test_a_run_that_ends_while_it_accepts_leaves_nothing_open(engine, tmp_path, number):
    path = str(tmp_path / "socket")

    async def main():
        loop = asyncio.get_running_loop()
        await loop.create_unix_server(asyncio.Protocol, path)
        client.connect(path)
        await turns(number)

    before = open_descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with socket.socket(socket.AF_UNIX) as client:
            with asyncio.Runner(loop_factory=engine.new_loop) as runner:
                runner.run(main())
            gc.collect()
            with strangers():
                gc.collect()
    assert open_descriptors() == before


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 starts a thread for each child")
def test_subprocess_exec(loop, run):
    async def make():
        return await loop.subprocess_exec(asyncio.SubprocessProtocol, sys.executable, "-c", "")

    async def main():
        endings = []
        for number in (0, 1, 2, 3, 4, 5, 6, 30):
            before = open_descriptors()
            task = loop.create_task(make())
            await turns(number)
            task.cancel()
            await asyncio.wait([task])
            endings.append(task.cancelled())
            if not task.cancelled():
                transport, _ = task.result()
                transport.close()
                await transport._wait()
            del task
            await turns(5)
            with strangers(12):
                gc.collect()
                await turns(3)
            left = open_descriptors().items() - before.items()
            assert left == set(), number
        return endings

    endings = run(main())
    assert endings[0] is True
    assert endings[-1] is False
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
