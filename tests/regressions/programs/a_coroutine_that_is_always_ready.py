# A condition whose `wait` returns at once is asked again and again, without going deeper each time.
import asyncio

from stage import *


class Ready(asyncio.Condition):
    async def wait(self):
        return True


@traced
async def t0():
    condition, asked = Ready(), iter(range(200_000))
    await condition.acquire()
    log(1, await condition.wait_for(lambda: next(asked) == 199_999))


loop = new_loop("turns")
play(t0)
