"""Runs inside of a run: by nest_asyncio, or by what the first argument names."""

import asyncio
import sys


async def double(number):
    await asyncio.sleep(0.01)
    return number * 2


async def deep(number):
    await asyncio.sleep(0)
    if number == 0:
        return "the bottom"
    return asyncio.get_running_loop().run_until_complete(deep(number - 1))


async def fail():
    await asyncio.sleep(0)
    raise ValueError("from the inner run")


def refuse_to_wait(loop):
    try:
        loop.run_until_complete(fail())
    except ValueError as error:
        print("an error comes through:", error)


async def main():
    loop = asyncio.get_running_loop()
    me = asyncio.current_task()
    other = asyncio.create_task(double(1))
    print(loop.run_until_complete(double(4)), "and another task went on:", other.done())
    print(asyncio.run(double(5)), await other, asyncio.current_task() is me)
    refuse_to_wait(loop)
    loop.call_soon(refuse_to_wait, loop)
    await asyncio.sleep(0)
    print(await deep(20))
    future = asyncio.ensure_future(double(9))
    print(loop.run_until_complete(future), future.done())
    print(loop.run_until_complete(asyncio.gather(double(1), double(2))))
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.02)
    except TimeoutError:
        print("a timeout comes in time")


if sys.argv[1:] == ["ferrio"]:
    import ferrio

    ferrio.allow_nested_run()
    ferrio.allow_nested_run()
else:
    import nest_asyncio

    asyncio.set_event_loop(asyncio.new_event_loop())
    nest_asyncio.apply()
asyncio.run(main())
