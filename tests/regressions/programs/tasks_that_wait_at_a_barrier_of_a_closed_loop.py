# A task that is woken on a closed loop ends after the error was reported, not in the middle.
import asyncio

from stage import *

loop = new_loop("turns")
b0 = asyncio.Barrier(3)


@traced
async def t0():
    for _ in range(2):
        log(
            1,
            await asyncio.wait(
                [
                    asyncio.ensure_future(b0.wait()),
                    asyncio.ensure_future(asyncio.sleep(0, 0)),
                    asyncio.ensure_future(asyncio.sleep(0, 0)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            ),
        )
    raise SystemExit(2)


play(t0)
