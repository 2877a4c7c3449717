"""Async generators: finished, closed, thrown into, forgotten, and closed when the loop ends."""

import asyncio
import contextlib
import gc


async def count(name, limit=3):
    try:
        for number in range(limit):
            await asyncio.sleep(0)
            yield number
    except GeneratorExit:
        print(name, "is told to exit")
        raise
    finally:
        await asyncio.sleep(0)
        print(name, "cleans up")


async def sturdy():
    value = 0
    while True:
        try:
            value = yield value
        except ValueError as error:
            print("caught", error)


@contextlib.asynccontextmanager
async def opened(name):
    print("open", name)
    try:
        yield name
    finally:
        await asyncio.sleep(0)
        print("close", name)


async def main():
    print([n async for n in count("whole")], {n: n * n async for n in count("dict")})
    async with contextlib.aclosing(count("left early")) as numbers:
        async for number in numbers:
            print(number)
            break
    generator = sturdy()
    print(await anext(generator), await generator.asend(5))
    print(await generator.athrow(ValueError("thrown in")))
    await generator.aclose()
    print(await anext(generator, "exhausted"))
    async for _ in count("forgotten"):
        break
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    print("after the forgotten one")
    async with contextlib.AsyncExitStack() as stack:
        for name in "ab":
            await stack.enter_async_context(opened(name))
        stack.push_async_callback(asyncio.sleep, 0)
    global kept
    kept = count("still open at the end")
    print(await anext(kept))


asyncio.run(main())
print("the loop is closed")
