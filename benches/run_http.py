"""Measure HTTP servers and a client of well-known frameworks on every loop: `make bench-http`.

Each (round, row, loop) is a process of its own on one core, with wrk on another. Within a round a
row runs on all loops one after another, and the order rotates from round to round.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from pathlib import Path

import net_tables
from http_process import HttpBench
from net_process import bench
from net_rows import HTTP_TOPICS, NetRow, all_net_rows
from readme_block import write_block
from results import Results
from run_net import (
    about,
    add_options,
    chosen_rows,
    completed,
    exit_status,
    measure_rounds,
    places,
    report_check,
)


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parse_options()
    rows = chosen_rows(all_http_rows(), options)
    results = Results(about(options), rows, options.loops)
    with bench(HttpBench, options.wrk, **places(options)) as made:
        measure_rounds(results, rows, made, options)
    report(results, rows, options)
    return exit_status(results)


def all_http_rows() -> dict[str, NetRow]:
    return all_net_rows(HTTP_TOPICS)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, rounds=5, seconds=2)
    parser.add_argument("--wrk", type=Path, help="wrk, which Debian has as a package")
    options = parser.parse_args()
    completed(parser, options, all_http_rows)
    if not options.wrk:
        found = shutil.which("wrk") or sys.exit("wrk is missing: apt-get install wrk")
        options.wrk = Path(found)
    options.seconds, options.warm_up = max(options.seconds, 1), max(options.warm_up, 1)
    if options.check:
        options.rounds, options.seconds = 1, 1
    return options


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
        write_block("run_http.py", text)


if __name__ == "__main__":
    sys.exit(main())
