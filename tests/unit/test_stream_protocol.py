"""`StreamReaderProtocol`: from the connection that is made to the one that is lost."""

import asyncio
import gc
import sys
import weakref

import pytest
from stream_classes import NotingTransport

KEEPS_WRITER = sys.version_info < (3, 13)


@pytest.fixture
def made(loop, streams):
    """A reader and its protocol, not connected yet."""
    reader = streams.StreamReader(loop=loop)
    return reader, streams.StreamReaderProtocol(reader, loop=loop)


def test_its_attributes_before_the_connection(made, loop):
    reader, protocol = made
    assert type(protocol._stream_reader_wr) is weakref.ref
    assert protocol._stream_reader_wr() is reader is protocol._stream_reader
    assert (protocol._loop, protocol._transport, protocol._task) == (loop, None, None)
    assert (protocol._reject_connection, protocol._over_ssl) == (False, False)
    assert (protocol._paused, protocol._connection_lost) == (False, False)
    assert list(protocol._drain_waiters) == []
    assert protocol._client_connected_cb is None
    assert asyncio.isfuture(protocol._closed) and not protocol._closed.done()
    assert protocol._get_close_waiter("any writer") is protocol._closed
    assert protocol._source_traceback is None
    assert not hasattr(protocol, "_strong_reader")


def test_its_class_is_a_protocol_with_flow_control(streams):
    protocol = streams.StreamReaderProtocol
    assert issubclass(protocol, asyncio.Protocol)
    methods = {
        name for name, value in vars(asyncio.streams.FlowControlMixin).items() if callable(value)
    }
    assert methods >= {"pause_writing", "resume_writing", "_drain_helper"}
    assert all(callable(getattr(protocol, name)) for name in methods)
    assert not issubclass(protocol, asyncio.BufferedProtocol)
    assert protocol.__name__ == "StreamReaderProtocol"


def test_it_may_have_no_reader(loop, streams):
    protocol = streams.StreamReaderProtocol(None, loop=loop)
    transport = NotingTransport()
    assert (protocol._stream_reader_wr, protocol._stream_reader) == (None, None)
    protocol.connection_made(transport)
    protocol.data_received(b"lost")
    assert protocol.eof_received() is True
    protocol.connection_lost(None)
    assert protocol._closed.done()


def test_its_arguments_have_names_and_an_order(loop, streams):
    reader, callback = streams.StreamReader(loop=loop), lambda *_: None
    protocol = streams.StreamReaderProtocol(reader, callback, loop)
    assert (protocol._client_connected_cb, protocol._loop) == (callback, loop)
    protocol = streams.StreamReaderProtocol(
        loop=loop, client_connected_cb=callback, stream_reader=reader
    )
    assert protocol._stream_reader is reader is protocol._strong_reader
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'stream_reader'"):
        streams.StreamReaderProtocol(loop=loop)


def test_without_a_loop_it_takes_the_running_one(loop, run, streams):
    async def main():
        return streams.StreamReaderProtocol(streams.StreamReader())._loop

    assert run(main()) is loop


def test_the_connection_gives_the_reader_its_transport(made):
    reader, protocol = made
    transport = NotingTransport()
    assert protocol.connection_made(transport) is None
    assert protocol._transport is transport is reader._transport
    assert protocol._over_ssl is False
    protocol.data_received(b"data")
    assert reader._buffer == b"data"
    assert protocol.eof_received() is True
    assert reader._eof


def test_over_tls_the_end_of_file_closes(made):
    _, protocol = made
    protocol.connection_made(NotingTransport(extra={"sslcontext": "a context"}))
    assert protocol._over_ssl is True
    assert protocol.eof_received() is False


def test_its_transport_can_be_replaced(made, streams, loop):
    _, protocol = made
    plain, secret = NotingTransport(), NotingTransport(extra={"sslcontext": "a context"})
    protocol.connection_made(plain)
    if KEEPS_WRITER:
        secret.closing = True
        protocol._replace_writer(streams.StreamWriter(secret, protocol, None, loop))
    else:
        protocol._replace_transport(secret)
    assert (protocol._transport, protocol._over_ssl) == (secret, True)


def test_the_lost_connection_ends_everything(made):
    reader, protocol = made
    protocol.connection_made(NotingTransport())
    closed = protocol._closed
    protocol.connection_lost(None)
    assert reader._eof and closed.done() and closed.result() is None
    assert protocol._connection_lost is True
    assert (protocol._stream_reader_wr, protocol._stream_reader) == (None, None)
    assert (protocol._task, protocol._transport, protocol._stream_writer) == (None, None, None)
    protocol.data_received(b"late")
    assert protocol.eof_received() is True


def test_the_error_of_a_lost_connection_is_the_readers(made):
    reader, protocol = made
    error = ConnectionResetError("gone")
    protocol.connection_made(NotingTransport())
    protocol.connection_lost(error)
    assert reader.exception() is error and not reader._eof
    assert protocol._closed.exception() is error


def test_the_error_of_a_lost_connection_is_not_reported_when_nobody_asks(loop, streams, reported):
    reader = streams.StreamReader(loop=loop)
    protocol = streams.StreamReaderProtocol(reader, loop=loop)
    protocol.connection_lost(ConnectionResetError("gone"))
    reference = weakref.ref(protocol)
    del reader, protocol
    gc.collect()
    assert reference() is None
    assert reported == []


def test_a_connection_may_be_lost_twice(made):
    reader, protocol = made
    protocol.connection_made(NotingTransport())
    protocol.connection_lost(None)
    protocol.connection_lost(OSError())
    assert reader.exception() is None and protocol._closed.exception() is None


def test_flow_control_must_alternate(made):
    _, protocol = made
    with pytest.raises(AssertionError):
        protocol.resume_writing()
    protocol.pause_writing()
    assert protocol._paused is True
    with pytest.raises(AssertionError):
        protocol.pause_writing()
    protocol.resume_writing()
    assert protocol._paused is False


def test_in_debug_mode_flow_control_is_logged(made, loop, caplog):
    _, protocol = made
    loop.set_debug(True)
    with caplog.at_level("DEBUG", "asyncio"):
        protocol.pause_writing()
        protocol.resume_writing()
    loop.set_debug(False)
    assert [record.getMessage() for record in caplog.records] == [
        f"{protocol!r} pauses writing",
        f"{protocol!r} resumes writing",
    ]


def test_a_client_keeps_its_reader_weakly(loop, streams):
    reader = streams.StreamReader(loop=loop)
    protocol = streams.StreamReaderProtocol(reader, loop=loop)
    protocol.connection_made(NotingTransport())
    reader.feed_data(b"data")
    reference = weakref.ref(reader)
    reader = None
    gc.collect()
    assert reference() is None and protocol._stream_reader is None
    protocol.data_received(b"to nobody")
    protocol.connection_lost(None)


def test_a_server_keeps_its_reader_until_it_is_connected(loop, streams):
    readers = []
    protocol = streams.StreamReaderProtocol(
        streams.StreamReader(loop=loop), lambda reader, _: readers.append(reader), loop=loop
    )
    gc.collect()
    assert protocol._stream_reader is protocol._strong_reader is not None
    transport = NotingTransport(closing=True)
    protocol.connection_made(transport)
    assert protocol._strong_reader is None
    assert protocol._stream_reader is readers[0]
    readers.clear()
    gc.collect()
    assert (protocol._stream_reader is None) is not KEEPS_WRITER


def test_a_rejected_connection_is_reported_and_aborted(made, reported, loop):
    reader, protocol = made
    transport = NotingTransport()
    protocol._reject_connection = True
    protocol.connection_made(transport)
    assert transport.calls == ["abort"]
    assert (protocol._transport, reader._transport) == (None, None)
    assert reported == [
        {
            "message": "An open stream was garbage collected prior to establishing network"
            ' connection; call "stream.close()" explicitly.'
        }
    ]


def test_in_debug_mode_it_knows_where_the_reader_was_made(loop, streams, reported):
    loop.set_debug(True)
    reader = streams.StreamReader(loop=loop)
    protocol = streams.StreamReaderProtocol(reader, loop=loop)
    assert protocol._source_traceback is reader._source_traceback
    protocol._reject_connection = True
    protocol.connection_made(NotingTransport())
    loop.set_debug(False)
    assert [sorted(context) for context in reported] == [["message", "source_traceback"]]
    assert reported[0]["source_traceback"] is reader._source_traceback


def connect(trace, streams, callback):
    """The protocol of a server whose connection was just made, and its transport."""
    reader = streams.StreamReader(loop=trace.loop)
    protocol = streams.StreamReaderProtocol(reader, callback, loop=trace.loop)
    transport = NotingTransport()
    protocol.connection_made(transport)
    return protocol, transport


def test_a_plain_callback_gets_reader_and_writer_at_once(same_streams):
    async def scenario(trace, streams):
        def connected(reader, writer):
            trace.note(type(reader).__name__, type(writer).__name__)
            trace.note(isinstance(writer, streams.StreamWriter), writer._reader is reader)
            trace.note(repr(writer))
            writer.close()
            return "ignored"

        protocol, transport = connect(trace, streams, connected)
        trace.note(protocol._task, *transport.calls)
        await trace.turns(2)

    same_streams(scenario)


def test_a_coroutine_runs_as_a_task_of_the_next_turn(same_streams):
    async def scenario(trace, streams):
        async def connected(reader, writer):
            trace.note("begins", asyncio.current_task() is protocol._task)
            trace.note(await reader.read(1))
            writer.close()

        protocol, transport = connect(trace, streams, connected)
        trace.note("made", isinstance(protocol._task, asyncio.Task))
        await trace.turns(1)
        protocol.data_received(b"a")
        await protocol._task
        await trace.turns(2)
        trace.note(*transport.calls, protocol._task.done())

    same_streams(scenario)


def test_an_error_of_the_coroutine_is_reported_and_closes(same_streams):
    async def scenario(trace, streams):
        async def connected(reader, writer):
            raise KeyError("of the callback")

        def handle(_, context):
            trace.note(*sorted(context), context["message"], context["exception"])
            trace.note(context["transport"] is transport)

        trace.loop.set_exception_handler(handle)
        protocol, transport = connect(trace, streams, connected)
        await trace.turns(3)
        trace.note(*transport.calls, protocol._task.done())

    events = same_streams(scenario)
    assert events[0][3] == "Unhandled exception in client_connected_cb"


def test_a_cancelled_coroutine_does_what_it_does_on_stock(same_streams):
    async def scenario(trace, streams):
        async def connected(reader, writer):
            await reader.read()

        def handle(_, context):
            trace.note(*sorted(context), context["message"][:21], repr(context["exception"]))

        trace.loop.set_exception_handler(handle)
        protocol, transport = connect(trace, streams, connected)
        await trace.turns(2)
        protocol._task.cancel()
        await trace.turns(3)
        trace.note(*transport.calls, protocol._task.cancelled())
        transport.closing = True

    same_streams(scenario)


def test_an_error_of_a_plain_callback_does_what_it_does_on_stock(same_streams):
    async def scenario(trace, streams):
        def connected(reader, writer):
            writer.close()
            raise KeyError("of the callback")

        def handle(_, context):
            trace.note(*sorted(context), context["message"], context["exception"])

        trace.loop.set_exception_handler(handle)
        try:
            protocol, transport = connect(trace, streams, connected)
        except KeyError as error:
            trace.note("raised", error)
        else:
            trace.note(*transport.calls, protocol._strong_reader)

    same_streams(scenario)


@pytest.mark.skipif(not KEEPS_WRITER, reason="Python keeps it no more since 3.13")
def test_before_313_the_protocol_keeps_the_writer(same_streams):
    async def scenario(trace, streams):
        seen = []
        protocol, _ = connect(trace, streams, lambda _, writer: seen.append(writer))
        trace.note(protocol._stream_writer is seen[0])
        seen[0].close()
        protocol.connection_lost(None)
        trace.note(protocol._stream_writer)

    same_streams(scenario)


def test_the_task_is_made_by_the_loop_in_the_context_of_the_connection(loop, run, streams):
    names = []
    create_task = loop.create_task

    def noting(coro, **options):
        names.append(coro.__name__)
        return create_task(coro, **options)

    async def connected(reader, writer):
        writer.close()

    async def main():
        reader = streams.StreamReader(loop=loop)
        protocol = streams.StreamReaderProtocol(reader, connected, loop=loop)
        loop.create_task = noting
        protocol.connection_made(NotingTransport())
        await protocol._task

    run(main())
    assert names == ["connected"]


def test_it_can_be_referred_to_weakly_and_collected(loop, streams):
    reader = streams.StreamReader(loop=loop)
    protocol = streams.StreamReaderProtocol(reader, loop=loop)
    protocol.connection_made(NotingTransport())
    protocol.itself = protocol
    reader.protocol = protocol
    reference = weakref.ref(protocol)
    reader = protocol = None
    gc.collect()
    assert reference() is None
