"""Lets the stock `asyncio.all_tasks()` see native tasks, which their loops list natively.

Before 3.14 `all_tasks()` iterates over a WeakSet that is a global of `asyncio.tasks`. The first
Ferrio loop puts a set there that also yields the native tasks, and shares the old one's contents.
From 3.14 on native tasks stand in `_asyncio`'s own list and nothing is replaced.
"""

import asyncio.tasks
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any
from weakref import WeakSet

from ferrio import _ferrio

_NAME = "_scheduled_tasks" if sys.version_info >= (3, 12) else "_all_tasks"


class LiveTasks(WeakSet[Any]):
    """asyncio's set of tasks, followed by the native tasks of all Ferrio loops."""

    def __init__(self, stock: "WeakSet[Any]") -> None:
        super().__init__()
        # _asyncio goes on adding to the old set: both are one from here on.
        vars(self).update(vars(stock))
        self.loops: WeakSet[_ferrio.EventLoop] = WeakSet()

    def native(self) -> list[list[Any]]:
        """The native tasks of each loop."""
        return [loop._live_tasks() for loop in list(self.loops)]

    def __iter__(self) -> Iterator[Any]:
        return chain(super().__iter__(), *self.native())

    def __contains__(self, item: object) -> bool:
        return super().__contains__(item) or any(item is task for task in self)

    def __len__(self) -> int:
        return super().__len__() + sum(map(len, self.native()))


def add_loop(loop: _ferrio.EventLoop) -> None:
    """Make the native tasks of `loop` visible to `asyncio.all_tasks()`."""
    if sys.version_info >= (3, 14):
        return
    tasks = getattr(asyncio.tasks, _NAME)
    if not isinstance(tasks, LiveTasks):
        tasks = LiveTasks(tasks)
        setattr(asyncio.tasks, _NAME, tasks)
    tasks.loops.add(loop)
