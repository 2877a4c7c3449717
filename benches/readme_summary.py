"""Puts the figures of runs into the project's README.

INSTALL and ALONE are what `run.py --json` and `run.py --loop-alone --json` wrote, NET what
`run_net.py --json` wrote, HTTP what `run_http.py --json` wrote, each MEMORY a file with the table
of `memory.py` or `memory_net.py`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"
START = "<!-- readme_summary.py replaces what follows -->"
END = "<!-- end of what readme_summary.py replaces -->"
PEERS = ("asyncio", "uvloop", "rloop")
LOOPS = (*PEERS, "ferrio")
ONLY_IN_FULL = ("_1x1k", "_100x10k", "buffered_1000x1k", "buffered_10x100k", "sock_10x100k")
"""Ends of the names of rows of servers that are left to benches/README.md."""


class Run:
    """What one run measured."""

    def __init__(self, path: Path) -> None:
        self.figures: dict[str, Any] = json.loads(path.read_text())

    def rows(self) -> Iterator[tuple[str, str]]:
        """Name and label of every row that all loops can run."""
        for row in self.figures["summary"]:
            if not row["stands_for"]:
                yield row["row"], row["label"]

    def rates(self, row: str, loop: str) -> dict[int, float]:
        """Operations a second of CPU time, by round."""
        return {
            taken["round_number"]: taken["operations"] / taken["cpu_s"]
            for taken in self.figures["measurements"]
            if (taken["row"], taken["loop"]) == (row, loop)
        }

    def factor(self, row: str, loop: str, base: str) -> str:
        """How many times `base` the loop does: the median over the rounds."""
        rates, base_rates = self.rates(row, loop), self.rates(row, base)
        shared = rates.keys() & base_rates.keys()
        if not shared:
            return "-"
        return f"{statistics.median(rates[number] / base_rates[number] for number in shared):.2f}"

    def heading(self) -> str:
        about = self.figures["environment"]
        peers = ", ".join(f"{n} {v}" for n, v in about["loops"].items() if n != "ferrio")
        return (
            f"{about['date']}, {about['python']}, {about['cpu']}, {about['cores']} cores; {peers}; "
        )


def table(header: list[str], lines: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])


def rates_table(install: Run, alone: Run) -> str:
    header = ["operations a second", *(f"x {peer}" for peer in PEERS), "loop alone x uvloop"]
    lines = []
    for row, label in install.rows():
        factors = [install.factor(row, "ferrio", peer) for peer in PEERS]
        lines.append([label, *factors, alone.factor(row, "ferrio", "uvloop")])
    return table(header, lines)


def servers_table(net: Run) -> str:
    header = ["CPU of a request", "bare epoll, µs", "Ferrio / bare"]
    lines = []
    for row, label in net.rows():
        if not row.endswith(ONLY_IN_FULL):
            bare = 1e6 / statistics.median(net.rates(row, "bare").values())
            factors = [net.factor(row, "ferrio", peer) for peer in PEERS]
            lines.append([label, f"{bare:.2f}", net.factor(row, "bare", "ferrio"), *factors])
    return table([*header, *(f"{peer} / Ferrio" for peer in PEERS)], lines)


def http_part(http: Run) -> str:
    """CPU time of a request to a framework's server, or of its client."""
    heading = f"""{http.heading()}
wrk with 64 connections on another core, {http.figures["environment"]["rounds"]} rounds; \
Ferrio under `ferrio.install()`."""
    header = ["CPU of a request", *(f"{loop}, µs" for loop in LOOPS), "ferrio / uvloop"]
    lines = []
    for row, label in http.rows():
        rates = [http.rates(row, loop).values() for loop in LOOPS]
        cells = [f"{1e6 / statistics.median(of):.1f}" if of else "-" for of in rates]
        lines.append([label, *cells, http.factor(row, "uvloop", "ferrio")])
    return f"{heading}\n\n{table(header, lines)}"


def summary(install: Run, alone: Run, net: Run, http: Run, memory: list[Path]) -> str:
    rounds = install.figures["environment"]["rounds"]
    rates_heading = f"""{install.heading()}
each process pinned to a core, {rounds} rounds, loops interleaved. Ferrio runs under
`ferrio.install()`, as `python -m ferrio` does; in the last column it is its loop, Task and Future
under asyncio's own `sleep`, `gather`, locks and queues, as with `ferrio.run`."""
    net_rounds = net.figures["environment"]["rounds"]
    servers_heading = f"""{net.heading()}
server and load on a core each, {net_rounds} rounds. The bare server does accept, recv, send and
epoll_wait and nothing else."""
    parts = [rates_heading, rates_table(install, alone), http_part(http)]
    parts += [servers_heading, servers_table(net)]
    parts += ["Resident memory in bytes:", *(path.read_text().strip() for path in memory)]
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("install", type=Path)
    parser.add_argument("alone", type=Path)
    parser.add_argument("net", type=Path)
    parser.add_argument("http", type=Path)
    parser.add_argument("memory", type=Path, nargs="*")
    options = parser.parse_args()
    runs = (Run(path) for path in (options.install, options.alone, options.net, options.http))
    text = summary(*runs, options.memory)
    before, start, rest = README.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        parser.error(f"{README} lacks the marked block")
    README.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
