"""Programs that look at the attributes of a `StreamReader` and change them, its buffer first."""

import asyncio

import pytest
from stream_classes import NotingTransport, state


@pytest.fixture
def reader(loop, streams):
    return streams.StreamReader(loop=loop)


def test_the_buffer_stays_one_object(run, reader):
    async def main():
        buffer = reader._buffer
        reader.feed_data(b"one\ntwo\nthree")
        seen = [bytes(buffer)]
        await reader.readline()
        await reader.read(1)
        seen.append(bytes(buffer))
        await reader.readexactly(len(buffer))
        reader.feed_data(b"again")
        assert reader._buffer is buffer
        return [*seen, bytes(buffer)]

    assert run(main()) == [b"one\ntwo\nthree", b"wo\nthree", b"again"]


def test_the_buffer_can_be_changed_in_place(run, reader):
    async def main():
        reader.feed_data(b"123abc")
        del reader._buffer[:3]
        assert await reader.read(1) == b"a"
        reader._buffer.extend(b"de\nf")
        assert await reader.readline() == b"bcde\n"
        reader._buffer[:0] = b"--"
        reader._buffer += b"!"
        assert await reader.readexactly(4) == b"--f!"
        reader._buffer.clear()
        reader._buffer.append(97)
        assert repr(reader) == "<StreamReader 1 bytes>"
        reader.feed_data(b"b")
        reader.feed_eof()
        assert not reader.at_eof()
        assert await reader.read() == b"ab"
        assert reader.at_eof()
        reader._buffer.extend(b"after the end")
        assert not reader.at_eof()
        return await reader.readuntil(b" ")

    assert run(main()) == b"after "


def test_the_buffer_changes_between_a_wake_up_and_the_read(same_streams):
    changes = (
        lambda buffer: buffer.clear(),
        lambda buffer: buffer.extend(b"\nmore"),
        lambda buffer: buffer.__delitem__(slice(None, 2)),
        lambda buffer: buffer.__setitem__(slice(None, 2), b"changed\n"),
    )

    async def scenario(trace, streams):
        for change in changes:
            for method, *args in (("read", 9), ("readline",), ("readexactly", 3)):
                reader = streams.StreamReader(loop=trace.loop)
                reader.feed_data(b"" if method == "read" else b"a")
                task = asyncio.ensure_future(getattr(reader, method)(*args))
                await trace.turns(1)
                reader.feed_data(b"bcd")
                change(reader._buffer)
                await trace.turns(2)
                trace.note(task.done(), bytes(reader._buffer))
                reader.feed_data(b"end\n")
                reader.feed_eof()
                await asyncio.wait([task])
                trace.note(task.exception() or task.result(), bytes(reader._buffer))

    same_streams(scenario)


def test_readuntil_looks_on_where_it_had_looked_when_the_buffer_shrinks(same_streams):
    async def scenario(trace, streams):
        for separator in (b"X", b"XY", b"bXY"):
            reader = streams.StreamReader(loop=trace.loop)
            reader.feed_data(b"aaaaaaab")
            task = asyncio.ensure_future(reader.readuntil(separator))
            await trace.turns(1)
            del reader._buffer[:6]
            reader.feed_data(b"XY")
            await trace.turns(2)
            trace.note(separator, task.done(), bytes(reader._buffer))
            reader.feed_data(b"cccccXYd")
            await trace.turns(2)
            trace.note(separator, task.done(), bytes(reader._buffer))
            reader.feed_eof()
            await asyncio.wait([task])
            trace.note(task.exception() or task.result(), bytes(reader._buffer))

    same_streams(scenario)


def test_another_buffer_can_be_put_in_its_place(run, reader):
    async def main():
        reader.feed_data(b"lost")
        mine = reader._buffer = bytearray(b"x")
        assert reader._buffer is mine
        assert await reader.read(5) == b"x"
        assert mine == b""
        reader.feed_data(b"abc\n")
        assert mine == b"abc\n"
        task = asyncio.ensure_future(reader.readexactly(6))
        await asyncio.sleep(0)
        reader._buffer = bytearray(b"12345")
        reader.feed_data(b"67")
        assert await task == b"123456"
        return bytes(mine), bytes(reader._buffer)

    assert run(main()) == (b"abc\n", b"7")


def test_a_buffer_of_a_subclass_is_asked(run, reader):
    calls = []

    class Buffer(bytearray):
        def extend(self, data):
            calls.append(bytes(data))
            super().extend(bytes(data).upper())

    async def main():
        reader._buffer = Buffer(b"a")
        reader.feed_data(b"bc\nd")
        return await reader.readline(), await reader.read(9)

    assert run(main()) == (b"aBC\n", b"D")
    assert calls == [b"bc\nd"]


def test_a_view_of_the_buffer_keeps_it_from_growing(same_streams):
    async def scenario(trace, streams):
        reader = streams.StreamReader(3, trace.loop)
        reader.set_transport(NotingTransport())
        reader.feed_data(b"ab")
        task = asyncio.ensure_future(reader.readexactly(4))
        await trace.turns(1)
        waiter = reader._waiter
        with memoryview(reader._buffer) as view:
            try:
                reader.feed_data(b"cdefg")
            except BufferError as error:
                trace.note(error)
            trace.note(bytes(view), bytes(reader._buffer), waiter.done(), reader._waiter is waiter)
            trace.note(reader._paused, reader.feed_data(b""))
        reader.feed_data(b"cdefg")
        trace.note(await task, *map(str, state(reader).items()))

    events = same_streams(scenario)
    assert events[0] == ["BufferError(Existing exports of data: object cannot be re-sized)"]
    assert events[1] == [b"ab", b"ab", False, True]


def test_a_view_of_the_buffer_keeps_it_from_being_read(same_streams):
    async def scenario(trace, streams):
        for method, *args in (
            ("read", 2),
            ("read", 9),
            ("read", 6),
            ("read",),
            ("readexactly", 2),
            ("readexactly", 6),
            ("readexactly", 9),
            ("readline",),
            ("readuntil", b"b"),
            ("readuntil", b"x"),
        ):
            reader = streams.StreamReader(loop=trace.loop)
            reader.feed_data(b"abcde\n")
            reader.feed_eof()
            with memoryview(reader._buffer):
                try:
                    trace.note(method, *args, await getattr(reader, method)(*args))
                except (BufferError, asyncio.IncompleteReadError) as error:
                    trace.note(method, *args, error)
                trace.note(bytes(reader._buffer), reader.at_eof())
            trace.note(await reader.read())

    events = same_streams(scenario)
    assert sum("BufferError" in str(event) for event in events) == 10


def test_a_view_of_the_buffer_does_not_keep_it_from_being_read_to_the_end_of_a_line(same_streams):
    async def scenario(trace, streams):
        for limit, data in ((2, b"12345\n6"), (2, b"123456")):
            reader = streams.StreamReader(limit, trace.loop)
            reader.feed_data(data)
            with memoryview(reader._buffer):
                try:
                    trace.note(await reader.readline())
                except (BufferError, ValueError) as error:
                    trace.note(error, error.__context__)
                trace.note(bytes(reader._buffer))

    same_streams(scenario)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_eof", True),
        ("_exception", OSError("mine")),
        ("_limit", 2),
        ("_paused", True),
        ("_transport", None),
        ("_waiter", None),
    ],
)
def test_each_attribute_that_is_assigned_counts(same_streams, name, value):
    async def scenario(trace, streams):
        reader, transport = streams.StreamReader(4, trace.loop), NotingTransport()
        reader.set_transport(transport)
        reader.feed_data(b"123")
        setattr(reader, name, value)
        assert getattr(reader, name) is value
        for call in (
            lambda: reader.readline(),
            lambda: reader.read(1),
            lambda: reader.readexactly(1),
        ):
            task = asyncio.ensure_future(call())
            await trace.turns(2)
            trace.note(repr(reader).partition(" waiter")[0], *transport.calls, task.done())
            try:
                reader.feed_data(b"45\n67")
            except AssertionError as error:
                trace.note(error)
            await trace.turns(2)
            task.cancel()
            await asyncio.wait([task])
            outcome = "cancelled" if task.cancelled() else task.exception() or task.result()
            trace.note(outcome, *map(str, state(reader).items()))

    same_streams(scenario)


def test_a_waiter_of_the_program_is_woken(same_streams):
    async def scenario(trace, streams):
        for wake in (
            lambda reader: reader.feed_data(b"a"),
            lambda reader: reader.feed_eof(),
            lambda reader: reader.set_exception(OSError("no")),
            lambda reader: reader._wakeup_waiter(),
        ):
            reader = streams.StreamReader(loop=trace.loop)
            waiter = reader._waiter = asyncio.Future(loop=trace.loop)
            wake(reader)
            trace.note(reader._waiter, waiter.done(), repr(waiter.exception()))
            waiter = reader._waiter = trace.loop.create_future()
            waiter.cancel()
            wake(reader) if not reader._eof else reader.feed_eof()
            trace.note(reader._waiter)
        reader = streams.StreamReader(loop=trace.loop)
        reader._waiter = trace.loop.create_future()
        try:
            await reader.read(1)
        except RuntimeError as error:
            trace.note(error)

    same_streams(scenario)


def test_waiting_can_be_asked_for_by_name(same_streams):
    async def scenario(trace, streams):
        reader, transport = streams.StreamReader(2, trace.loop), NotingTransport()
        reader.set_transport(transport)
        reader.feed_data(b"12345")
        task = asyncio.ensure_future(reader._wait_for_data("mine"))
        await trace.turns(1)
        trace.note(*transport.calls, reader._waiter is None)
        try:
            await reader._wait_for_data("other")
        except RuntimeError as error:
            trace.note(error)
        reader.feed_data(b"6")
        trace.note(await task)
        reader.feed_eof()
        try:
            await reader._wait_for_data("late")
        except AssertionError as error:
            trace.note(error)

    same_streams(scenario)


def test_resuming_can_be_asked_for(reader):
    transport = NotingTransport()
    reader._limit = 3
    reader.set_transport(transport)
    reader._maybe_resume_transport()
    reader.feed_data(b"1234567")
    reader._maybe_resume_transport()
    del reader._buffer[3:]
    assert transport.calls == ["pause_reading"]
    reader._maybe_resume_transport()
    reader._maybe_resume_transport()
    assert transport.calls == ["pause_reading", "resume_reading"]
