"""What `await` and its relatives receive from native iterators, whatever kind of object it is."""

import asyncio
import gc
import sys
import types
import weakref

import pytest

import ferrio


class Thing:
    pass


VALUES = [None, 0, 1.5, "text", (), (1, 2), [], StopIteration(3), ValueError("x"), Thing, Thing()]


@pytest.fixture
def awaiting(loop):
    """A coroutine of ours that gives `value`."""

    def make(value):
        queue = ferrio.Queue()
        queue.put_nowait(value)
        return queue.get()

    return make


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_await_gives_the_very_value(run, awaiting, value):
    async def main():
        return await awaiting(value)

    assert run(main()) is value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_yield_from_gives_the_very_value(awaiting, value):
    @types.coroutine
    def generator():
        return (yield from awaiting(value))

    async def main():
        return await generator()

    with pytest.raises(StopIteration) as caught:
        main().send(None)
    assert caught.value.value is value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_next_raises_a_stop_iteration_with_the_value(awaiting, value):
    with pytest.raises(StopIteration) as caught:
        next(awaiting(value))
    assert caught.value.value is value
    assert caught.value.args == (() if value is None else (value,))
    assert isinstance(str(caught.value), str)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_send_and_the_method_next_raise_the_interpreters_own(awaiting, value):
    calls = [lambda: awaiting(value).send(None), lambda: awaiting(value).__await__().__next__()]
    for call in calls:
        with pytest.raises(StopIteration) as caught:
            call()
        assert type(caught.value) is StopIteration
        assert caught.value.value is value
    assert caught.value.args == (() if value is None else (value,))


def test_the_value_is_released_with_its_last_owner(run, awaiting):
    async def main():
        thing = Thing()
        reference = weakref.ref(thing)
        thing = await awaiting(thing)
        other = Thing()
        more = sys.getrefcount(thing) - sys.getrefcount(other)
        del thing
        return more, reference()

    assert run(main()) == (0, None)


def itself(awaiting, loop, thing):
    return awaiting(thing)


def of_a_coroutine(awaiting, loop, thing):
    return awaiting(thing).__await__()


def of_a_future(awaiting, loop, thing):
    future = loop.create_future()
    future.set_result(thing)
    return future.__await__()


@pytest.mark.parametrize("iterator", [itself, of_a_coroutine, of_a_future])
def test_a_cycle_through_a_kept_one_is_collected(loop, awaiting, iterator):
    thing = Thing()
    reference = weakref.ref(thing)
    with pytest.raises(StopIteration) as caught:
        next(iterator(awaiting, loop, thing))
    thing.kept = caught.value
    del thing, caught
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("iterator", [itself, of_a_coroutine, of_a_future])
def test_one_in_a_frame_of_its_own_traceback_is_collected(loop, awaiting, iterator):
    def keep(thing):
        try:
            next(iterator(awaiting, loop, thing))
        except StopIteration as stop:
            kept = stop
        return kept is not None

    thing = Thing()
    reference = weakref.ref(thing)
    assert keep(thing)
    del thing
    gc.collect()
    assert reference() is None


def test_futures_give_any_value(run, loop):
    async def main():
        given = []
        for value in VALUES:
            future = loop.create_future()
            loop.call_soon(future.set_result, value)
            given.append(await future is value)
        return given

    assert all(run(main()))


def test_many_nested_ones_at_once(run, awaiting):
    async def deep(levels):
        if not levels:
            return await awaiting("bottom")
        value = await deep(levels - 1)
        assert await awaiting(levels) == levels
        return value

    async def main():
        return await asyncio.gather(*(deep(20) for _ in range(50)))

    assert run(main()) == ["bottom"] * 50
