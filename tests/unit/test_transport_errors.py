"""Protocol callbacks that raise: what is reported, and what becomes of the connection."""

import asyncio
import gc
import logging
import socket

import pytest
from event_trace import drained, events, fill


class Unlucky(Exception):
    """What the callbacks raise."""


def unlucky(*_):
    raise Unlucky("no luck")


REPORTED_KEYS = "exception message protocol transport"


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        ("data_received", "Fatal error: protocol.data_received() call failed."),
        ("eof_received", "Fatal error: protocol.eof_received() call failed."),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_error_in_a_read_callback_closes_the_transport(same_trace, callback, message, debug):
    async def scenario(trace):
        trace.loop.set_debug(debug)
        trace.loop.slow_callback_duration = 60
        transport, far = await trace.connect(trace.protocol("near", **{callback: unlucky}))
        far.send(b"data")
        far.shutdown(socket.SHUT_WR)
        await trace.turns(6)
        trace.note("closing", transport.is_closing())
        far.close()

    trace = same_trace(scenario)
    error = "Unlucky(no luck)"
    assert events(trace, "reported") == [["reported", message, REPORTED_KEYS, error]]
    assert events(trace, "connection_lost") == [["near", "connection_lost", error]]
    assert ["closing", True] in trace


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        ("get_buffer", "Fatal error: protocol.get_buffer() call failed."),
        ("buffer_updated", "Fatal error: protocol.buffer_updated() call failed."),
        ("eof_received", "Fatal error: protocol.eof_received() call failed."),
    ],
)
def test_an_error_in_a_buffered_callback_closes_the_transport(same_trace, callback, message):
    async def scenario(trace):
        protocol = trace.protocol("near", asyncio.BufferedProtocol, **{callback: unlucky})
        transport, far = await trace.connect(protocol)
        far.send(b"data")
        far.shutdown(socket.SHUT_WR)
        await trace.turns(6)
        trace.note("closing", transport.is_closing())
        far.close()

    trace = same_trace(scenario)
    error = "Unlucky(no luck)"
    assert events(trace, "reported") == [["reported", message, REPORTED_KEYS, error]]
    assert events(trace, "connection_lost") == [["near", "connection_lost", error]]


@pytest.mark.parametrize(
    "buffer", [None, 5, b"", bytearray(), "text", b"read-only", memoryview(b"read-only"), [1]]
)
def test_a_wrong_buffer_closes_the_transport(same_trace, buffer):
    async def scenario(trace):
        protocol = trace.protocol("near", asyncio.BufferedProtocol, get_buffer=lambda *_: buffer)
        _, far = await trace.connect(protocol)
        with far:
            far.send(b"data")
            await trace.turns(5)

    trace = same_trace(scenario)
    (report,) = events(trace, "reported")
    assert report[1] in {
        "Fatal error: protocol.get_buffer() call failed.",
        "Fatal read error on socket transport",
    }
    assert report[2] == REPORTED_KEYS
    assert events(trace, "connection_lost") == [["near", "connection_lost", report[3]]]


def test_an_empty_buffer_has_its_own_text(same_trace):
    async def scenario(trace):
        protocol = trace.protocol(
            "near", asyncio.BufferedProtocol, get_buffer=lambda *_: bytearray()
        )
        _, far = await trace.connect(protocol)
        with far:
            far.send(b"data")
            await trace.turns(5)

    assert same_trace(scenario)[2] == [
        "reported",
        "Fatal error: protocol.get_buffer() call failed.",
        REPORTED_KEYS,
        "RuntimeError(get_buffer() returned an empty buffer)",
    ]


def test_an_error_in_connection_made_is_reported_and_the_connection_stays(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near", connection_made=unlucky))
        trace.note("connected", transport.is_closing())
        with far:
            far.send(b"data")
            await trace.turns(3)
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    (report,) = events(trace, "reported")
    assert report[1] == "Exception in callback"
    assert report[2:] == ["exception handle message", "Unlucky(no luck)"]
    assert [event[1] for event in events(trace, "near")] == [
        "connection_made",
        "data_received",
        "connection_lost",
    ]


def test_an_error_in_connection_made_of_a_server_is_reported_alike(same_trace, tmp_path):
    async def scenario(trace):
        def factory():
            return trace.protocol("server", connection_made=unlucky)

        server = await trace.loop.create_unix_server(factory, tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as far:
            far.connect(str(tmp_path / "socket"))
            far.send(b"data")
            await trace.turns(8)
        await trace.turns(4)
        server.close()
        await server.wait_closed()

    trace = same_trace(scenario)
    (report,) = events(trace, "reported")
    assert report[2:] == ["exception handle message", "Unlucky(no luck)"]
    assert ["server", "data_received", b"data"] in trace


def test_an_error_in_the_factory_of_create_connection_is_raised(same_trace):
    async def scenario(trace):
        near, far = socket.socketpair()
        with near, far:
            try:
                await trace.loop.create_connection(unlucky, sock=near)
            except Unlucky as exc:
                trace.note("raised", exc, near.fileno() >= 0)

    trace = same_trace(scenario)
    # Some releases close the socket then (gh-153133), others leave it to the caller.
    assert trace in [
        [["raised", "Unlucky(no luck)", is_open], ["returned", None]] for is_open in (True, False)
    ]


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_in_a_server_factory_is_reported_in_debug_mode_only(same_trace, tmp_path, debug):
    async def scenario(trace):
        path = tmp_path / "socket"
        server = await trace.loop.create_unix_server(unlucky, path)
        trace.loop.set_debug(debug)
        trace.loop.slow_callback_duration = 60
        with socket.socket(socket.AF_UNIX) as far:
            far.connect(str(path))
            far.setblocking(False)
            await trace.turns(5)
            trace.loop.set_debug(False)
            server.close()
            await server.wait_closed()
            await trace.turns(2)
            gc.collect()  # the exception's traceback holds the accepted socket
            return far.recv(10)

    trace = same_trace(scenario)
    message = "Error on transport creation for incoming connection"
    expected = [["reported", message, "exception message", "Unlucky(no luck)"]]
    assert events(trace, "reported") == (expected if debug else [])
    assert trace[-1] == ["returned", b""]


@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing"])
def test_an_error_in_flow_control_is_reported_and_the_connection_stays(same_trace, callback):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near", **{callback: unlucky}))
        with far:
            written = await fill(transport)
            await drained(trace, far, written)
            trace.note("closing", transport.is_closing())
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert events(trace, "reported") == [
        [
            "reported",
            f"protocol.{callback}() failed",
            REPORTED_KEYS,
            "Unlucky(no luck)",
        ]
    ]
    assert ["closing", False] in trace
    assert events(trace, "connection_lost") == [["near", "connection_lost", None]]


def test_an_os_error_of_a_protocol_is_not_reported_but_given_to_connection_lost(same_trace):
    # CPython: _fatal_error asks isinstance(exc, OSError) alone, whoever raised it.
    async def scenario(trace):
        def received(*_):
            raise ConnectionResetError("of the program")

        _, far = await trace.connect(trace.protocol("near", data_received=received))
        with far:
            far.send(b"data")
            await trace.turns(5)

    trace = same_trace(scenario)
    assert events(trace, "reported") == []
    assert events(trace, "connection_lost") == [
        ["near", "connection_lost", "ConnectionResetError(of the program)"]
    ]


def test_an_os_error_is_logged_in_debug_mode_with_its_traceback(loop, run, caplog):
    near, far = socket.socketpair()

    class Protocol(asyncio.Protocol):
        def data_received(self, data):
            raise ConnectionResetError("of the program")

    async def main():
        transport, _ = await loop.create_connection(Protocol, sock=near)
        far.send(b"data")
        while not transport.is_closing():
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    caplog.set_level(logging.DEBUG, logger="asyncio")
    loop.set_debug(True)
    with far:
        run(main())
    end = ": Fatal error: protocol.data_received() call failed."
    (record,) = [record for record in caplog.records if record.getMessage().endswith(end)]
    assert record.levelname == "DEBUG"
    assert "Transport " in record.getMessage().removesuffix(end)
    assert record.exc_info[0] is ConnectionResetError


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("callback", ["connection_made", "data_received", "eof_received"])
def test_exits_in_a_callback_leave_run_forever_and_the_connection_lives(
    same_as_stock, exception, callback
):
    def scenario(loop, _):
        near, far = socket.socketpair()
        seen = []

        def leave(*_):
            seen.append("called")
            if len(seen) == 1:
                raise exception("out")

        methods = {callback: leave, "connection_lost": lambda _, exc: seen.append(exc)}
        protocol = type("Protocol", (asyncio.Protocol,), methods)()
        connecting = loop.create_task(loop.create_connection(lambda: protocol, sock=near))
        with far:
            if callback == "data_received":
                far.send(b"data")
            else:
                far.shutdown(socket.SHUT_WR)
            try:
                loop.run_forever()
            except exception as exc:
                seen.append(str(exc))
            transport, _ = loop.run_until_complete(connecting)
            loop.run_until_complete(asyncio.sleep(0))
            transport.abort()
            loop.run_until_complete(asyncio.sleep(0))
        return seen

    kind, seen = same_as_stock(scenario)
    assert kind == "returned"
    assert seen[:2] == ["called", "out"]
    assert seen[-1] is None


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_exits_in_buffered_callbacks_leave_run_forever(same_as_stock, exception):
    def scenario(loop, _):
        seen = []
        for callback in ("get_buffer", "buffer_updated"):
            near, far = socket.socketpair()

            def leave(*_):
                raise exception("out")

            space = bytearray(10)
            methods = {"get_buffer": lambda *_, space=space: space, callback: leave}
            protocol = type("Protocol", (asyncio.BufferedProtocol,), methods)()
            with far:
                connecting = loop.create_connection(lambda protocol=protocol: protocol, sock=near)
                transport, _ = loop.run_until_complete(connecting)
                far.send(b"data")
                try:
                    loop.run_forever()
                except exception as exc:
                    seen.append((callback, str(exc), transport.is_closing()))
                transport.abort()
                loop.run_until_complete(asyncio.sleep(0))
        return seen

    assert same_as_stock(scenario) == (
        "returned",
        [("get_buffer", "out", False), ("buffer_updated", "out", False)],
    )


def test_an_error_while_data_is_buffered_drops_it(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near", data_received=unlucky))
        with far:
            await fill(transport)
            far.send(b"data")
            await trace.turns(3)
            trace.note("size", transport.get_write_buffer_size())

    trace = same_trace(scenario)
    assert trace[-2] == ["size", 0]
    assert events(trace, "connection_lost") == [["near", "connection_lost", "Unlucky(no luck)"]]


@pytest.mark.parametrize("callback", ["data_received", "eof_received"])
def test_a_protocol_without_the_method_is_treated_as_one_that_raises(same_trace, callback):
    async def scenario(trace):
        class Bare:
            def connection_made(self, transport):
                trace.note("made")

            def connection_lost(self, exc):
                trace.note("lost", exc)

        near, far = socket.socketpair()
        await trace.loop.create_connection(Bare, sock=near)
        with far:
            if callback == "data_received":
                far.send(b"data")
            far.shutdown(socket.SHUT_WR)
            await trace.turns(4)

    trace = same_trace(scenario)
    (report,) = events(trace, "reported")
    assert report[1] == f"Fatal error: protocol.{callback}() call failed."
    assert report[3] == f"AttributeError('Bare' object has no attribute '{callback}')"
    assert trace[-2] == ["lost", report[3]]
