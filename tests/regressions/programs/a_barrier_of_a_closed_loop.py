# Since 3.12: eager tasks. GeneratorExit is thrown into those who wait, and their end fails.
import asyncio

from stage import *

loop = new_loop("turns", eager=True)
b0 = asyncio.Barrier(2)
kept = []


@traced
async def t4():
    raise SystemExit(3)


@traced
async def t0():
    await asyncio.sleep(0)
    log(1, "slept")
    kept.append(asyncio.create_task(t4()))


@traced
async def t1():
    log(4, await b0.wait())


@traced
async def t5():
    log(7, await b0.wait())


@traced
async def t2():
    log(5, await b0.wait())
    kept.append(asyncio.create_task(t5()))


@traced
async def t6():
    pass


@traced
async def t3():
    kept.append(asyncio.create_task(t6()))
    attempt(
        9,
        current,
    ).uncancel()
    log(10, await b0.wait())


play(t0, t1, t2, t3)
