"""Subclasses of the streams' classes, and methods that are replaced on one object of them."""

import asyncio

import pytest
from stream_classes import NotingTransport, noting

READER_METHODS = (
    "exception",
    "set_exception",
    "_wakeup_waiter",
    "set_transport",
    "_maybe_resume_transport",
    "feed_eof",
    "at_eof",
    "feed_data",
    "_wait_for_data",
    "readline",
    "readuntil",
    "read",
    "readexactly",
    "__anext__",
)


async def read_in_many_ways(trace, reader, transport):
    """Feed the reader and read it in every way; note what comes."""
    reader.set_transport(transport)
    for method, *args in (
        ("read", 2),
        ("readexactly", 5),
        ("readline",),
        ("readuntil", b"--"),
        ("__anext__",),
        ("readline",),
        ("readline",),
        ("read",),
        ("readline",),
    ):
        task = asyncio.ensure_future(getattr(reader, method)(*args))
        await trace.turns(1)
        for data in (b"1", b"2--34\n", b"567890123\n4"):
            if not task.done() and not reader._eof:
                reader.feed_data(data)
                await trace.turns(2)
        if not task.done():
            reader.feed_eof()
        await asyncio.wait([task])
        trace.note(method, task.exception() or task.result())
    reader.set_exception(OSError("gone"))
    trace.note(reader.at_eof(), reader.exception())


def test_a_reader_calls_its_own_methods_as_stock_does(same_streams):
    async def scenario(trace, streams):
        calls = []
        reader = noting(streams.StreamReader, calls, *READER_METHODS)(4, trace.loop)
        transport = NotingTransport()
        await read_in_many_ways(trace, reader, transport)
        for call in calls:
            trace.note("call", *call)
        trace.note(*transport.calls)

    same_streams(scenario)


@pytest.mark.parametrize("name", READER_METHODS)
def test_one_method_that_is_overridden_is_called_as_on_stock(same_streams, name):
    async def scenario(trace, streams):
        calls = []
        reader = noting(streams.StreamReader, calls, name)(4, trace.loop)
        transport = NotingTransport()
        await read_in_many_ways(trace, reader, transport)
        for call in calls:
            trace.note("call", *call)
        trace.note(*transport.calls)

    same_streams(scenario)


@pytest.mark.parametrize("name", [name for name in READER_METHODS if name[:2] != "__"])
def test_one_method_that_is_replaced_on_a_reader_is_called_as_on_stock(same_streams, name):
    async def scenario(trace, streams):
        reader, transport = streams.StreamReader(4, trace.loop), NotingTransport()
        kept = getattr(reader, name)

        def replaced(*args):
            trace.note("call", name, *args[:1] if name != "set_transport" else ())
            return kept(*args)

        setattr(reader, name, replaced)
        await read_in_many_ways(trace, reader, transport)
        trace.note(*transport.calls)

    same_streams(scenario)


def test_a_subclass_may_answer_without_its_base(run, loop, streams):
    class Lines(streams.StreamReader):
        async def readuntil(self, separator=b"\n"):
            return b"until"

        async def read(self, n=-1):
            return b"" if n != 65536 else await self.next()

        async def next(self):
            self.left = getattr(self, "left", 3) - 1
            return b"part" if self.left else b""

        async def _wait_for_data(self, func_name):
            self._buffer.extend(func_name.encode())

    async def main():
        reader = Lines(loop=loop)
        seen = [await reader.readline(), await anext(reader)]
        seen += [await streams.StreamReader.read(reader), await reader.readexactly(20)]
        return seen

    assert run(main()) == [b"until", b"until", b"partpart", b"readexactlyreadexact"]


def test_a_subclass_may_have_an_initialiser_of_its_own(loop, streams):
    class Named(streams.StreamReader):
        def __init__(self, name, loop):
            self.name = name
            super().__init__(loop=loop, limit=5)
            self._buffer = bytearray(b"begun")

    reader = Named("mine", loop)
    assert (reader.name, reader._limit, repr(reader)) == (
        "mine",
        5,
        "<StreamReader 5 bytes limit=5>",
    )


def test_a_reader_without_its_initialiser_misses_its_attributes(streams):
    class Empty(streams.StreamReader):
        def __init__(self):
            pass

    reader = Empty()
    for call in (lambda: reader.feed_data(b"a"), reader.feed_eof, reader.at_eof, reader.exception):
        with pytest.raises(AttributeError):
            call()
    with pytest.raises(AttributeError):
        reader.read(1).send(None)
    assert reader._source_traceback is None


def test_a_subclass_may_have_other_bases(loop, run, streams):
    class Counted:
        count = 0

        def feed_data(self, data):
            self.count += len(data)
            super().feed_data(data)

    class Reader(Counted, streams.StreamReader):
        __slots__ = ("extra",)

    async def main():
        reader = Reader(loop=loop)
        reader.extra = "slot"
        reader.feed_data(b"abc")
        return await reader.read(2), reader.count, reader.extra

    assert run(main()) == (b"ab", 3, "slot")


PROTOCOL_METHODS = (
    "connection_made",
    "connection_lost",
    "data_received",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "_drain_helper",
    "_get_close_waiter",
)
WRITER_METHODS = (
    "write",
    "writelines",
    "write_eof",
    "can_write_eof",
    "close",
    "is_closing",
    "get_extra_info",
    "drain",
    "wait_closed",
)


async def talk(trace, reader, protocol, writer):
    """Have the protocol do all that a transport asks, and the writer all that a program does."""
    transport = NotingTransport()
    protocol.connection_made(transport)
    writer = writer(transport, protocol, reader, trace.loop)
    protocol.data_received(b"data")
    trace.note(await reader.read(9))
    writer.write(b"1")
    writer.writelines([b"2"])
    await writer.drain()
    protocol.pause_writing()
    tasks = [asyncio.ensure_future(writer.drain()) for _ in range(2)]
    await trace.turns(1)
    protocol.resume_writing()
    await asyncio.wait(tasks)
    trace.note(writer.can_write_eof(), writer.write_eof(), writer.get_extra_info("a", "b"))
    trace.note(protocol.eof_received(), await reader.read())
    writer.close()
    waiting = asyncio.ensure_future(writer.wait_closed())
    await trace.turns(1)
    protocol.connection_lost(None)
    trace.note(await waiting, writer.is_closing())
    try:
        await writer.drain()
    except ConnectionError as error:
        trace.note(error)
    trace.note(*transport.calls)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("StreamReader", READER_METHODS),
        ("StreamReaderProtocol", PROTOCOL_METHODS),
        ("StreamWriter", WRITER_METHODS),
    ],
)
def test_overridden_methods_are_called_when_streams_talk(same_streams, kind, names):
    async def scenario(trace, streams):
        calls = []
        classes = {
            name: getattr(streams, name)
            for name in ("StreamReader", "StreamReaderProtocol", "StreamWriter")
        }
        classes[kind] = noting(classes[kind], calls, *names)
        reader = classes["StreamReader"](loop=trace.loop)
        protocol = classes["StreamReaderProtocol"](reader, loop=trace.loop)
        await talk(trace, reader, protocol, classes["StreamWriter"])
        for call in calls:
            trace.note("call", *call)

    same_streams(scenario)


@pytest.mark.parametrize("name", [*PROTOCOL_METHODS, "_replace_transport", "_stream_reader"])
def test_a_protocol_has_the_methods_of_stock(streams, name):
    if name == "_replace_transport" and not hasattr(asyncio.StreamReaderProtocol, name):
        name = "_replace_writer"
    assert hasattr(streams.StreamReaderProtocol, name)
