"""Measure servers on every loop under one load, beside a bare epoll server: `make bench-net`.

Each (round, row, loop) is a server process of its own on one core, with the load generator of
crates/bench-net on another. Within a round a row runs on the bare server and on all loops one after
another, and the order rotates from round to round.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import net_tables
from calm_core import CalmCore
from environment import available_loops, describe, names
from loops import LOOP_NAMES, PATCHED_LOOP_NAMES
from net_process import BARE, BENCH_NET, HERE, Bench, MeasurementFailed, bench
from net_rows import NetRow, all_net_rows
from net_tables import NetMeasurement
from readme_block import write_block
from results import Results

CHECK_SECONDS = 0.02


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parse_options()
    rows = chosen_rows(all_net_rows(), options)
    results = Results(about(options), rows, [BARE, *options.loops])
    with bench(Bench, options.bench_net, **places(options)) as made:
        measure_rounds(results, rows, made, options)
    report(results, rows, options)
    return exit_status(results)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, rounds=3, seconds=0.5)
    parser.add_argument("--bench-net", type=Path, default=BENCH_NET, help="the load generator")
    options = parser.parse_args()
    completed(parser, options, all_net_rows)
    if options.check:
        options.rounds, options.seconds, options.warm_up = 1, CHECK_SECONDS, CHECK_SECONDS
    return options


def add_options(parser: argparse.ArgumentParser, *, rounds: int, seconds: float) -> None:
    """What every run of servers under load takes."""
    cores = sorted(os.sched_getaffinity(0))
    parser.add_argument("--rows", type=names, default=[], help="only these, a comma between")
    parser.add_argument("--all", action="store_true", help="also the rows that few need")
    parser.add_argument("--loops", type=names, help=f"default: {','.join(LOOP_NAMES)}")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=0.3, help="seconds of load before it")
    parser.add_argument("--server-core", type=int, default=cores[0])
    parser.add_argument("--load-core", type=int, default=cores[-1])
    parser.add_argument("--nice", type=int, default=0, help="of server and load; -20 needs root")
    parser.add_argument("--json", type=Path, help="write every measurement there")
    parser.add_argument("--write-readme", action="store_true", help="put the tables in README.md")
    parser.add_argument("--check", action="store_true", help="only see that every row works")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")


def completed(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    all_rows: Callable[[], dict[str, NetRow]],
) -> None:
    """Answer `--list`, refuse what does not go together, and find the loops that are there."""
    if options.list:
        for row in all_rows().values():
            rare = "" if row.by_default else " (--all)"
            print(f"{row.name:22} {row.label}; {row.operation}{rare}")
        parser.exit()
    if options.write_readme and (options.rows or options.loops):
        parser.error("--write-readme needs every default row and every loop")
    asked = options.loops
    if not asked and options.rows and all(row.startswith("tls_") for row in options.rows):
        asked = [*LOOP_NAMES, *PATCHED_LOOP_NAMES]
    options.loops = available_loops(asked)


def places(options: argparse.Namespace) -> dict[str, Any]:
    """Where and for how long a Bench measures."""
    return {
        "server_core": options.server_core,
        "load_core": options.load_core,
        "warm_up_s": options.warm_up,
        "seconds": options.seconds,
        "nice": options.nice,
    }


def about(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures of this run mean."""
    return describe(options.loops) | {"clock": "cpu", "rounds": options.rounds} | places(options)


def chosen_rows(rows: dict[str, NetRow], options: argparse.Namespace) -> list[NetRow]:
    unknown = set(options.rows) - rows.keys()
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}. `--list` names them.")
    if options.rows:
        return [row for row in rows.values() if row.name in options.rows]
    return [row for row in rows.values() if row.by_default or options.all]


def measure_rounds(
    results: Results, rows: list[NetRow], made: Bench, options: argparse.Namespace
) -> None:
    """All rounds; Ctrl-C ends them early, and what was measured stays."""
    core = None if options.check else CalmCore(options.server_core)
    try:
        for round_number in range(options.rounds):
            print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            run_round(results, rows, round_number, core, made)
    except KeyboardInterrupt:
        print("interrupted: what follows is what was measured", file=sys.stderr)
        options.write_readme = False
    results.environment |= core.about() if core else {}


def run_round(
    results: Results, rows: list[NetRow], round_number: int, core: CalmCore | None, made: Bench
) -> None:
    turn = round_number % len(results.loops)
    for row in rows:
        for loop in results.loops[turn:] + results.loops[:turn]:
            if (row.name, loop) in results.failures:
                continue
            if loop in PATCHED_LOOP_NAMES and "--tls" not in row.load:
                continue
            take = partial(made.measure, row, loop)
            try:
                figures = core.measure(take) if core else take()
            except MeasurementFailed as failure:
                results.failures[row.name, loop] = str(failure)
            else:
                results.measurements.append(
                    NetMeasurement(
                        round_number=round_number,
                        row=row.name,
                        loop=loop,
                        operations=figures["requests"],
                        passes=1,
                        cpu_s=figures["server_cpu_s"],
                        wall_s=figures["wall_s"],
                        latency_us=figures["latency_us"],
                        lost=figures["lost"],
                        wait_s=figures.get("server_wait_s"),
                    )
                )


def report(results: Results, rows: list[NetRow], options: argparse.Namespace) -> None:
    if options.check:
        report_check(results)
        return
    parts = [net_tables.heading(results), net_tables.cpu_table(results)]
    parts += [net_tables.throughput_table(results), net_tables.verdict(results, rows)]
    text = "\n\n".join(part for part in parts if part)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    if options.write_readme:
        write_block("run_net.py", f"{text}\n\nMemory:\n\n{memory_table(options)}")


def report_check(results: Results) -> None:
    """Which pairs of row and loop work."""
    for (row, loop), message in results.failures.items():
        print(net_tables.failure_line(row, loop, message))
    works, fails = len(results.measurements), len(results.failures)
    print(f"{works} pairs of row and loop work, {fails} fail")


def memory_table(options: argparse.Namespace) -> str:
    command = [sys.executable, HERE / "memory_net.py", "--bench-net", options.bench_net]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def exit_status(results: Results) -> int:
    """A peer that fails is part of the result; the bare server, stock or Ferrio must not."""
    ours = [pair for pair in results.failures if pair[1] in (BARE, "asyncio", "ferrio")]
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main())
