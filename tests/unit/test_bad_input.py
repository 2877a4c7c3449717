"""Programs that are wrong: each gets the error of stock, and the loop goes on."""

import asyncio
import types
import warnings

import pytest


def as_task(loop, coroutine):
    """Run the coroutine as a task for some turns; return what became of it as texts."""
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(str(context["exception"])))
    task = loop.create_task(coroutine)
    for _ in range(10):
        loop.stop()
        loop.run_forever()
    if not task.done():
        task._log_destroy_pending = False
        return "pending", reports
    try:
        return "result", task.result()
    except (Exception, asyncio.CancelledError) as exc:
        return type(exc).__name__, str(exc)


async def nothing():
    """Return at once."""


NO_COROUTINES = {
    "number": 1,
    "text": "text",
    "none": None,
    "function": nothing,
    "lambda": lambda: None,
    "list": [],
    "iterator": iter([]),
    "object": object(),
    "class": asyncio.Future,
}


@pytest.mark.parametrize("bad", NO_COROUTINES.values(), ids=NO_COROUTINES)
def test_what_is_no_coroutine_cannot_be_a_task(same_as_stock, bad):
    assert same_as_stock(lambda loop, engine: loop.create_task(bad))[1] is TypeError
    direct = same_as_stock(lambda loop, engine: engine.task_class(bad, loop=loop))
    assert direct[1] is TypeError


def test_a_future_cannot_be_a_task(same_as_stock):
    def scenario(loop, engine):
        loop.create_task(loop.create_future())

    assert same_as_stock(scenario)[1] is TypeError


def test_a_coroutine_given_to_two_tasks_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        coroutine = asyncio.sleep(0, "value")
        tasks = [loop.create_task(coroutine) for _ in range(2)]
        loop.run_until_complete(asyncio.wait(tasks))
        return [repr(task.exception()) for task in tasks]

    same_as_stock(scenario)


def test_a_finished_coroutine_cannot_be_run_again(same_as_stock):
    def scenario(loop, engine):
        coroutine = nothing()
        loop.run_until_complete(coroutine)
        return as_task(loop, coroutine)

    assert same_as_stock(scenario)[1] == (
        "RuntimeError",
        "cannot reuse already awaited coroutine",
    )


def test_a_coroutine_that_is_awaited_by_two_fails(same_as_stock):
    def scenario(loop, engine):
        async def shared():
            await asyncio.sleep(0)

        async def main():
            coroutine = shared()

            async def awaits():
                await coroutine

            results = await asyncio.gather(awaits(), awaits(), return_exceptions=True)
            return [repr(result) for result in results]

        return loop.run_until_complete(main())

    assert same_as_stock(scenario)[0] == "returned"


def test_a_task_that_awaits_itself_is_told_so(same_as_stock):
    def scenario(loop, engine):
        async def selfish():
            await asyncio.current_task()

        return as_task(loop, selfish())

    outcome = same_as_stock(scenario)
    assert outcome[1][0] == "RuntimeError"
    assert outcome[1][1].startswith("Task cannot await on itself: ")


def test_a_coroutine_that_ignores_its_closing_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        @types.coroutine
        def endless():
            while True:
                try:
                    yield
                except GeneratorExit:
                    return "left"

        async def awaits():
            await endless()

        task = loop.create_task(awaits())
        loop.stop()
        loop.run_forever()
        task._log_destroy_pending = False
        return task.get_coro().close(), task.done()

    same_as_stock(scenario)


def test_a_callback_that_raises_everything_leaves_the_loop_usable(loop, turns, reported):
    seen = []

    class Nasty(Exception):
        def __str__(self):
            raise RuntimeError("no text")

        __repr__ = __str__

    def raising(error):
        raise error

    for error in (Nasty(), RecursionError(), MemoryError(), GeneratorExit(), StopIteration()):
        loop.call_soon(raising, error)
    loop.call_soon(seen.append, "still here")
    turns()
    assert seen == ["still here"]
    assert len(reported) == 5


def test_deep_recursion_in_a_task_is_an_ordinary_error(loop):
    def recursive():
        return recursive()

    async def deep():
        recursive()

    assert as_task(loop, deep())[0] == "RecursionError"
    assert as_task(loop, nothing()) == ("result", None)


def test_unknown_keywords_have_the_outcome_of_stock(same_as_stock):
    calls = (
        lambda loop: loop.create_future(1),
        lambda loop: loop.run_forever(1),
        lambda loop: loop.run_until_complete(),
        lambda loop: loop.stop(1),
        lambda loop: loop.close(1),
        lambda loop: loop.is_running(1),
        lambda loop: loop.time(1),
        lambda loop: loop.call_later(1),
        lambda loop: loop.call_later(),
        lambda loop: loop.call_at(1),
        lambda loop: loop.call_later(1, print, when=2),
        lambda loop: loop.set_debug(),
        lambda loop: loop.create_task(),
        lambda loop: loop.run_in_executor(),
        lambda loop: loop.set_task_factory(1),
    )
    for call in calls:

        def scenario(loop, engine, call=call):
            try:
                return call(loop)
            except TypeError:
                return "TypeError"

        assert same_as_stock(scenario) == ("returned", "TypeError")


def test_create_task_with_an_unknown_keyword_is_refused(loop):
    coroutine = nothing()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, unknown=1)
    coroutine.close()


def test_a_factory_that_is_broken_passes_its_error_on(loop):
    coroutine = nothing()
    loop.set_task_factory(lambda loop, coroutine, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loop.create_task(coroutine)
    coroutine.close()
    loop.set_task_factory(None)


def test_closing_the_coroutine_of_a_task_by_hand_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        async def waits():
            await asyncio.sleep(0)

        unstarted = loop.create_task(waits())
        unstarted.get_coro().close()
        started = loop.create_task(waits())
        loop.stop()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loop.run_forever()
            started.get_coro().close()
            loop.run_until_complete(asyncio.wait([started, unstarted]))
        return repr(started.exception()), repr(unstarted.exception())

    same_as_stock(scenario)
