"""What every scenario of the leak tests shares."""

import asyncio
import contextvars

BATCH = 1000
SCENARIOS = {}


class Sentinel:
    """An object that every scenario passes through the engine; its references are counted."""

    def __call__(self, *args):
        """Serve as a callback too."""


SENTINEL = Sentinel()
CONTEXT = contextvars.copy_context()


def scenario(function):
    """Register a coroutine function `(loop, count)`."""
    SCENARIOS[function.__name__] = function
    return function


def batches(count):
    """`count` in parts of BATCH: so many things are alive at once."""
    return (min(BATCH, count - start) for start in range(0, count, BATCH))


async def returns(value):
    """Yield once and return the value."""
    await asyncio.sleep(0)
    return value


async def raises(value):
    """Yield once and fail."""
    await asyncio.sleep(0)
    raise ValueError(value)


async def waits(future):
    """Wait for the future."""
    return await future
