"""Coroutines of a known number of turns, out of which the tests of several modules are made."""

import asyncio


async def turns(count):
    """Let that many turns of the loop go by."""
    for _ in range(count):
        await asyncio.sleep(0)


async def give(value, turns=0):
    """Return the value after that many turns."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return value


async def fail(error, turns=0):
    """Raise the error after that many turns."""
    for _ in range(turns):
        await asyncio.sleep(0)
    raise error


async def cancelled(*tasks):
    """Cancel the tasks and wait until they are done."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
