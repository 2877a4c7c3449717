"""Who waits in a `StreamReader`: order of wake-ups, a second reader, cancellation, contexts."""

import asyncio
import contextvars

import pytest

READS = {
    "read": lambda reader: reader.read(4),
    "read to the end": lambda reader: reader.read(),
    "readexactly": lambda reader: reader.readexactly(4),
    "readline": lambda reader: reader.readline(),
    "readuntil": lambda reader: reader.readuntil(b"--"),
    "anext": lambda reader: reader.__anext__(),
}
NAMES = {"read to the end": "read", "anext": "readuntil", "readline": "readuntil"}


@pytest.fixture(params=READS)
def read(request):
    """One kind of read: a function of the reader."""
    return READS[request.param]


def test_a_wake_up_comes_between_what_is_queued_around_it(same_streams, read):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)

        async def wait():
            trace.note("got", await read(reader))

        def feed():
            trace.loop.call_soon(trace.note, "before")
            reader.feed_data(b"ab--\n")
            trace.loop.call_soon(trace.note, "between")
            reader.feed_eof()
            trace.loop.call_soon(trace.note, "after")

        task = asyncio.ensure_future(wait())
        await trace.turns(1)
        trace.loop.call_soon(feed)
        await task

    order = [event[0] for event in same_streams(scenario)]
    assert order[:2] == ["before", "got"] or order[:4] == ["before", "between", "after", "got"]


def test_data_of_two_callbacks_of_a_turn_is_read_at_once(same_streams, read):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        task = asyncio.ensure_future(read(reader))
        task.add_done_callback(lambda done: trace.note("done", done.result()))
        await trace.turns(1)
        for data in (b"a", b"b--\nc", b"d\n"):
            trace.loop.call_soon(reader.feed_data, data)
            trace.loop.call_soon(trace.note, "fed", data)
        await trace.turns(3)
        trace.note(bytes(reader._buffer), repr(reader._waiter))
        if not task.done():
            reader.feed_eof()
        await task

    same_streams(scenario)


def test_data_comes_twice_in_one_callback(same_streams, read):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        task = asyncio.ensure_future(read(reader))
        await trace.turns(1)
        reader.feed_data(b"a")
        reader.feed_data(b"bc--\n")
        trace.note(reader._waiter)
        await trace.turns(1)
        reader.feed_data(b"late")
        trace.note(task.done(), bytes(reader._buffer))
        reader.feed_eof()
        trace.note(await task, bytes(reader._buffer))

    same_streams(scenario)


def test_a_second_reader_is_refused(run, loop, streams, read, request):
    name = request.node.callspec.params["read"]

    async def main():
        reader = streams.StreamReader(loop=loop)
        first = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError) as caught:
            await read(reader)
        first.cancel()
        await asyncio.wait([first])
        return str(caught.value)

    assert run(main()) == (
        f"{NAMES.get(name, name)}() called while another coroutine is already waiting for"
        " incoming data"
    )


def test_a_second_reader_may_take_what_is_there(same_streams):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        reader.feed_data(b"abc")
        first = asyncio.ensure_future(reader.readexactly(6))
        await trace.turns(1)
        trace.note(await reader.readexactly(2), await reader.read(1))
        reader.feed_data(b"defghi")
        trace.note(await reader.readexactly(1))
        trace.note(first.done(), bytes(reader._buffer))
        await trace.turns(1)
        trace.note(first.done(), bytes(reader._buffer))
        reader.feed_data(b"j")
        trace.note(await first, bytes(reader._buffer))

    same_streams(scenario)


def test_after_a_wake_up_another_reader_may_come_first(same_streams):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)

        async def wait(name):
            try:
                trace.note(name, await reader.readline())
            except Exception as error:
                trace.note(name, error)

        first = asyncio.ensure_future(wait("first"))
        await trace.turns(1)
        second = asyncio.ensure_future(wait("second"))
        reader.feed_data(b"line\n")
        third = asyncio.ensure_future(wait("third"))
        await trace.turns(3)
        trace.note(repr(reader._waiter is None), first.done(), second.done(), third.done())
        for _ in range(3):
            if not reader._eof:
                reader.feed_data(b"more\n")
            await trace.turns(3)
        reader.feed_eof()
        await asyncio.gather(first, second, third)

    same_streams(scenario)


def test_an_exception_wakes_and_is_raised(same_streams, read):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        reader.feed_data(b"ab")
        error = OSError("gone")
        tasks = [asyncio.ensure_future(reader.readexactly(9))]
        await trace.turns(1)
        reader.set_exception(error)
        trace.note(reader._waiter)
        tasks.append(asyncio.ensure_future(read(reader)))
        await asyncio.wait(tasks)
        trace.note(*(task.exception() is error for task in tasks), bytes(reader._buffer))

    same_streams(scenario)


def test_an_exception_that_no_future_takes_is_refused(same_streams):
    async def scenario(trace, streams):
        for bad in (StopIteration(), StopIteration, ValueError, "text", None):
            reader = streams.StreamReader(loop=trace.loop)
            task = asyncio.ensure_future(reader.read(1))
            await trace.turns(1)
            try:
                reader.set_exception(bad)
            except Exception as error:
                trace.note(error)
            trace.note(repr(reader.exception()), repr(reader._waiter))
            await trace.turns(2)
            trace.note(task.done())
            task.cancel()
            try:
                trace.note(await task)
            except BaseException as error:
                trace.note(error)
            reader.feed_data(b"data")
            try:
                trace.note(await reader.read(2))
            except BaseException as error:
                trace.note(error)

    same_streams(scenario)


def test_a_cancelled_read_loses_nothing(run, loop, streams, read):
    async def main():
        reader = streams.StreamReader(loop=loop)
        task = asyncio.ensure_future(reader.readexactly(100))
        await asyncio.sleep(0)
        reader.feed_data(b"ab")
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() and reader._waiter is None
        assert reader._buffer == b"ab"
        reader.feed_data(b"cd--\n")
        reader.feed_eof()
        return await read(reader)

    assert run(main()) in (b"abcd", b"abcd--\n", b"abcd--")


def test_a_read_cancelled_after_its_wake_up_leaves_the_data(same_streams, read):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        task = asyncio.ensure_future(read(reader))
        await trace.turns(1)
        reader.feed_data(b"ab--\n")
        trace.note(task.cancel("no more"), reader._waiter)
        await asyncio.wait([task])
        trace.note(task.cancelled(), bytes(reader._buffer))
        try:
            task.result()
        except asyncio.CancelledError as error:
            trace.note(error)
        reader.feed_eof()
        trace.note(await read(reader), bytes(reader._buffer))

    same_streams(scenario)


def test_a_read_cancelled_before_its_wake_up_takes_no_notice_of_data(same_streams, read):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        task = asyncio.ensure_future(read(reader))
        await trace.turns(1)
        waiter = reader._waiter
        task.cancel()
        trace.note(waiter.cancelled(), reader._waiter is waiter)
        reader.feed_data(b"ab--\n")
        trace.note(reader._waiter)
        await asyncio.wait([task])
        trace.note(task.cancelled(), bytes(reader._buffer), repr(reader._waiter))
        other = asyncio.ensure_future(reader.readexactly(9))
        await trace.turns(1)
        other.cancel()
        reader.set_exception(OSError())
        await asyncio.wait([other])
        trace.note(other.cancelled(), reader.exception())

    same_streams(scenario)


def test_a_cancelled_reader_clears_the_waiter_of_its_successor_as_on_stock(same_streams):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        first = asyncio.ensure_future(reader.read(1))
        await trace.turns(1)
        reader.feed_data(b"a")
        second = asyncio.ensure_future(reader.readexactly(3))
        first.cancel()
        await trace.turns(1)
        trace.note(first.done(), second.done(), repr(reader._waiter))
        await trace.turns(2)
        reader.feed_data(b"bc")
        await trace.turns(3)
        trace.note(second.done(), bytes(reader._buffer), repr(reader._waiter))
        reader.feed_eof()
        await trace.turns(2)
        if not second.done():
            second.cancel()
        await asyncio.wait([second])
        trace.note(second.cancelled() or second.result())

    same_streams(scenario)


def test_a_read_under_a_timeout_goes_on_where_it_was(run, loop, streams):
    async def main():
        reader = streams.StreamReader(loop=loop)
        reader.feed_data(b"ab")
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await reader.readexactly(4)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.001)
        reader.feed_data(b"cd")
        return await asyncio.wait_for(reader.readexactly(4), 5)

    assert run(main()) == b"abcd"


def test_a_read_that_is_closed_gives_its_place_up(run, loop, streams, read):
    async def main():
        reader = streams.StreamReader(loop=loop)
        call = read(reader)
        call.send(None)
        assert reader._waiter is not None
        call.close()
        assert reader._waiter is None
        call = read(reader)
        call.send(None)
        with pytest.raises(KeyError):
            call.throw(KeyError("thrown"))
        return reader._waiter

    assert run(main()) is None


def test_the_waiter_is_a_future_that_the_program_may_set(same_streams, read):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        task = asyncio.ensure_future(read(reader))
        await trace.turns(1)
        waiter = reader._waiter
        trace.note(asyncio.isfuture(waiter), waiter.get_loop() is trace.loop)
        reader._buffer.extend(b"a--\n")
        waiter.set_result("anything")
        await trace.turns(2)
        trace.note(task.done())
        reader.feed_eof()
        trace.note(await task)

    same_streams(scenario)


def test_the_waiter_is_made_by_the_loop(loop, run, streams):
    made = []
    create_future = loop.create_future

    def noting():
        made.append(create_future())
        return made[-1]

    async def main():
        reader = streams.StreamReader(loop=loop)
        task = asyncio.ensure_future(reader.read(1))
        loop.create_future = noting
        await asyncio.sleep(0)
        assert reader._waiter is made[0]
        reader.feed_data(b"a")
        return await task

    assert run(main()) == b"a"
    assert len(made) == 1


def test_reads_run_in_the_context_of_their_task(run, loop, streams):
    place = contextvars.ContextVar("place", default="nowhere")

    async def main():
        reader, seen = streams.StreamReader(loop=loop), []

        async def wait():
            place.set("reader")
            await reader.read(1)
            seen.append(place.get())

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        place.set("feeder")
        reader.feed_data(b"a")
        await task
        return [*seen, place.get()]

    assert run(main()) == ["reader", "feeder"]


def test_a_reader_of_another_loop_is_refused_as_on_stock(same_streams):
    async def scenario(trace, streams):
        other = asyncio.SelectorEventLoop()
        reader = streams.StreamReader(loop=other)
        reader.feed_data(b"a")
        trace.note(await reader.read(1))
        try:
            await reader.read(1)
        except RuntimeError as error:
            trace.note(str(error).partition(" got ")[2].partition(" attached")[0])
            trace.note(str(error).endswith("attached to a different loop"))
        trace.note(reader._waiter)
        other.close()

    same_streams(scenario)
