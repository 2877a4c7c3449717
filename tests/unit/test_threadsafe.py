"""`run_coroutine_threadsafe`, stock's and the native one, on both loops."""

import asyncio
import concurrent.futures
import contextvars
import gc
import re
import threading
import warnings

import pytest
from small_coroutines import fail, give


@pytest.fixture
def submit(package):
    """The function under test."""
    return package.run_coroutine_threadsafe


def test_the_result_comes_back(background, submit):
    future = submit(give("value", 1), background)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(20) == "value"


def test_native_coroutines_are_taken(background, submit, package):
    assert submit(package.sleep(0, "slept"), background).result(20) == "slept"
    assert submit(package.Lock().acquire(), background).result(20) is True
    assert submit(package.wait_for(give(1, 2), 10), background).result(20) == 1


def test_errors_are_passed_on(background, submit):
    error = KeyError("broken")
    assert submit(fail(error, 1), background).exception(20) is error


def test_cancelling_the_future_cancels_the_task(background, submit):
    started, ended = threading.Event(), threading.Event()

    async def waits():
        started.set()
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    future = submit(waits(), background)
    assert started.wait(20)
    assert future.cancel()
    assert ended.wait(20)


def test_a_task_that_is_cancelled_cancels_the_future(background, submit):
    async def cancels_itself():
        asyncio.current_task().cancel()
        await asyncio.sleep(1000)

    future = submit(cancels_itself(), background)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(20)
    assert future.cancelled()


def test_many_threads_may_ask_at_once(background, submit):
    def ask(number):
        return [submit(give((number, step)), background).result(20) for step in range(50)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert answers == [[(number, step) for step in range(50)] for number in range(4)]


def test_it_is_begun_in_the_order_of_the_calls(loop, turns, submit):
    log = []

    async def note(name):
        log.append(name)

    loop.call_soon_threadsafe(log.append, "before")
    futures = [submit(note(name), loop) for name in "ab"]
    loop.call_soon_threadsafe(log.append, "after")
    turns(1)
    assert log == ["before", "after"]
    assert [future.running() for future in futures] == [False, False]
    turns(1)
    assert log == ["before", "after", "a", "b"]
    assert not futures[0].done()
    turns(1)
    assert all(future.done() for future in futures)


def test_the_task_has_the_context_of_the_call(loop, turns, submit):
    variable = contextvars.ContextVar("variable", default="none")
    seen = []

    async def look():
        seen.append(variable.get())
        variable.set("inside")

    def call():
        variable.set("of the call")
        submit(look(), loop)
        variable.set("later")

    contextvars.copy_context().run(call)
    turns(3)
    assert (seen, variable.get()) == (["of the call"], "none")


def test_one_that_is_cancelled_before_it_began_ends_at_its_first_wait(loop, turns, submit):
    def outcome(function):
        log = []

        async def note():
            log.append("ran")
            await asyncio.sleep(1000)
            log.append("waited")

        future = function(note(), loop)
        assert future.cancel()
        turns(4)
        assert asyncio.all_tasks(loop) == set()
        assert future.cancelled()
        return log

    # Since 3.14 it is cancelled in the turn in which it is made, and does not even begin.
    assert outcome(submit) == outcome(asyncio.run_coroutine_threadsafe)


def test_a_future_that_was_marked_as_running_gets_no_outcome(loop, turns, submit, reported):
    future = submit(give(1, 1), loop)
    assert future.set_running_or_notify_cancel()
    turns(5)
    assert future.running()
    (context,) = reported
    assert str(context["exception"]) == "Future in unexpected state"
    assert context["message"].startswith(
        "Exception in callback _chain_future.<locals>._call_set_state("
    )


@pytest.mark.parametrize("what", [None, 1, asyncio.sleep, lambda: None])
def test_what_is_no_coroutine_is_refused(loop, submit, what):
    with pytest.raises(TypeError, match="^A coroutine object is required$"):
        submit(what, loop)


def test_a_future_is_no_coroutine(loop, submit):
    with pytest.raises(TypeError, match="^A coroutine object is required$"):
        submit(loop.create_future(), loop)


@pytest.mark.parametrize(
    "call", [lambda submit: submit(), lambda submit: submit(1), lambda submit: submit(1, 2, 3)]
)
def test_arguments_are_refused_in_the_words_of_stock(submit, call):
    with pytest.raises(TypeError) as caught:
        call(submit)
    with pytest.raises(TypeError) as expected:
        call(asyncio.run_coroutine_threadsafe)
    assert str(caught.value) == str(expected.value)


def test_arguments_may_be_named(background, submit):
    assert submit(coro=give(1), loop=background).result(20) == 1


def test_a_closed_loop_refuses(loop, submit):
    loop.close()
    coro = give(1)
    with pytest.raises(RuntimeError, match="^Event loop is closed$"):
        submit(coro, loop)
    coro.close()


def test_a_task_factory_is_asked(loop, turns, submit):
    asked = []

    def factory(loop, coro, **options):
        asked.append(coro.__name__)
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(factory)
    future = submit(give("value"), loop)
    turns(3)
    assert (asked, future.result(0)) == (["give"], "value")


def test_an_error_of_the_task_factory_is_passed_on_and_reported(loop, turns, submit, reported):
    error = NameError("no tasks")

    def factory(loop, coro, **_):
        coro.close()
        raise error

    loop.set_task_factory(factory)
    future = submit(give(1), loop)
    turns(1)
    assert future.exception(0) is error
    (context,) = reported
    assert context["exception"] is error
    assert re.match(
        r"Exception in callback run_coroutine_threadsafe\.<locals>\.callback\(\)",
        context["message"],
    )


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_the_task_factory_leaves_the_loop(loop, turns, submit, kind):
    def factory(loop, coro, **_):
        coro.close()
        raise kind("leaving")

    loop.set_task_factory(factory)
    future = submit(give(1), loop)
    with pytest.raises(kind, match="leaving"):
        turns(1)
    assert not future.done()
    loop.set_task_factory(None)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_the_coroutine_leaves_the_loop_and_reaches_the_future(loop, turns, submit, kind):
    future = submit(fail(kind("leaving")), loop)
    with pytest.raises(kind, match="leaving"):
        turns(3)
    turns(2)
    assert isinstance(future.exception(0), kind)


def test_an_error_of_concurrent_futures_becomes_one_of_asyncio(loop, turns, submit):
    future = submit(fail(concurrent.futures.InvalidStateError("odd")), loop)
    turns(3)
    assert type(future.exception(0)) is asyncio.InvalidStateError


def test_it_may_be_called_in_the_thread_of_the_loop(loop, run, submit):
    async def main():
        return await asyncio.wrap_future(submit(give("value", 2), loop))

    assert run(main()) == "value"


def test_it_works_in_debug_mode(loop, turns, submit):
    loop.set_debug(True)
    future = submit(give("value", 1), loop)
    turns(5)
    assert future.result(0) == "value"


def test_the_callbacks_name_stock_functions(loop, turns, submit):
    submit(give(1, 3), loop)
    (handle,) = loop._ready
    assert re.search(
        r"run_coroutine_threadsafe\.<locals>\.callback\(\) at .*tasks\.py:\d+>", repr(handle)
    )
    turns(1)
    (task,) = asyncio.all_tasks(loop)
    assert re.search(
        r"cb=\[_chain_future\.<locals>\._call_set_state\(\) at .*futures\.py:\d+\]", repr(task)
    )
    del task
    turns(5)


def test_nothing_is_kept_of_what_is_over(loop, turns, submit):
    class Value:
        pass

    future = submit(give(Value(), 1), loop)
    turns(5)
    assert type(future.result(0)) is Value
    del future
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is Value] == []


def test_a_coroutine_that_a_closed_loop_never_began_warns(loop, submit):
    submit(give(1), loop)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop.close()
        gc.collect()
    assert [str(each.message) for each in caught] == ["coroutine 'give' was never awaited"]
