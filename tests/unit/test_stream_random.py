"""Random pieces, reads and cancellations: nothing is lost, and each step is as on stock."""

import asyncio
import sys

import pytest
import stream_classes
from hypothesis import HealthCheck, given, settings, strategies as st
from stream_classes import NotingTransport

EXAMPLES = settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
SEPARATORS = [b"\n", b"b", b"ab", b"aab", b"\n\n"]
if sys.version_info >= (3, 13):
    SEPARATORS += [(b"b", b"ab"), (b"aab", b"\n"), (b"b\n", b"ab\n", b"a")]

pieces = st.binary(min_size=1, max_size=6).map(
    lambda data: bytes(b"ab\n"[byte % 3] for byte in data)
)
# A read to the end that is cancelled loses what it has read, on stock as well.
reads = st.one_of(
    st.tuples(st.just("read"), st.integers(0, 9)),
    st.tuples(st.just("readexactly"), st.integers(0, 9)),
    st.just(("readline",)),
    st.just(("__anext__",)),
    st.tuples(st.just("readuntil"), st.sampled_from(SEPARATORS)),
)
steps = st.one_of(
    st.tuples(st.just("feed"), pieces),
    st.tuples(st.just("feed"), pieces),
    st.tuples(st.just("start"), reads),
    st.tuples(st.just("start"), reads),
    st.just(("turn",)),
    st.just(("turn",)),
    st.just(("cancel",)),
)
rare_steps = st.one_of(
    steps,
    steps,
    st.just(("eof",)),
    st.just(("fail",)),
    st.just(("start", ("read", -1))),
    st.tuples(st.just("take"), st.integers(1, 3)),
    st.tuples(st.just("put"), pieces),
    st.just(("swap",)),
)
programs = st.lists(steps, max_size=30)
rare_programs = st.lists(rare_steps, max_size=30)
limits = st.sampled_from([2**16, 1, 2, 5])


class Play:
    """One run of a program: after each step, all that can be seen of the reader."""

    def __init__(self, loop, streams, limit):
        self.loop = loop
        self.reader = streams.StreamReader(limit, loop)
        self.transport = NotingTransport()
        self.reader.set_transport(self.transport)
        self.tasks = []
        self.seen = []
        self.fed = b""

    def run(self, program):
        for step, *args in [*program, ("eof",), ("turn",), ("turn",)]:
            try:
                getattr(self, step)(*args)
            except AssertionError as error:
                self.seen.append(str(error))
            self.seen.append((step, *map(outcome, self.tasks), *self.state()))
        for task in self.tasks:
            task.cancel()
        self.turn()
        return self.seen

    def state(self):
        reader = self.reader
        return (
            bytes(reader._buffer),
            reader._eof,
            reader._paused,
            reader._waiter is None,
            list(self.transport.calls),
        )

    def feed(self, data):
        self.reader.feed_data(data)
        self.fed += data

    def start(self, call):
        method, *args = call

        async def read():
            return await getattr(self.reader, method)(*args)

        self.tasks.append(self.loop.create_task(read()))

    def turn(self):
        self.loop.stop()
        self.loop.run_forever()

    def cancel(self):
        for task in reversed(self.tasks):
            if not task.done():
                task.cancel()
                return

    def eof(self):
        self.reader.feed_eof()

    def fail(self):
        self.reader.set_exception(OSError("failed"))

    def take(self, count):
        del self.reader._buffer[:count]

    def put(self, data):
        self.reader._buffer.extend(data)

    def swap(self):
        self.reader._buffer = bytearray(self.reader._buffer)


def outcome(task):
    """How a task stands: comparable between loops."""
    if not task.done():
        return "pending"
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is None:
        return task.result()
    told = (getattr(error, name, None) for name in ("partial", "expected", "consumed"))
    return type(error).__name__, str(error), *told


@pytest.fixture
def play(engine):
    """Run a program on the engine's loop with these streams."""

    def run(program, streams, limit, new_loop=engine.new_loop):
        loop = new_loop()
        try:
            played = Play(loop, streams, limit)
            return played, played.run(program)
        finally:
            loop.close()

    return run


@pytest.mark.parametrize("kind", ["common", "rare"])
def test_each_step_is_as_on_stock(play, streams, kind):
    @EXAMPLES
    @given(programs if kind == "common" else rare_programs, limits)
    def compare(program, limit):
        _, expected = play(program, stream_classes.STOCK, limit, asyncio.SelectorEventLoop)
        _, seen = play(program, streams, limit)
        assert seen == expected

    compare()


def test_nothing_is_lost_and_nothing_comes_twice(play, streams):
    @EXAMPLES
    @given(programs)
    def add_up(program):
        played, _ = play(program, streams, 2**16)
        done = [task for task in played.tasks if not task.cancelled()]
        lengths = 0
        for task in done:
            error = task.exception()
            if error is None:
                lengths += len(task.result())
            elif isinstance(error, asyncio.IncompleteReadError):
                lengths += len(error.partial)
            else:
                assert isinstance(error, (RuntimeError, StopAsyncIteration)), error
        assert lengths + len(played.reader._buffer) == len(played.fed)

    add_up()


def test_what_one_reader_reads_is_what_was_fed(play, engine, streams):
    """One read after the other, some of them cancelled and begun anew: the very bytes."""

    @EXAMPLES
    @given(
        st.lists(pieces, max_size=12),
        st.lists(st.tuples(reads, st.integers(0, 4)), max_size=12),
    )
    def add_up(data, calls):
        loop = engine.new_loop()
        reader = streams.StreamReader(loop=loop)

        async def read(method, *args):
            try:
                return await getattr(reader, method)(*args)
            except asyncio.IncompleteReadError as error:
                return error.partial
            except StopAsyncIteration:
                return b""

        async def main():
            read_so_far, coming = b"", list(data)
            for call, patience in calls:
                task = loop.create_task(read(*call))
                for _ in range(patience):
                    await asyncio.sleep(0)
                    if coming:
                        reader.feed_data(coming.pop(0))
                    elif not reader._eof:
                        reader.feed_eof()
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                read_so_far += b"" if task.cancelled() else task.result()
            return read_so_far + bytes(reader._buffer), b"".join(coming)

        try:
            seen, left = loop.run_until_complete(main())
        finally:
            loop.close()
        assert seen + left == b"".join(data)

    add_up()
