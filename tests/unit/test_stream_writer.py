"""`StreamWriter`: what it hands to its transport, `drain`, `wait_closed`, what it says if lost."""

import asyncio
import gc
import weakref

import pytest
from stream_classes import NotingTransport


class Ends:
    """A reader, a protocol and a writer on a transport that notes calls."""

    def __init__(self, streams, loop, transport=None, connected=True):
        self.transport = transport or NotingTransport(extra={"peername": "the peer"})
        self.reader = streams.StreamReader(loop=loop)
        self.protocol = streams.StreamReaderProtocol(self.reader, loop=loop)
        if connected:
            self.protocol.connection_made(self.transport)
        self.writer = streams.StreamWriter(self.transport, self.protocol, self.reader, loop)


@pytest.fixture
def ends(loop, streams):
    ends = Ends(streams, loop)
    yield ends
    ends.transport.closing = True


def test_its_attributes(ends, loop):
    writer = ends.writer
    assert writer.transport is ends.transport is writer._transport
    assert writer._protocol is ends.protocol
    assert writer._reader is ends.reader
    assert writer._loop is loop
    assert writer._complete_fut.done() and writer._complete_fut.result() is None
    assert writer._protocol._paused is False


def test_its_arguments_have_names(loop, streams):
    transport = NotingTransport(closing=True)
    writer = streams.StreamWriter(loop=loop, reader=None, protocol="any", transport=transport)
    assert (writer._protocol, writer._reader, writer.transport) == ("any", None, transport)
    with pytest.raises(AttributeError):
        writer.transport = transport
    writer._transport = other = NotingTransport(closing=True)
    assert writer.transport is other


def test_a_reader_must_be_one(loop, streams):
    with pytest.raises(AssertionError):
        streams.StreamWriter(NotingTransport(closing=True), None, "no reader", loop)


def test_its_repr_tells_transport_and_reader(ends, loop, streams):
    assert repr(ends.writer) == (
        "<StreamWriter transport=<the transport> reader=<StreamReader transport=<the transport>>>"
    )

    class Own(streams.StreamWriter):
        pass

    transport = NotingTransport(closing=True)
    assert repr(Own(transport, None, None, loop)) == "<Own transport=<the transport>>"


def test_each_call_goes_to_the_transport(ends):
    writer, piece = ends.writer, bytearray(b"piece")
    assert writer.write(piece) is None
    assert writer.writelines([piece]) is None
    assert writer.write_eof() == "of write_eof"
    assert writer.can_write_eof() == "of can_write_eof"
    assert writer.get_extra_info("peername") == "the peer"
    assert writer.get_extra_info("other") is None
    assert writer.get_extra_info("other", 5) == 5
    assert writer.get_extra_info(name="other", default=6) == 6
    assert writer.is_closing() is False
    assert writer.close() == "of close"
    assert writer.is_closing() is True
    assert ends.transport.calls == [
        ("write", piece),
        ("writelines", [piece]),
        "write_eof",
        "can_write_eof",
        "close",
    ]
    assert ends.transport.calls[0][1] is piece


def test_what_a_transport_raises_is_raised(ends):
    def broken(*_):
        raise KeyError("broken")

    writer = ends.writer
    for name, call in {
        "write": lambda: writer.write(b""),
        "writelines": lambda: writer.writelines([]),
        "write_eof": writer.write_eof,
        "can_write_eof": writer.can_write_eof,
        "close": writer.close,
        "get_extra_info": lambda: writer.get_extra_info("a"),
    }.items():
        setattr(ends.transport, name, broken)
        with pytest.raises(KeyError, match="broken"):
            call()


def test_drain_ends_at_once_while_nothing_is_paused(ends):
    with pytest.raises(StopIteration) as ended:
        ends.writer.drain().send(None)
    assert ended.value.value is None


def test_drain_waits_while_the_protocol_is_paused(same_streams):
    async def scenario(trace, streams):
        ends = Ends(streams, trace.loop)

        async def drain(name):
            try:
                await ends.writer.drain()
                trace.note(name, "drained")
            except asyncio.CancelledError as error:
                trace.note(name, error)

        ends.protocol.pause_writing()
        tasks = [asyncio.ensure_future(drain(name)) for name in ("1st", "2nd", "3rd", "4th")]
        await trace.turns(1)
        waiters = ends.protocol._drain_waiters
        trace.note(type(waiters).__name__, len(waiters), [repr(one) for one in waiters])
        tasks[1].cancel("enough")
        await trace.turns(2)
        trace.note(len(ends.protocol._drain_waiters))
        ends.protocol.resume_writing()
        trace.note(ends.protocol._paused, [one.done() for one in ends.protocol._drain_waiters])
        ends.protocol.pause_writing()
        tasks.append(asyncio.ensure_future(drain("late")))
        await trace.turns(2)
        trace.note(len(ends.protocol._drain_waiters))
        ends.protocol.resume_writing()
        await asyncio.wait(tasks)
        trace.note(len(ends.protocol._drain_waiters))
        ends.writer.close()

    events = same_streams(scenario)
    assert [event for event in events if event[-1] == "drained"] == [
        ["1st", "drained"],
        ["3rd", "drained"],
        ["4th", "drained"],
        ["late", "drained"],
    ]


@pytest.mark.parametrize("error", [None, BrokenPipeError("gone")])
def test_those_that_drain_learn_that_the_connection_is_lost(same_streams, error):
    async def scenario(trace, streams):
        ends = Ends(streams, trace.loop)
        ends.protocol.pause_writing()
        tasks = [asyncio.ensure_future(ends.writer.drain()) for _ in range(3)]
        await trace.turns(1)
        tasks[0].cancel()
        ends.protocol.connection_lost(error)
        await asyncio.wait(tasks)
        trace.note(*("cancelled" if one.cancelled() else one.exception() for one in tasks))
        trace.note(len(ends.protocol._drain_waiters), ends.protocol._connection_lost)
        try:
            await ends.writer.drain()
        except ConnectionError as raised:
            trace.note(raised, raised is error)
        ends.transport.closing = True

    same_streams(scenario)


def test_drain_raises_what_the_reader_has(run, ends):
    async def main():
        error = ConnectionAbortedError("no more")
        ends.reader.set_exception(error)
        ends.protocol.pause_writing()
        with pytest.raises(ConnectionAbortedError) as caught:
            await ends.writer.drain()
        return caught.value is error

    assert run(main())


def test_drain_asks_the_reader_by_its_method(run, ends):
    async def main():
        ends.reader.exception = lambda: LookupError("of the method")
        with pytest.raises(LookupError, match="of the method"):
            await ends.writer.drain()

    run(main())


def test_drain_without_a_reader_looks_at_the_protocol_alone(run, loop, streams):
    async def main():
        ends = Ends(streams, loop)
        ends.transport.closing = True
        writer = streams.StreamWriter(ends.transport, ends.protocol, None, loop)
        ends.reader.set_exception(ValueError())
        await writer.drain()
        ends.protocol.connection_lost(None)
        with pytest.raises(ConnectionResetError, match=r"^Connection lost$"):
            await writer.drain()

    run(main())


def test_drain_of_a_closing_transport_gives_the_loop_a_turn(same_streams):
    async def scenario(trace, streams):
        ends = Ends(streams, trace.loop)
        trace.note(await ends.writer.drain())
        ends.writer.close()
        trace.note(await ends.writer.drain())
        trace.loop.call_soon(ends.protocol.connection_lost, None)
        trace.loop.call_soon(trace.note, "lost")
        try:
            await ends.writer.drain()
        except ConnectionResetError as error:
            trace.note(error)

    assert same_streams(scenario) == [
        [None],
        [None],
        ["lost"],
        ["ConnectionResetError(Connection lost)"],
        ["returned", None],
    ]


def test_drain_asks_whatever_protocol_there_is(run, loop, streams):
    class Protocol:
        async def _drain_helper(self):
            await asyncio.sleep(0)
            raise KeyError("of the helper")

        def _get_close_waiter(self, stream):
            future = loop.create_future()
            future.set_result(stream)
            return future

    async def main():
        transport = NotingTransport(closing=True)
        writer = streams.StreamWriter(transport, Protocol(), None, loop)
        with pytest.raises(KeyError, match="of the helper"):
            await writer.drain()
        return await writer.wait_closed()

    assert run(main()) is None


def test_a_plain_flow_control_protocol_will_do(same_streams):
    class Protocol(asyncio.streams.FlowControlMixin):
        pass

    async def scenario(trace, streams):
        transport, protocol = NotingTransport(), Protocol(loop=trace.loop)
        writer = streams.StreamWriter(transport, protocol, None, trace.loop)
        protocol.pause_writing()
        task = asyncio.ensure_future(writer.drain())
        await trace.turns(1)
        trace.note(task.done())
        protocol.resume_writing()
        trace.note(await task)
        try:
            await writer.wait_closed()
        except NotImplementedError as error:
            trace.note(error)
        writer.close()

    same_streams(scenario)


def test_a_closed_connection_ends_wait_closed(same_streams):
    async def scenario(trace, streams):
        ends = Ends(streams, trace.loop)
        tasks = [asyncio.ensure_future(ends.writer.wait_closed()) for _ in range(2)]
        await trace.turns(2)
        ends.writer.close()
        trace.note(*(task.done() for task in tasks))
        ends.protocol.connection_lost(None)
        await trace.turns(1)
        trace.note(*(task.done() for task in tasks))
        trace.note(await ends.writer.wait_closed(), *(task.result() for task in tasks))

    same_streams(scenario)


def test_wait_closed_raises_what_ended_the_connection(run, ends):
    async def main():
        error = ConnectionResetError("by peer")
        waiting = asyncio.ensure_future(ends.writer.wait_closed())
        await asyncio.sleep(0)
        ends.protocol.connection_lost(error)
        for wait in (waiting, ends.writer.wait_closed()):
            with pytest.raises(ConnectionResetError) as caught:
                await wait
            assert caught.value is error

    run(main())


def test_a_cancelled_wait_closed_cancels_what_all_wait_for_as_on_stock(same_streams):
    async def scenario(trace, streams):
        ends = Ends(streams, trace.loop)
        tasks = [asyncio.ensure_future(ends.writer.wait_closed()) for _ in range(2)]
        await trace.turns(1)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        trace.note(*(task.cancelled() for task in tasks), ends.protocol._closed.cancelled())
        ends.writer.close()
        ends.protocol.connection_lost(OSError())
        try:
            await ends.writer.wait_closed()
        except asyncio.CancelledError as error:
            trace.note(error)

    same_streams(scenario)


def test_an_open_writer_that_is_lost_is_closed_and_told(loop, streams):
    ends = Ends(streams, loop)
    shown = repr(ends.writer)
    with pytest.warns(ResourceWarning) as caught:
        ends.writer = None
    assert [str(warning.message) for warning in caught] == [f"unclosed {shown}"]
    assert ends.transport.calls == ["close"]


def test_an_open_writer_that_is_lost_after_its_loop_is_told(engine, streams):
    loop = engine.new_loop()
    ends = Ends(streams, loop)
    loop.close()
    with pytest.warns(ResourceWarning) as caught:
        ends.writer = None
    assert [str(warning.message) for warning in caught] == ["loop is closed"]
    assert ends.transport.calls == []


def test_a_closing_writer_that_is_lost_is_not_told(ends):
    ends.writer.close()
    reference = weakref.ref(ends.writer)
    ends.writer = None
    gc.collect()
    assert reference() is None
    assert ends.transport.calls == ["close"]


def test_a_lost_writer_is_closed_by_its_own_close(loop, streams):
    class Own(streams.StreamWriter):
        def close(self):
            super().close()
            self._transport.calls.append("own close")

    transport = NotingTransport()
    writer = Own(transport, None, None, loop)
    with pytest.warns(ResourceWarning, match="unclosed <Own transport=<the transport>>"):
        del writer
    assert transport.calls == ["close", "own close"]


def test_a_lost_writer_in_a_cycle_is_found(loop, streams):
    transport = NotingTransport()
    writer = streams.StreamWriter(transport, None, None, loop)
    writer.itself = writer
    del writer
    with pytest.warns(ResourceWarning, match="unclosed <StreamWriter"):
        gc.collect()
    assert transport.calls == ["close"]


def test_it_takes_attributes_of_the_program(ends):
    ends.writer.note = "mine"
    assert vars(ends.writer)["note"] == "mine"


def test_drain_and_wait_closed_are_coroutines(ends):
    for call in (ends.writer.drain(), ends.writer.wait_closed()):
        assert asyncio.iscoroutine(call)
        call.close()
