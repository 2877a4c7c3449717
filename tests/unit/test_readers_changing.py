"""Readers and writers changed while they are called, descriptors closed early, floods."""

import asyncio
import contextlib
import os
import socket

import pytest


@pytest.fixture
def pair():
    """Two connected non-blocking sockets."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def test_a_reader_removes_itself(loop, pair):
    left, right = pair
    seen = []

    def readable():
        seen.append("called")
        assert loop.remove_reader(left) is True
        loop.call_soon(loop.call_soon, loop.stop)

    loop.add_reader(left, readable)
    right.send(b"x")
    loop.run_forever()
    assert seen == ["called"]


def test_a_reader_removes_another_that_is_ready_too(loop):
    pairs = [socket.socketpair() for _ in range(5)]
    seen = []

    def readable(number):
        seen.append(number)
        for left, _ in pairs:
            loop.remove_reader(left)

    for number, (left, right) in enumerate(pairs):
        loop.add_reader(left, readable, number)
        right.send(b"x")
    loop.stop()
    loop.run_forever()
    loop.stop()
    loop.run_forever()
    assert len(seen) == 1
    for left, right in pairs:
        left.close()
        right.close()


def test_a_reader_replaces_itself(loop, pair):
    left, right = pair
    seen = []

    def first():
        seen.append("first")
        loop.add_reader(left, second)

    def second():
        seen.append("second")
        loop.remove_reader(left)
        loop.stop()

    loop.add_reader(left, first)
    right.send(b"x")
    loop.run_forever()
    assert seen == ["first", "second"]


def test_an_error_in_a_reader_is_reported_and_it_stays(loop, pair, reported):
    left, right = pair

    def readable():
        if len(reported) == 2:
            loop.stop()
        raise ValueError("in the reader")

    loop.add_reader(left, readable)
    right.send(b"x")
    loop.run_forever()
    assert [str(context["exception"]) for context in reported] == ["in the reader"] * 3
    loop.remove_reader(left)


def test_a_descriptor_closed_under_the_loop_can_be_removed_and_used_anew(loop):
    left, right = socket.socketpair()
    loop.add_reader(left, print)
    number = left.fileno()
    left.close()
    assert loop.remove_reader(number) is True
    assert loop.remove_reader(number) is False
    right.close()
    again, other = socket.socketpair()
    with again, other:
        seen = []
        loop.add_reader(again, lambda: (seen.append("again"), loop.stop()))
        other.send(b"x")
        loop.run_forever()
        assert seen == ["again"]
        loop.remove_reader(again)


def test_a_number_used_anew_without_removal_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        number = left.fileno()
        loop.add_reader(left, print)
        left.close()
        again, other = socket.socketpair()
        seen = []
        with right, again, other:
            target = again if again.fileno() == number else None
            if target is None:
                os.dup2(again.fileno(), number)
            try:
                loop.add_reader(number, lambda: (seen.append("again"), loop.stop()))
                other.send(b"x")
                loop.call_later(0.02, loop.stop)
                loop.run_forever()
                return seen, loop.remove_reader(number)
            finally:
                if target is None:
                    os.close(number)

    same_as_stock(scenario)


def test_a_flood_of_callbacks_does_not_starve_io_or_timers(loop, pair):
    left, right = pair
    seen = set()

    def flood():
        loop.call_soon(flood)

    def note(what):
        seen.add(what)
        if seen == {"reader", "timer", "thread"}:
            loop.stop()

    for _ in range(10):
        loop.call_soon(flood)
    loop.add_reader(left, note, "reader")
    loop.call_later(0.001, note, "timer")
    right.send(b"x")
    loop.run_in_executor(None, loop.call_soon_threadsafe, note, "thread")
    loop.run_forever()
    loop.remove_reader(left)


def test_a_flood_of_io_does_not_starve_timers_or_callbacks(loop, pair):
    left, right = pair
    seen = set()

    def note(what):
        seen.add(what)
        if seen == {"timer", "callback", "writer"}:
            loop.stop()

    loop.add_reader(left, lambda: None)
    loop.add_writer(left, note, "writer")
    right.send(b"x")
    loop.call_later(0.001, note, "timer")
    loop.call_soon(loop.call_soon, note, "callback")
    loop.run_forever()
    loop.remove_reader(left)
    loop.remove_writer(left)


def test_hundreds_of_descriptors_are_served_in_one_run(loop):
    pairs = [socket.socketpair() for _ in range(300)]
    left_over = set(range(300))

    def readable(number):
        pairs[number][0].recv(10)
        left_over.discard(number)
        if not left_over:
            loop.stop()

    for number, (left, right) in enumerate(pairs):
        loop.add_reader(left, readable, number)
        right.send(b"x")
    loop.run_forever()
    for left, right in pairs:
        assert loop.remove_reader(left) is True
        left.close()
        right.close()


def test_sock_methods_share_the_descriptor_with_readers(loop, run, pair):
    left, right = pair

    async def main():
        task = asyncio.create_task(loop.sock_recv(left, 100))
        await asyncio.sleep(0)
        await loop.sock_sendall(right, b"data")
        assert await task == b"data"
        assert loop.remove_reader(left) is False
        task = asyncio.create_task(loop.sock_recv(left, 100))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert loop.remove_reader(left) is False

    run(main())


def test_close_with_readers_left_is_fine(engine, pair):
    loop = engine.new_loop()
    loop.add_reader(pair[0], print)
    loop.add_writer(pair[1], print)
    loop.close()
    assert pair[0].fileno() >= 0
