"""Markdown tables of a run: factors, rates of every loop, rows with Ferrio's own names, goals."""

from __future__ import annotations

from calm_core import disturbance
from loops import FERRIO, STOCK
from results import Results
from rows import Case

CLOCKS = {"cpu": "CPU time", "wall": "wall time"}


def heading(results: Results) -> str:
    """What ran where: the line without which the figures mean nothing."""
    about = results.environment
    versions = ", ".join(f"{name} {version}" for name, version in about["loops"].items())
    return (
        f"{about['date']}: {about['python']} on {about['cpu']}, {about['cores']} cores, each "
        f"process pinned to core {about['core']}; {versions}; {about['rounds']} rounds, loops "
        f"interleaved; operations a second of {CLOCKS[about['clock']]}; {disturbance(about)}."
        + (" Ferrio without install()." if about["loop_alone"] else "")
    )


def factor_table(results: Results) -> str:
    """Stock's operations a second, the others as factors of it, Ferrio against each peer."""
    others = [loop for loop in results.loops if loop != STOCK]
    peers = [loop for loop in others if loop != FERRIO and FERRIO in others]
    header = ["case", "asyncio, op/s", *[f"{loop} x stock" for loop in others]]
    header += [f"ferrio x {peer}" for peer in peers]
    lines = [
        [row.label, _rate(results.median(row, STOCK))]
        + [_factor_or_failure(results, row, loop) for loop in others]
        + [_factor(results.factor(row, FERRIO, peer)) for peer in peers]
        for row in _shared(results)
    ]
    return aligned(header, lines)


def rate_table(results: Results) -> str:
    """Median and best operations a second of every loop, and the spread of its rounds."""
    lines = [
        [row.label] + [_rates(results, row, loop) for loop in results.loops]
        for row in _shared(results)
    ]
    return aligned(["case", *[f"{loop}: median, best, spread" for loop in results.loops]], lines)


def own_table(results: Results) -> str:
    """Rows that call Ferrio's own names, beside the stock call that the other loops ran."""
    shared = {row.name: row for row in _shared(results)}
    lines = []
    for row in results.rows:
        if row.stands_for and results.rates(row, FERRIO):
            stock_row = shared.get(row.stands_for, row)
            bases = [results.factor(row, FERRIO, loop, stock_row) for loop in results.loops]
            lines.append([row.label, _rate(results.median(row, FERRIO)), *map(_factor, bases)])
    header = ["case", "ferrio, op/s", *[f"x asyncio.sleep on {loop}" for loop in results.loops]]
    return aligned(header, lines) if lines else ""


def verdict(results: Results) -> str:
    """Which goals Ferrio misses in this run, and the rows where a peer is ahead of it."""
    lines = []
    for row in _shared(results):
        reached = results.factor(row, FERRIO, "uvloop")
        installed = None if results.environment["loop_alone"] else row.installed_goal
        goal = installed or row.uvloop_goal
        if goal and reached and reached < goal:
            lines.append(f"goal missed: {row.label}: {reached:.2f} of {goal} x uvloop")
        for peer in ("asyncio", "rloop", "uvloop"):
            ahead = results.factor(row, FERRIO, peer)
            if ahead and ahead < 1:
                lines.append(f"behind {peer}: {row.label}: {ahead:.2f}")
    for (name, loop), message in results.failures.items():
        lines.append(f"failed: {name} on {loop}: {message}")
    return "\n".join(lines)


def _shared(results: Results) -> list[Case]:
    return [row for row in results.rows if row.stands_for is None]


def _rates(results: Results, row: Case, loop: str) -> str:
    spread = results.spread(row, loop)
    if spread is None:
        return "failed" if (row.name, loop) in results.failures else "-"
    rates = f"{_rate(results.median(row, loop))}, {_rate(results.best(row, loop))}"
    return f"{rates}, {spread:.0%}"


def _factor_or_failure(results: Results, row: Case, loop: str) -> str:
    if (row.name, loop) in results.failures:
        return "failed"
    return _factor(results.factor(row, loop, STOCK))


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate / 1e6:.2f} M" if rate >= 1e5 else f"{rate / 1e3:.1f} k"


def _factor(factor: float | None) -> str:
    return "-" if factor is None else f"{factor:.2f}"


def aligned(header: list[str], lines: list[list[str]]) -> str:
    """Markdown with aligned columns: text to the left, figures to the right."""
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    rule = [f":{'-' * (widths[0] - 1)}"] + [f"{'-' * (width - 1)}:" for width in widths[1:]]
    justified = [
        [
            line[0].ljust(widths[0]),
            *[cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)],
        ]
        for line in [header, *lines]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [justified[0], rule, *justified[1:]])
