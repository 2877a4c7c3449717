# A loop that is closed under a timeout closes, and lets go of it.
import asyncio

from stage import *


@traced
async def t0():
    async with asyncio.timeout(1000):
        await asyncio.sleep(0)
        log(1, "slept")


@traced
async def t1():
    raise SystemExit(1)


loop = new_loop("turns")
play(t0, t1)
