"""What a start costs: CPU time of a new interpreter that imports asyncio, and each loop with it.

One process for each import, taking turns, `--rounds` of each on one core; the difference to the
interpreter that imports asyncio alone is taken within a round. Prints a Markdown table;
`--write-readme` puts it into docs/performance.md and benches/README.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from environment import plain_environment
from loops import LOOP_NAMES, STOCK, missing_loops
from readme_block import write_block

HERE = Path(__file__).parent


def cpu_ms(program: str) -> float:
    """CPU time, user and system, of an interpreter that runs the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], env=plain_environment(), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--write-readme", action="store_true", help="put the table in the pages")
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    missing = missing_loops(list(LOOP_NAMES))
    imported = [loop for loop in LOOP_NAMES if loop not in missing]
    taken: dict[str, list[float]] = {loop: [] for loop in imported}
    for loop in imported:
        cpu_ms(f"import {loop}")  # has the byte code written, and the files in memory
    for _ in range(options.rounds):
        for loop in imported:
            taken[loop].append(cpu_ms(f"import asyncio, {loop}"))
    table = "\n".join(lines(taken))
    print(table)
    if options.write_readme:
        write_block("startup.py", table)
        write_block("startup.py", table, HERE.parent / "docs/performance.md")


def lines(taken: dict[str, list[float]]) -> Iterator[str]:
    yield "| CPU of a start, ms | import asyncio | more with it |"
    yield "|:---|---:|---:|"
    for loop, times in taken.items():
        if loop != STOCK:
            pairs = zip(times, taken[STOCK], strict=True)
            more = statistics.median(mine - stock for mine, stock in pairs)
            yield f"| import {loop} | {statistics.median(taken[STOCK]):.1f} | {more:.1f} |"


if __name__ == "__main__":
    main()
