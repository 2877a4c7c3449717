# A task that is destroyed with its transport looks at it after the finalizer closed the socket.
import asyncio

from stage import *

loop = new_loop("turns")
r0, w0, r1, w1 = loop.run_until_complete(stream_pair(16))


@traced
async def t0():
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    raise SystemExit(3)


@traced
async def t1():
    await asyncio.sleep(0)
    reading = asyncio.create_task(r0.readline())
    try:
        await asyncio.sleep(0)
    finally:
        log(1, repr(r0), reading.done())


play(t0, t1)
