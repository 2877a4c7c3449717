"""Children under stress: many short-lived ones, each with an ending and a message of its own."""

import asyncio
import collections
import os
import signal
import threading

SHELL = "/bin/sh"
AT_ONCE = 20


async def silent(index):
    """A child that says nothing and ends with a status."""
    child = await asyncio.create_subprocess_exec(SHELL, "-c", f"exit {index % 256}")
    return await child.wait() == index % 256


async def talking(index):
    """A child that says back what it is told, on both streams."""
    child = await asyncio.create_subprocess_exec(
        SHELL,
        "-c",
        'read word; echo "out $word"; echo "err $word" >&2; exit 3',
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate(b"%d\n" % index)
    return (out, err, child.returncode) == (b"out %d\n" % index, b"err %d\n" % index, 3)


async def killed(_):
    """A child that would wait for ever."""
    child = await asyncio.create_subprocess_exec(SHELL, "-c", "read word", stdin=-1)
    child.kill()
    return await child.wait() == -signal.SIGKILL


async def in_a_shell(index):
    """A child of subprocess_shell whose output arrives after its end was known, or before."""
    child = await asyncio.create_subprocess_shell(f"echo {index} & wait", stdout=-1)
    out = await child.stdout.read()
    return (out, await child.wait()) == (b"%d\n" % index, 0)


KINDS = (silent, talking, killed, in_a_shell)


async def run_children(numbers, outcomes):
    """One child after another, by the numbers that are left."""
    for number in numbers:
        kind = KINDS[number % len(KINDS)]
        outcomes[f"{kind.__name__} {await kind(number)}"] += 1


async def many(stage, number):
    """Each cue runs `number` children, AT_ONCE of them at any time, and tells how they ended."""
    await run_children(range(len(KINDS)), collections.Counter())
    stage.tell(**stage.count())
    while await stage.cue():
        outcomes = collections.Counter()
        numbers = iter(range(number))
        await asyncio.gather(*(run_children(numbers, outcomes) for _ in range(AT_ONCE)))
        join_watchers()
        stage.tell(outcomes=outcomes, children=has_children(), **stage.count())


def has_children():
    """Whether the kernel still knows a child of this process, a zombie too."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def join_watchers():
    """Wait for the threads in which stock, before pidfds, waits for a child: they end after it."""
    for thread in threading.enumerate():
        if thread.name.startswith("asyncio-waitpid-"):
            thread.join()
