"""A row of the benchmark table: its work and its size, and the list of all of them.

The bench_*.py modules declare rows with the `row` decorator. A body receives the number of
operations to do and does exactly that many, the same on every loop. The caller times the task that
runs it, unless the body times a part of itself and returns that `Timing`.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple


class Timing(NamedTuple):
    """Seconds that a pass took: CPU of the whole process with all its threads, and wall clock."""

    cpu_s: float
    wall_s: float


class Stopwatch:
    """Both clocks, read together. Starts when made."""

    def __init__(self) -> None:
        self._wall_s = time.perf_counter()
        self._cpu_s = time.process_time()

    def elapsed(self) -> Timing:
        cpu_s = time.process_time() - self._cpu_s
        return Timing(cpu_s, time.perf_counter() - self._wall_s)


Body = Callable[[int], Coroutine[Any, Any, Timing | None]]


@dataclass(frozen=True)
class Case:
    """What any table says of a line, however it is measured."""

    name: str
    label: str
    operation: str
    """What one operation is."""
    uvloop_goal: float | None
    """The factor over uvloop that Ferrio is held to, where one is set."""
    installed_goal: float | None
    """The same under `ferrio.install()`, where it is another one."""
    stands_for: str | None
    """Only on a row that uses Ferrio's own names: the row that the other loops run instead."""


@dataclass(frozen=True)
class Row(Case):
    """One line of the table of the loop alone."""

    body: Body
    count: int
    """Operations of one pass; sized so that a pass takes stock asyncio 0.05 to 0.2 s."""
    repeatable: bool
    """Whether it takes the same path each time: no other thread, no wait for the clock."""


_rows: dict[str, Row] = {}


def row(
    label: str,
    *,
    count: int,
    operation: str,
    uvloop_goal: float | None = None,
    installed_goal: float | None = None,
    stands_for: str | None = None,
    repeatable: bool = True,
) -> Callable[[Body], Body]:
    """Declare the decorated coroutine function as a row; the row is named like the function."""

    def declare(body: Body) -> Body:
        name = body.__name__
        _rows[name] = Row(
            name,
            label,
            operation,
            uvloop_goal,
            installed_goal,
            stands_for,
            body,
            count,
            repeatable,
        )
        return body

    return declare


def all_rows() -> dict[str, Row]:
    """Every row by its name, in the order of the table."""
    for topic in ("tasks", "sync", "streams", "children", "timers", "threads"):
        importlib.import_module(f"bench_{topic}")
    return _rows
