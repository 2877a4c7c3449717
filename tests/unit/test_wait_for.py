"""`wait_for`, stock's and the native one, on both loops. Before 3.12 it makes a task of what it is
given; later it awaits that itself."""

import asyncio
import re
import sys

import pytest
from small_coroutines import give

makes_a_task = sys.version_info < (3, 12)


@pytest.fixture
def wait_for(package):
    """The function under test."""
    return package.wait_for


def chain(error):
    """The error with everything that it came from, as text."""
    found = []
    while error is not None:
        found.append(repr(error))
        error = error.__context__
    return found


def armed_timers():
    return [timer for timer in asyncio.get_running_loop()._scheduled if not timer._cancelled]


def test_a_result_in_time_comes_in_the_turn_in_which_stock_gives_it(run_main, wait_for):
    async def main():
        turns = 0

        async def count():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counter = asyncio.create_task(count())
        result = await wait_for(give("result", 3), 60)
        seen = turns
        counter.cancel()
        return result, seen, armed_timers()

    assert run_main(main) == ("result", 5 if makes_a_task else 2, [])


def test_an_error_in_time_passes_through(run_main, wait_for):
    async def main():
        async def fail():
            await asyncio.sleep(0)
            raise ValueError("mine")

        with pytest.raises(ValueError) as caught:
            await wait_for(fail(), 60)
        return chain(caught.value), armed_timers()

    assert run_main(main) == (["ValueError('mine')"], [])


@pytest.mark.parametrize("delay", [0.01, 0, -1])
def test_what_takes_too_long_is_cancelled(run_main, wait_for, delay):
    async def main():
        task = asyncio.create_task(asyncio.sleep(60))
        with pytest.raises(TimeoutError) as caught:
            await wait_for(task, delay)
        error = caught.value
        return task.cancelled(), chain(error), error.__cause__ is error.__context__, armed_timers()

    assert run_main(main) == (True, ["TimeoutError()", "CancelledError()"], True, [])


@pytest.mark.parametrize("delay", [None, 60, 60.0])
def test_what_is_done_already_needs_no_time(run_main, wait_for, delay):
    async def main():
        future = asyncio.get_running_loop().create_future()
        future.set_result("result")
        return await wait_for(future, delay), armed_timers()

    assert run_main(main) == ("result", [])


def test_one_that_does_not_let_itself_be_cancelled_gives_its_result(run_main, wait_for):
    async def main():
        async def stubborn():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
            return "result"

        return await wait_for(stubborn(), 0.01), asyncio.current_task().cancelling()

    assert run_main(main) == ("result", 0)


def test_an_error_on_being_cancelled_takes_the_place_of_the_timeout(run_main, wait_for):
    async def main():
        async def clumsy():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ValueError("mine") from None

        with pytest.raises(ValueError) as caught:
            await wait_for(clumsy(), 0.01)
        return repr(caught.value), armed_timers()

    assert run_main(main) == ("ValueError('mine')", [])


def test_to_be_cancelled_cancels_what_is_waited_for(run_main, wait_for):
    async def main():
        ended = []

        async def slow():
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0)
                ended.append("slow")

        async def waits():
            try:
                await wait_for(slow(), 60)
            finally:
                ended.append("waits")

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel("please")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return ended, caught.value.args, armed_timers()

    assert run_main(main) == (["slow", "waits"], ("please",), [])


def test_to_be_cancelled_twice_does_not_wait_for_the_end(run_main, wait_for):
    async def main():
        future = asyncio.get_running_loop().create_future()

        async def stubborn():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.shield(future)

        inner = asyncio.create_task(stubborn())

        async def waits():
            try:
                return await wait_for(inner, 60)
            except asyncio.CancelledError as error:
                return chain(error)

        task = asyncio.create_task(waits())
        for message in ("first", "second"):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel(message)
        result = await task
        future.set_result(None)
        await asyncio.wait([inner])
        return result, armed_timers()

    result, timers = run_main(main)
    assert timers == []
    if makes_a_task:
        assert result == ["CancelledError('second')", "CancelledError('first')"]


def test_cancelled_in_the_turn_of_the_result(run_main, wait_for):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        task = asyncio.create_task(wait_for(future, 60))
        await asyncio.sleep(0)
        future.set_result("result")
        task.cancel()
        try:
            return await task, armed_timers()
        except asyncio.CancelledError:
            return "cancelled", armed_timers()

    # Before 3.12 the result counts for more.
    assert run_main(main) == ("result" if makes_a_task else "cancelled", [])


def test_cancelled_in_the_turn_of_an_error(run_main, wait_for):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        task = asyncio.create_task(wait_for(future, 60))
        await asyncio.sleep(0)
        future.set_exception(ValueError("mine"))
        task.cancel()
        with pytest.raises((ValueError, asyncio.CancelledError)) as caught:
            await task
        future.exception()
        return chain(caught.value)

    expected = ["ValueError('mine')", "CancelledError()"] if makes_a_task else ["CancelledError()"]
    assert run_main(main) == expected


def test_tasks_of_asyncio_and_other_awaitables_are_waited_for(run_main, wait_for):
    class Awaitable:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "awaitable"

    async def main():
        stock = asyncio.Task(give("stock", 2), loop=asyncio.get_running_loop())
        return [await wait_for(stock, 60), await wait_for(Awaitable(), 60)]

    assert run_main(main) == ["stock", "awaitable"]


def test_without_a_delay_it_only_awaits(run_main, wait_for):
    async def main():
        me = asyncio.current_task()

        async def who():
            await asyncio.sleep(0)
            return asyncio.current_task()

        return await wait_for(who(), None) is me

    assert run_main(main) is True


def test_with_a_delay_the_task_is_of_its_own_before_3_12(run_main, wait_for):
    async def main():
        me = asyncio.current_task()

        async def who():
            await asyncio.sleep(0)
            return asyncio.current_task()

        return await wait_for(who(), 60) is me

    assert run_main(main) is not makes_a_task


def test_one_that_is_closed_while_it_waits_stops_its_timer(run_main, wait_for):
    async def main():
        future = asyncio.get_running_loop().create_future()
        waiting = wait_for(future, 60)
        waiting.send(None)
        assert len(armed_timers()) == 1
        waiting.close()
        left = future._callbacks
        future.cancel()
        return armed_timers(), bool(left) if makes_a_task else False

    # Before 3.12 the callback stays on the future, which is not waited for by anybody.
    assert run_main(main) == ([], makes_a_task)


@pytest.mark.parametrize(
    "call",
    [
        lambda function: function(),
        lambda function: function(1),
        lambda function: function(1, 1),
        lambda function: function(1, None),
        lambda function: function(1, 0),
        lambda function: function(None, "soon"),
    ],
)
def test_wrong_arguments_get_stock_words(run_main, wait_for, call):
    async def main(function):
        try:
            await call(function)
        except TypeError as error:
            return str(error)

    assert run_main(lambda: main(wait_for)) == run_main(lambda: main(asyncio.wait_for)) is not None


def test_a_future_shows_who_waits_for_it(run_main, wait_for):
    async def main():
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(wait_for(future, 60))
        await asyncio.sleep(0)
        text = repr(future)
        future.set_result(None)
        await task
        return text

    text = run_main(main)
    if makes_a_task:
        callback = r"_release_waiter\(<Future pendi...ask_wakeup\(\)\]>\)\(\)"
        assert re.fullmatch(rf"<Future pending cb=\[{callback} at .*/tasks.py:\d+\]>", text)
    else:
        assert "wakeup" in text.lower()
