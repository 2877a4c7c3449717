"""Long chains of objects that hold, await or cancel one another: RecursionError at most, no crash.

Each program runs by itself, because a used-up stack ends the process.
"""

import subprocess
import sys
import textwrap

import pytest

PROLOGUE = """
import asyncio, sys, warnings
warnings.simplefilter("ignore")
if sys.argv[1] == "ferrio":
    import ferrio
    ferrio.install()
"""

NESTED = """
async def main():
    coroutine = asyncio.sleep(0)
    for _ in range(50_000):
        coroutine = asyncio.wait_for(coroutine, {timeout})
    try:
        await coroutine
    except RecursionError:
        print("RecursionError")
    await asyncio.sleep(0)
    print("goes on")
asyncio.run(main())
"""

CLOSED = """
async def main():
    coroutine = asyncio.sleep(0)
    for _ in range(50_000):
        coroutine = asyncio.wait_for(coroutine, 100)
    coroutine.close()
    del coroutine
    print("goes on")
asyncio.run(main())
"""

QUEUES = """
async def main():
    item = None
    for _ in range(200_000):
        queue = asyncio.Queue()
        queue.put_nowait(item)
        item = queue
    del item, queue
    print("goes on")
asyncio.run(main())
"""

GATHERS = """
async def main():
    future = outer = asyncio.get_running_loop().create_future()
    for _ in range(100_000):
        outer = asyncio.gather(outer)
    try:
        outer.cancel()
    except RecursionError:
        print("RecursionError")
        future.cancel()
    try:
        await outer
    except asyncio.CancelledError:
        print("goes on")
asyncio.run(main())
"""

TASKS = """
async def wait(future):
    await future
async def main():
    future = task = asyncio.get_running_loop().create_future()
    for _ in range(100_000):
        task = asyncio.create_task(wait(task))
    await asyncio.sleep(0)
    try:
        task.cancel()
    except RecursionError:
        print("RecursionError")
        future.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("goes on")
asyncio.run(main())
"""

PROGRAMS = {
    "nested": (NESTED.format(timeout="None"), ["RecursionError", "goes on"]),
    "nested_with_a_time": (NESTED.format(timeout=100), ["RecursionError", "goes on"]),
    "never_awaited": (CLOSED, ["goes on"]),
    "queues": (QUEUES, ["goes on"]),
    "gathers": (GATHERS, ["RecursionError", "goes on"]),
    "tasks": (TASKS, ["RecursionError", "goes on"]),
}


@pytest.mark.timeout(120)  # a program makes as many as 200 000 objects, on a busy machine
@pytest.mark.parametrize("kind", ["asyncio", "ferrio"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_long_chain(name, kind):
    program, expected = PROGRAMS[name]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROLOGUE) + program, kind],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # Where the stack suffices, what stock refuses may succeed.
    assert done.stdout.split("\n")[:-1] in (expected, expected[-1:])
