"""User-space instructions of one operation of a row, counted by callgrind: the same run after run.

A row runs twice under valgrind, with a pass of N and of 3N operations; the difference over 2N is
the cost of one, and start-up and import drop out. `--limit ROW=N` makes it a guard for hot paths.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from loops import LOOP_NAMES, missing_loops
from rows import Row, all_rows

HERE = Path(__file__).parent
HOT_ROWS = "sleep0_one,sleep0_100,future_ping_pong,create_task_await,call_soon_chain"


def callgrind(row: Row, loop: str, count: int, profile: Path) -> int:
    """Instructions of a whole process that does `count` operations of the row."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", sys.executable]
    command += [str(HERE / "one_row.py"), loop, row.name, "--count", str(count)]
    steady = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=steady, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        sys.exit(f"{row.name} on {loop} failed under callgrind:\n{done.stderr}")
    return int(found[1])


def instructions_each(row: Row, loop: str, count: int, profile: Path | None) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        few = callgrind(row, loop, count, Path(scratch, "few"))
        many = callgrind(row, loop, 3 * count, profile or Path(scratch, "many"))
    return (many - few) / (2 * count)


def countable(name: str) -> Row:
    """Rows with threads or a wait for the clock take a different path each time."""
    row = all_rows().get(name)
    if row is None:
        sys.exit(f"no such row: {name}. `run.py --list` names them.")
    if not row.repeatable:
        sys.exit(f"{name} depends on threads or on the clock: its instructions are not steady.")
    return row


def parse_limits(texts: list[str]) -> dict[str, float]:
    limits = {}
    for text in texts:
        name, _, limit = text.partition("=")
        limits[name] = float(limit)
    return limits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=HOT_ROWS)
    parser.add_argument("--loops", default="ferrio", help=f"of {','.join(LOOP_NAMES)}")
    parser.add_argument("--count", type=int, default=2000, help="N; whole hundreds")
    parser.add_argument("--limit", action="append", default=[], metavar="ROW=N")
    parser.add_argument("--profile", type=Path, help="keep the last profile for callgrind_annotate")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("instructions.py needs valgrind, which is not installed.")
    for name, reason in missing_loops(options.loops.split(",")).items():
        sys.exit(f"{name} cannot be loaded: {reason}")
    limits = parse_limits(options.limit)
    over = False
    for row in [countable(name) for name in options.rows.split(",")]:
        for loop in options.loops.split(","):
            each = instructions_each(row, loop, options.count, options.profile)
            cost = f"{each:10.1f} instructions for {row.operation}"
            print(f"{row.name:24} {loop:8} {cost}", flush=True)
            if each > limits.get(row.name, float("inf")):
                print(f"{row.name} is over its limit of {limits[row.name]:.0f}", flush=True)
                over = True
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
