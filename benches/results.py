"""What a run measured, and the figures derived from it: median, best, and factors between loops.

A factor is taken within each round, where the loops ran one after another, and the median of those
is shown. That way a machine that slows down during a run moves both sides alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rows import Case


@dataclass(frozen=True)
class Measurement:
    """One process: a row on a loop in a round."""

    round_number: int
    row: str
    loop: str
    operations: int
    passes: int
    cpu_s: float
    wall_s: float


@dataclass
class Results:
    """All measurements of a run, in the order they were taken."""

    environment: dict[str, Any]
    rows: Sequence[Case]
    loops: list[str]
    measurements: list[Measurement] = field(default_factory=list)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    """(row, loop) -> the last line the process said. Such a pair is not tried again."""

    def rates(self, row: Case, loop: str) -> dict[int, float]:
        """Operations a second by round, on the clock that the environment names."""
        seconds = f"{self.environment['clock']}_s"
        return {
            taken.round_number: taken.operations / getattr(taken, seconds)
            for taken in self.measurements
            if (taken.row, taken.loop) == (row.name, loop)
        }

    def median(self, row: Case, loop: str) -> float | None:
        rates = self.rates(row, loop)
        return statistics.median(rates.values()) if rates else None

    def best(self, row: Case, loop: str) -> float | None:
        return max(self.rates(row, loop).values(), default=None)

    def spread(self, row: Case, loop: str) -> float | None:
        """(fastest - slowest round) / median: how much to trust the row."""
        rates = list(self.rates(row, loop).values())
        return (max(rates) - min(rates)) / statistics.median(rates) if rates else None

    def factor(self, row: Case, loop: str, base: str, base_row: Case | None = None) -> float | None:
        """How many times `base` the loop does, as the median over rounds."""
        rates = self.rates(row, loop)
        base_rates = self.rates(base_row or row, base)
        shared = rates.keys() & base_rates.keys()
        if not shared:
            return None
        return statistics.median(rates[number] / base_rates[number] for number in shared)

    def as_json(self) -> dict[str, Any]:
        """Everything, samples included; `summary` repeats what the tables show."""
        return {
            "environment": self.environment,
            "summary": [self._summary(row) for row in self.rows],
            "measurements": [asdict(taken) for taken in self.measurements],
            "failures": [
                {"row": row, "loop": loop, "message": message}
                for (row, loop), message in self.failures.items()
            ],
        }

    def _summary(self, row: Case) -> dict[str, Any]:
        loops = {}
        for loop in self.loops:
            if self.rates(row, loop):
                loops[loop] = {
                    "median": self.median(row, loop),
                    "best": self.best(row, loop),
                    "spread": self.spread(row, loop),
                    "factor_of_stock": self.factor(row, loop, "asyncio"),
                }
        return {
            "row": row.name,
            "label": row.label,
            "operation": row.operation,
            "stands_for": row.stands_for,
            "loops": loops,
        }
