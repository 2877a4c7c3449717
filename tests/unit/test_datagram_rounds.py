"""Several datagrams a wake-up: nothing that stock runs between two of them comes later."""

import asyncio
import contextlib
import contextvars
import os
import socket
import time

import pytest


class Recorder(asyncio.DatagramProtocol):
    """Notes what it gets; `act(number)` is called with each datagram, which is a number."""

    def __init__(self, act=lambda number: None):
        self.events = []
        self.act = act
        self.left = -1
        self.enough = None

    def datagram_received(self, data, addr):
        self.events.append(int(data))
        self.left -= 1
        if self.left == 0:
            self.enough()
        self.act(int(data))


@pytest.fixture
def opened(loop):
    """Open an endpoint for a protocol; returns its transport and a function that sends numbers."""
    far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    transports = []

    def send(*numbers):
        for number in numbers:
            far.send(b"%d" % number)

    def open_endpoint(protocol):
        make = loop.create_datagram_endpoint(lambda: protocol, sock=near)
        transports.append(loop.run_until_complete(make)[0])
        return transports[0], send

    yield open_endpoint
    for transport in transports:
        transport.abort()
    loop.run_until_complete(asyncio.sleep(0))
    far.close()
    near.close()


@pytest.fixture
def until(loop):
    """Run the loop until the protocol has got so many more datagrams."""

    def run_until(protocol, number):
        protocol.left = number
        protocol.enough = loop.stop
        loop.run_forever()

    return run_until


async def some_turns():
    """Wait long enough for what might still come, without stopping the loop in between."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def turns_of(loop):
    """Count turns in `protocol.turns`, one number for each datagram, without queuing anything.

    A descriptor that is always ready is reported in each turn, before what became ready later.
    """
    always, end = os.pipe()
    os.write(end, b".")
    turn = 0

    def tick():
        nonlocal turn
        turn += 1

    def count(protocol):
        protocol.turns = []
        protocol.act = lambda number: protocol.turns.append(turn)
        loop.add_reader(always, tick)

    yield count
    loop.remove_reader(always)
    os.close(always)
    os.close(end)


def most_in_one_turn(turns):
    return max(turns.count(turn) for turn in turns)


def test_several_datagrams_take_one_turn_on_ferrio(loop, turns_of, engine, opened, until):
    protocol = Recorder()
    _, send = opened(protocol)
    turns_of(protocol)
    most = []
    for start in range(0, 100, 10):  # a busy machine may interrupt one round, not all
        send(*range(start, start + 10))
        until(protocol, 10)
        most.append(most_in_one_turn(protocol.turns[start:]))
    assert protocol.events == list(range(100))
    if engine.name == "asyncio":
        assert set(most) == {1}
    else:
        assert 1 < max(most) <= 10


def test_a_round_has_an_end(loop, turns_of, opened, until):
    protocol = Recorder()
    transport, send = opened(protocol)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    turns_of(protocol)
    for start in range(0, 50, 10):
        send(*range(start, start + 10))
        until(protocol, 10)
    assert most_in_one_turn(protocol.turns) <= 32


def test_in_debug_mode_every_datagram_is_a_callback_of_its_own(loop, turns_of, opened, until):
    loop.set_debug(True)
    protocol = Recorder()
    _, send = opened(protocol)
    turns_of(protocol)
    send(*range(8))
    until(protocol, 8)
    loop.set_debug(False)
    assert most_in_one_turn(protocol.turns) == 1


def test_with_a_clock_of_the_programs_own_every_datagram_has_its_turn(
    loop, turns_of, opened, until
):
    loop.time = lambda: 1000.0
    protocol = Recorder()
    _, send = opened(protocol)
    turns_of(protocol)
    send(*range(8))
    until(protocol, 8)
    del loop.time
    assert most_in_one_turn(protocol.turns) == 1


def test_a_slow_callback_ends_the_round(loop, turns_of, opened, until):
    protocol = Recorder()
    _, send = opened(protocol)
    turns_of(protocol)
    count = protocol.act

    def slow(number):
        count(number)
        end = time.monotonic() + 0.001
        while time.monotonic() < end:
            pass

    protocol.act = slow
    send(*range(8))
    until(protocol, 8)
    assert most_in_one_turn(protocol.turns) == 1


@pytest.mark.parametrize("between", range(4))
def test_a_busy_task_takes_its_steps_between_two_datagrams(loop, opened, between):
    protocol = Recorder()
    _, send = opened(protocol)

    async def main():
        for _ in range(5):
            await asyncio.sleep(0)
        send(101)
        for _ in range(between):
            await asyncio.sleep(0)
        send(102)
        for step in range(6):
            protocol.events.append(step)
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    first, second = (protocol.events.index(number) for number in (101, 102))
    assert second - first > 1
    assert sorted(protocol.events) == [*range(6), 101, 102]


def test_what_a_datagram_queues_runs_before_the_next_one(loop, opened, until):
    protocol = Recorder(lambda number: loop.call_soon(protocol.events.append, f"after {number}"))
    _, send = opened(protocol)
    send(*range(5))
    until(protocol, 5)
    loop.run_until_complete(asyncio.sleep(0))
    assert protocol.events == [
        event for number in range(5) for event in (number, f"after {number}")
    ]


def test_a_task_that_a_datagram_wakes_may_close_before_the_next_one(loop, opened):
    answer = loop.create_future()
    protocol = Recorder(answer.set_result)  # raises when it is called a second time
    transport, send = opened(protocol)

    async def ask():
        await answer
        transport.close()

    send(1, 2, 3)
    loop.run_until_complete(ask())
    loop.run_until_complete(asyncio.sleep(0))
    assert protocol.events == [1]


@pytest.mark.parametrize("act", ["close", "abort"])
def test_a_closed_transport_gets_no_more(loop, opened, act):
    protocol = Recorder(lambda number: getattr(transport, act)() if number == 1 else None)
    transport, send = opened(protocol)
    send(0, 1, 2, 3)
    loop.run_until_complete(some_turns())
    assert protocol.events == [0, 1]


def test_a_paused_transport_gets_the_rest_when_it_resumes(loop, opened, until):
    protocol = Recorder(lambda number: transport.pause_reading() if number == 1 else None)
    transport, send = opened(protocol)
    send(0, 1, 2, 3)
    loop.run_until_complete(some_turns())
    assert protocol.events == [0, 1]
    transport.resume_reading()
    until(protocol, 2)
    assert protocol.events == [0, 1, 2, 3]


def test_a_new_protocol_gets_the_rest(loop, opened, until):
    first = Recorder(lambda number: transport.set_protocol(second) if number == 1 else None)
    second = Recorder()
    transport, send = opened(first)
    send(0, 1, 2, 3)
    until(second, 2)
    assert (first.events, second.events) == ([0, 1], [2, 3])


def test_after_stop_the_rest_waits_for_the_next_run(loop, opened):
    protocol = Recorder(lambda number: loop.stop() if number == 1 else None)
    _, send = opened(protocol)
    send(0, 1, 2, 3)
    loop.run_forever()
    assert protocol.events == [0, 1]
    protocol.act = lambda number: loop.stop() if number == 3 else None
    loop.run_forever()
    assert protocol.events == [0, 1, 2, 3]


def test_a_reader_that_somebody_took_away_gets_no_more(loop, opened):
    def act(number):
        if number == 1:
            loop._remove_reader(transport._sock_fd)

    protocol = Recorder(act)
    transport, send = opened(protocol)
    send(0, 1, 2, 3)
    loop.run_until_complete(some_turns())
    assert protocol.events == [0, 1]


def test_after_an_exception_the_rest_still_comes(loop, opened, until, reported):
    def fail(number):
        if number in (0, 2):
            raise ValueError(number)

    protocol = Recorder(fail)
    _, send = opened(protocol)
    send(0, 1, 2, 3)
    until(protocol, 4)
    assert protocol.events == [0, 1, 2, 3]
    assert [context["exception"].args for context in reported] == [(0,), (2,)]


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_after_an_exit_the_rest_comes_in_the_next_run(loop, opened, until, exception):
    def leave(number):
        if number == 1:
            raise exception

    protocol = Recorder(leave)
    _, send = opened(protocol)
    send(0, 1, 2, 3)
    with pytest.raises(exception):
        loop.run_forever()
    assert protocol.events == [0, 1]
    until(protocol, 2)
    assert protocol.events == [0, 1, 2, 3]


def test_all_datagrams_of_a_wake_up_share_the_readers_context(loop, opened, until):
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    def act(number):
        seen.append(variable.get())
        variable.set(number)

    protocol = Recorder(act)
    _, send = opened(protocol)
    send(*range(5))
    until(protocol, 5)
    assert seen == [0, 0, 1, 2, 3]
    assert variable.get() == 0


class Flood(asyncio.DatagramProtocol):
    """Sends every datagram that it gets to itself."""

    def connection_made(self, transport):
        self.transport = transport
        self.count = 0
        transport.sendto(b"x", transport.get_extra_info("sockname"))

    def datagram_received(self, data, addr):
        self.count += 1
        self.transport.sendto(data, addr)


@contextlib.contextmanager
def floods(loop, number):
    """So many endpoints that never fall silent."""
    local = {"local_addr": ("127.0.0.1", 0)}
    make = [loop.create_datagram_endpoint(Flood, **local) for _ in range(number)]
    opened = [loop.run_until_complete(endpoint) for endpoint in make]
    yield [protocol for _, protocol in opened]
    for transport, _ in opened:
        transport.abort()
    loop.run_until_complete(asyncio.sleep(0))


def test_a_flood_does_not_starve_timers(loop):
    with floods(loop, 1) as [flood]:
        times = []

        def tick():
            times.append(flood.count)
            if len(times) < 20:
                loop.call_later(0.001, tick)
            else:
                loop.stop()

        tick()
        loop.run_forever()
        assert flood.count > 0
        assert len(times) == 20


def test_floods_do_not_starve_each_other_nor_callbacks(loop):
    with floods(loop, 3) as protocols:
        turns = 0

        def tick():
            nonlocal turns
            turns += 1
            if all(flood.count > 200 for flood in protocols):
                loop.stop()
            else:
                loop.call_soon(tick)

        before = [flood.count for flood in protocols]
        tick()
        loop.run_forever()
        counts = [flood.count - start for flood, start in zip(protocols, before, strict=True)]
        assert min(counts) > 100
        assert max(counts) <= 32 * turns
        assert max(counts) < 20 * min(counts)
