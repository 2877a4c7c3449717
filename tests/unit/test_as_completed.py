"""`as_completed`, stock's and the native one, on both loops; the asynchronous form from 3.13 on, a
generator before."""

import asyncio
import collections.abc
import re
import sys

import pytest
from small_coroutines import fail, give

asynchronous = pytest.mark.skipif(sys.version_info < (3, 13), reason="async for came with 3.13")
generator = pytest.mark.skipif(sys.version_info >= (3, 13), reason="an iterator from 3.13 on")


@pytest.fixture
def as_completed(package):
    """The function under test."""
    return package.as_completed


@pytest.mark.parametrize("collection", [list, tuple, set, iter])
def test_results_come_as_they_are_there(run_main, as_completed, collection):
    async def main():
        stock = asyncio.Task(give("stock", 4), loop=asyncio.get_running_loop())
        given = [give("slow", 6), give("quick"), asyncio.create_task(give("task", 2)), stock]
        return [await each for each in as_completed(collection(given))]

    assert run_main(main) == ["quick", "task", "stock", "slow"]


def test_only_native_futures_and_coroutines(run_main, as_completed):
    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "future")
        given = [give("slow", 6), give("quick"), asyncio.create_task(give("task", 3)), future]
        return {await each for each in as_completed(given)}

    assert run_main(main) == {"quick", "task", "slow", "future"}


def test_exceptions_come_in_their_turn(run_main, as_completed):
    async def main():
        seen = []
        for each in as_completed([give(1, 1), fail(ValueError("mine"), 3), give(2, 5)]):
            try:
                seen.append(await each)
            except ValueError as error:
                seen.append(str(error))
        return seen

    assert run_main(main) == [1, "mine", 2]


def test_the_same_object_twice_comes_once(run_main, as_completed):
    async def main():
        coroutine = give(1)
        return [await each for each in as_completed([coroutine, coroutine])]

    assert run_main(main) == [1]


def test_nothing_is_nothing(run_main, as_completed):
    async def main():
        return [await each for each in as_completed([], timeout=1)]

    assert run_main(main) == []


def test_the_time_runs_out_for_what_is_left(run_main, as_completed):
    async def main():
        future = asyncio.get_running_loop().create_future()
        other = asyncio.get_running_loop().create_future()
        seen = []
        for each in as_completed([give("quick"), future, other], timeout=0.2):
            try:
                seen.append(await each)
            except TimeoutError:
                seen.append("timeout")
        return seen, future._callbacks, other.done()

    assert run_main(main) == (["quick", "timeout", "timeout"], None, False)


def test_the_timer_is_cancelled_when_all_are_there(run_main, as_completed):
    async def main():
        for each in as_completed([give(1), give(2)], timeout=60):
            await each
        return [handle for handle in asyncio.get_running_loop()._scheduled if not handle._cancelled]

    assert run_main(main) == []


def test_they_can_be_awaited_side_by_side(run_main, as_completed):
    async def main():
        waits = list(as_completed([give(1, 2), give(2, 4), give(3, 6)]))
        return await asyncio.gather(*waits)

    assert run_main(main) == [1, 2, 3]


def test_who_stops_to_wait_leaves_its_turn_to_the_next(run_main, as_completed):
    async def main():
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(2)]
        first, second = (asyncio.ensure_future(each) for each in as_completed(futures))
        await asyncio.sleep(0)
        futures[1].set_result("result")
        await asyncio.sleep(0)
        # The first was woken, and is cancelled in the same turn.
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await asyncio.wait_for(second, 5)

    assert run_main(main) == "result"


@asynchronous
def test_async_for_gives_the_futures_themselves(run_main, as_completed):
    async def main():
        tasks = [asyncio.create_task(give(number, 6 - 2 * number)) for number in range(3)]
        seen = []
        async for task in as_completed([*tasks, give("made", 9)]):
            result = await task
            seen.append((task in tasks, task.done(), result))
        return seen

    assert run_main(main) == [
        (True, True, 2),
        (True, True, 1),
        (True, True, 0),
        (False, True, "made"),
    ]


@asynchronous
def test_async_for_ends_with_the_time(run_main, as_completed):
    async def main():
        future = asyncio.get_running_loop().create_future()
        seen = []

        async def collect():
            async for each in as_completed([give(1), future], timeout=0.2):
                result = await each
                seen.append(result)

        with pytest.raises(TimeoutError):
            await collect()
        return seen

    assert run_main(main) == [1]


@asynchronous
def test_both_forms_can_take_turns(run_main, as_completed):
    async def main():
        iterator = as_completed([give(1, 1), give(2, 3), give(3, 5)])
        seen = []
        async for each in iterator:
            seen.append(await each)
            break
        seen.append(await next(iterator))
        seen += [await each for each in iterator]
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
        return seen

    assert run_main(main) == [1, 2, 3]


@pytest.mark.parametrize(
    "call",
    [
        lambda function: list(function()),
        lambda function: list(function([], 1)),
        lambda function: list(function(1)),
        lambda function: list(function([1])),
        lambda function: list(function(asyncio.get_running_loop().create_future())),
    ],
)
def test_wrong_arguments_get_stock_words(run_main, as_completed, call):
    async def main():
        with pytest.raises(TypeError) as caught:
            call(as_completed)
        with pytest.raises(TypeError) as expected:
            call(asyncio.as_completed)
        return str(caught.value), str(expected.value)

    caught, expected = run_main(main)
    assert caught == expected


def awaited_names(coroutine):
    """The names of a coroutine and of what it awaits, and so on."""
    names = []
    while hasattr(coroutine, "cr_await"):
        names.append(coroutine.__qualname__)
        coroutine = coroutine.cr_await
    return names


@pytest.mark.parametrize("form", ["for", pytest.param("async for", marks=asynchronous)])
def test_who_waits_shows_the_coroutines_that_it_awaits(run_main, as_completed, form):
    async def main():
        future = asyncio.get_running_loop().create_future()
        iterator = as_completed([future])
        waiting = next(iterator) if form == "for" else anext(iterator)
        waiting.send(None)
        names = awaited_names(waiting)
        waiting.close()
        future.cancel()
        return names

    whole = "_AsCompletedIterator." if sys.version_info >= (3, 13) else "as_completed.<locals>."
    expected = [f"{whole}_wait_for_one", "Queue.get"]
    assert run_main(main) == ([f"{whole}__anext__"] if form == "async for" else []) + expected


def test_one_that_gives_up_is_handed_out_again_since_3_14(run_main, as_completed):
    async def main():
        future = asyncio.get_running_loop().create_future()
        iterator = as_completed([future])
        task = asyncio.ensure_future(next(iterator))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        future.set_result("result")
        return [await each for each in iterator]

    assert run_main(main) == (["result"] if sys.version_info >= (3, 14) else [])


@generator
def test_the_generator_begins_when_it_is_asked_for_the_first_time(run_main, as_completed):
    async def main():
        collection = []
        generator = as_completed(collection)
        collection += [give(1), give(2)]
        before = len(asyncio.all_tasks())
        first = next(generator)
        during = len(asyncio.all_tasks())
        return before, during, await first, [await each for each in generator]

    before, during, first, rest = run_main(main)
    assert (before, during) == (1, 3)
    assert sorted([first, *rest]) == [1, 2]


@generator
def test_the_generator_answers_as_one(run_main, as_completed):
    async def main():
        future = asyncio.get_running_loop().create_future()
        generator = as_completed([future, give(1)])
        seen = [
            isinstance(generator, collections.abc.Generator),
            iter(generator) is generator,
            generator.__name__,
            re.sub(" at .*", "", repr(generator)),
        ]
        with pytest.raises(TypeError) as caught:
            generator.send(1)
        seen.append(str(caught.value))
        seen.append(await generator.send(None))
        with pytest.raises(ValueError, match="^mine$"):
            generator.throw(ValueError("mine"))
        seen.append(list(generator))
        generator.close()
        with pytest.raises(StopIteration):
            generator.send(2)
        future.cancel()
        return seen

    assert run_main(main) == [
        True,
        True,
        "as_completed",
        "<generator object as_completed",
        "can't send non-None value to a just-started generator",
        1,
        [],
    ]


@generator
def test_a_closed_generator_never_begins(run_main, as_completed):
    async def main():
        coroutine = give(1)
        generator = as_completed([coroutine])
        generator.close()
        left = list(generator), len(asyncio.all_tasks())
        coroutine.close()
        return left

    assert run_main(main) == ([], 1)


@generator
def test_an_error_ends_the_generator(run_main, as_completed):
    async def main():
        generator = as_completed([1])
        with pytest.raises(TypeError) as caught:
            next(generator)
        return str(caught.value), list(generator)

    text = "An asyncio.Future, a coroutine or an awaitable is required"
    assert run_main(main) == (text, [])


@generator
def test_what_was_handed_out_goes_on_after_the_generator_was_closed(run_main, as_completed):
    async def main():
        generator = as_completed([give(1, 2), give(2, 4)])
        first = next(generator)
        generator.close()
        return await first

    assert run_main(main) == 1
