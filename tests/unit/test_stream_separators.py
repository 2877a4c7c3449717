"""`readuntil` of a `StreamReader`: separators of any length, several of them, limits."""

import asyncio
import itertools
import sys

import pytest

SEVERAL = sys.version_info >= (3, 13)
needs_several = pytest.mark.skipif(not SEVERAL, reason="Python has a tuple of them since 3.13")


@pytest.fixture
def new_reader(loop, streams):
    """Make a reader on the loop, with these bytes in it."""

    def make(data=b"", limit=2**16):
        reader = streams.StreamReader(limit, loop)
        reader.feed_data(data)
        return reader

    return make


@pytest.fixture
def until(loop, new_reader):
    """What `readuntil` gives when the pieces come one in each turn; then what is left over."""

    def read(separator, *pieces, limit=2**16):
        async def main():
            reader = new_reader(limit=limit)
            task = asyncio.ensure_future(reader.readuntil(separator))
            for piece in pieces:
                await asyncio.sleep(0)
                reader.feed_data(piece)
            await asyncio.sleep(0)
            reader.feed_eof()
            return await task, bytes(reader._buffer)

        return loop.run_until_complete(main())

    return read


def test_without_a_separator_it_is_a_newline(run, new_reader):
    assert run(new_reader(b"a\nb\n").readuntil()) == b"a\n"


@pytest.mark.parametrize("split", range(1, 12))
def test_a_separator_may_be_split_over_pieces(until, split):
    data = b"ab--STOP--cd"
    assert until(b"--STOP--", data[:split], data[split:]) == (b"ab--STOP--", b"cd")


def test_a_separator_may_come_byte_by_byte(until):
    data = b"ab--STOP--STOP--cd"
    pieces = [data[at : at + 1] for at in range(len(data))]
    assert until(b"STOP--STOP", *pieces) == (b"ab--STOP--STOP", b"--cd")


def test_a_separator_that_begins_like_itself_is_found(until):
    assert until(b"aab", b"aa", b"a", b"ab", b"x") == (b"aaaab", b"x")
    assert until(b"abab", b"aba", b"aba", b"b!") == (b"abaabab", b"!")


def test_a_separator_may_be_longer_than_the_limit(until):
    assert until(b"12345", b"ab123", b"45c", limit=2) == (b"ab12345", b"c")


@pytest.mark.parametrize("separator", [bytearray(b"--"), memoryview(b"--")])
def test_a_separator_may_be_any_bytes(run, new_reader, separator):
    assert run(new_reader(b"a--b").readuntil(separator)) == b"a--"


@pytest.mark.parametrize("separator", [b"", bytearray(), ""])
def test_an_empty_separator_is_refused(run, new_reader, separator):
    with pytest.raises(ValueError, match=r"^Separator should be at least one-byte string$"):
        run(new_reader(b"a").readuntil(separator))


@pytest.mark.parametrize(
    "separator", ["a", 5, None, [b"a"], object(), b"a".__class__, {b"a": 1}, 97]
)
@pytest.mark.parametrize("data", [b"", b"a"])
def test_any_other_separator_does_what_it_does_on_stock(same_streams, separator, data):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        reader.feed_data(data)
        reader.feed_eof()
        try:
            trace.note(await reader.readuntil(separator))
        except Exception as error:
            trace.note(error)
        trace.note(bytes(reader._buffer))

    same_streams(scenario)


def test_bad_separators_are_refused_before_the_exception_is_raised(run, new_reader):
    reader = new_reader()
    reader.set_exception(KeyError())
    with pytest.raises(ValueError, match="at least one-byte"):
        run(reader.readuntil(b""))
    with pytest.raises(KeyError):
        run(reader.readuntil(b"a"))


def test_a_separator_after_the_limit_leaves_everything(run, new_reader):
    reader = new_reader(b"12345--6", limit=4)
    for _ in range(2):
        with pytest.raises(asyncio.LimitOverrunError) as caught:
            run(reader.readuntil(b"--"))
        assert caught.value.consumed == 5
        assert str(caught.value) == "Separator is found, but chunk is longer than limit"
        assert caught.value.args == ("Separator is found, but chunk is longer than limit",)
    assert reader._buffer == b"12345--6"


def test_a_separator_at_the_limit_is_found(until):
    assert until(b"--", b"1234--5", limit=4) == (b"1234--", b"5")


@pytest.mark.parametrize("size", [4, 5, 6, 7, 8])
def test_without_a_separator_over_the_limit_it_is_told_what_may_be_consumed(same_streams, size):
    async def scenario(trace, streams):
        reader = streams.StreamReader(4, trace.loop)
        task = asyncio.ensure_future(reader.readuntil(b"---"))
        for _ in range(size):
            await trace.turns(1)
            reader.feed_data(b"1")
        await trace.turns(3)
        trace.note(size, task.done(), bytes(reader._buffer))
        reader.feed_data(b"---")
        await asyncio.wait([task])
        error = task.exception()
        trace.note(error or task.result(), getattr(error, "consumed", None))

    same_streams(scenario)


def test_the_end_of_file_gives_what_there_is_with_a_part_of_the_separator(until, run, new_reader):
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        until(b"--", b"abc-")
    assert (caught.value.partial, caught.value.expected) == (b"abc-", None)


def test_a_separator_is_found_after_the_end_of_file(run, new_reader):
    reader = new_reader(b"a-b-c")
    reader.feed_eof()
    assert run(reader.readuntil(b"-")) == b"a-"
    assert run(reader.readuntil(b"-")) == b"b-"
    with pytest.raises(asyncio.IncompleteReadError):
        run(reader.readuntil(b"-"))
    assert reader.at_eof()


@pytest.mark.skipif(SEVERAL, reason="Python takes a tuple since 3.13")
def test_before_313_a_tuple_is_no_separator(run, new_reader):
    reader = new_reader(b"a-b")
    with pytest.raises(TypeError, match="argument should be integer or bytes-like object"):
        run(reader.readuntil((b"-", b"+")))


@needs_several
def test_the_first_of_several_separators_ends_it(until):
    assert until((b"-", b"+"), b"a", b"b+c-") == (b"ab+", b"c-")
    assert until((b"+",), b"a+b") == (b"a+", b"b")


@needs_several
def test_no_separators_are_refused(run, new_reader):
    with pytest.raises(ValueError, match=r"^Separator should contain at least one element$"):
        run(new_reader(b"a").readuntil(()))
    with pytest.raises(ValueError, match=r"^Separator should be at least one-byte string$"):
        run(new_reader(b"a").readuntil((b"a", b"")))


@needs_several
def test_the_shortest_end_wins_among_overlapping_separators(until):
    assert until((b"Y", b"XYZ"), b"aXYZb") == (b"aXY", b"Zb")
    assert until((b"XYZ", b"YZ"), b"aXYZb") == (b"aXYZ", b"b")
    assert until((b"ab", b"abc", b"b"), b"xxabcd") == (b"xxab", b"cd")
    assert until((b"abcd", b"cd"), b"xx", b"ab", b"cd", b"e") == (b"xxabcd", b"e")


@needs_several
@pytest.mark.parametrize("limit", [2, 3, 4, 5])
def test_of_separators_that_end_together_the_shortest_counts_for_the_limit(same_streams, limit):
    async def scenario(trace, streams):
        for separators in ((b"XYZ", b"YZ", b"Z"), (b"Z", b"YZ", b"XYZ"), (b"YZ", b"abXYZ")):
            reader = streams.StreamReader(limit, trace.loop)
            reader.feed_data(b"abXYZcd")
            try:
                trace.note(await reader.readuntil(separators), bytes(reader._buffer))
            except asyncio.LimitOverrunError as error:
                trace.note(error, error.consumed, bytes(reader._buffer))

    same_streams(scenario)


@needs_several
@pytest.mark.parametrize(
    "separators", [(b"a", "b"), ("a",), (1, 2), (b"a", None), (b"a", bytearray(b"--"))]
)
def test_bad_ones_among_several_do_what_they_do_on_stock(same_streams, separators):
    async def scenario(trace, streams):
        reader = streams.StreamReader(loop=trace.loop)
        reader.feed_data(b"xy--a")
        try:
            trace.note(await reader.readuntil(separators))
        except Exception as error:
            trace.note(error)
        trace.note(bytes(reader._buffer))

    same_streams(scenario)


@needs_several
def test_several_separators_are_found_in_every_split(same_streams):
    data = b"abXYaXYZbb"
    sets = [(b"XYZ", b"bb"), (b"YZ", b"aX", b"Z"), (b"bX", b"aXY"), (b"XYaX", b"YZb", b"q")]

    async def scenario(trace, streams):
        for separators, (left, right) in itertools.product(
            sets, itertools.combinations(range(1, len(data)), 2)
        ):
            reader = streams.StreamReader(6, trace.loop)
            task = asyncio.ensure_future(reader.readuntil(separators))
            for piece in (data[:left], data[left:right], data[right:]):
                await trace.turns(1)
                reader.feed_data(piece)
                await trace.turns(2)
                trace.note(task.done(), bytes(reader._buffer))
            reader.feed_eof()
            await asyncio.wait([task])
            error = task.exception()
            trace.note(error or task.result(), getattr(error, "consumed", None))

    same_streams(scenario, turns=False)


def test_single_separators_are_found_in_every_split(same_streams):
    data = b"abXaabXYabXYZ"

    async def scenario(trace, streams):
        for separator, (left, right) in itertools.product(
            (b"Y", b"XY", b"bXYZ", b"aabXYa", b"nowhere"),
            itertools.combinations(range(1, len(data)), 2),
        ):
            reader = streams.StreamReader(7, trace.loop)
            task = asyncio.ensure_future(reader.readuntil(separator))
            for piece in (data[:left], data[left:right], data[right:]):
                await trace.turns(1)
                reader.feed_data(piece)
                await trace.turns(2)
                trace.note(task.done(), bytes(reader._buffer))
            reader.feed_eof()
            await asyncio.wait([task])
            error = task.exception()
            trace.note(error or task.result(), getattr(error, "consumed", None))

    same_streams(scenario, turns=False)
