"""Complete traces: in which turn every callback comes, between the callbacks of the program.

Each scenario queues ticks of its own (`ticks`), so that the place of a callback within its turn is
part of the trace as well.
"""

import asyncio
import socket

import pytest
from event_trace import events


def ticks(trace, number, name="tick"):
    """Note a tick in each of the next turns, at the place of the queue where this began."""

    def tick(count):
        trace.note(name, count)
        if count < number:
            trace.loop.call_soon(tick, count + 1)

    trace.loop.call_soon(tick, 1)


def order(trace, *kinds):
    """The first two parts of the events of these kinds."""
    return [tuple(event[:2]) for event in events(trace, *kinds)]


@pytest.mark.parametrize("early", [False, True])
def test_connecting(same_trace, early):
    async def scenario(trace):
        ticks(trace, 8)
        near, far = socket.socketpair()
        with far:
            if early:
                far.send(b"early")

            def made(*_):
                trace.loop.call_soon(trace.note, "queued in connection_made")

            def factory():
                trace.note("factory")
                ticks(trace, 6, "tick of the factory")
                return trace.protocol("near", connection_made=made)

            transport, _ = await trace.loop.create_connection(factory, sock=near)
            trace.note("connected")
            trace.loop.call_soon(trace.note, "queued when connected")
            await trace.turns(3)
            transport.close()
            await trace.turns(3)

    trace = same_trace(scenario)
    expected = [("factory",), ("near", "connection_made"), ("connected",)]
    expected += [("near", "data_received")] * early + [("near", "connection_lost")]
    assert order(trace, "factory", "near", "connected") == expected


def test_accepting(same_trace, tmp_path):
    async def scenario(trace):
        path = str(tmp_path / "socket")
        numbers = iter(range(10))

        def factory():
            number = next(numbers)
            trace.note("factory", number)
            return trace.protocol(f"server {number}")

        server = await trace.loop.create_unix_server(factory, path)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        ticks(trace, 8)
        for client in clients:
            client.connect(path)
            client.send(b"early")
        await trace.turns(6)
        for client in clients:
            client.close()
        await trace.turns(4)
        server.close()
        await trace.turns(2)

    trace = same_trace(scenario)
    assert order(trace, "factory") == [("factory", number) for number in range(3)]
    assert len(events(trace, "data_received")) == 3
    for number in range(3):
        assert [event[1] for event in events(trace, f"server {number}")] == [
            "connection_made",
            "data_received",
            "eof_received",
            "connection_lost",
        ]


def test_both_ends_in_one_loop(same_trace, tmp_path):
    async def scenario(trace):
        path = str(tmp_path / "socket")
        left = trace.protocol("client", connection_made=lambda _, t: t.write(b"hello"))
        right = trace.protocol("server", connection_made=lambda _, t: t.write(b"welcome"))
        server = await trace.loop.create_unix_server(lambda: right, path)
        ticks(trace, 10)
        transport, _ = await trace.loop.create_unix_connection(lambda: left, path)
        trace.note("connected")
        await trace.turns(5)
        transport.close()
        await trace.turns(4)
        server.close()
        await server.wait_closed()

    trace = same_trace(scenario)
    lost = order(trace, "connection_lost")
    assert lost == [("client", "connection_lost"), ("server", "connection_lost")]
    assert trace.index(["connected"]) < trace.index(["client", "data_received", b"welcome"])


def test_the_awaiting_coroutine_resumes_before_the_first_data(same_trace, tmp_path):
    # compat.md: on peers data came first, and SSH tunnels hang on it.
    async def scenario(trace):
        path = str(tmp_path / "socket")
        servers = []

        def greeter():
            servers.append(trace.protocol("server"))
            servers[-1].hooks["connection_made"] = lambda _, t: (t.write(b"hi"), t.close())
            return servers[-1]

        server = await trace.loop.create_unix_server(greeter, path)

        async def connect(number):
            await trace.loop.create_unix_connection(
                lambda: trace.protocol(f"client {number}"), path
            )
            trace.note(f"client {number}", "resumed")

        await asyncio.gather(*map(connect, range(20)))
        await trace.turns(6)
        server.close()
        await trace.turns(2)

    trace = same_trace(scenario)
    for number in range(20):
        assert [event[1] for event in events(trace, f"client {number}")] == [
            "connection_made",
            "resumed",
            "data_received",
            "eof_received",
            "connection_lost",
        ]


def test_a_conversation(same_trace):
    async def scenario(trace):
        def count(self, data):
            if len(data) < 5:
                self.transport.write(data + b"x")
                trace.loop.call_soon(trace.note, self.name, "answered")
            else:
                self.transport.close()

        left, _ = await trace.pair(
            trace.protocol("left", data_received=count),
            trace.protocol("right", data_received=count),
        )
        ticks(trace, 14)
        left.write(b"x")
        await trace.turns(14)

    trace = same_trace(scenario)
    assert [event[2] for event in events(trace, "data_received")] == [
        b"x" * number for number in range(1, 6)
    ]
    assert order(trace, "connection_lost") == [
        ("right", "connection_lost"),
        ("left", "connection_lost"),
    ]


def test_many_connections_with_data_at_once(same_trace):
    async def scenario(trace):
        ends = []
        for number in range(12):
            _, far = await trace.connect(trace.protocol(f"end {number}"))
            ends.append(far)
        ticks(trace, 6)
        for number in (5, 3, 11, 0, 7):
            ends[number].send(b"first")
        await trace.turns(2)
        for end in ends:
            end.send(b"second")
        await trace.turns(3)
        for end in ends[::-1]:
            end.close()
        await trace.turns(4)

    trace = same_trace(scenario)
    assert len(events(trace, "connection_lost")) == 12
    first = [event[0] for event in trace if event[2:] == [b"first"]]
    assert first == [f"end {number}" for number in (5, 3, 11, 0, 7)]


def test_readers_and_transports_keep_the_order_of_their_events(same_trace):
    async def scenario(trace):
        ends = []
        watched = []
        for number in range(6):
            if number % 2:
                near, far = socket.socketpair()
                watched.append(near)
                trace.loop.add_reader(
                    near, lambda near=near, number=number: trace.note(number, near.recv(10))
                )
            else:
                _, far = await trace.connect(trace.protocol(f"end {number}"))
            ends.append(far)
        await trace.turns(2)
        ticks(trace, 3)
        for number in (4, 1, 0, 5, 3, 2):
            ends[number].send(b"%d" % number)
        await trace.turns(3)
        for near in watched:
            trace.loop.remove_reader(near)
            near.close()
        for end in ends:
            end.close()
        await trace.turns(4)

    trace = same_trace(scenario)
    seen = [event[-1] for event in trace if event[-1] in [b"%d" % number for number in range(6)]]
    assert seen == [b"4", b"1", b"0", b"5", b"3", b"2"]


def test_timers_due_with_data(same_trace):
    async def scenario(trace):
        _, far = await trace.connect(trace.protocol("near"))
        await trace.turns(1)
        far.send(b"data")
        trace.loop.call_later(0, trace.note, "timer of zero")
        trace.loop.call_later(-1, trace.note, "timer of the past")
        trace.loop.call_soon(trace.note, "soon")
        trace.loop.call_soon(lambda: trace.loop.call_soon(trace.note, "soon after"))
        await trace.turns(3)
        far.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert order(trace, "soon", "near", "timer of zero", "timer of the past")[1:5] == [
        ("soon",),
        ("near", "data_received"),
        ("timer of the past",),
        ("timer of zero",),
    ]


def test_a_task_woken_by_data(same_trace):
    async def scenario(trace):
        arrived = trace.loop.create_future()

        async def wait():
            trace.note("task", await arrived)
            await asyncio.sleep(0)
            trace.note("task", "next turn")

        task = trace.loop.create_task(wait())
        protocol = trace.protocol("near", data_received=lambda _, data: arrived.set_result(data))
        _, far = await trace.connect(protocol)
        ticks(trace, 5)
        far.send(b"data")
        await task
        far.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert trace.index(["near", "data_received", b"data"]) < trace.index(["task", b"data"])


def test_stop_in_data_received_lets_the_batch_finish(same_as_stock):
    def scenario(loop, _):
        seen = []
        ends = []

        class Protocol(asyncio.Protocol):
            def __init__(self, number):
                self.number = number

            def data_received(self, data):
                seen.append(self.number)
                loop.call_soon(seen.append, f"queued by {self.number}")
                loop.stop()

            def connection_lost(self, exc):
                seen.append(exc)

        async def main():
            for number in range(3):
                near, far = socket.socketpair()
                await loop.create_connection(lambda number=number: Protocol(number), sock=near)
                ends.append(far)
            await asyncio.sleep(0)

        loop.run_until_complete(main())
        for end in ends:
            end.send(b"x")
        loop.run_forever()
        seen.append("stopped")
        loop.run_until_complete(asyncio.sleep(0))
        for end in ends:
            end.close()
        for _ in range(4):
            loop.run_until_complete(asyncio.sleep(0))
        return seen

    assert same_as_stock(scenario) == (
        "returned",
        [0, 1, 2, "stopped", "queued by 0", "queued by 1", "queued by 2", None, None, None],
    )


def test_a_connection_closed_by_another_in_the_same_batch_gets_no_data(same_trace):
    async def scenario(trace):
        victim, far = await trace.connect(trace.protocol("victim"))
        protocol = trace.protocol("first", data_received=lambda *_: victim.close())
        first, other = await trace.connect(protocol)
        ticks(trace, 5)
        other.send(b"x")
        far.send(b"y")
        await trace.turns(4)
        first.close()
        await trace.turns(2)
        far.close()
        other.close()

    trace = same_trace(scenario)
    assert order(trace, "victim")[1:] == [("victim", "connection_lost")]


def test_a_connection_paused_by_another_in_the_same_batch_gets_its_data_later(same_trace):
    async def scenario(trace):
        victim, far = await trace.connect(trace.protocol("victim"))
        protocol = trace.protocol("first", data_received=lambda *_: victim.pause_reading())
        first, other = await trace.connect(protocol)
        ticks(trace, 8)
        other.send(b"x")
        far.send(b"y")
        await trace.turns(4)
        trace.note("resume")
        victim.resume_reading()
        await trace.turns(3)
        first.close()
        victim.close()
        await trace.turns(2)
        far.close()
        other.close()

    trace = same_trace(scenario)
    assert trace.index(["resume"]) < trace.index(["victim", "data_received", b"y"])


def test_writing_and_closing_from_call_soon(same_trace):
    async def scenario(trace):
        left, _ = await trace.pair(trace.protocol("left"), trace.protocol("right"))
        ticks(trace, 10)
        trace.loop.call_soon(left.write, b"one")
        trace.loop.call_soon(lambda: trace.loop.call_soon(left.write, b"two"))
        trace.loop.call_later(0, left.write, b"three")
        await trace.turns(4)
        trace.loop.call_soon(left.close)
        await trace.turns(6)

    data = b"".join(event[2] for event in events(same_trace(scenario), "data_received"))
    assert data == b"onethreetwo"


def test_what_a_callback_wrote_is_seen_by_the_next_one_of_its_batch(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))

        def write(pieces):
            for piece in pieces:
                transport.write(bytes([piece]))

        def look():
            try:
                trace.note("far", far.recv(100))
            except BlockingIOError:
                trace.note("far", "nothing")

        with far:
            for pieces in (b"ab", b"cd", b"efg", b"h", b"i", b"jk"):
                for half in (pieces, pieces.upper()):
                    trace.loop.call_soon(write, half)
                    trace.loop.call_soon(look)
                await trace.turns(2)
            transport.abort()
            await trace.turns(3)

    same_trace(scenario)


def test_streams_over_a_pair(same_trace):
    async def scenario(trace):
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=near)
        peer, answer = await asyncio.open_connection(sock=far)
        ticks(trace, 12)

        async def serve():
            while line := await peer.readline():
                trace.note("server", line)
                answer.write(line.upper())
                await answer.drain()
            answer.close()
            await answer.wait_closed()
            trace.note("server", "closed")

        serving = trace.loop.create_task(serve())
        for line in (b"one\n", b"two\n"):
            writer.write(line)
            trace.note("client", await reader.readline())
        writer.write_eof()
        trace.note("client", await reader.read())
        await serving
        writer.close()
        await writer.wait_closed()

    trace = same_trace(scenario)
    assert [event[1] for event in events(trace, "client")] == [b"ONE\n", b"TWO\n", b""]
