"""`wait`, stock's and the native one, on both loops, over tasks and futures of both kinds."""

import asyncio
import contextvars
import gc
import re
import sys
import warnings

import pytest
from small_coroutines import fail, give, turns


@pytest.fixture
def wait(package):
    """The function under test."""
    return package.wait


@pytest.fixture(params=["of the loop", "stock"])
def spawn(request):
    """Makes a task of a coroutine, on the running loop."""
    if request.param == "stock":
        return lambda coro: asyncio.Task(coro, loop=asyncio.get_running_loop())
    return asyncio.create_task


def results(tasks):
    return sorted(task.result() for task in tasks)


@pytest.mark.parametrize("collection", [list, tuple, set, frozenset, dict.fromkeys, iter])
def test_it_waits_for_all(run_main, wait, spawn, collection):
    async def main():
        tasks = [spawn(give(number, 3 - number)) for number in range(4)]
        done, pending = await wait(collection(tasks))
        assert type(done) is type(pending) is set
        return done == set(tasks), results(done), pending

    assert run_main(main) == (True, [0, 1, 2, 3], set())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="since 3.12 it is an iterable")
def test_a_generator_counts_as_a_coroutine(run_main, wait):
    async def main():
        with pytest.raises(TypeError, match="^expect a list of futures, not generator$"):
            await wait(asyncio.create_task(give(1)) for _ in range(3))

    run_main(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="before 3.12 it counts as a coroutine")
def test_a_generator_of_tasks_will_do(run_main, wait, spawn):
    async def main():
        done, pending = await wait(spawn(give(number, number)) for number in range(3))
        return results(done), pending

    assert run_main(main) == ([0, 1, 2], set())


def test_the_same_task_twice_counts_once(run_main, wait, spawn):
    async def main():
        task = spawn(give(1, 1))
        return await wait([task, task]) == ({task}, set())

    assert run_main(main)


def test_the_first_to_complete_ends_it(run_main, wait, spawn):
    async def main():
        tasks = [spawn(give("slow", 9)), spawn(give("quick", 2)), spawn(give("slower", 12))]
        done, pending = await wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert (done, pending) == ({tasks[1]}, {tasks[0], tasks[2]})
        assert [task._callbacks for task in tasks] == [None] * 3
        return results((await wait(pending))[0])

    assert run_main(main) == ["slow", "slower"]


def test_the_first_exception_ends_it(run_main, wait, spawn):
    async def main():
        cancelled = spawn(give("never", 9))
        asyncio.get_running_loop().call_soon(cancelled.cancel)
        failing = spawn(fail(ValueError("mine"), 4))
        early, late = spawn(give("early", 1)), spawn(give("late", 20))
        done, pending = await wait(
            [cancelled, failing, early, late], return_when=asyncio.FIRST_EXCEPTION
        )
        assert (done, pending) == ({cancelled, failing, early}, {late})
        return str(failing.exception()), await late

    assert run_main(main) == ("mine", "late")


def test_without_an_exception_all_are_waited_for(run_main, wait, spawn):
    async def main():
        tasks = [spawn(give(number, number)) for number in range(3)]
        done, pending = await wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        return results(done), pending

    assert run_main(main) == ([0, 1, 2], set())


def test_exceptions_are_left_where_they_are(run_main, wait, caplog):
    async def main():
        tasks = [asyncio.create_task(fail(ValueError("unseen")))]
        done, _ = await wait(tasks)
        return len(done)

    assert run_main(main) == 1
    gc.collect()
    assert "ValueError: unseen" in caplog.text


def test_an_exception_that_ended_it_counts_as_seen(run_main, wait, caplog):
    async def main():
        waiting = asyncio.create_task(give(1, 30))
        failing = asyncio.create_task(fail(ValueError("seen")))
        await wait([failing, waiting], return_when=asyncio.FIRST_EXCEPTION)
        waiting.cancel()

    run_main(main)
    gc.collect()
    assert caplog.text == ""


def test_the_time_runs_out(run_main, wait, spawn):
    async def main():
        loop = asyncio.get_running_loop()
        never = loop.create_future()
        quick = spawn(give("quick"))
        done, pending = await wait([quick, never], timeout=0.2)
        assert never._callbacks is None
        never.cancel()
        return results(done), pending == {never}

    assert run_main(main) == (["quick"], True)


@pytest.mark.parametrize("timeout", [0, -1, 0.0])
def test_no_time_at_all_gives_one_look(run_main, wait, spawn, timeout):
    async def main():
        never = asyncio.get_running_loop().create_future()
        done_before = asyncio.get_running_loop().create_future()
        done_before.set_result(None)
        done, pending = await wait([never, done_before], timeout=timeout)
        return done == {done_before}, pending == {never}

    assert run_main(main) == (True, True)


def test_the_timer_is_cancelled_as_soon_as_it_is_not_needed(run_main, wait, spawn):
    async def main():
        loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(wait([spawn(give(1, 1))], timeout=60))
        await turns(1)
        assert len(loop._scheduled) == 1
        await waiting
        return [handle for handle in loop._scheduled if not handle._cancelled]

    assert run_main(main) == []


def test_cancelling_it_leaves_the_tasks_alone(run_main, wait, spawn):
    async def main():
        loop = asyncio.get_running_loop()
        inner = spawn(give("inner", 9))
        waiting = asyncio.create_task(wait([inner], timeout=60))
        await turns(2)
        assert inner._callbacks is not None
        waiting.cancel("outside")
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        assert inner._callbacks is None
        left = [handle for handle in loop._scheduled if not handle._cancelled]
        return caught.value.args, left, await inner

    expected = ("outside",)
    assert run_main(main) == (expected, [], "inner")


def test_other_callbacks_of_the_tasks_stay(run_main, wait, spawn):
    async def main():
        log = []
        future = asyncio.get_running_loop().create_future()
        for name in "abc":
            future.add_done_callback(lambda _, name=name: log.append(name))
            if name == "b":
                waiting = asyncio.create_task(
                    wait([future, spawn(give(1))], return_when=asyncio.FIRST_COMPLETED)
                )
                await turns(1)
        await waiting
        assert len(future._callbacks) == 3
        future.set_result(None)
        await turns(1)
        return log

    assert run_main(main) == ["a", "b", "c"]


def test_the_order_of_wake_ups(run_main, wait, spawn):
    async def main():
        log = []

        async def beside():
            for turn in range(6):
                log.append(turn)
                await asyncio.sleep(0)

        task = asyncio.create_task(beside())
        await wait([spawn(give(1, 1))])
        log.append("all")
        await task
        return log

    assert run_main(main) == [0, 1, 2, 3, "all", 4, 5]


def test_what_is_done_before_takes_its_turns_too(run_main, wait):
    async def main():
        log = []

        async def beside():
            for turn in range(4):
                log.append(turn)
                await asyncio.sleep(0)

        future = asyncio.get_running_loop().create_future()
        future.set_result(1)
        task = asyncio.create_task(beside())
        await wait([future])
        log.append("waited")
        await task
        return log

    assert run_main(main) == [0, 1, "waited", 2, 3]


def test_waits_may_be_nested_and_side_by_side(run_main, wait, spawn):
    async def main():
        task = spawn(give("shared", 3))
        waits = [asyncio.create_task(wait([task])) for _ in range(3)]
        done, _ = await wait(waits)
        return [each.result() == ({task}, set()) for each in done]

    assert run_main(main) == [True] * 3


def test_futures_of_gather_and_shield_are_futures(run_main, wait, package):
    async def main():
        both = package.gather(give(1), give(2))
        shielded = package.shield(asyncio.create_task(give(3, 2)))
        done, pending = await wait([both, shielded])
        assert pending == set()
        return both.result(), shielded.result(), len(done)

    assert run_main(main) == ([1, 2], 3, 2)


def test_a_subclass_and_a_duck_are_futures(run_main, wait, future_class):
    class Own(future_class):
        added = removed = 0

        def add_done_callback(self, *args, **kwargs):
            self.added += 1
            return super().add_done_callback(*args, **kwargs)

        def remove_done_callback(self, function):
            self.removed += 1
            return super().remove_done_callback(function)

    async def main():
        loop = asyncio.get_running_loop()
        own, plain = Own(loop=loop), loop.create_future()
        loop.call_soon(own.set_result, "own")
        loop.call_soon(plain.set_result, "plain")
        done, _ = await wait([own, plain])
        return results(done), own.added, own.removed

    assert run_main(main) == (["own", "plain"], 1, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda wait: wait(),
        lambda wait: wait([], 1),
        lambda wait: wait([], when=1),
    ],
)
def test_arguments_are_refused_in_the_words_of_stock(wait, make):
    with pytest.raises(TypeError) as caught:
        make(wait)
    with pytest.raises(TypeError) as expected:
        make(asyncio.wait)
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda wait, task: wait([]),
        lambda wait, task: wait(iter([])),
        lambda wait, task: wait(1),
        lambda wait, task: wait(None),
        lambda wait, task: wait(task),
        lambda wait, task: wait([task], return_when="FIRST"),
        lambda wait, task: wait([task], return_when=None),
        lambda wait, task: wait([task], return_when=-1),
        lambda wait, task: wait([task], return_when=object),
        lambda wait, task: wait([task], timeout="soon"),
        lambda wait, task: wait([task, 1]),
        lambda wait, task: wait([[task]]),
    ],
)
def test_what_cannot_be_waited_for_is_refused_in_the_words_of_stock(run_main, wait, make):
    async def refusal(function):
        task = asyncio.create_task(give(1))
        try:
            await make(function, task)
        except Exception as error:
            return type(error), re.sub("[^ ]*Task", "Task", str(error))
        finally:
            await task

    async def main():
        refused = await refusal(wait)
        assert refused is not None
        return refused, await refusal(asyncio.wait)

    refused, expected = run_main(main)
    assert refused == expected


@pytest.mark.parametrize("place", ["alone", "inside"])
def test_coroutines_are_forbidden(run_main, wait, place):
    async def main():
        coro, task = give(1), asyncio.create_task(give(2))
        with pytest.raises(TypeError) as caught:
            await wait(coro if place == "alone" else [task, coro])
        coro.close()
        await task
        return str(caught.value)

    words = {
        "alone": "expect a list of futures, not coroutine",
        "inside": "Passing coroutines is forbidden, use tasks explicitly.",
    }
    assert run_main(main) == words[place]


def test_native_coroutines_are_forbidden_too(run_main, wait, package):
    async def main():
        coro = package.sleep(0)
        with pytest.raises(TypeError, match="^Passing coroutines is forbidden"):
            await wait([coro])
        coro.close()
        coro = package.Lock().acquire()
        with pytest.raises(TypeError, match="^expect a list of futures, not"):
            await wait(coro)
        coro.close()

    run_main(main)


def test_without_a_running_loop_it_refuses(wait, loop):
    coro = wait([loop.create_future()])
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        coro.send(None)


def test_nothing_is_looked_at_before_it_is_awaited(wait):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wait(0, return_when="nonsense")
        gc.collect()
    assert [str(each.message) for each in caught] == ["coroutine 'wait' was never awaited"]


def test_it_is_a_coroutine_named_wait(wait):
    coro = wait([])
    assert asyncio.iscoroutine(coro)
    assert (coro.__name__, coro.__qualname__) == ("wait", "wait")
    coro.close()


def test_closing_it_takes_the_callbacks_off(run_main, wait):
    async def main():
        future = asyncio.get_running_loop().create_future()
        coro = wait([future], timeout=60)
        coro.send(None)
        assert len(future._callbacks) == 1
        coro.close()
        left = [each for each in asyncio.get_running_loop()._scheduled if not each._cancelled]
        return future._callbacks, left

    assert run_main(main) == (None, [])


def test_its_callbacks_name_stock_functions(run_main, wait, spawn):
    async def main():
        task = spawn(give(1, 1))
        waiting = asyncio.create_task(wait([task], timeout=60))
        await turns(1)
        texts = repr(task), repr(asyncio.get_running_loop()._scheduled[0])
        await waiting
        return texts

    task, timer = run_main(main)
    assert re.search(r"cb=\[_wait\.<locals>\._on_completion\(\) at .*tasks\.py:\d+\]", task)
    assert re.search(r"_release_waiter\(.*\) at .*tasks\.py:\d+>", timer)


def test_the_result_is_there_in_debug_mode_as_well(run_main, wait, spawn):
    async def main():
        done, pending = await wait([spawn(give(1, 1)), spawn(give(2))], timeout=60)
        return results(done), pending

    assert run_main(main, debug=True) == ([1, 2], set())


def test_it_runs_in_the_context_of_who_awaits(run_main, wait):
    variable = contextvars.ContextVar("variable")

    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        original = loop.call_later

        def call_later(*args, **kwargs):
            seen.append(variable.get())
            return original(*args, **kwargs)

        loop.call_later = call_later
        variable.set("mine")
        await wait([asyncio.create_task(give(1))], timeout=60)
        del loop.call_later
        return seen

    assert run_main(main) == ["mine"]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="the call graph came with 3.14")
def test_the_futures_show_who_waits(run_main, wait, spawn):
    async def main():
        tasks = [spawn(give(1, 3)), spawn(give(2, 9))]
        waiting = asyncio.create_task(wait(tasks, return_when=asyncio.FIRST_COMPLETED))
        await turns(1)
        during = [task._asyncio_awaited_by for task in tasks]
        assert during == [{waiting}, {waiting}]
        await waiting
        return [task._asyncio_awaited_by for task in tasks]

    assert run_main(main) == [None, None]


def test_nothing_keeps_the_tasks_alive(run_main, wait, spawn):
    class Value:
        pass

    async def main():
        task = spawn(give(Value(), 1))
        await wait([task], timeout=60)
        del task
        await turns(2)
        gc.collect()
        return [each for each in gc.get_objects() if type(each) is Value]

    assert run_main(main) == []
