"""Copies and pickles of native locks, queues, task groups: what stock has in `__dict__` goes along.

`copy.deepcopy` of a configuration with a lock in it, `dataclasses.asdict` of a record with a queue,
an argument of a process that is spawned: https://docs.python.org/3/library/copy.html.
"""

import copyreg
from typing import Any

from ferrio import _ferrio

# What pickles as "an object of this class", whatever that is where it is loaded.
_NEW = copyreg.__newobj__  # type: ignore[attr-defined]

_STATE = {
    _ferrio.Lock: ("_locked", "_waiters"),
    _ferrio.Event: ("_value", "_waiters"),
    _ferrio.Condition: ("_lock", "_waiters"),
    _ferrio.Semaphore: ("_value", "_waiters"),
    _ferrio.BoundedSemaphore: ("_bound_value", "_value", "_waiters"),
    _ferrio.Barrier: ("_cond", "_parties", "_state", "_count"),
    _ferrio.Queue: (
        *("_maxsize", "_queue", "_getters", "_putters"),
        *("_unfinished_tasks", "_finished", "_is_shutdown"),
    ),
    _ferrio.TaskGroup: (
        *("_entered", "_exiting", "_aborting", "_parent_task", "_parent_cancel_requested"),
        *("_tasks", "_errors", "_base_error", "_on_completed_fut"),
    ),
}


def _reduce_ex(self: Any, protocol: int) -> Any:
    """What `object.__reduce_ex__` gives for stock's object, whose state is in its `__dict__`."""
    kind: Any = type(self)
    if kind.__reduce__ is not object.__reduce__:
        return self.__reduce__()
    if kind.__getstate__ is not object.__getstate__:
        return _NEW, (kind,), self.__getstate__()
    native = next(each for each in kind.__mro__ if each in _STATE)
    # A queue whose class keeps the items elsewhere (`_init`, `_put`, `_get`) has no `_queue`.
    state = {name: getattr(self, name) for name in _STATE[native] if hasattr(self, name)}
    if self._loop is not None:
        state["_loop"] = self._loop
    return _NEW, (kind,), (vars(self) or None, state)


def make_copyable() -> None:
    """Have the native classes reduced as stock's objects are."""
    for native in _STATE:
        setattr(native, "__reduce_ex__", _reduce_ex)  # noqa: B010
