"""Cancellation through tasks that wait for tasks, and the counts of cancel and uncancel."""

import asyncio
import contextlib

import pytest


def test_cancelling_a_task_cancels_the_task_it_waits_for(run):
    async def main():
        inner = asyncio.create_task(asyncio.sleep(1000))

        async def outer():
            await inner

        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        task.cancel("passed on")
        assert inner.cancelling() == 1
        assert not inner.done()
        with pytest.raises(asyncio.CancelledError, match="^passed on$"):
            await task
        assert inner.cancelled()

    run(main())


@pytest.mark.parametrize("depth", [1, 2, 10, 200])
def test_a_cancel_travels_down_a_chain_and_back(run, depth):
    cleaned = []

    async def link(number):
        try:
            if number:
                await asyncio.create_task(link(number - 1))
            else:
                await asyncio.sleep(1000)
        finally:
            cleaned.append(number)

    async def main():
        task = asyncio.create_task(link(depth))
        for _ in range(depth + 2):
            await asyncio.sleep(0)
        task.cancel("message")
        with pytest.raises(asyncio.CancelledError, match="^message$"):
            await task

    run(main())
    assert cleaned == list(range(depth + 1))


def test_the_waiter_goes_on_when_the_inner_task_swallows_the_cancel(run):
    async def inner():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)
        return "inner result"

    async def outer():
        return await asyncio.create_task(inner())

    async def main():
        task = asyncio.create_task(outer())
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        assert await task == "inner result"

    run(main())


def test_shield_keeps_the_inner_task_alive(run):
    async def main():
        inner = asyncio.create_task(asyncio.sleep(0.2, "kept"))

        async def outer():
            await asyncio.shield(inner)

        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not inner.cancelled()
        assert await inner == "kept"

    run(main())


def test_cancelling_gather_cancels_all_children(run):
    async def main():
        children = [asyncio.create_task(asyncio.sleep(1000)) for _ in range(5)]
        future = asyncio.gather(*children)
        await asyncio.sleep(0)
        assert future.cancel("all") is True
        with pytest.raises(asyncio.CancelledError):
            await future
        assert all(child.cancelled() for child in children)
        assert future.done()

    run(main())


def test_one_cancelled_child_does_not_cancel_the_others_of_gather(run):
    async def main():
        children = [asyncio.create_task(asyncio.sleep(0.2)) for _ in range(3)]
        future = asyncio.gather(*children)
        await asyncio.sleep(0)
        children[1].cancel("one")
        with pytest.raises(asyncio.CancelledError):
            await future
        await asyncio.wait(children)
        assert [child.cancelled() for child in children] == [False, True, False]

    run(main())


def test_the_counts_go_up_with_cancel_and_down_with_uncancel(loop, run):
    async def main():
        task = asyncio.current_task()
        assert task.cancelling() == 0
        assert task.uncancel() == 0
        other = loop.create_task(asyncio.sleep(1000))
        for count in (1, 2, 3):
            other.cancel()
            assert other.cancelling() == count
            assert getattr(other, "_num_cancels_requested", count) == count
        for count in (2, 1, 0, 0):
            assert other.uncancel() == count
            assert other.cancelling() == count
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other

    run(main())


def test_uncancel_before_the_throw_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        async def worker():
            asyncio.current_task().cancel()
            asyncio.current_task().uncancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                return "thrown"
            return "not thrown"

        async def main():
            unstarted = loop.create_task(asyncio.sleep(0, "ran"))
            unstarted.cancel()
            seen = [unstarted._must_cancel, unstarted.uncancel(), unstarted._must_cancel]
            try:
                seen.append(await unstarted)
            except asyncio.CancelledError:
                seen.append("cancelled")
            return [*seen, await loop.create_task(worker())]

        return loop.run_until_complete(main())

    assert same_as_stock(scenario)[0] == "returned"


def test_timeout_turns_its_own_cancel_into_a_timeout_error(run):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(1000)
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_an_outer_cancel_is_not_swallowed_by_timeout(run):
    async def worker():
        async with asyncio.timeout(1000):
            await asyncio.sleep(1000)

    async def main():
        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        task.cancel("outer")
        with pytest.raises(asyncio.CancelledError, match="^outer$"):
            await task

    run(main())


def test_a_failing_child_of_a_task_group_cancels_its_siblings(run):
    ended = []

    async def sleeper(name):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            ended.append(name)
            raise

    async def failing():
        raise ValueError("child")

    async def main():
        async def group_of_three():
            async with asyncio.TaskGroup() as group:
                group.create_task(sleeper("one"))
                group.create_task(sleeper("two"))
                group.create_task(failing())

        with pytest.raises(ExceptionGroup) as caught:
            await group_of_three()
        assert [type(exc) for exc in caught.value.exceptions] == [ValueError]

    run(main())
    assert sorted(ended) == ["one", "two"]


def test_wait_for_cancels_what_takes_too_long(run):
    async def main():
        task = asyncio.create_task(asyncio.sleep(1000))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(task, 0.001)
        assert task.cancelled()

    run(main())


def test_a_cancelled_waiter_of_many_leaves_the_others_waiting(loop, run):
    async def main():
        event = asyncio.Event()
        tasks = [asyncio.create_task(event.wait()) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        event.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [bool, asyncio.CancelledError, bool, bool]

    run(main())


def test_a_task_is_cancelled_once_when_the_future_it_waits_for_is_cancelled_directly(loop, run):
    seen = []

    async def main():
        future = loop.create_future()

        async def worker():
            try:
                await future
            except asyncio.CancelledError as exc:
                seen.append(exc.args)
                raise

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        future.cancel("the future")
        with pytest.raises(asyncio.CancelledError, match="^the future$"):
            await task
        assert task.cancelling() == 0

    run(main())
    assert seen == [("the future",)]


def test_cancel_goes_through_the_cancel_method_of_a_foreign_awaitable(loop, run):
    class Waiter:
        _asyncio_future_blocking = False

        def __init__(self):
            self.callbacks = []
            self.cancelled_with = []

        def get_loop(self):
            return loop

        def add_done_callback(self, callback, *, context=None):
            self.callbacks.append(callback)

        def cancel(self, msg=None):
            self.cancelled_with.append(msg)
            return False

        def result(self):
            return None

        def __await__(self):
            self._asyncio_future_blocking = True
            yield self
            return "woken"

    async def main():
        waiter = Waiter()

        async def worker():
            return await waiter

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        assert task._fut_waiter is waiter
        task.cancel("please")
        assert waiter.cancelled_with == ["please"]
        assert task._must_cancel is True
        loop.call_soon(waiter.callbacks[0], waiter)
        with pytest.raises(asyncio.CancelledError, match="^please$"):
            await task

    run(main())
