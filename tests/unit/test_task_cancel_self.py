"""Tasks cancelled in the very step that runs: by themselves, or while they finish."""

import asyncio

import pytest


def test_a_cancel_in_the_finishing_step_cancels_the_task(same_as_stock):
    def scenario(loop, engine):
        async def worker():
            loop.task.cancel("too late?")
            return "result"

        async def main():
            loop.task = loop.create_task(worker())
            try:
                return await loop.task
            except asyncio.CancelledError as exc:
                return "cancelled", exc.args, loop.task.cancelled(), loop.task.cancelling()

        return loop.run_until_complete(main())

    assert same_as_stock(scenario)[1][0] == "cancelled"


def test_a_cancel_in_the_step_that_raises_keeps_the_error(same_as_stock):
    def scenario(loop, engine):
        async def worker():
            loop.task.cancel()
            raise ValueError("error wins")

        async def main():
            loop.task = loop.create_task(worker())
            try:
                await loop.task
            except ValueError as exc:
                return str(exc), loop.task.cancelled(), loop.task._must_cancel

        return loop.run_until_complete(main())

    assert same_as_stock(scenario)[1][0] == "error wins"


def test_a_task_that_cancels_itself_is_stopped_at_its_next_wait(run):
    seen = []

    async def worker():
        asyncio.current_task().cancel("self")
        seen.append("still running")
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as exc:
            seen.append(exc.args)
            raise

    async def main():
        task = asyncio.create_task(worker())
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert seen == ["still running", ("self",)]


def test_a_self_cancel_reaches_a_future_waited_for_next(loop, run):
    async def worker(future):
        asyncio.current_task().cancel("self")
        await future

    async def main():
        future = loop.create_future()
        task = asyncio.create_task(worker(future))
        with pytest.raises(asyncio.CancelledError, match="^self$"):
            await task
        assert future.cancelled()

    run(main())
