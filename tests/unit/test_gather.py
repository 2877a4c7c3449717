"""`gather` and `ensure_future`, stock's and the native ones, on both loops, over tasks and futures
of both kinds."""

import asyncio
import contextvars
import gc
import re
import sys

import pytest
from small_coroutines import fail, give


def test_results_stand_in_the_order_of_the_arguments(run_main, package):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, "future")
        task = asyncio.Task(give("stock task"), loop=loop)
        return await package.gather(give("slow", 3), future, task, give("quick"))

    assert run_main(main) == ["slow", "future", "stock task", "quick"]


def test_without_arguments_the_result_is_there_at_once(run_main, package):
    async def main():
        outer = package.gather()
        return outer.done(), await outer

    assert run_main(main) == (True, [])


def test_an_argument_given_twice_is_run_once(run_main, package):
    async def main():
        ran = []

        async def once():
            ran.append(1)
            return object()

        coroutine = once()
        first, other, again = await package.gather(coroutine, give(2), coroutine)
        return first is again, other, ran

    assert run_main(main) == (True, 2, [1])


def test_the_first_exception_is_raised_and_the_others_go_on(run_main, package, caplog):
    async def main():
        late = asyncio.create_task(fail(KeyError("late"), 6))
        last = asyncio.create_task(give("last", 9))
        with pytest.raises(ValueError, match="early"):
            await package.gather(give(1), fail(ValueError("early"), 1), late, last)
        assert not late.done()
        return await last

    assert run_main(main) == "last"
    gc.collect()
    assert caplog.text == ""


def test_exceptions_are_results_on_request(run_main, package):
    async def main():
        cancelled = asyncio.get_running_loop().create_future()
        cancelled.cancel("why")
        plain = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(plain.cancel)
        return await package.gather(
            fail(ValueError(1)), give(2), cancelled, plain, return_exceptions=True
        )

    error, result, cancelled, plain = run_main(main)
    assert (type(error), error.args, result) == (ValueError, (1,), 2)
    assert [type(cancelled), type(plain)] == [asyncio.CancelledError] * 2
    assert (cancelled.args, plain.args) == (("why",), ("",))


@pytest.mark.parametrize("return_exceptions", [False, True])
def test_cancelling_it_cancels_the_children_with_the_message(run_main, package, return_exceptions):
    async def main():
        seen = []

        async def child(name):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError as error:
                seen.append((name, error.args))
                raise

        outer = package.gather(child("a"), child("b"), return_exceptions=return_exceptions)
        await asyncio.sleep(0)
        assert outer.cancel("stop")
        assert not outer.done()
        assert outer._cancel_requested
        with pytest.raises(asyncio.CancelledError):
            await outer
        # It has a CancelledError as exception; it is not cancelled itself.
        return seen, outer.cancelled(), outer.cancel(), type(outer.exception())

    seen = [("a", ("stop",)), ("b", ("stop",))]
    assert run_main(main) == (seen, False, False, asyncio.CancelledError)


def test_cancelling_the_task_that_awaits_it_cancels_the_children(run_main, package):
    async def main():
        ends = []

        async def child():
            try:
                await asyncio.sleep(60)
            finally:
                ends.append("child")

        async def parent():
            await package.gather(child(), child())

        task = asyncio.create_task(parent())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel("outside")
        with pytest.raises(asyncio.CancelledError):
            await task
        return ends, task.cancelled()

    assert run_main(main) == (["child", "child"], True)


def test_a_child_that_was_cancelled_raises_but_the_others_go_on(run_main, package):
    async def main():
        other = asyncio.create_task(give("other", 4))
        doomed = asyncio.create_task(asyncio.sleep(60))
        outer = package.gather(doomed, other)
        await asyncio.sleep(0)
        doomed.cancel("child")
        with pytest.raises(asyncio.CancelledError) as caught:
            await outer
        return caught.value.args, await other

    assert run_main(main) == (("child",), "other")


def test_a_gather_within_a_gather(run_main, package):
    async def main():
        inner = package.gather(give(1), give(2, 2))
        return await package.gather(inner, give(3))

    assert run_main(main) == [[1, 2], 3]


def test_cancelling_the_outer_of_two_reaches_the_innermost(run_main, package):
    async def main():
        leaf = asyncio.create_task(asyncio.sleep(60))
        outer = package.gather(package.gather(leaf))
        await asyncio.sleep(0)
        assert outer.cancel("deep")
        with pytest.raises(asyncio.CancelledError):
            await outer
        return leaf.cancelled()

    assert run_main(main)


def test_children_that_are_done_are_counted_at_the_stock_moment(run_main, package):
    async def main():
        done = asyncio.get_running_loop().create_future()
        done.set_result(1)
        outer = package.gather(done, done)
        at_once = outer.done()
        return at_once, await outer

    assert run_main(main) == (sys.version_info >= (3, 12), [1, 1])


def test_the_order_of_wake_ups(run_main, package):
    async def main():
        log = []

        async def child(name):
            log.append(f"{name} begins")
            await asyncio.sleep(0)
            log.append(f"{name} ends")

        async def beside():
            for turn in range(6):
                log.append(turn)
                await asyncio.sleep(0)

        task = asyncio.create_task(beside())
        await package.gather(child("a"), child("b"))
        log.append("gathered")
        await task
        return log

    assert run_main(main) == [
        0, "a begins", "b begins", 1, "a ends", "b ends", 2, 3, "gathered", 4, 5,
    ]  # fmt: skip


def test_its_repr_and_that_of_a_child_name_stock_functions(run_main, package):
    async def main():
        outer = package.gather(give(1), give(2))
        pending, child = repr(outer), repr(outer._children[0])
        await outer
        return pending, child, repr(outer)

    pending, child, finished = run_main(main)
    assert pending == "<_GatheringFuture pending>"
    assert re.search(r"cb=\[gather\.<locals>\._done_callback\(\) at .*tasks\.py:\d+\]", child)
    assert finished == "<_GatheringFuture finished result=[1, 2]>"


def test_the_result_is_a_future_that_anybody_can_finish(run_main, package):
    async def main():
        outer = package.gather(give(1, 2), give(2, 2))
        assert asyncio.isfuture(outer)
        assert isinstance(outer, asyncio.Future)
        outer.set_result("mine")
        result = await outer
        await asyncio.sleep(0.01)
        return result

    assert run_main(main) == "mine"


def test_callbacks_of_the_outcome_run_in_their_own_context(run_main, package):
    async def main():
        variable = contextvars.ContextVar("variable", default="none")
        seen = []
        outer = package.gather(give(1))
        variable.set("callback")
        outer.add_done_callback(lambda _: seen.append(variable.get()))
        variable.set("later")
        await outer
        await asyncio.sleep(0)
        return seen

    assert run_main(main) == ["callback"]


def test_an_exception_that_nobody_retrieves_is_reported(run_main, package, caplog):
    async def main():
        package.gather(fail(ValueError("lost")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    run_main(main)
    assert "_GatheringFuture exception was never retrieved" in caplog.text


def test_a_child_that_is_destroyed_pending_says_nothing(loop_factory, package, caplog):
    loop = loop_factory()

    async def main():
        return package.gather(asyncio.sleep(60))

    outer = loop.run_until_complete(main())
    loop.close()
    del outer
    gc.collect()
    assert "was destroyed" not in caplog.text


def test_a_task_factory_is_asked(loop_factory, package):
    loop = loop_factory()
    made = []

    def factory(loop, coro, **keywords):
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **keywords)

    async def main():
        loop.set_task_factory(factory)
        await asyncio.ensure_future(give(1))
        await package.ensure_future(give(1))
        return await package.gather(give(1), give(2))

    assert loop.run_until_complete(main()) == [1, 2]
    loop.close()
    assert len(made) == 4


def test_a_replaced_create_task_is_called(loop_factory, package):
    loop = loop_factory()
    made = []
    original = loop.create_task

    def create_task(coro, **keywords):
        made.append(coro)
        return original(coro, **keywords)

    async def main():
        loop.create_task = create_task
        await package.ensure_future(give(1))
        return await package.gather(give(1), give(2))

    assert loop.run_until_complete(main()) == [1, 2]
    loop.close()
    assert len(made) == 3


@pytest.mark.parametrize(
    "call",
    [
        lambda package: package.gather(1),
        lambda package: package.gather(give=1),
        lambda package: package.ensure_future(),
        lambda package: package.ensure_future(1),
        lambda package: package.ensure_future(1, 2),
        lambda package: package.ensure_future(1, nothing=2),
    ],
)
def test_wrong_arguments_get_stock_words(run_main, package, call):
    async def main():
        with pytest.raises(TypeError) as caught:
            call(package)
        with pytest.raises(TypeError) as expected:
            call(asyncio)
        return str(caught.value), str(expected.value)

    caught, expected = run_main(main)
    assert caught == expected


def test_futures_of_two_loops_are_refused(loop_factory, package):
    one, other = loop_factory(), loop_factory()
    futures = one.create_future(), other.create_future()
    with pytest.raises(ValueError, match="belongs to a different loop"):
        package.gather(*futures)
    one.close()
    other.close()


def test_ensure_future_gives_futures_back_and_makes_tasks_of_the_rest(run_main, package):
    class Awaitable:
        def __await__(self):
            return give("awaited").__await__()

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        task = asyncio.Task(give(1), loop=loop)
        same = [package.ensure_future(each) is each for each in (future, task)]
        same.append(package.ensure_future(future, loop=loop) is future)
        made = package.ensure_future(give(2))
        return (
            same,
            isinstance(made, asyncio.Task),
            await made,
            await package.ensure_future(Awaitable()),
        )

    assert run_main(main) == ([True] * 3, True, 2, "awaited")


def test_futures_of_a_loop_that_does_not_run_are_refused_since_3_14(
    loop_factory, run_main, package
):
    other = loop_factory()
    future = other.create_future()
    refused = sys.version_info >= (3, 14)

    async def main():
        try:
            return package.gather(future)
        except ValueError as error:
            return str(error)

    try:
        result = run_main(main)
        text = "The future belongs to a different loop than the one specified as the loop argument"
        assert (result == text) is refused
    finally:
        future.cancel()
        other.close()
