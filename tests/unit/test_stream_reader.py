"""`StreamReader` by itself: how it is made, its attributes and repr, what it is fed."""

import asyncio
import gc
import inspect
import threading
import weakref

import pytest
from stream_classes import NotingTransport

METHODS = (
    "exception",
    "set_exception",
    "set_transport",
    "feed_eof",
    "at_eof",
    "feed_data",
    "readline",
    "readuntil",
    "read",
    "readexactly",
)


@pytest.fixture
def new_reader(loop, streams):
    """Make a reader on the loop."""

    def make(limit=2**16):
        return streams.StreamReader(limit, loop)

    return make


def test_it_begins_with_nothing(loop, streams):
    reader = streams.StreamReader(loop=loop)
    assert type(reader._buffer) is bytearray
    assert (reader._buffer, reader._limit, reader._loop) == (b"", 65536, loop)
    assert (reader._eof, reader._paused) == (False, False)
    assert (reader._waiter, reader._exception, reader._transport) == (None, None, None)
    assert reader._source_traceback is None
    assert reader.exception() is None
    assert reader.at_eof() is False


def test_its_arguments_have_names_and_an_order(loop, streams):
    assert streams.StreamReader(7, loop)._limit == 7
    assert streams.StreamReader(loop=loop, limit=8)._limit == 8
    with pytest.raises(TypeError) as caught:
        streams.StreamReader(1, loop, 3)
    assert str(caught.value) == (
        "StreamReader.__init__() takes from 1 to 3 positional arguments but 4 were given"
    )
    with pytest.raises(TypeError) as caught:
        streams.StreamReader(lopp=loop)
    assert "StreamReader.__init__() got an unexpected keyword argument 'lopp'" in str(caught.value)


def test_its_methods_take_their_arguments_by_name(loop, run, new_reader):
    async def main():
        reader = new_reader()
        reader.feed_data(data=b"one\ntwo three")
        assert await reader.readuntil(separator=b"\n") == b"one\n"
        assert await reader.readexactly(n=3) == b"two"
        assert await reader.read(n=3) == b" th"
        reader.set_transport(transport=None)
        reader.set_exception(exc=ValueError())

    run(main())


@pytest.mark.parametrize("limit", [0, -1, -(2**80), 0.0])
def test_a_limit_must_be_positive(loop, streams, limit):
    with pytest.raises(ValueError, match=r"^Limit cannot be <= 0$"):
        streams.StreamReader(limit, loop)


@pytest.mark.parametrize("limit", ["4", None, b"4", [4]])
def test_a_limit_must_be_a_number(loop, streams, limit):
    with pytest.raises(TypeError) as caught:
        streams.StreamReader(limit, loop)
    kind = type(limit).__name__
    assert str(caught.value) == f"'<=' not supported between instances of '{kind}' and 'int'"


@pytest.mark.parametrize("limit", [2.5, 2**100, float("inf"), True])
def test_any_number_above_zero_is_a_limit(run, new_reader, limit):
    async def main():
        reader = new_reader(limit)
        transport = NotingTransport()
        reader.set_transport(transport)
        assert reader._limit is limit
        reader.feed_data(b"a\nbcdef")
        assert repr(reader) == (
            f"<StreamReader 7 bytes limit={limit!r} transport=<the transport>"
            f"{' paused' if limit < 3 else ''}>"
        )
        assert await reader.readline() == b"a\n"
        assert await reader.read(4) == b"bcde"
        return transport.calls

    assert run(main()) == (["pause_reading", "resume_reading"] if limit < 3 else [])


def test_without_a_loop_it_takes_the_running_one(loop, run, streams):
    async def main():
        return streams.StreamReader()._loop

    assert run(main()) is loop


def test_without_a_loop_it_takes_the_current_one(loop, streams):
    asyncio.set_event_loop(loop)
    try:
        assert streams.StreamReader()._loop is loop
    finally:
        asyncio.set_event_loop(None)


def test_without_any_loop_in_a_thread_it_is_an_error(streams):
    caught = []

    def make():
        with pytest.raises(RuntimeError) as raised:
            streams.StreamReader()
        caught.append(str(raised.value))

    thread = threading.Thread(target=make, name="other")
    thread.start()
    thread.join()
    assert caught == ["There is no current event loop in thread 'other'."]


def test_without_any_loop_in_the_main_thread_it_does_what_stock_does(run_python, streams):
    source = """
        import warnings
        from {module} import StreamReader

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                reader = StreamReader()
                print(isinstance(reader._loop, asyncio.AbstractEventLoop))
                reader._loop.close()
            except RuntimeError as error:
                print(error)
        print([(warning.category.__name__, str(warning.message)) for warning in caught])
    """
    seen = run_python(source.format(module=streams.module))
    expected = run_python(source.format(module="asyncio"))
    assert seen.stdout == expected.stdout != ""
    assert seen.returncode == expected.returncode == 0


def test_a_loop_is_asked_for_its_debug_mode_alone(streams):
    class Loop:
        def get_debug(self):
            return False

    loop = Loop()
    assert streams.StreamReader(loop=loop)._loop is loop
    with pytest.raises(AttributeError, match="get_debug"):
        streams.StreamReader(loop=object())


def test_in_debug_mode_it_knows_where_it_was_made(loop, streams):
    loop.set_debug(True)
    reader = streams.StreamReader(loop=loop)
    last = reader._source_traceback[-1]
    assert last.filename == __file__
    assert last.name == "test_in_debug_mode_it_knows_where_it_was_made"
    assert "streams.StreamReader(loop=loop)" in last.line


def test_its_repr_tells_its_state(run, new_reader):
    async def main():
        reader, seen = new_reader(), []
        seen.append(repr(reader))
        reader.feed_data(b"12")
        seen.append(repr(reader))
        await reader.read(2)
        task = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        seen.append(repr(reader))
        assert repr(reader._waiter).startswith("<Future pending cb=[Task.task_wakeup()")
        seen[-1] = seen[-1].replace(repr(reader._waiter), "WAITER")
        reader.feed_eof()
        seen.append(repr(reader))
        await task
        reader.set_exception(ValueError("no"))
        seen.append(repr(reader))
        return seen

    assert run(main()) == [
        "<StreamReader>",
        "<StreamReader 2 bytes>",
        "<StreamReader waiter=WAITER>",
        "<StreamReader eof>",
        "<StreamReader eof exception=ValueError('no')>",
    ]


def test_its_repr_tells_limit_and_transport(new_reader):
    reader = new_reader(2)
    reader.set_transport(NotingTransport())
    reader.feed_data(b"12345")
    assert repr(reader) == "<StreamReader 5 bytes limit=2 transport=<the transport> paused>"


def test_its_repr_is_of_its_attributes_and_says_the_same_of_subclasses(loop, streams):
    class Own(streams.StreamReader):
        pass

    reader = Own(3, loop)
    reader._buffer = bytearray(b"abc")
    reader._eof = reader._paused = "yes"
    reader._limit = 2**16
    assert repr(reader) == "<StreamReader 3 bytes eof paused>"
    reader._waiter, reader._exception, reader._transport = "w", "e", "t"
    assert repr(reader) == (
        "<StreamReader 3 bytes eof waiter='w' exception='e' transport='t' paused>"
    )


def test_what_it_is_fed_is_appended(new_reader):
    reader = new_reader()
    for data in (b"bytes ", bytearray(b"bytearray "), memoryview(b"view "), [105, 110, 116, 115]):
        assert reader.feed_data(data) is None
    assert reader._buffer == b"bytes bytearray view ints"


def test_it_is_fed_nothing_without_anybody_waking(loop, turns, new_reader):
    reader = new_reader()
    task = loop.create_task(reader.read(1))
    turns()
    waiter = reader._waiter
    for nothing in (b"", bytearray(), None, ()):
        reader.feed_data(nothing)
    assert reader._waiter is waiter and not waiter.done()
    reader.feed_eof()
    turns(2)
    assert task.result() == b""


@pytest.mark.parametrize("data", ["text", 5, [300], object(), [b"a"], 2.5])
def test_what_is_no_bytes_is_refused_as_stock_refuses_it(new_reader, data):
    reader = new_reader()
    with pytest.raises((TypeError, ValueError)) as expected:
        bytearray().extend(data)
    with pytest.raises(type(expected.value)) as caught:
        reader.feed_data(data)
    assert str(caught.value) == str(expected.value)
    assert reader._buffer == b""


def test_it_cannot_be_fed_after_the_end_of_file(new_reader):
    reader = new_reader()
    reader.feed_data(b"a")
    reader.feed_eof()
    for data in (b"b", b"", None):
        with pytest.raises(AssertionError, match=r"^feed_data after feed_eof$"):
            reader.feed_data(data)
    reader.feed_eof()
    assert reader._buffer == b"a"


def test_it_is_at_the_end_when_nothing_is_left(run, new_reader):
    async def main():
        reader = new_reader()
        reader.feed_data(b"ab")
        reader.feed_eof()
        seen = [reader.at_eof()]
        await reader.read(1)
        seen.append(reader.at_eof())
        await reader.read(1)
        return [*seen, reader.at_eof()]

    assert run(main()) == [False, False, True]


def test_an_exception_is_kept_and_raised_by_each_read(run, new_reader):
    async def main():
        reader, error = new_reader(), OSError("gone")
        reader.feed_data(b"data\n")
        assert reader.set_exception(error) is None
        assert reader.exception() is error is reader._exception
        for read in (reader.read, reader.readline, reader.readuntil):
            with pytest.raises(OSError, match="gone") as caught:
                await read()
            assert caught.value is error
        for size in (0, 3):
            with pytest.raises(OSError, match="gone"):
                await reader.readexactly(size)
            with pytest.raises(OSError, match="gone"):
                await reader.read(size)
        return bytes(reader._buffer)

    assert run(main()) == b"data\n"


def test_it_can_be_referred_to_weakly_and_collected(loop, new_reader):
    reader = new_reader()
    reader.itself = reader
    reader._transport = [reader]
    reference = weakref.ref(reader)
    del reader
    gc.collect()
    assert reference() is None


def test_it_takes_attributes_of_the_program(new_reader):
    reader = new_reader()
    reader.note = "mine"
    assert reader.note == "mine"
    assert "note" in vars(reader)


def test_its_class_looks_like_stocks(streams):
    reader = streams.StreamReader
    assert (reader.__name__, reader.__qualname__) == ("StreamReader", "StreamReader")
    assert issubclass(type(reader), type)
    for name in METHODS:
        assert callable(getattr(reader, name))
        assert getattr(reader, name).__name__ == name
    assert hasattr(reader, "__aiter__") and hasattr(reader, "__anext__")


def test_its_reads_are_coroutines(run, new_reader):
    async def main():
        reader = new_reader()
        reader.feed_data(b"1\n2\n3\n4\n5\n")
        calls = [
            reader.read(1),
            reader.readline(),
            reader.readuntil(b"\n"),
            reader.readexactly(1),
            reader.__anext__(),
        ]
        assert all(asyncio.iscoroutine(call) and inspect.isawaitable(call) for call in calls)
        return [await call for call in calls]

    assert run(main()) == [b"1", b"\n", b"2\n", b"3", b"\n"]


def test_a_read_that_is_never_awaited_is_told(run, new_reader):
    async def main():
        with pytest.warns(RuntimeWarning, match=r"^coroutine '.*\.read' was never awaited"):
            new_reader().read(1)

    run(main())
