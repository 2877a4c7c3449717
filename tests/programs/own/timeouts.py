"""Limits in time: wait_for, timeout, timeout_at, nesting, moving and zero limits."""

import asyncio


async def guarded(limit, delay):
    try:
        return await asyncio.wait_for(asyncio.sleep(delay, "in time"), limit)
    except TimeoutError as error:
        return repr(error)


async def refuses():
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        return "finished all the same"


async def nested(outer, inner):
    try:
        async with asyncio.timeout(outer):
            try:
                async with asyncio.timeout(inner):
                    await asyncio.sleep(20)
            except TimeoutError:
                print("inner ran out")
                await asyncio.sleep(20)
    except TimeoutError:
        print("outer ran out")


async def main():
    loop = asyncio.get_running_loop()
    print(await asyncio.gather(guarded(1, 0.01), guarded(0.01, 1), guarded(0, 0), guarded(None, 0)))
    print(await asyncio.wait_for(refuses(), 0.01))
    await nested(0.5, 0.01)
    await nested(0.01, 5)
    async with asyncio.timeout(0.01) as moved:
        moved.reschedule(loop.time() + 5)
        await asyncio.sleep(0.03)
    print(moved.expired(), moved.when() > loop.time())
    async with asyncio.timeout(None) as unlimited:
        print(unlimited, unlimited.when())
    try:
        async with asyncio.timeout_at(loop.time() - 1) as late:
            await asyncio.sleep(0)
            print("never printed")
    except TimeoutError:
        print(late.expired(), asyncio.current_task().cancelling())
    try:
        async with asyncio.timeout(0.01):
            await asyncio.get_running_loop().create_future()
    except TimeoutError as error:
        print(repr(error), repr(error.__cause__))
    try:
        moved.reschedule(1)
    except RuntimeError as error:
        print(error)
    started = loop.time()
    order = []
    for delay in (0.3, -1, 0, 0.1, 0.2, 0.1):
        loop.call_later(delay, order.append, delay)
    await asyncio.sleep(0.4)
    print(order, loop.time() - started >= 0.4)
    task = asyncio.create_task(asyncio.sleep(20))
    print([len(part) for part in await asyncio.wait([task], timeout=0.01)])
    task.cancel()


asyncio.run(main())
