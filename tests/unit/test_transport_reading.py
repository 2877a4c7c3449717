"""Reading of stream transports: data_received, BufferedProtocol, pause, resume, set_protocol."""

import asyncio
import socket

import pytest
from event_trace import events


def names(trace, of="near"):
    """The callbacks of one protocol, in order."""
    return [event[1] for event in trace if event[0] == of]


def test_data_arrives_as_bytes_of_its_own(loop, run):
    received = []

    class Protocol(asyncio.Protocol):
        def data_received(self, data):
            received.append(data)

    async def main():
        near, far = socket.socketpair()
        with far:
            await loop.create_connection(Protocol, sock=near)
            for size in (1, 7, 300, 5000):
                far.send(bytes([size % 256]) * size)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)

    run(main())
    assert [type(data) for data in received] == [bytes] * 4
    assert received == [bytes([size % 256]) * size for size in (1, 7, 300, 5000)]


@pytest.mark.parametrize(
    "keep", [lambda data: [data], memoryview, lambda data: {data}, lambda data: None]
)
@pytest.mark.parametrize(
    "sizes", [[1000] * 6, [4000, 3000, 2000, 2500, 900, 4000], [479, 480, 481]]
)
def test_what_is_kept_does_not_change_and_what_is_dropped_leaves_no_trace(loop, run, keep, sizes):
    """Ferrio fills objects again that nobody kept: each must be what a new one would be."""
    arrived = asyncio.Queue()

    class Protocol(asyncio.Protocol):
        def data_received(self, data):
            same = bytes(bytearray(data))
            looks = hash(data) == hash(same), data == same, len(data), int(data) == int(same)
            arrived.put_nowait((looks, keep(data)))

    async def main():
        near, far = socket.socketpair()
        kept = []
        with far:
            transport, _ = await loop.create_connection(Protocol, sock=near)
            for number, size in enumerate(sizes, 1):
                far.send(b"%d" % number * size)
                looks, held = await arrived.get()
                assert looks == (True, True, size, True)
                kept.append(held)
            transport.close()
        return kept

    kept = run(main())
    if kept[0] is not None:
        sent = [b"%d" % number * size for number, size in enumerate(sizes, 1)]
        assert kept == [keep(data) for data in sent]


@pytest.mark.parametrize("buffered", [False, True])
def test_a_large_message_arrives_whole_and_in_order(loop, run, buffered):
    sent = bytes(range(256)) * 12_000
    received = bytearray()
    done = loop.create_future()

    class Plain(asyncio.Protocol):
        def data_received(self, data):
            received.extend(data)

        def connection_lost(self, exc):
            done.set_result(exc)

    class Buffered(asyncio.BufferedProtocol):
        def connection_made(self, transport):
            self.space = bytearray(70_001)

        def get_buffer(self, sizehint):
            return self.space

        def buffer_updated(self, nbytes):
            received.extend(self.space[:nbytes])

        def connection_lost(self, exc):
            done.set_result(exc)

    async def main():
        near, far = socket.socketpair()
        await loop.create_connection(Buffered if buffered else Plain, sock=near)
        far.setblocking(False)
        await loop.sock_sendall(far, sent)
        far.close()
        return await done

    assert run(main()) is None
    assert received == sent


@pytest.mark.parametrize("base", [asyncio.Protocol, asyncio.BufferedProtocol])
def test_pause_inside_the_read_callback_stops_the_reading_at_once(same_trace, base):
    async def scenario(trace):
        def pause(self, *_):
            self.transport.pause_reading()
            trace.note("reading", self.transport.is_reading())

        callback = "data_received" if base is asyncio.Protocol else "buffer_updated"
        transport, far = await trace.connect(trace.protocol("near", base, **{callback: pause}))
        with far:
            far.send(b"one")
            await trace.turns(3)
            far.send(b"two")
            await trace.turns(3)
            trace.note("resume", transport.resume_reading(), transport.is_reading())
            await trace.turns(3)
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    if base is asyncio.Protocol:
        assert events(trace, "data_received") == [
            ["near", "data_received", b"one"],
            ["near", "data_received", b"two"],
        ]
    else:
        assert events(trace, "buffer_updated") == [["near", "buffer_updated", 3]] * 2
    assert trace.count(["reading", False]) == 2
    assert ["resume", None, True] in trace


def test_pause_inside_connection_made_holds_the_data_back(same_trace):
    async def scenario(trace):
        near, far = socket.socketpair()
        with far:
            far.send(b"early")
            protocol = trace.protocol("near", connection_made=lambda _, t: t.pause_reading())
            transport, _ = await trace.loop.create_connection(lambda: protocol, sock=near)
            trace.note("reading", transport.is_reading())
            await trace.turns(4)
            trace.note("resume", transport.resume_reading())
            await trace.turns(3)
            transport.close()
            await trace.turns(2)

    assert same_trace(scenario) == [
        ["near", "connection_made", "the transport"],
        ["reading", False],
        ["resume", None],
        ["near", "data_received", b"early"],
        ["near", "connection_lost", None],
        ["returned", None],
    ]


def test_pause_and_resume_inside_connection_made_read_as_if_nothing_happened(same_trace):
    async def scenario(trace):
        def made(_, transport):
            transport.pause_reading()
            transport.resume_reading()

        _, far = await trace.connect(trace.protocol("near", connection_made=made))
        far.send(b"data")
        await trace.turns(2)
        far.close()
        await trace.turns(3)

    assert names(same_trace(scenario)) == [
        "connection_made",
        "data_received",
        "eof_received",
        "connection_lost",
    ]


@pytest.mark.parametrize("debug", [False, True])
def test_a_second_pause_or_resume_does_nothing(same_trace, debug):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        trace.loop.set_debug(debug)
        trace.loop.slow_callback_duration = 60
        with far:
            for act in ("resume", "pause", "pause", "resume", "resume", "pause"):
                trace.note(act, getattr(transport, f"{act}_reading")(), transport.is_reading())
            transport.close()
            for act in ("pause", "resume", "pause"):
                trace.note(act, getattr(transport, f"{act}_reading")(), transport.is_reading())
            await trace.turns(2)
            for act in ("pause", "resume"):
                trace.note(act, getattr(transport, f"{act}_reading")(), transport.is_reading())

    trace = same_trace(scenario)
    states = [event for event in trace if event[0] in {"pause", "resume"}]
    assert [state for _, _, state in states] == [True, False, False, True, True] + [False] * 6
    logged = [event[2].split("> ")[1] for event in events(trace, "logged")]
    assert logged == (["pauses reading", "resumes reading", "pauses reading"] if debug else [])


def test_pausing_in_the_turn_in_which_data_is_ready_delivers_nothing(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            far.send(b"data")
            await trace.turns(1)
            # The reader is queued behind this very step.
            transport.pause_reading()
            await trace.turns(3)
            trace.note("resume")
            transport.resume_reading()
            await trace.turns(2)
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert trace.index(["resume"]) < trace.index(["near", "data_received", b"data"])


def test_pause_and_resume_in_the_turn_in_which_data_is_ready_deliver_once(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            far.send(b"data")
            await trace.turns(1)
            transport.pause_reading()
            transport.resume_reading()
            await trace.turns(4)
            transport.close()
            await trace.turns(2)

    assert names(same_trace(scenario)) == ["connection_made", "data_received", "connection_lost"]


def test_end_of_file_is_not_seen_while_reading_is_paused(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        transport.pause_reading()
        far.close()
        await trace.turns(4)
        trace.note("resume")
        transport.resume_reading()
        await trace.turns(4)

    assert names(same_trace(scenario)) == ["connection_made", "eof_received", "connection_lost"]


def test_set_protocol_takes_effect_for_the_next_data(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("first"))
        protocols = {
            "buffered": trace.protocol("buffered", asyncio.BufferedProtocol),
            "plain": trace.protocol("plain"),
            "again": trace.protocol("again", asyncio.BufferedProtocol),
        }
        for name, protocol in protocols.items():
            far.send(name.encode())
            await trace.turns(3)
            trace.note("set", transport.set_protocol(protocol))
            trace.note("got", transport.get_protocol() is protocol)
        far.send(b"end")
        await trace.turns(3)
        far.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert events(trace, "data_received", "buffer_updated") == [
        ["first", "data_received", b"buffered"],
        ["buffered", "buffer_updated", 5],
        ["plain", "data_received", b"again"],
        ["again", "buffer_updated", 3],
    ]
    # No connection_made for a protocol that is set later, and one connection_lost.
    assert events(trace, "connection_made") == [["first", "connection_made", "the transport"]]
    assert events(trace, "connection_lost") == [["again", "connection_lost", None]]


@pytest.mark.parametrize("base", [asyncio.Protocol, asyncio.BufferedProtocol])
def test_set_protocol_inside_a_read_callback(same_trace, base):
    async def scenario(trace):
        second = trace.protocol("second", base)
        first = trace.protocol("first")
        first.hooks["data_received"] = lambda self, _: self.transport.set_protocol(second)
        _, far = await trace.connect(first)
        far.send(b"one")
        await trace.turns(3)
        far.send(b"two")
        await trace.turns(3)
        far.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert names(trace, "first") == ["connection_made", "data_received"]
    assert names(trace, "second")[-2:] == ["eof_received", "connection_lost"]


def test_set_protocol_while_the_reader_is_already_queued(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("first"))
        far.send(b"one")
        await trace.turns(1)
        transport.set_protocol(trace.protocol("second"))
        await trace.turns(3)
        far.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert names(trace, "first") == ["connection_made"]
    assert names(trace, "second") == ["data_received", "eof_received", "connection_lost"]


def test_set_protocol_between_close_and_connection_lost(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("first"))
        with far:
            transport.close()
            transport.set_protocol(trace.protocol("second"))
            await trace.turns(3)
            trace.note("protocol", transport.get_protocol())

    assert same_trace(scenario)[1:] == [
        ["second", "connection_lost", None],
        ["protocol", None],
        ["returned", None],
    ]


def test_callbacks_put_on_the_instance_are_called(loop, run):
    # Protocol methods may be cached per protocol, but not per class.
    class Protocol(asyncio.Protocol):
        pass

    received = []

    async def main():
        near, far = socket.socketpair()
        protocol = Protocol()
        protocol.data_received = received.append
        transport, _ = await loop.create_connection(lambda: protocol, sock=near)
        with far:
            far.send(b"one")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            transport.close()
            await asyncio.sleep(0)

    run(main())
    assert received == [b"one"]
