"""Resident memory for each of many tasks, sleeps and timers, on each loop in a fresh process.

The process reads its own RSS (`resident` of /proc/self/statm, proc_pid_statm(5)) before it makes
the objects and when all of them wait. Lists that hold them are made to full length before that.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

from loops import FERRIO, LOOP_NAMES, loop_factory, missing_loops, prepare

Held = list[Any]


async def _wait_for(future: asyncio.Future[None]) -> None:
    await future


async def _sleep_on(sleep: Callable[[float], Awaitable[None]]) -> None:
    await sleep(3600)


def _never_called() -> None:
    raise AssertionError("a timer of an hour fired")


def task_and_future(loop: asyncio.AbstractEventLoop, tasks: Held, futures: Held) -> None:
    for index in range(len(tasks)):
        futures[index] = loop.create_future()
        tasks[index] = loop.create_task(_wait_for(futures[index]))


def task_in_asyncio_sleep(loop: asyncio.AbstractEventLoop, tasks: Held, _: Held) -> None:
    for index in range(len(tasks)):
        tasks[index] = loop.create_task(_sleep_on(asyncio.sleep))


def task_in_ferrio_sleep(loop: asyncio.AbstractEventLoop, tasks: Held, _: Held) -> None:
    import ferrio

    for index in range(len(tasks)):
        tasks[index] = loop.create_task(_sleep_on(ferrio.sleep))


def timer(loop: asyncio.AbstractEventLoop, handles: Held, _: Held) -> None:
    for index in range(len(handles)):
        handles[index] = loop.call_later(3600, _never_called)


async def _hold(lock: asyncio.Lock) -> None:
    async with lock:
        raise AssertionError("nobody releases the lock")


def task_at_lock(loop: asyncio.AbstractEventLoop, tasks: Held, _: Held) -> None:
    lock = asyncio.Lock()
    lock._locked = True  # type: ignore[attr-defined]
    for index in range(len(tasks)):
        tasks[index] = loop.create_task(_hold(lock))


async def _wait_until_set(event: asyncio.Event) -> None:
    await event.wait()


def task_at_event(loop: asyncio.AbstractEventLoop, tasks: Held, _: Held) -> None:
    event = asyncio.Event()
    for index in range(len(tasks)):
        tasks[index] = loop.create_task(_wait_until_set(event))


# What `ferrio.install()` replaces is measured under it.
UNDER_INSTALL = {"task_at_lock", "task_at_event"}

KINDS = {
    "task_and_future": (task_and_future, "task that waits for its future, together"),
    "task_in_asyncio_sleep": (task_in_asyncio_sleep, "task in asyncio.sleep"),
    "task_in_ferrio_sleep": (task_in_ferrio_sleep, "task in ferrio.sleep"),
    "task_at_lock": (task_at_lock, "task that waits for a Lock, all for one"),
    "task_at_event": (task_at_event, "task that waits for an Event, all for one"),
    "timer": (timer, "timer (call_later)"),
}


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def bytes_each(kind: str, count: int) -> float:
    """Make `count` objects, let every task reach its wait, and compare RSS with before."""
    make, _ = KINDS[kind]
    first: Held = [None] * count
    second: Held = [None] * count
    gc.collect()
    before = resident_bytes()
    make(asyncio.get_running_loop(), first, second)
    for _ in range(3):
        await asyncio.sleep(0)
    return (resident_bytes() - before) / count


def measure_here(kind: str, loop_name: str, count: int) -> NoReturn:
    """Print the figure and leave at once: to cancel all these tasks would take seconds."""
    if kind in UNDER_INSTALL:
        prepare(loop_name)
    runner = asyncio.Runner(loop_factory=loop_factory(loop_name))
    print(runner.run(bytes_each(kind, count)), flush=True)
    os._exit(0)


def measure_in_process(kind: str, loop: str, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--here", kind, loop, "--count", str(options.count)]
    figures = [
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(options.rounds)
    ]
    return statistics.median(figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", default=",".join(LOOP_NAMES))
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=1, help="the median of so many")
    parser.add_argument("--kinds", default=",".join(KINDS), help="only these, a comma between")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--here", nargs=2, metavar=("KIND", "LOOP"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        kind, loop = options.here
        measure_here(kind, loop, options.count)
    loops = options.loops.split(",")
    for name, reason in missing_loops(loops).items():
        print(f"{name} is left out: {reason}", file=sys.stderr)
        loops.remove(name)
    figures: dict[str, dict[str, float]] = {}
    for kind in options.kinds.split(","):
        able = [loop for loop in loops if loop == FERRIO or kind != "task_in_ferrio_sleep"]
        figures[kind] = {loop: measure_in_process(kind, loop, options) for loop in able}
    print_table(figures, loops, options.count)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def print_table(figures: dict[str, dict[str, float]], loops: list[str], count: int) -> None:
    print(f"| RSS in bytes, for each of {count} | {' | '.join(loops)} |")
    print(f"|:---|{'---:|' * len(loops)}")
    for kind, by_loop in figures.items():
        cells = [f"{by_loop[loop]:.0f}" if loop in by_loop else "-" for loop in loops]
        print(f"| {KINDS[kind][1]} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
