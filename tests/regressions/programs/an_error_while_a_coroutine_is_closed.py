# What goes wrong while GeneratorExit is handled has that as its context.
import asyncio

from stage import *


@traced
async def t1():
    raise SystemExit(2)


@traced
async def t0():
    for part in asyncio.as_completed([asyncio.create_task(t1())]):
        log(1, await part)


loop = new_loop("turns")
play(t0)
