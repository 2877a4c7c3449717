"""What asyncio says about things that nobody waited for, and who hears it."""

import asyncio
import gc
import logging
import sys

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")


async def boom(text):
    raise RuntimeError(text)


async def wait_for_ever():
    await asyncio.get_running_loop().create_future()


def raising_callback(*args):
    raise LookupError("in a callback")


def listener(loop, context):
    print("heard", sorted(context), context["message"], repr(context.get("exception")))


def broken_listener(loop, context):
    raise OSError("in the handler")


async def lose_things(loop):
    asyncio.create_task(boom("of a task"), name="lost")
    future = loop.create_future()
    future.set_exception(ValueError("of a future"))
    del future
    loop.call_soon(raising_callback)
    loop.create_task(asyncio.sleep(0), name="with callback").add_done_callback(raising_callback)
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    loop.call_exception_handler({"message": "made up", "extra": 1})
    seen = loop.create_future()
    seen.set_exception(ValueError("retrieved"))
    seen.exception()
    del seen
    gc.collect()


async def main():
    loop = asyncio.get_running_loop()
    await lose_things(loop)
    loop.set_exception_handler(listener)
    await lose_things(loop)
    loop.set_exception_handler(broken_listener)
    loop.call_soon(raising_callback)
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    print(loop.get_exception_handler())
    try:
        loop.set_exception_handler("wrong")
    except TypeError as error:
        print(error)
    boom("never awaited")


asyncio.run(main())
loop = asyncio.new_event_loop()
pending = loop.create_task(wait_for_ever(), name="left pending")
loop.call_soon(loop.stop)
loop.run_forever()
loop.close()
del pending
gc.collect()
print("end")
