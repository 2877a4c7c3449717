"""What pipe transports say of themselves, and what may be connected as a pipe."""

import asyncio
import gc
import io
import os
import pty
import socket
import stat
import sys
import types
import warnings

import pytest
from pipe_ends import Ends, connect, fill


@pytest.mark.parametrize("end", ["read", "write"])
def test_the_repr_and_extra_info_in_each_state(same_trace, end):
    async def scenario(trace):
        transport, ends = await connect(trace, end)
        trace.note("connected", repr(transport))
        trace.note("info", transport.get_extra_info("pipe") is ends.pipe)
        trace.note("other", transport.get_extra_info("socket"), sorted(transport._extra))
        trace.note("blocking", os.get_blocking(ends.fd))
        with ends:
            if end == "read":
                transport.pause_reading()
                trace.note("paused", repr(transport))
            else:
                fill(transport)
                trace.note("full", repr(transport))
            transport.close()
            trace.note("closing", repr(transport))
            if end == "write":
                transport.abort()
            await trace.turns(2)
            trace.note("closed", repr(transport), transport.is_closing(), ends.pipe.closed)

    trace = same_trace(scenario)
    reprs = {event[0]: event[1] for event in trace if str(event[1]).startswith("<")}
    name = f"{end.capitalize()}PipeTransport"
    idle = "polling" if end == "read" else "idle bufsize=0"
    assert reprs["connected"] == f"<{name} fd=N {idle}>"
    assert reprs["closed"] == f"<{name} closed fd=N closed>"
    assert ["info", True] in trace
    assert ["blocking", False] in trace


@pytest.mark.parametrize("end", ["read", "write"])
def test_classes_protocols_and_limits(loop, run, end):
    ends = Ends(end)
    method = getattr(loop, f"connect_{end}_pipe")
    transport, protocol = run(method(asyncio.Protocol, ends.pipe))
    kind = asyncio.ReadTransport if end == "read" else asyncio.WriteTransport
    assert isinstance(transport, kind)
    assert isinstance(transport, asyncio.Transport) is (end == "write")
    assert transport.get_protocol() is protocol
    other = asyncio.Protocol()
    transport.set_protocol(other)
    assert transport.get_protocol() is other
    if end == "write":
        assert transport.get_write_buffer_limits() == (16384, 65536)
        transport.set_write_buffer_limits(high=100)
        assert transport.get_write_buffer_limits() == (25, 100)
    with ends:
        transport.close()
        run(asyncio.sleep(0))
    assert ends.pipe.closed


@pytest.mark.parametrize("end", ["read", "write"])
@pytest.mark.parametrize("kind", ["file", "closed", "no descriptor", "folder"])
def test_what_is_no_pipe_raises_what_stock_raises(same_as_stock, tmp_path, monkeypatch, end, kind):
    # CPython: the finalizer of a transport that was not made to its end fails.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    def scenario(loop, _):
        path = tmp_path / "file"
        path.write_text("content")
        if kind == "no descriptor":
            pipe = object()
        elif kind == "folder":
            fd = os.open(tmp_path, os.O_RDONLY)
            pipe = types.SimpleNamespace(fileno=lambda: fd, close=lambda: None)
        else:
            pipe = io.FileIO(path, "r+")
        if kind == "closed":
            pipe.close()
        try:
            loop.run_until_complete(getattr(loop, f"connect_{end}_pipe")(asyncio.Protocol, pipe))
        except Exception as exc:
            return type(exc), str(exc)
        finally:
            if kind == "folder":
                os.close(fd)
            elif kind == "file":
                assert not pipe.closed
                pipe.close()

    kind_, (exception, text) = same_as_stock(scenario)
    assert kind_ == "returned"
    if kind == "file":
        assert exception is ValueError
        assert text.startswith("Pipe transport is ")


@pytest.mark.parametrize("end", ["read", "write"])
def test_sockets_and_terminals_are_pipes_too(loop, run, end):
    async def main(near, far):
        received = loop.create_future()

        class Protocol(asyncio.Protocol):
            def data_received(self, data):
                received.set_result(data)

        method = getattr(loop, f"connect_{end}_pipe")
        transport, _ = await method(Protocol, near)
        if end == "read":
            os.write(far, b"hello\n")
            data = await received
        else:
            transport.write(b"hello\n")
            data = os.read(far, 100)
        transport.close()
        await asyncio.sleep(0)
        return data

    left, right = socket.socketpair()
    with right:
        assert run(main(left, right.fileno())) == b"hello\n"
    controller, terminal = pty.openpty()
    assert stat.S_ISCHR(os.fstat(terminal).st_mode)
    near = io.FileIO(terminal, "r" if end == "read" else "w")
    assert run(main(near, controller)).replace(b"\r", b"") == b"hello\n"
    os.close(controller)


@pytest.mark.parametrize("end", ["read", "write"])
def test_an_unclosed_pipe_transport_warns_and_closes_the_pipe(loop, run, end):
    # A terminal, because the loop watches the other end of a pipe and so holds its transport.
    controller, terminal = pty.openpty()
    pipe = io.FileIO(terminal, "r" if end == "read" else "w")
    transport, _ = run(getattr(loop, f"connect_{end}_pipe")(asyncio.Protocol, pipe))
    if end == "read":
        transport.pause_reading()
    text = f"unclosed transport {transport!r}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del transport, _
        gc.collect()
    os.close(controller)
    assert [str(warning.message) for warning in caught] == [text]
    assert pipe.closed
