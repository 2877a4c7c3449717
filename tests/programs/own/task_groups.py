"""Task groups: failures, nesting, cancellation from outside, and a traceback at the end."""

import asyncio


async def work(name, delay=0.0, error=None):
    try:
        await asyncio.sleep(delay)
        if error is not None:
            raise error
        print(name, "is done")
    except asyncio.CancelledError:
        print(name, "was cancelled")
        raise
    return name


async def all_well():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(n), name=n) for n in "abc"]
        print(group)
    print([task.result() for task in tasks], group)


async def one_fails():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(work("slow", 20))
            group.create_task(work("bad", 0, ValueError("bad luck")))
            group.create_task(work("worse", 0, KeyError("worse luck")))
            await asyncio.sleep(20)
    except* ValueError as caught:
        print("values", caught.exceptions)
    except* KeyError as caught:
        print("keys", caught.exceptions)


async def body_fails():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(work("left", 20))
            await asyncio.sleep(0)
            raise LookupError("in the body")
    except* LookupError as caught:
        print(repr(caught))
    try:
        group.create_task(work("late"))
    except RuntimeError as error:
        print(str(error).split(" at ")[0], asyncio.current_task().cancelling())


async def nested():
    async with asyncio.TaskGroup() as outer:
        outer.create_task(work("outer", 20))
        async with asyncio.TaskGroup() as inner:
            inner.create_task(work("inner", 20))
            await asyncio.sleep(0)
            asyncio.current_task().cancel("from outside")
            await asyncio.sleep(20)


async def main():
    await all_well()
    await one_fails()
    await body_fails()
    try:
        await asyncio.create_task(nested())
    except asyncio.CancelledError as error:
        print("cancelled", error.args)
    async with asyncio.TaskGroup() as group:
        group.create_task(work("last", 0, OSError("for the traceback")))


asyncio.run(main())
