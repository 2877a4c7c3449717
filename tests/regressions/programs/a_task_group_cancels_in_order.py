# The tasks of a group are cancelled in the order in which they were created, in debug mode too.
import asyncio

from stage import *


@traced
async def t1():
    raise ValueError(1)


@traced
async def t2():
    await asyncio.sleep(1)


@traced
async def t3():
    await asyncio.sleep(1)


@traced
async def t4():
    await asyncio.sleep(1)


@traced
async def t0():
    async with asyncio.TaskGroup() as group:
        for child in (t1, t2, t3, t4):
            group.create_task(child())


@traced
async def t5():
    loop.set_debug(True)
    async with asyncio.TaskGroup() as group:
        for child in (t4, t3, t2):
            group.create_task(child())
        log(1, len(group._tasks))
    log(2, len(group._tasks))


loop = new_loop("virtual")
play(t0, t5)
