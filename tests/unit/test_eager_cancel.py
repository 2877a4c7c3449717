"""Eager tasks (3.12 and later) that are cancelled."""

import asyncio

import pytest

if not hasattr(asyncio, "eager_task_factory"):
    pytest.skip("eager tasks are new in Python 3.12", allow_module_level=True)


def test_a_task_that_cancels_itself_eagerly_behaves_as_on_stock(same_as_stock):
    def scenario(loop, engine):
        loop.set_task_factory(asyncio.create_eager_task_factory(engine.task_class))
        seen = []

        async def inner(waits):
            asyncio.current_task().cancel("self")
            if waits:
                await asyncio.sleep(0)
            return "result"

        async def main():
            for waits in (False, True):
                task = asyncio.create_task(inner(waits))
                seen.append((task.done(), task.cancelled()))
                try:
                    seen.append(await task)
                except asyncio.CancelledError as exc:
                    seen.append(exc.args)

        loop.run_until_complete(main())
        return seen

    assert same_as_stock(scenario)[0] == "returned"


def test_a_cancel_reaches_a_task_that_began_eagerly(loop, run, engine):
    loop.set_task_factory(asyncio.create_eager_task_factory(engine.task_class))

    async def slow():
        await asyncio.sleep(1000)

    async def main():
        task = asyncio.create_task(slow())
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="^why$"):
            await task
        assert task.cancelled()

    run(main())
