# The error of a future that is done has as context what is being handled where it is awaited.
import asyncio

from stage import *

loop = new_loop("turns")
f0 = loop.create_future()
f1 = loop.create_future()
e0 = asyncio.Event()


@traced
async def t0():
    log(1, await f0)


@traced
async def t1():
    try:
        await e0.wait()
    except asyncio.CancelledError:
        log(2, await f0)


@traced
async def t2():
    attempt(3, f1.set_exception, LookupError(4))
    try:
        raise ValueError(5)
    except ValueError:
        log(6, await f1)


@traced
async def t3():
    await asyncio.sleep(0)
    try:
        raise ValueError(7)
    except ValueError:
        attempt(8, f0.result)
        attempt(9, f0.exception)
        attempt(10, f1.result)


play(t0, t1, t2, t3, cancel=[(1, "t0"), (1, "t1")])
