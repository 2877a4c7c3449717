"""What a `StreamReader` asks of its transport: to pause over twice the limit, to resume."""

import asyncio

import pytest
from stream_classes import NotingTransport


@pytest.fixture
def new_reader(loop, streams):
    """Make a reader on the loop."""

    def make(limit=2**16):
        return streams.StreamReader(limit, loop)

    return make


def test_a_transport_is_set_once(new_reader):
    reader, transport = new_reader(), NotingTransport()
    assert reader.set_transport(transport) is None
    assert reader._transport is transport
    with pytest.raises(AssertionError, match=r"^Transport already set$"):
        reader.set_transport(NotingTransport())
    assert reader._transport is transport


def test_a_transport_is_paused_over_twice_the_limit_and_resumed_at_the_limit(run, new_reader):
    async def main():
        reader, transport = new_reader(3), NotingTransport()
        reader.set_transport(transport)
        seen = []
        for data in (b"123", b"456", b"7", b"8"):
            reader.feed_data(data)
            seen.append((list(transport.calls), reader._paused))
        for size in (4, 1, 1):
            await reader.read(size)
            seen.append((list(transport.calls), reader._paused))
        return seen

    paused, resumed = (["pause_reading"], True), (["pause_reading", "resume_reading"], False)
    assert run(main()) == [([], False), ([], False), paused, paused, paused, resumed, resumed]


def test_a_transport_that_cannot_be_paused_is_forgotten(run, new_reader):
    async def main():
        reader, transport = new_reader(1), NotingTransport(can_pause=False)
        reader.set_transport(transport)
        reader.feed_data(b"123")
        assert (reader._transport, reader._paused) == (None, False)
        reader.feed_data(b"456")
        assert await reader.read(10) == b"123456"
        return transport.calls

    assert run(main()) == ["pause_reading"]


def test_another_error_of_a_transport_that_is_paused_is_raised(loop, turns, new_reader):
    class Broken(NotingTransport):
        def pause_reading(self):
            raise OSError("no")

    reader = new_reader(1)
    reader.set_transport(Broken())
    task = loop.create_task(reader.read(2))
    turns()
    with pytest.raises(OSError, match="^no$"):
        reader.feed_data(b"123")
    turns(2)
    assert task.result() == b"12"
    assert reader._paused is False


def test_waiting_resumes_a_paused_transport(loop, turns, new_reader):
    reader, transport = new_reader(2), NotingTransport()
    reader.set_transport(transport)
    reader.feed_data(b"12345")
    task = loop.create_task(reader.readexactly(7))
    turns()
    assert (transport.calls, reader._paused) == (["pause_reading", "resume_reading"], False)
    reader.feed_data(b"67")
    assert transport.calls == ["pause_reading", "resume_reading", "pause_reading"]
    turns(2)
    assert task.result() == b"1234567"
    assert (transport.calls[3:], reader._paused) == (["resume_reading"], False)


@pytest.mark.parametrize("size", [-1, 5])
def test_a_read_of_nothing_more_resumes_the_transport(run, new_reader, size):
    async def main():
        reader, transport = new_reader(1), NotingTransport()
        reader.set_transport(transport)
        reader.feed_data(b"abcdef")
        reader.feed_eof()
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.readexactly(10)
        assert (transport.calls, reader._paused) == (["pause_reading"], True)
        assert await reader.read(size) == b""
        return transport.calls, reader._paused

    assert run(main()) == (["pause_reading", "resume_reading"], False)


def test_each_kind_of_read_resumes_the_transport(run, new_reader):
    async def resumes(read, data=b"123\n567"):
        reader, transport = new_reader(3), NotingTransport()
        reader.set_transport(transport)
        reader.feed_data(data)
        await read(reader)
        assert reader._paused is False
        return transport.calls

    async def over_the_limit(reader):
        with pytest.raises(ValueError, match="Separator is found"):
            await reader.readline()

    async def main():
        reads = (
            lambda reader: reader.read(7),
            lambda reader: reader.readexactly(7),
            lambda reader: reader.readexactly(4),
            lambda reader: reader.readline(),
            lambda reader: reader.readuntil(b"3\n"),
        )
        seen = [await resumes(read) for read in reads]
        return [*seen, await resumes(over_the_limit, b"123456\n")]

    assert run(main()) == [["pause_reading", "resume_reading"]] * 6
