"""Markdown tables of a network run: server CPU per request, requests a second, what is missed."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from calm_core import disturbance
from loops import FERRIO
from net_process import BARE
from net_rows import NetRow
from results import Measurement, Results
from rows import Case
from tables import aligned


@dataclass(frozen=True)
class NetMeasurement(Measurement):
    """One server under load: a row on a loop in a round."""

    latency_us: dict[str, float] = field(default_factory=dict)
    lost: int = 0
    """Datagrams that had no answer within half a second."""
    wait_s: float | None = None
    """How long the server was ready to run while others had its core, where that is known."""


def heading(results: Results) -> str:
    """What ran where: the line without which the figures mean nothing."""
    about = results.environment
    versions = ", ".join(f"{name} {version}" for name, version in about["loops"].items())
    disturbed = f"{_disturbance(results):.0%}"
    return (
        f"{about['date']}: {about['python']} on {about['cpu']}, {about['cores']} cores, server on "
        f"core {about['server_core']}, load on core {about['load_core']}; {versions}; "
        f"{about['rounds']} rounds of {about['seconds']} s, loops interleaved; other "
        f"processes held the server's core for {disturbed} of the time that it wanted it; "
        f"{disturbance(about)}."
    )


def cpu_table(results: Results) -> str:
    """Server CPU of a request; Ferrio's as a factor of the bare server's, peers' of Ferrio's."""
    bare = [loop for loop in results.loops if loop == BARE]
    peers = [loop for loop in results.loops if loop not in (BARE, FERRIO)]
    header = ["server CPU, µs a request", *results.loops, *(f"ferrio / {loop}" for loop in bare)]
    header += [f"{peer} / ferrio" for peer in peers]
    lines = [
        [row.label]
        + [cpu_cell(results, row, loop) for loop in results.loops]
        + [factor_cell(results.factor(row, loop, FERRIO)) for loop in bare]
        + [factor_cell(results.factor(row, FERRIO, peer)) for peer in peers]
        for row in results.rows
    ]
    return aligned(header, lines)


def throughput_table(results: Results) -> str:
    """Requests a second, the share of its core that the server used, and latency.

    All of them move with whatever else the machine does.
    """
    lines = []
    for row in results.rows:
        cells = [_throughput(results, row.name, loop) for loop in results.loops]
        lines.append([row.label, *cells])
    return aligned(["requests a second; core used; p50, p99 in µs", *results.loops], lines)


def verdict(results: Results, rows: list[NetRow]) -> str:
    """Which goals Ferrio misses, where a peer is ahead, and what failed with which reason."""
    lines = []
    for row in rows:
        of_bare = results.factor(row, BARE, FERRIO)
        if row.bare_limit and of_bare and of_bare > row.bare_limit:
            lines.append(f"limit missed: {row.label}: {of_bare:.2f} of {row.bare_limit} x bare")
        of_uvloop = results.factor(row, FERRIO, "uvloop")
        if row.uvloop_goal and of_uvloop and of_uvloop < row.uvloop_goal:
            lines.append(
                f"goal missed: {row.label}: {of_uvloop:.2f} of {row.uvloop_goal:.3g} x uvloop"
            )
        for peer in results.loops:
            ahead = results.factor(row, FERRIO, peer) if peer not in (BARE, FERRIO) else None
            if ahead and ahead < 1:
                lines.append(f"behind {peer}: {row.label}: {ahead:.2f}")
    lines += [
        f"lost: {taken.lost} of {taken.row} on {taken.loop}" for taken in _with_losses(results)
    ]
    lines += [failure_line(*pair, message) for pair, message in results.failures.items()]
    return "\n".join(lines)


def failure_line(row: str, loop: str, message: str) -> str:
    return f"fails: {row} on {loop}: {message}"


def _disturbance(results: Results) -> float:
    """How far to trust the run: an undisturbed one has next to nothing here."""
    taken = [one for one in results.measurements if isinstance(one, NetMeasurement)]
    known = [(one.wait_s, one.cpu_s) for one in taken if one.wait_s is not None]
    waited = sum(wait for wait, _ in known)
    return waited / (waited + sum(cpu for _, cpu in known)) if known else 0.0


def _with_losses(results: Results) -> list[NetMeasurement]:
    taken = [one for one in results.measurements if isinstance(one, NetMeasurement)]
    return [one for one in taken if one.lost]


def cpu_cell(results: Results, row: Case, loop: str) -> str:
    if (row.name, loop) in results.failures:
        return "fails"
    rate = results.median(row, loop)
    return f"{1e6 / rate:.2f}" if rate else "-"


def _throughput(results: Results, row: str, loop: str) -> str:
    taken = [one for one in results.measurements if (one.row, one.loop) == (row, loop)]
    if (row, loop) in results.failures or not taken:
        return "fails" if (row, loop) in results.failures else "-"
    text = f"{statistics.median(one.operations / one.wall_s for one in taken):,.0f}"
    text += f"; {statistics.median(one.cpu_s / one.wall_s for one in taken):.0%}"
    if taken[0].latency_us:
        middle, tail = (
            statistics.median(one.latency_us[name] for one in taken) for name in ("p50", "p99")
        )
        text += f"; {middle:.0f}, {tail:.0f}"
    return text


def factor_cell(factor: float | None) -> str:
    return "-" if factor is None else f"{factor:.2f}"
