"""Tasks and futures, whatever becomes of them."""

import asyncio
import contextlib
import gc
import sys

from leak_stage import CONTEXT, SENTINEL, batches, raises, returns, scenario, waits


@scenario
async def tasks(loop, count):
    for size in batches(count):
        for task in [loop.create_task(returns(SENTINEL), name="n") for _ in range(size)]:
            await task


@scenario
async def unawaited_tasks(loop, count):
    for size in batches(count):
        for _ in range(size):
            loop.create_task(returns(SENTINEL), context=CONTEXT)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@scenario
async def failed_tasks(loop, count):
    for size in batches(count):
        for task in [loop.create_task(raises(SENTINEL)) for _ in range(size)]:
            with contextlib.suppress(ValueError):
                await task


@scenario
async def cancelled_tasks(loop, count):
    for size in batches(count):
        future = loop.create_future()
        made = [loop.create_task(waits(asyncio.shield(future))) for _ in range(size)]
        await asyncio.sleep(0)
        for task in made:
            task.cancel(SENTINEL)
        await asyncio.wait(made)
        future.cancel()


@scenario
async def tasks_cancelled_before_their_start(loop, count):
    for size in batches(count):
        made = [loop.create_task(returns(SENTINEL)) for _ in range(size)]
        for task in made:
            task.cancel(SENTINEL)
        await asyncio.wait(made)


@scenario
async def sleeping_tasks_cancelled(loop, count):
    for size in batches(count):
        made = [loop.create_task(asyncio.sleep(1000, SENTINEL)) for _ in range(size)]
        await asyncio.sleep(0)
        for task in made:
            task.cancel()
        await asyncio.wait(made)


@scenario
async def tasks_waiting_for_tasks(loop, count):
    for size in batches(count // 2):
        for task in [
            loop.create_task(waits(loop.create_task(returns(SENTINEL)))) for _ in range(size)
        ]:
            await task


@scenario
async def destroyed_pending_tasks(loop, count):
    loop.set_exception_handler(lambda *_: None)
    for size in batches(count):
        for _ in range(size):
            loop.create_task(waits(loop.create_future())).add_done_callback(SENTINEL)
        await asyncio.sleep(0)
        gc.collect()


@scenario
async def tasks_of_a_subclass(loop, count):
    class Own(type(asyncio.current_task())):
        pass

    for size in batches(count):
        for task in [Own(returns(SENTINEL), loop=loop) for _ in range(size)]:
            task.extra = SENTINEL
            await task


@scenario
async def stock_tasks(loop, count):
    for size in batches(count):
        for task in [asyncio.Task(returns(SENTINEL), loop=loop) for _ in range(size)]:
            await task


@scenario
async def eager_tasks(loop, count):
    if sys.version_info < (3, 12):
        return
    make = type(asyncio.current_task())
    for _ in range(count):
        await make(returns(SENTINEL), loop=loop, eager_start=True)


@scenario
async def futures(loop, count):
    for size in batches(count):
        made = [loop.create_future() for _ in range(size)]
        for future in made:
            future.add_done_callback(SENTINEL)
            future.add_done_callback(SENTINEL, context=CONTEXT)
            loop.call_soon(future.set_result, SENTINEL)
        for future in made:
            await future


@scenario
async def failed_futures(loop, count):
    loop.set_exception_handler(lambda *_: None)
    for size in batches(count):
        for number in range(size):
            future = loop.create_future()
            future.set_exception(ValueError(SENTINEL))
            if number % 2:
                with contextlib.suppress(ValueError):
                    await future


@scenario
async def cancelled_futures(loop, count):
    for _ in range(count):
        future = loop.create_future()
        future.add_done_callback(SENTINEL)
        future.remove_done_callback(SENTINEL)
        future.cancel(SENTINEL)
        with contextlib.suppress(asyncio.CancelledError):
            await future


@scenario
async def futures_in_cycles(loop, count):
    for size in batches(count):
        for number in range(size):
            future = loop.create_future()
            future.extra = SENTINEL
            if number % 2:
                future.set_result([future, SENTINEL])
            else:
                future.add_done_callback(lambda _, future=future: future)
        gc.collect()


@scenario
async def futures_of_a_subclass(loop, count):
    class Own(type(loop.create_future())):
        pass

    for _ in range(count):
        future = Own(loop=loop)
        future.extra = SENTINEL
        loop.call_soon(future.set_result, SENTINEL)
        await future
