"""Measurements that are taken while their core runs at its full speed.

The core of a virtual machine is one thread of a physical one, whose other thread may be a
stranger's: while that one works, everything here takes up to half as long again, for seconds at a
time. A fixed piece of work, timed before and after each measurement, shows it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any, TypeVar

TRIES = 5
WAIT_S = 5.0
TOLERATED = 1.15
"""A core that takes this many times its shortest time is as good as undisturbed."""

Figures = TypeVar("Figures")


class CalmCore:
    """The core that measurements run on, and how it was while they ran."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = 0
        self.disturbed = 0
        self.full_speed_s = min(self._work_s() for _ in range(200))

    def measure(self, take: Callable[[], Figures]) -> Figures:
        """What `take` returns; of up to TRIES, the first undisturbed one, or else the calmest."""
        calmest: tuple[float, Figures] | None = None
        for _ in range(TRIES):
            before = self._wait()
            figures = take()
            slowness = max(before, self._slowness())
            if calmest is None or slowness < calmest[0]:
                calmest = slowness, figures
            if slowness <= TOLERATED:
                break
        assert calmest
        self.taken += 1
        self.disturbed += calmest[0] > TOLERATED
        return calmest[1]

    def about(self) -> dict[str, Any]:
        """What a table says of it."""
        return {"measured": self.taken, "disturbed": self.disturbed}

    def _wait(self) -> float:
        """Wait up to WAIT_S for full speed; how slow the core is then."""
        end = time.monotonic() + WAIT_S
        while (slowness := self._slowness()) > TOLERATED and time.monotonic() < end:
            time.sleep(0.05)
        return slowness

    def _slowness(self) -> float:
        """How many times its shortest time the work takes now."""
        now_s = statistics.median(self._work_s() for _ in range(5))
        self.full_speed_s = min(self.full_speed_s, now_s)
        return now_s / self.full_speed_s

    def _work_s(self) -> float:
        """The seconds that the piece of work takes on the core."""
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.number})
        try:
            start = time.perf_counter()
            sum(range(100_000))
            return time.perf_counter() - start
        finally:
            os.sched_setaffinity(0, own)


def disturbance(about: dict[str, Any]) -> str:
    """The words of a heading for what `CalmCore.about` said."""
    return f"{about['disturbed']} of {about['measured']} measurements disturbed by other machines"
