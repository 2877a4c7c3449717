"""`read`, `readexactly`, `readline` of a `StreamReader`, the data in one piece or in many."""

import asyncio

import pytest
from stream_classes import NotingTransport, state

DATA = b"one\ntwo\n\nfour and more\nno end"
PIECES = {
    "one piece": [DATA],
    "several pieces": [DATA[:2], DATA[2:5], DATA[5:21], DATA[21:]],
    "byte by byte": [DATA[at : at + 1] for at in range(len(DATA))],
}


@pytest.fixture
def new_reader(loop, streams):
    """Make a reader on the loop, with these bytes in it, at the end of file if so wished."""

    def make(data=b"", limit=2**16, eof=False):
        reader = streams.StreamReader(limit, loop)
        reader.feed_data(data)
        if eof:
            reader.feed_eof()
        return reader

    return make


@pytest.fixture(params=PIECES)
def fed(request, loop, new_reader):
    """Run `read(reader)` while the pieces come, one in each turn, and then the end of file."""

    def run_fed(read, limit=2**16):
        async def main():
            reader = new_reader(limit=limit)
            task = asyncio.ensure_future(read(reader))
            for piece in PIECES[request.param]:
                await asyncio.sleep(0)
                reader.feed_data(piece)
            reader.feed_eof()
            return await task

        return loop.run_until_complete(main())

    return run_fed


def test_lines_come_whole(fed):
    async def read(reader):
        lines = []
        while line := await reader.readline():
            lines.append(line)
        return lines

    assert fed(read) == [b"one\n", b"two\n", b"\n", b"four and more\n", b"no end"]


def test_async_for_gives_the_lines(fed):
    async def read(reader):
        return [line async for line in reader]

    assert fed(read) == [b"one\n", b"two\n", b"\n", b"four and more\n", b"no end"]


def test_read_without_a_size_gives_all(fed):
    async def read(reader):
        return [await reader.read(), await reader.read(-1), await reader.read(-7)]

    assert fed(read) == [DATA, b"", b""]


def test_read_gives_at_most_what_is_asked_for(fed):
    async def read(reader):
        parts = []
        while part := await reader.read(4):
            parts.append(part)
        assert all(0 < len(part) <= 4 for part in parts)
        return b"".join(parts)

    assert fed(read) == DATA


def test_readexactly_waits_for_all(fed):
    async def read(reader):
        parts = [await reader.readexactly(size) for size in (1, 0, 10, 2, len(DATA) - 14)]
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await reader.readexactly(2)
        return parts, caught.value.partial, caught.value.expected, str(caught.value)

    expected = [DATA[:1], b"", DATA[1:11], DATA[11:13], DATA[13:-1]]
    text = "1 bytes read on a total of 2 expected bytes"
    assert fed(read) == (expected, DATA[-1:], 2, text)


def test_a_limit_does_not_hold_for_read_and_readexactly(fed):
    async def read(reader):
        return await reader.readexactly(20), await reader.read()

    assert fed(read, limit=1) == (DATA[:20], DATA[20:])


def test_reads_of_all_kinds_follow_each_other(fed):
    async def read(reader):
        return [
            await reader.readline(),
            await reader.readexactly(2),
            await reader.readuntil(b"\n"),
            await reader.readuntil(b"four"),
            await reader.readline(),
            await reader.read(),
        ]

    assert fed(read) == [b"one\n", b"tw", b"o\n", b"\nfour", b" and more\n", b"no end"]


def test_what_is_there_is_read_without_a_turn_of_the_loop(turns, loop, new_reader):
    reader = new_reader(b"line\n12345678", eof=True)

    async def main():
        lines = [await reader.readline(), await reader.readexactly(3), await reader.readuntil(b"5")]
        return [*lines, await reader.read(2), await reader.read(), await reader.read(1)]

    coro = main()
    with pytest.raises(StopIteration) as ended:
        coro.send(None)
    assert ended.value.value == [b"line\n", b"123", b"45", b"67", b"8", b""]


def test_a_result_is_bytes_of_its_own(run, new_reader):
    async def main():
        reader = new_reader(b"abcdef\n" * 3, eof=True)
        parts = [await reader.read(2), await reader.readline(), await reader.readexactly(2)]
        reader._buffer[:] = b"x" * len(reader._buffer)
        parts.append(await reader.read())
        assert all(type(part) is bytes for part in parts)
        return parts

    assert run(main()) == [b"ab", b"cdef\n", b"ab", b"x" * 12]


def test_reading_nothing_gives_nothing_at_once(new_reader):
    reader = new_reader()
    for read in (reader.read(0), reader.readexactly(0)):
        with pytest.raises(StopIteration) as ended:
            read.send(None)
        assert ended.value.value == b""


def test_a_negative_size_is_refused_by_readexactly(run, new_reader):
    async def main():
        reader = new_reader(b"abc")
        reader.set_exception(KeyError())
        for size in (-1, -(2**70)):
            with pytest.raises(ValueError, match=r"^readexactly size can not be less than zero$"):
                await reader.readexactly(size)

    run(main())


@pytest.mark.parametrize("size", ["1", None, 1.5, b"1", [], 2**70, True, -(2**70)])
@pytest.mark.parametrize("method", ["read", "readexactly"])
@pytest.mark.parametrize("data", [b"", b"abc"])
def test_any_other_size_does_what_it_does_on_stock(same_streams, method, size, data):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        reader.feed_data(data)
        reader.feed_eof()
        try:
            trace.note(await getattr(reader, method)(size))
        except Exception as error:
            trace.note(error)
        trace.note(bytes(reader._buffer))

    same_streams(scenario)


def test_a_size_may_be_anything_that_is_an_index(same_streams):
    class Size:
        def __init__(self, size):
            self.size = size

        def __index__(self):
            return self.size

        def __eq__(self, other):
            return self.size == other

        def __lt__(self, other):
            return self.size < other

        def __gt__(self, other):
            return self.size > other

        __hash__ = None

    class Mine(int):
        pass

    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        reader.feed_data(b"123456789")
        trace.note(await reader.read(Size(2)))
        trace.note(await reader.readexactly(Size(2)))
        trace.note(await reader.read(Mine(1)))
        trace.note(await reader.readexactly(Mine(1)))
        trace.note(await reader.read(Size(0)))

    assert [event[0] for event in same_streams(scenario)[:-1]] == [
        b"12",
        b"34",
        b"5",
        b"6",
        b"",
    ]


def test_the_end_of_file_ends_each_kind_of_read(run, new_reader):
    async def incomplete(read):
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await read
        return caught.value.partial, caught.value.expected, str(caught.value)

    async def main():
        reader = new_reader(b"", eof=True)
        seen = [await reader.read(), await reader.read(5), await reader.readline()]
        seen += [await incomplete(reader.readexactly(3)), await incomplete(reader.readuntil(b"x"))]
        reader = new_reader(b"abc", eof=True)
        seen += [await incomplete(reader.readuntil(b"x")), await reader.read(5)]
        reader = new_reader(b"abc", eof=True)
        seen += [await incomplete(reader.readexactly(9)), await reader.readline()]
        with pytest.raises(StopAsyncIteration):
            await reader.__anext__()
        return seen

    assert run(main()) == [
        b"",
        b"",
        b"",
        (b"", 3, "0 bytes read on a total of 3 expected bytes"),
        (b"", None, "0 bytes read on a total of undefined expected bytes"),
        (b"abc", None, "3 bytes read on a total of undefined expected bytes"),
        b"",
        (b"abc", 9, "3 bytes read on a total of 9 expected bytes"),
        b"",
    ]


def test_the_errors_have_the_chains_that_they_have_on_stock(same_streams):
    def chain(error):
        found = []
        while error is not None:
            found.append((type(error).__name__, error.args, error.__suppress_context__))
            assert error.__cause__ is None
            error = error.__context__
        return found

    async def scenario(trace, streams):
        for data in (b"123456", b"123456\n", b"12\n"):
            for method, *args in (("readline",), ("readuntil", b"x"), ("readexactly", 9)):
                reader = streams.StreamReader(2, trace.loop)
                reader.feed_data(data)
                reader.feed_eof()
                try:
                    raise KeyError("before")
                except KeyError:
                    try:
                        trace.note(await getattr(reader, method)(*args))
                    except Exception as error:
                        trace.note(method, *map(repr, chain(error)))

    same_streams(scenario)


def test_a_line_over_the_limit_is_taken_out_and_refused(run, new_reader):
    async def main():
        reader = new_reader(b"12345\nrest\n", limit=4)
        with pytest.raises(ValueError) as caught:
            await reader.readline()
        assert type(caught.value) is ValueError
        assert type(caught.value.__context__) is asyncio.LimitOverrunError
        return str(caught.value), await reader.readline()

    assert run(main()) == ("Separator is found, but chunk is longer than limit", b"rest\n")


def test_a_line_of_the_limit_is_given(run, new_reader):
    async def main():
        return await new_reader(b"1234\nrest", limit=4).readline()

    assert run(main()) == b"1234\n"


def test_data_over_the_limit_without_a_newline_is_dropped_by_readline(run, new_reader):
    async def main():
        reader = new_reader(b"12345", limit=4)
        with pytest.raises(
            ValueError, match=r"^Separator is not found, and chunk exceed the limit$"
        ):
            await reader.readline()
        seen = [bytes(reader._buffer)]
        reader.feed_data(b"6\nrest")
        return [*seen, await reader.readline()]

    assert run(main()) == [b"", b"6\n"]


def test_a_line_over_the_limit_resumes_the_transport(run, new_reader):
    async def main():
        reader, transport = new_reader(limit=2), NotingTransport()
        reader.set_transport(transport)
        reader.feed_data(b"12345")
        with pytest.raises(ValueError, match="Separator is not found"):
            await reader.readline()
        return transport.calls, reader._paused

    assert run(main()) == (["pause_reading", "resume_reading"], False)


def test_read_to_the_end_takes_pieces_of_the_limit(same_streams):
    async def scenario(trace, streams):
        reader, transport = streams.StreamReader(4, trace.loop), NotingTransport()
        reader.set_transport(transport)
        task = asyncio.ensure_future(reader.read())
        for data in (b"12345678901", b"2", b"34567890123456789"):
            await trace.turns(1)
            reader.feed_data(data)
            trace.note(*transport.calls, *map(str, state(reader).items()))
            await trace.turns(2)
            trace.note(*transport.calls, *map(str, state(reader).items()))
        reader.feed_eof()
        trace.note(await task)

    assert same_streams(scenario)[-2] == [b"12345678901234567890123456789"]


def test_async_for_is_the_reader_itself(new_reader):
    reader = new_reader()
    assert reader.__aiter__() is reader
    assert aiter(reader) is reader


def test_async_for_raises_what_readline_raises(run, new_reader):
    async def main():
        reader, lines = new_reader(b"a\nb\n12345\nc", limit=3), []

        async def read():
            async for line in reader:
                lines.append(line)  # noqa: PERF401  # what came before the error counts

        with pytest.raises(ValueError, match="Separator is found"):
            await read()
        return lines

    assert run(main()) == [b"a\n", b"b\n"]
