"""Subprocess transports: order of the callbacks, pipes, signals, closing, repr."""

import asyncio
import collections
import contextlib
import gc
import os
import select
import signal
import subprocess
import sys
import warnings

import pytest
from descriptors import open_descriptors
from event_trace import shown

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
NOTHING = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}


class Collect(asyncio.SubprocessProtocol):
    """Notes every callback; `exited` and `lost` are futures."""

    def __init__(self, loop):
        self.events = []
        self.data = {1: b"", 2: b""}
        self.exited = loop.create_future()
        self.lost = loop.create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("connection_made")

    def pipe_data_received(self, fd, data):
        if ("data", fd) not in self.events:
            self.events.append(("data", fd))
        self.data[fd] += data

    def pipe_connection_lost(self, fd, exc):
        self.events.append(("pipe lost", fd, type(exc).__name__))

    def process_exited(self):
        self.events.append("process_exited")
        self.exited.set_result(None)

    def connection_lost(self, exc):
        self.events.append(("connection_lost", exc))
        self.lost.set_result(None)


async def start(loop, *args, **kwargs):
    """Start a program; return transport and protocol."""
    return await loop.subprocess_exec(lambda: Collect(loop), *args, **kwargs)


def shell(source):
    return "/bin/sh", "-c", source


def test_the_classes_and_extra_info(loop, run):
    async def main():
        transport, protocol = await start(loop, *shell("cat"))
        assert isinstance(transport, asyncio.SubprocessTransport)
        assert isinstance(transport, asyncio.BaseTransport)
        assert transport.get_protocol() is protocol
        popen = transport.get_extra_info("subprocess")
        assert isinstance(popen, subprocess.Popen)
        assert popen.pid == transport.get_pid()
        assert transport.get_returncode() is None
        assert isinstance(transport.get_pipe_transport(0), asyncio.WriteTransport)
        for fd in (1, 2):
            assert isinstance(transport.get_pipe_transport(fd), asyncio.ReadTransport)
        assert transport.get_pipe_transport(3) is None
        assert transport.get_extra_info("other", 5) == 5
        transport.get_pipe_transport(0).close()
        await protocol.lost
        assert transport.get_returncode() == 0
        # CPython: after connection_lost it is not closed, and must be, or it warns.
        assert transport.is_closing() is False
        transport.close()
        assert transport.is_closing() is True
        assert transport.get_pid() == popen.pid
        assert popen.returncode == 0

    run(main())


def test_output_input_and_exit(loop, run):
    async def main():
        transport, protocol = await start(loop, *shell("cat; echo error >&2; exit 7"))
        transport.get_pipe_transport(0).write(b"through cat")
        transport.get_pipe_transport(0).write_eof()
        await protocol.lost
        transport.close()
        return protocol, transport.get_returncode()

    protocol, returncode = run(main())
    assert returncode == 7
    assert protocol.data == {1: b"through cat", 2: b"error\n"}
    assert protocol.events[0] == "connection_made"
    assert protocol.events[-1] == ("connection_lost", None)
    assert sorted(map(str, protocol.events[1:-1])) == sorted(
        map(
            str,
            [
                ("pipe lost", 0, "NoneType"),
                ("data", 1),
                ("data", 2),
                ("pipe lost", 1, "NoneType"),
                ("pipe lost", 2, "NoneType"),
                "process_exited",
            ],
        )
    )


def test_a_process_that_exits_before_its_pipes_end(loop, run):
    # The grandchild holds the pipes open until it reads the end of its input.
    async def main():
        source = "exec 3<&0; (cat; echo late) <&3 & exit 3"
        transport, protocol = await start(loop, *shell(source), stderr=DEVNULL)
        await protocol.exited
        assert transport.get_returncode() == 3
        assert not protocol.lost.done()
        transport.get_pipe_transport(0).write(b"still here ")
        transport.get_pipe_transport(0).close()
        await protocol.lost
        transport.close()
        return protocol

    protocol = run(main())
    assert protocol.data[1] == b"still here late\n"
    assert protocol.events == [
        "connection_made",
        "process_exited",
        ("pipe lost", 0, "NoneType"),
        ("data", 1),
        ("pipe lost", 1, "NoneType"),
        ("connection_lost", None),
    ]


def test_a_process_that_closes_its_pipes_before_it_exits(loop, run):
    async def main():
        source = "exec >&- 2>&-; read line; exit 4"
        transport, protocol = await start(loop, *shell(source))
        while len(protocol.events) < 3:
            await asyncio.sleep(0.001)
        assert sorted(protocol.events[1:]) == [
            ("pipe lost", 1, "NoneType"),
            ("pipe lost", 2, "NoneType"),
        ]
        assert transport.get_returncode() is None
        transport.get_pipe_transport(0).write(b"go\n")
        await protocol.lost
        transport.close()
        return protocol.events, transport.get_returncode()

    events, returncode = run(main())
    assert returncode == 4
    assert events[-1] == ("connection_lost", None)
    assert "process_exited" in events


@pytest.mark.parametrize("fds", [(0, 1, 2), (2, 1, 0), (1,), (0,), (2, 0)])
def test_pipes_may_be_closed_in_any_order(loop, run, fds):
    async def main():
        transport, protocol = await start(loop, *shell("cat >/dev/null 2>&1; exit 0"))
        for fd in fds:
            transport.get_pipe_transport(fd).close()
        if 0 not in fds:
            transport.get_pipe_transport(0).close()
        await protocol.lost
        transport.close()
        return protocol.events, transport.get_returncode()

    events, returncode = run(main())
    assert returncode == 0
    assert len([event for event in events if event[0] == "pipe lost"]) == 3


@pytest.mark.parametrize("act", ["terminate", "kill", "send_signal"])
def test_signals_end_a_process(loop, run, act):
    async def main():
        transport, protocol = await start(loop, *shell("exec sleep 20"), **NOTHING)
        arguments = [signal.SIGUSR1] if act == "send_signal" else []
        assert getattr(transport, act)(*arguments) is None
        await protocol.lost
        transport.close()
        return transport.get_returncode(), protocol.events

    names = {"terminate": "SIGTERM", "kill": "SIGKILL", "send_signal": "SIGUSR1"}
    returncode, events = run(main())
    assert returncode == -getattr(signal, names[act])
    assert events == ["connection_made", "process_exited", ("connection_lost", None)]


@pytest.mark.parametrize("act", ["terminate", "kill", "send_signal"])
@pytest.mark.parametrize("when", ["process_exited", "connection_lost", "later"])
def test_signals_after_the_exit_do_what_stock_does(same_as_stock, act, when):
    def scenario(loop, _):
        outcomes = []

        def send(transport):
            try:
                getattr(transport, act)(*[signal.SIGTERM] * (act == "send_signal"))
            except ProcessLookupError as exc:
                outcomes.append(type(exc))
            else:
                outcomes.append(None)

        class Sender(Collect):
            def process_exited(self):
                super().process_exited()
                if when == "process_exited":
                    send(self.transport)

            def connection_lost(self, exc):
                super().connection_lost(exc)
                if when == "connection_lost":
                    send(self.transport)

        async def main():
            transport, protocol = await loop.subprocess_exec(
                lambda: Sender(loop), *shell("exit 5"), **NOTHING
            )
            await protocol.lost
            if when == "later":
                send(transport)
            transport.close()
            return transport.get_returncode(), outcomes

        return loop.run_until_complete(main())

    expected = [ProcessLookupError] if when == "later" else [None]
    assert same_as_stock(scenario) == ("returned", (5, expected))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="until 3.12 Popen takes the exit status")
def test_a_signal_before_the_loop_saw_the_exit_is_silent(loop, run):
    async def main():
        kwargs = dict(NOTHING, stdin=PIPE)
        transport, protocol = await start(loop, *shell("read line; exit 6"), **kwargs)
        transport.get_pipe_transport(0).write(b"go\n")
        os.waitid(os.P_PID, transport.get_pid(), os.WEXITED | os.WNOWAIT)
        transport.kill()
        await protocol.lost
        transport.close()
        return transport.get_returncode()

    assert run(main()) == 6


def test_close_kills_the_process_and_closes_the_pipes(loop, run):
    async def main():
        transport, protocol = await start(loop, *shell("exec sleep 20"))
        pipes = [transport.get_pipe_transport(fd) for fd in range(3)]
        assert transport.close() is None
        assert transport.is_closing() is True
        assert all(pipe.is_closing() for pipe in pipes)
        assert transport.close() is None
        await protocol.lost
        return transport.get_returncode(), protocol.events

    returncode, events = run(main())
    assert returncode == -signal.SIGKILL
    assert events[-1] == ("connection_lost", None)
    assert len(events) == 6


def test_closing_a_running_process_is_logged_in_debug_mode(loop, run, caplog):
    async def main():
        transport, protocol = await start(loop, *shell("exec sleep 20"), **NOTHING)
        loop.set_debug(True)
        transport.close()
        loop.set_debug(False)
        await protocol.lost

    run(main())
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage().startswith("Close running child process: kill <")


def test_the_repr_in_each_state(same_as_stock):
    def scenario(loop, _):
        found = []

        def note(transport):
            text = shown(repr(transport)).replace(" polling>", ">").replace(" idle>", ">")
            found.append(text.replace(" idle bufsize=0>", ">"))

        async def main():
            transport, protocol = await start(loop, *shell("cat; exit 9"))
            note(transport)
            transport.get_pipe_transport(0).close()
            await protocol.lost
            note(transport)
            transport.close()
            note(transport)
            transport, protocol = await start(
                loop, *shell("read line"), stdin=PIPE, stdout=PIPE, stderr=subprocess.STDOUT
            )
            note(transport)
            transport.get_pipe_transport(0).write(b"go\n")
            await protocol.lost
            note(transport)
            transport.close()

        loop.run_until_complete(main())
        return found

    kind, found = same_as_stock(scenario)
    assert kind == "returned"
    assert found[0].startswith("<SubprocessTransport pid=N running stdin=<WritePipeTransport fd=N")
    assert found[1].startswith("<SubprocessTransport pid=N returncode=9 ")
    assert found[2].startswith("<SubprocessTransport closed pid=N returncode=9 ")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11's thread holds the transport")
def test_an_unclosed_transport_warns_and_kills_its_process(loop, run):
    async def main():
        transport, _ = await start(loop, *shell("exec sleep 20"), **NOTHING)
        return transport.get_pid(), f"unclosed transport {transport!r}"

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pid, text = run(main())
        loop.close()
        gc.collect()
    assert text in [str(warning.message) for warning in caught]
    with contextlib.suppress(ChildProcessError):  # Popen may have reaped it
        assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_set_protocol_of_a_subprocess(loop, run):
    async def main():
        transport, protocol = await start(loop, *shell("cat"))
        other = Collect(loop)
        transport.set_protocol(other)
        assert transport.get_protocol() is other
        transport.get_pipe_transport(0).write(b"data")
        transport.get_pipe_transport(0).close()
        await other.lost
        transport.close()
        return protocol.events, other.data[1], other.events[-1]

    assert run(main()) == (["connection_made"], b"data", ("connection_lost", None))


@pytest.mark.parametrize(
    "program", ["/nowhere/program", "/", sys.executable + "x"], ids=["missing", "folder", "name"]
)
def test_a_program_that_cannot_start_raises_and_leaves_nothing(same_as_stock, program):
    def scenario(loop, _):
        before = open_descriptors()
        try:
            loop.run_until_complete(start(loop, program))
        except OSError as exc:
            error = type(exc), exc.errno, str(exc)
        gc.collect()
        assert open_descriptors().items() <= before.items()
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return error

    kind, (exception, *_) = same_as_stock(scenario)
    assert kind == "returned"
    assert issubclass(exception, OSError)


def test_an_error_in_the_protocol_is_reported_and_the_process_goes_on(loop, run, reported):
    class Failing(Collect):
        def process_exited(self):
            super().process_exited()
            raise ValueError("of the program")

    async def main():
        transport, protocol = await loop.subprocess_exec(
            lambda: Failing(loop), *shell("exit 0"), **NOTHING
        )
        await protocol.lost
        transport.close()

    run(main())
    (context,) = reported
    assert str(context["exception"]) == "of the program"
    assert context["message"].startswith("Exception in callback ")


def wait_until_readable(transport):
    """Wait, without a turn of the loop, until the child has written to its pipe."""
    select.select([transport.get_pipe_transport(1).get_extra_info("pipe")], [], [])


def test_data_comes_in_the_turn_after_the_one_that_read_it(same_trace):
    async def scenario(trace):
        class Protocol(asyncio.SubprocessProtocol):
            def pipe_data_received(self, fd, data):
                trace.note("data", fd, data)

        transport, _ = await trace.loop.subprocess_exec(
            Protocol, "/bin/cat", stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        await trace.count_anew()  # starting takes as many turns as the machine likes
        for text in (b"one", b"two"):
            transport.get_pipe_transport(0).write(text)
            wait_until_readable(transport)
            trace.loop.call_soon(trace.note, "queued before the read")
            await trace.turns(4)
        transport.close()
        await transport._wait()
        await trace.count_anew()

    events = [event for event, *_ in same_trace(scenario)]
    assert events == ["queued before the read", "data"] * 2 + ["returned"]


def test_data_that_is_read_before_the_protocol_is_connected(loop, run):
    """A read pipe is connected some turns before all three are; what it gives till then, waits."""

    async def main():
        transport, protocol = await start(loop, "/bin/cat", stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        transport._pending_calls = pending = collections.deque()
        transport.get_pipe_transport(0).write(b"early\n")
        wait_until_readable(transport)
        for _ in range(3):
            await asyncio.sleep(0)
        assert pending[0] == (protocol.pipe_data_received, (1, b"early\n"))
        assert protocol.data[1] == b""
        transport._pending_calls = None
        for callback, arguments in pending:
            callback(*arguments)
        transport.get_pipe_transport(0).close()
        await protocol.lost
        transport.close()
        return protocol.data[1]

    assert run(main()) == b"early\n"


@pytest.mark.parametrize("extended", ["transport", "pipe"])
def test_extended_classes_between_pipe_and_protocol_are_asked(loop, run, extended):
    calls = []

    async def main():
        transport, protocol = await start(loop, "/bin/cat", stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        pipe = transport._pipes[1]
        if extended == "transport":

            class Transport(type(transport)):
                def _pipe_data_received(self, fd, data):
                    calls.append((fd, data))
                    super()._pipe_data_received(fd, data)

            transport.__class__ = Transport
        else:

            class Pipe(type(pipe)):
                def data_received(self, data):
                    calls.append((self.fd, data))
                    super().data_received(data)

            pipe.__class__ = Pipe
        transport.get_pipe_transport(0).write(b"text")
        transport.get_pipe_transport(0).write_eof()
        await protocol.lost
        transport.close()
        return protocol.data[1]

    assert run(main()) == b"text"
    assert calls == [(1, b"text")]
