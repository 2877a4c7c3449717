# wait_for(..., 0) in a handler: the cause of its TimeoutError has what is being handled as context.
import asyncio

from stage import *

loop = new_loop("turns")


@traced
async def t0():
    try:
        await asyncio.sleep(1000)
    finally:
        log(3, await asyncio.wait_for(asyncio.sleep(0, 0), 0))


play(t0, cancel=[(1, "t0")])
