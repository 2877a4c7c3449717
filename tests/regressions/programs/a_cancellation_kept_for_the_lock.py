# A cancellation that a wait keeps until it has the lock has as context what its caller is handling.
import asyncio

from stage import *

loop = new_loop("turns")
c0 = asyncio.Condition()


@traced
async def t0():
    try:
        async with c0:
            await c0.wait_for(lambda: checked(1, raising(ValueError(2))))
            log(3, "came true")
    except (Exception, asyncio.CancelledError) as error:
        log(4, error)
        async with c0:
            log(5, await c0.wait())


@traced
async def t1():
    await asyncio.sleep(0)
    log(6, "slept")
    async with c0:
        attempt(7, c0.notify)
        await asyncio.sleep(1e-9)
        log(8, "slept")


play(t0, t1, cancel=[(3, "t0")])
