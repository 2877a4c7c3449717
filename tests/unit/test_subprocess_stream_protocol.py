"""`SubprocessStreamProtocol` by itself: what it makes of the pipes of a child, and their ends."""

import asyncio
import gc
import inspect
from asyncio import subprocess

import pytest
from stream_classes import NotingTransport, noting

import ferrio
from ferrio import _ferrio


@pytest.fixture(params=[subprocess, _ferrio], ids=["stock", "native"])
def protocol_class(request):
    return request.param.SubprocessStreamProtocol


class Child:
    """Stands for the transport of a child that has these pipes."""

    def __init__(self, *fds):
        self.pipes = {fd: NotingTransport() for fd in fds}
        self.closed = 0

    def get_pipe_transport(self, fd):
        return self.pipes.get(fd)

    def close(self):
        self.closed += 1

    def close_pipes(self):
        for pipe in self.pipes.values():
            pipe.close()


@pytest.fixture
def connected(loop, protocol_class):
    children = []

    def connected(*fds, of=protocol_class):
        protocol = of(limit=100, loop=loop)
        child = Child(*fds)
        children.append(child)
        protocol.connection_made(child)
        return protocol, child

    yield connected
    for child in children:
        child.close_pipes()


@pytest.mark.parametrize("fds", [(), (0,), (1,), (2,), (0, 1, 2)])
def test_each_pipe_has_its_stream(loop, connected, fds):
    protocol, child = connected(*fds)
    streams = protocol.stdin, protocol.stdout, protocol.stderr
    assert [fd for fd in range(3) if streams[fd] is not None] == list(fds)
    assert protocol._transport is child
    assert protocol._pipe_fds == [fd for fd in fds if fd > 0]
    assert protocol._loop is loop
    if protocol.stdin is not None:
        assert isinstance(protocol.stdin, (asyncio.StreamWriter, ferrio.StreamWriter))
        assert protocol.stdin.transport is child.pipes[0]
        assert (protocol.stdin._protocol, protocol.stdin._reader) == (protocol, None)
    for stream, fd in ((protocol.stdout, 1), (protocol.stderr, 2)):
        if stream is not None:
            assert isinstance(stream, (asyncio.StreamReader, ferrio.StreamReader))
            assert (stream._transport, stream._limit) == (child.pipes[fd], 100)


def test_what_it_is(protocol_class, loop):
    protocol = protocol_class(1, loop=loop)
    assert isinstance(protocol, asyncio.SubprocessProtocol)
    assert isinstance(protocol, asyncio.Protocol)
    assert protocol_class.__module__ == "asyncio.subprocess"
    assert protocol_class.__qualname__ == "SubprocessStreamProtocol"
    signature = inspect.signature(protocol_class)
    assert list(signature.parameters) == ["limit", "loop"]
    assert (protocol._limit, protocol._transport, protocol._process_exited) == (1, None, False)
    assert isinstance(protocol._stdin_closed, asyncio.Future)
    assert protocol._stdin_closed.get_loop() is loop
    assert not protocol._stdin_closed.done()
    protocol.more = 1  # it takes attributes, as stock's


def test_arguments_that_are_missing(protocol_class, loop):
    name = "SubprocessStreamProtocol"
    with pytest.raises(TypeError, match=rf"{name}.__init__\(\) missing 1 required .*'loop'"):
        protocol_class(1)
    protocol = protocol_class(1, loop)
    with pytest.raises(TypeError, match=rf"{name}.pipe_data_received\(\) missing 1 .*'data'"):
        protocol.pipe_data_received(1)
    with pytest.raises(TypeError, match=rf"{name}.pipe_connection_lost\(\) missing 2 .*'fd' and"):
        protocol.pipe_connection_lost()


def test_without_a_loop_the_running_one_is_taken(run, loop, protocol_class):
    async def main():
        return protocol_class(1, None)._loop

    assert run(main()) is loop


def test_data_goes_to_the_reader_of_its_pipe(connected, run):
    protocol, _ = connected(1, 2)
    protocol.pipe_data_received(1, b"to stdout")
    protocol.pipe_data_received(fd=2, data=b"to stderr")
    protocol.pipe_data_received(7, b"to nobody")
    protocol.pipe_data_received(1, b", more")
    protocol.pipe_connection_lost(1, None)
    protocol.pipe_connection_lost(2, None)
    assert run(protocol.stdout.read()) == b"to stdout, more"
    assert run(protocol.stderr.read()) == b"to stderr"


def test_data_of_a_pipe_that_nobody_reads(connected):
    protocol, _ = connected(1)
    protocol.pipe_data_received(2, b"ignored")
    assert protocol.stderr is None
    assert bytes(protocol.stdout._buffer) == b""


def test_a_pipe_that_broke(connected, run):
    protocol, _ = connected(1)
    protocol.pipe_connection_lost(1, OSError("broken"))
    with pytest.raises(OSError, match="broken"):
        run(protocol.stdout.read())


@pytest.mark.parametrize("exited_first", [False, True])
def test_the_transport_is_closed_when_all_has_ended(connected, exited_first):
    protocol, child = connected(0, 1, 2)
    if exited_first:
        protocol.process_exited()
    protocol.pipe_connection_lost(2, None)
    assert (protocol._pipe_fds, child.closed) == ([1], 0)
    protocol.pipe_connection_lost(1, None)
    if not exited_first:
        assert child.closed == 0
        protocol.process_exited()
    assert (child.closed, protocol._transport, protocol._process_exited) == (1, None, True)


def test_the_end_of_a_child_without_pipes(connected):
    protocol, child = connected()
    protocol.process_exited()
    assert child.closed == 1


def test_stdin_that_is_closed(connected, run):
    protocol, child = connected(0)

    async def main():
        closing = asyncio.ensure_future(protocol.stdin.wait_closed())
        await asyncio.sleep(0)
        protocol.pipe_connection_lost(0, None)
        await closing
        with pytest.raises(ConnectionResetError, match="Connection lost"):
            await protocol.stdin.drain()

    run(main())
    assert child.pipes[0].calls == ["close"]
    assert protocol._stdin_closed.result() is None
    assert protocol._connection_lost
    assert child.closed == 0


def test_stdin_that_broke_wakes_who_drains_and_reports_nothing(connected, run, loop):
    protocol, _ = connected(0)
    reports = []
    loop.set_exception_handler(lambda _, report: reports.append(report))

    async def main():
        protocol.pause_writing()
        draining = asyncio.ensure_future(protocol.stdin.drain())
        await asyncio.sleep(0)
        assert len(protocol._drain_waiters) == 1
        protocol.pipe_connection_lost(0, BrokenPipeError("gone"))
        with pytest.raises(BrokenPipeError, match="gone"):
            await draining
        assert not protocol._drain_waiters

    run(main())
    assert str(protocol._stdin_closed._exception) == "gone"
    assert protocol._stdin_closed._log_traceback is False
    protocol.stdin = protocol._stdin_closed = None
    gc.collect()
    assert reports == []


def test_the_end_of_a_stdin_that_nobody_has(connected):
    protocol, _ = connected(1)
    protocol.pipe_connection_lost(0, None)
    assert protocol._stdin_closed.done()


def test_stdin_ends_once(connected):
    protocol, _ = connected(0)
    protocol.pipe_connection_lost(0, None)
    with pytest.raises(asyncio.InvalidStateError):
        protocol.pipe_connection_lost(0, None)


def test_drain_waits_while_the_pipe_is_full(connected, run):
    protocol, _ = connected(0)

    async def main():
        await protocol.stdin.drain()
        protocol.pause_writing()
        with pytest.raises(AssertionError):
            protocol.pause_writing()
        draining = asyncio.ensure_future(protocol.stdin.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        protocol.resume_writing()
        with pytest.raises(AssertionError):
            protocol.resume_writing()
        await draining

    run(main())


def test_the_future_of_the_end_is_that_of_stdin_alone(connected):
    protocol, _ = connected(0, 1)
    assert protocol._get_close_waiter(protocol.stdin) is protocol._stdin_closed
    assert protocol._get_close_waiter(protocol.stdout) is None


def test_repr(connected):
    protocol, _ = connected(0, 2)
    shown = "<SubprocessStreamProtocol stdin=<StreamWriter transport=<the transport>>"
    assert repr(protocol) == f"{shown} stderr=<StreamReader limit=100 transport=<the transport>>>"
    assert repr(connected()[0]) == "<SubprocessStreamProtocol>"


def test_methods_of_a_subclass_are_called(connected, protocol_class):
    calls = []
    names = "connection_lost", "_maybe_close_transport"
    protocol, _ = connected(0, 1, of=noting(protocol_class, calls, *names))
    error = OSError("broken")
    protocol.pipe_connection_lost(0, error)
    protocol.pipe_connection_lost(1, None)
    protocol.process_exited()
    protocol._stdin_closed.exception()
    closes = ("_maybe_close_transport",)
    assert calls == [("connection_lost", error), closes, closes]


def test_a_reader_that_was_put_in_the_place_of_its_own(connected):
    class Reader:
        def __init__(self):
            self.fed = []

        def feed_data(self, data):
            self.fed.append(data)

        def feed_eof(self):
            self.fed.append("eof")

    protocol, _ = connected(1)
    protocol.stdout = reader = Reader()
    protocol.pipe_data_received(1, b"data")
    protocol.pipe_connection_lost(1, None)
    assert reader.fed == [b"data", "eof"]


def test_a_second_init_begins_anew(connected, loop):
    protocol, child = connected(0, 1)
    protocol.pause_writing()
    child.close_pipes()
    protocol.__init__(5, loop)
    assert (protocol.stdout, protocol._pipe_fds, protocol._limit) == (None, [], 5)
    assert not protocol._paused


def test_install_puts_it_in_the_place_of_stocks():
    stock = subprocess.SubprocessStreamProtocol
    ferrio.install()
    try:
        assert subprocess.SubprocessStreamProtocol is _ferrio.SubprocessStreamProtocol
    finally:
        ferrio.uninstall()
    assert subprocess.SubprocessStreamProtocol is stock
