"""The native coroutine behind `lock.acquire()`: whatever a program may do to a coroutine object."""

import asyncio
import collections.abc
import gc
import inspect
import socket
import sys
import types
import warnings
import weakref

import pytest


@pytest.fixture
def lock_class(package):
    """The class whose `acquire()` is under test."""
    return package.Lock


def test_asyncio_takes_it_for_a_coroutine(lock_class):
    coroutine = lock_class().acquire()
    assert asyncio.iscoroutine(coroutine)
    assert inspect.isawaitable(coroutine)
    assert isinstance(coroutine, collections.abc.Coroutine)
    coroutine.close()


def test_its_names_are_those_of_the_method(lock_class):
    coroutine = lock_class().acquire()
    assert (coroutine.__name__, coroutine.__qualname__) == ("acquire", "Lock.acquire")
    assert repr(coroutine).startswith("<coroutine object Lock.acquire at 0x")
    coroutine.close()


def test_it_returns_through_stop_iteration(lock_class):
    coroutine = lock_class().acquire()
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    assert caught.value.value is True


def test_it_cannot_be_used_twice(lock_class):
    coroutine = lock_class().acquire()
    with pytest.raises(StopIteration):
        coroutine.send(None)
    for resume in (lambda: coroutine.send(None), lambda: coroutine.throw(ValueError())):
        with pytest.raises(RuntimeError, match="^cannot reuse already awaited coroutine$"):
            resume()
    coroutine.close()


def test_it_takes_no_value_before_it_began(lock_class):
    coroutine = lock_class().acquire()
    with pytest.raises(TypeError, match="^can't send non-None value to a just-started coroutine$"):
        coroutine.send(1)
    coroutine.close()


def test_what_is_thrown_before_it_began_comes_out(lock_class):
    lock = lock_class()
    coroutine = lock.acquire()
    with pytest.raises(KeyError):
        coroutine.throw(KeyError())
    assert not lock.locked()


def test_one_that_was_never_awaited_warns(lock_class):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lock_class().acquire()
        gc.collect()
    (warning,) = caught
    assert str(warning.message) == "coroutine 'Lock.acquire' was never awaited"
    assert warning.category is RuntimeWarning
    assert warning.source.__name__ == "acquire"
    assert warning.filename == __file__


def test_one_that_was_closed_does_not_warn(lock_class):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coroutine = lock_class().acquire()
        coroutine.close()
        del coroutine
        gc.collect()


def test_closing_one_that_waits_takes_it_out_of_the_queue(loop_factory, lock_class):
    async def main():
        lock = lock_class()
        await lock.acquire()
        coroutine = lock.acquire()
        future = coroutine.send(None)
        assert asyncio.isfuture(future)
        assert coroutine.cr_await is not None
        assert len(lock._waiters) == 1
        coroutine.close()
        assert len(lock._waiters) == 0
        lock.release()
        assert not lock.locked()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_dropping_one_that_waits_takes_it_out_of_the_queue(loop_factory, lock_class):
    async def main():
        lock = lock_class()
        await lock.acquire()
        coroutine = lock.acquire()
        coroutine.send(None)
        del coroutine
        gc.collect()
        assert len(lock._waiters) == 0

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_resuming_it_before_its_future_is_done_is_an_error(loop_factory, lock_class):
    async def main():
        lock = lock_class()
        await lock.acquire()
        coroutine = lock.acquire()
        coroutine.send(None)
        with pytest.raises(RuntimeError, match="^await wasn't used with future$"):
            coroutine.send(None)
        assert len(lock._waiters) == 0

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_a_task_can_be_made_of_it(loop_factory, lock_class):
    async def main():
        lock = lock_class()
        assert await asyncio.create_task(lock.acquire()) is True
        waiting = asyncio.ensure_future(lock.acquire())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lock.acquire(), 0.001)
        lock.release()
        assert await waiting is True

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in Python 3.14")
def test_the_call_graph_passes_over_it(loop_factory, lock_class):
    async def main():
        lock = lock_class()
        await lock.acquire()
        task = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        graph = asyncio.format_call_graph(task)
        task.cancel()
        return graph

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()).startswith("* Task(")


def waiting_coroutines(package):
    """Coroutines that wait for a turn of the loop or more, by name; they need a running loop."""
    queue, event = package.Queue(), package.Event()
    yield "Queue.get", queue.get, lambda: queue.put_nowait("item")
    yield "Event.wait", event.wait, event.set
    yield "sleep", lambda: package.sleep(0.001, "slept"), lambda: None
    reader = package.StreamReader()
    yield "StreamReader.read", lambda: reader.read(4), lambda: reader.feed_data(b"data")
    near, far = socket.socketpair()
    near.setblocking(False)
    receive = asyncio.get_running_loop().sock_recv
    yield "sock_recv", lambda: receive(near, 4), lambda: far.send(b"data")
    near.close()
    far.close()


async def outcomes(package, make_task):
    """What two tasks get that both await the same coroutine."""
    found = {}
    for name, make, fire in waiting_coroutines(package):
        coroutine = make()
        # Both begin in one turn, in which no timer can fire.
        both = [make_task(coroutine), make_task(coroutine)]
        await asyncio.sleep(0)
        fire()
        done = await asyncio.gather(*both, return_exceptions=True)
        found[name] = [repr(each) for each in done]
    return found


@pytest.mark.parametrize("awaited", [True, False])
def test_it_is_awaited_by_one_task_at_a_time(loop_factory, package, awaited):
    async def awaiting(coroutine):
        return await coroutine

    def make_task(coroutine):
        return asyncio.create_task(awaiting(coroutine) if awaited else coroutine)

    def run(factory, package):
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(asyncio.wait_for(outcomes(package, make_task), 20))

    found = run(loop_factory, package)
    assert found == run(asyncio.SelectorEventLoop, asyncio)
    word = "is being awaited already" if awaited else "cannot reuse already awaited coroutine"
    assert all(word in second for _, second in found.values())


def test_nothing_iterates_over_it(package):
    queue = package.Queue()
    queue.put_nowait("item")
    for use in (list, lambda coroutine: [*coroutine], iter, dict, lambda coroutine: 1 in coroutine):
        coroutine = queue.get()
        with pytest.raises(TypeError):
            use(coroutine)
        coroutine.close()
    assert queue.qsize() == 1
    coroutine = package.sleep(0)
    for kind in (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator):
        assert not isinstance(coroutine, kind)
    assert not hasattr(coroutine, "__iter__")
    assert not hasattr(coroutine, "__next__")

    def generator():
        yield from coroutine

    with pytest.raises(TypeError):
        list(generator())
    coroutine.close()


def test_a_generator_that_is_a_coroutine_yields_from_it(loop_factory, package):
    @types.coroutine
    def old_style(coroutine):
        return (yield from coroutine)

    with asyncio.Runner(loop_factory=loop_factory) as runner:

        async def main():
            return await old_style(package.sleep(0.001, "slept"))

        assert runner.run(main()) == "slept"


def test_inspect_knows_it(package):
    for coroutine in (package.sleep(1), package.Lock().acquire(), package.Queue().get()):
        assert inspect.iscoroutine(coroutine)
        assert isinstance(coroutine, types.CoroutineType)
        assert repr(coroutine).startswith(f"<coroutine object {coroutine.__qualname__} at 0x")
        assert not coroutine.cr_suspended
        coroutine.close()
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


class Held:
    """What refers to a coroutine, and is referred to by it or by its delay."""

    coroutine = None

    def __le__(self, other):
        return True


def sleep_result(package, held):
    return package.sleep(0, held)


def sleep_delay(package, held):
    return package.sleep(held)


def sleep_that_waits(package, held):
    coroutine = package.sleep(3600)
    coroutine.send(None).add_done_callback(held.__le__)
    return coroutine


@pytest.mark.filterwarnings("ignore:coroutine 'sleep' was never awaited")
@pytest.mark.parametrize("make", [sleep_result, sleep_delay, sleep_that_waits])
def test_a_sleep_in_a_cycle_is_collected(loop_factory, package, make):
    async def main():
        held = Held()
        held.coroutine = make(package, held)
        return weakref.ref(held)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        gone = runner.run(main())
    # The loop is closed, so that its timer holds nothing.
    gc.collect()
    assert gone() is None
