"""Runs one scenario many times on one engine and prints what was left behind, as JSON.

Usage: leak_program.py ENGINE SCENARIO COUNT. The scenario runs COUNT times to fill caches, free
lists and grown tables, then COUNT times more; what the second half left behind is printed.
"""

import asyncio
import collections
import concurrent.futures
import ctypes
import gc
import importlib
import itertools
import json
import os
import pathlib
import sys

from leak_stage import CONTEXT, SCENARIOS, SENTINEL, returns

LIBC = ctypes.CDLL(None)

for _path in sorted(pathlib.Path(__file__).parent.glob("*_leaks.py")):
    if not _path.name.startswith("test_"):
        importlib.import_module(_path.stem)


def measure():
    """What is alive now, after full collections."""
    for _ in range(3):
        gc.collect()
    LIBC.malloc_trim(0)
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return {
        "sentinel": sys.getrefcount(SENTINEL),
        "context": sys.getrefcount(CONTEXT),
        "none": sys.getrefcount(None),
        "blocks": sys.getallocatedblocks(),
        "rss": pages * os.sysconf("SC_PAGESIZE"),
        "fds": len(os.listdir("/proc/self/fd")),
        "types": collections.Counter(type(item).__name__ for item in gc.get_objects()),
    }


def new_loops(engine):
    """The function that makes loops of the engine."""
    if engine == "ferrio":
        import ferrio

        return ferrio.new_event_loop
    return asyncio.SelectorEventLoop


def run_loops(new_loop, count):
    """The scenario that needs loops of its own: make, run and close one after another."""
    for _ in range(count // 20):
        loop = new_loop()
        loop.call_soon(SENTINEL)
        loop.call_later(1000, SENTINEL, SENTINEL)
        loop.run_until_complete(returns(SENTINEL))
        loop.close()


def main(engine, name, count):
    """Run the scenario and print the difference that a later run made.

    What leaks grows in every run. RSS alone also grows now and then, when the allocator starts on
    an arena that it did not need before, so its growth is the smallest of several runs.
    """
    new_loop = new_loops(engine)
    loop = None if name == "loops" else new_loop()
    if loop is not None:
        # Of several threads another is started whenever none is idle yet, which is chance.
        loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
    found = [measure()]  # the first measurement fills caches of its own
    for _ in range(5):
        if loop is None:
            run_loops(new_loop, count)
        else:
            loop.run_until_complete(SCENARIOS[name](loop, count))
            loop.run_until_complete(loop.shutdown_asyncgens())
        found.append(measure())
        if len(found) > 2 and found[-1]["rss"] <= found[-2]["rss"]:
            break
    before, after = found[1:3]
    grown = {key: after[key] - before[key] for key in before if key != "types"}
    grown["types"] = dict(after["types"] - before["types"])
    later = found[1:]
    grown["rss"] = min(b["rss"] - a["rss"] for a, b in itertools.pairwise(later))
    print(json.dumps(grown))
    if loop is not None:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
