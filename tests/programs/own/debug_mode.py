"""Debug mode: slow callbacks, where things were created, calls from a wrong thread."""

import asyncio
import gc
import logging
import sys
import threading
import time

logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")


def slow_callback():
    time.sleep(0.3)


async def slow_coroutine():
    time.sleep(0.3)


async def forgotten():
    pass


def touch_from_a_thread(loop):
    for call in (loop.call_soon, lambda f: loop.call_later(1, f), lambda f: loop.call_at(1, f)):
        try:
            call(print)
        except RuntimeError as error:
            print(error)


async def broken():
    raise ZeroDivisionError("on purpose")


async def main():
    loop = asyncio.get_running_loop()
    print(loop.get_debug(), loop.slow_callback_duration)
    loop.slow_callback_duration = 0.25
    loop.call_soon(slow_callback)
    await asyncio.sleep(0)
    await asyncio.create_task(slow_coroutine(), name="slow")
    thread = threading.Thread(target=touch_from_a_thread, args=(loop,))
    thread.start()
    thread.join()
    for wrong in (None, "text", broken):
        try:
            loop.call_soon(wrong)
        except TypeError as error:
            print(error)
    print(loop.call_soon(slow_callback))
    handle = loop.call_soon(print, "cancelled")
    handle.cancel()
    print(handle)
    task = asyncio.create_task(broken(), name="broken")
    await asyncio.wait([task])
    print(task)
    del task
    gc.collect()
    forgotten()
    gc.collect()


asyncio.run(main(), debug=True)
