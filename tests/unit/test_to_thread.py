"""`to_thread`, stock's and the native one, on both loops."""

import asyncio
import contextvars
import gc
import threading
import warnings

import pytest


@pytest.fixture
def to_thread(package):
    """The function under test."""
    return package.to_thread


def test_the_function_runs_elsewhere_with_its_arguments(run, to_thread):
    def elsewhere(*args, **kwargs):
        return threading.get_ident(), args, kwargs

    async def main():
        return await to_thread(elsewhere, 1, 2, key="value", func="a keyword", self=3)

    ident, args, kwargs = run(main())
    assert ident != threading.get_ident()
    assert (args, kwargs) == ((1, 2), {"key": "value", "func": "a keyword", "self": 3})


def test_many_calls_come_back_each_with_its_own_result(run, to_thread):
    async def main():
        return await asyncio.gather(*(to_thread(int, number) for number in range(200)))

    assert run(main()) == list(range(200))


def test_errors_come_back(run, to_thread):
    async def main():
        with pytest.raises(ValueError, match="invalid literal"):
            await to_thread(int, "x")

    run(main())


def test_the_context_of_the_await_is_copied(run, to_thread):
    variable = contextvars.ContextVar("variable", default="none")

    def look():
        seen = variable.get()
        variable.set("in the thread")
        return seen

    async def main():
        variable.set("of the call")
        coro = to_thread(look)
        variable.set("of the await")
        return await coro, variable.get()

    assert run(main()) == ("of the await", "of the await")


def test_it_is_run_by_the_default_executor(loop, run, to_thread):
    class Executor:
        def __init__(self):
            self.calls = []

        def run_in_executor(self, executor, function, *args):
            self.calls.append((executor, function.func.__name__, function.args, args))
            future = loop.create_future()
            future.set_result("given")
            return future

    async def main():
        stand_in = Executor()
        loop.run_in_executor = stand_in.run_in_executor
        try:
            return await to_thread(print, 1, end=""), stand_in.calls
        finally:
            del loop.run_in_executor

    assert run(main()) == ("given", [(None, "run", (print, 1), ())])


def test_cancelling_it_leaves_the_thread_alone(run, to_thread):
    begun, release, ended = (threading.Event() for _ in range(3))

    def work():
        begun.set()
        release.wait(20)
        ended.set()

    async def main():
        task = asyncio.create_task(to_thread(work))
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert not ended.is_set()
        release.set()
        return caught.value.args

    assert run(main()) == ("enough",)
    assert ended.wait(20)


def test_work_that_is_not_begun_is_never_done(loop, run, to_thread):
    done = []

    async def main():
        task = asyncio.create_task(to_thread(done.append, 1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert done == []


def test_without_a_function_it_refuses_in_the_words_of_stock(to_thread):
    for keywords in ({}, {"func": print}):
        with pytest.raises(TypeError) as caught:
            to_thread(**keywords)
        with pytest.raises(TypeError) as expected:
            asyncio.to_thread(**keywords)
        assert str(caught.value) == str(expected.value)


def test_what_cannot_be_called_raises_when_it_is_awaited(run, to_thread):
    async def main():
        with pytest.raises(TypeError, match="'int' object is not callable"):
            await to_thread(1)

    run(main())


def test_without_a_running_loop_it_refuses(to_thread):
    coro = to_thread(int)
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        coro.send(None)


def test_one_that_was_never_awaited_warns(to_thread):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        to_thread(int)
        gc.collect()
    assert [str(each.message) for each in caught] == ["coroutine 'to_thread' was never awaited"]


def test_it_is_a_coroutine_of_that_name(to_thread):
    coro = to_thread(int)
    assert asyncio.iscoroutine(coro)
    assert (coro.__name__, coro.__qualname__) == ("to_thread", "to_thread")
    coro.close()


def test_it_works_in_debug_mode(loop, run, to_thread):
    loop.set_debug(True)

    async def main():
        return await to_thread(int, "5")

    assert run(main()) == 5
