"""Measure every row on every loop, in turn, and print the tables: what `make bench` starts.

Each (round, row, loop) is a process of its own on one core. Within a round a row runs on all loops
one after another, and the order of the loops rotates from round to round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import tables
from calm_core import CalmCore
from environment import available_loops, describe, names, plain_environment
from loops import FERRIO, LOOP_NAMES
from readme_block import write_block
from results import Measurement, Results
from rows import Row, all_rows

HERE = Path(__file__).parent
PROCESS_TIMEOUT_S = 60


def main() -> int:
    options = parse_options()
    rows = chosen_rows(options.rows)
    results = Results(environment(options), rows, options.loops)
    if options.write_readme:
        refuse_a_partial_table(results)
        if options.loop_alone:
            sys.exit("The README's table is the one of ferrio.install().")
    core = CalmCore(options.core)
    for round_number in range(options.rounds):
        print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        run_round(results, round_number, core, options)
    results.environment |= core.about()
    report(results)
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    if options.write_readme:
        write_readme(results)
    return 1 if results.failures else 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=names, default=[], help="only these, a comma between")
    parser.add_argument("--loops", type=names, help=f"default: {','.join(LOOP_NAMES)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.15, help="seconds of each measurement")
    parser.add_argument("--clock", choices=["cpu", "wall"], default="cpu", help="what to show")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument(
        "--loop-alone",
        action="store_true",
        help="Ferrio's loop, Task and Future under asyncio's own names, as without install()",
    )
    parser.add_argument("--json", type=Path, help="write every measurement there")
    parser.add_argument("--write-readme", action="store_true", help="put the tables in README.md")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    options = parser.parse_args()
    if options.list:
        for row in all_rows().values():
            print(f"{row.name:26} {row.label}; {row.operation}")
        parser.exit()
    options.loops = available_loops(options.loops)
    return options


def chosen_rows(wanted: list[str]) -> list[Row]:
    rows = all_rows()
    unknown = set(wanted) - rows.keys()
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}. `--list` names them.")
    return [row for row in rows.values() if not wanted or row.name in wanted]


def environment(options: argparse.Namespace) -> dict[str, Any]:
    return describe(options.loops) | {
        "core": options.core,
        "rounds": options.rounds,
        "budget_s": options.budget,
        "clock": options.clock,
        "loop_alone": options.loop_alone,
    }


def run_round(
    results: Results, round_number: int, core: CalmCore, options: argparse.Namespace
) -> None:
    turn = round_number % len(results.loops)
    for row in results.rows:
        for loop in results.loops[turn:] + results.loops[:turn]:
            own_elsewhere = row.stands_for and loop != FERRIO
            if own_elsewhere or (row.name, loop) in results.failures:
                continue
            try:
                figures = core.measure(partial(run_process, row, loop, options))
            except MeasurementFailed as failure:
                results.failures[row.name, loop] = str(failure)
            else:
                results.measurements.append(Measurement(round_number, row.name, loop, **figures))


class MeasurementFailed(Exception):
    """The process of one measurement did not end well; says what it said last."""


def run_process(row: Row, loop: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "one_row.py"), loop, row.name]
    command += ["--core", str(options.core), "--budget", str(options.budget)]
    command += ["--loop-alone"] * options.loop_alone
    try:
        done = subprocess.run(
            command,
            env=plain_environment(),
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"no end after {PROCESS_TIMEOUT_S} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise MeasurementFailed(said[-1])
    figures: dict[str, Any] = json.loads(done.stdout)
    ran_on = figures.pop("loop").partition(".")[0]
    if ran_on != loop:
        raise MeasurementFailed(f"it ran on a loop of {ran_on}")
    return figures


def report(results: Results) -> None:
    print(tables.heading(results))
    for text in (
        tables.factor_table(results),
        tables.rate_table(results),
        tables.own_table(results),
        tables.verdict(results),
    ):
        if text:
            print(f"\n{text}")


def refuse_a_partial_table(results: Results) -> None:
    """A table in a document names every loop and row, or the reader cannot compare it."""
    if results.loops != list(LOOP_NAMES) or len(results.rows) != len(all_rows()):
        sys.exit("--write-readme needs every row and every loop; narrow the run without it.")


def write_readme(results: Results) -> None:
    parts = [tables.heading(results), tables.factor_table(results), tables.own_table(results)]
    parts += ["Operations a second on each loop:", tables.rate_table(results)]
    parts += ["Memory:", memory_table()]
    write_block("run.py", "\n\n".join(part for part in parts if part))


def memory_table() -> str:
    command = [sys.executable, str(HERE / "memory.py")]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
