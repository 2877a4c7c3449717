"""One measurement in a process of its own: a row on a loop, pinned to a core, printed as JSON.

run.py and instructions.py start it. The row is warmed up with a fifth of a pass; then whole passes
run until `--budget` seconds have gone by, so that fast and slow loops are measured for as long.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import time

from loops import loop_factory, prepare
from rows import Row, Stopwatch, Timing, all_rows


async def timed_pass(row: Row, count: int) -> Timing:
    """Run the row's body as a task of its own, so that no frame stands between it and the loop."""
    gc.collect()
    watch = Stopwatch()
    own_timing = await asyncio.ensure_future(row.body(count))
    return own_timing or watch.elapsed()


async def measure(row: Row, budget_s: float) -> dict[str, object]:
    """Warm up, then run passes; the sums over the passes are the measurement."""
    await timed_pass(row, max(row.count // 5, 1000))
    passes = [await timed_pass(row, row.count)]
    end = time.perf_counter() + budget_s - passes[0].wall_s
    while time.perf_counter() < end:
        passes.append(await timed_pass(row, row.count))
    return {
        "operations": row.count * len(passes),
        "passes": len(passes),
        "cpu_s": sum(timing.cpu_s for timing in passes),
        "wall_s": sum(timing.wall_s for timing in passes),
        "loop": type(asyncio.get_running_loop()).__module__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop")
    parser.add_argument("row")
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--budget", type=float, default=0.15, help="seconds of passes")
    parser.add_argument("--count", type=int, help="one pass of this many operations, nothing else")
    parser.add_argument("--loop-alone", action="store_true", help="no ferrio.install()")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    if not options.loop_alone:
        prepare(options.loop)
    row = all_rows()[options.row]
    with asyncio.Runner(loop_factory=loop_factory(options.loop)) as runner:
        if options.count is not None:
            runner.run(timed_pass(row, options.count))
        else:
            print(json.dumps(runner.run(measure(row, options.budget))))


if __name__ == "__main__":
    main()
