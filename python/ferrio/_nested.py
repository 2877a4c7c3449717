"""Runs of a loop inside of a run of the same loop, for programs that say they want them."""

import asyncio
import functools
from asyncio import tasks
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from ferrio._loop import EventLoop

T = TypeVar("T")

_run_until_complete = EventLoop.run_until_complete


def allow_nested_run() -> None:
    """Let `run_until_complete` and `asyncio.run` be called while a Ferrio loop runs.

    Such a call runs the turns of the loop that runs already until its own work is done: everything
    else on that loop goes on meanwhile, save the caller. `asyncio.run` then uses that loop too, and
    leaves it open. Where no Ferrio loop runs in the thread, both are what they were. This holds for
    the whole process from here on; a second call changes nothing.

    What waits for the caller itself waits for ever, as in any other function that does not return.
    """
    if is_allowed():
        return
    EventLoop.run_until_complete = run_until_complete  # type: ignore[method-assign,assignment]
    asyncio.run = asyncio.runners.run = _nestable(asyncio.run)


def is_allowed() -> bool:
    """Whether allow_nested_run() was called."""
    return getattr(asyncio.run, "_ferrio_nested", False)


def run_until_complete(self: EventLoop, future: Any) -> Any:
    """CPython: BaseEventLoop.run_until_complete; turns of the loop in the place of run_forever."""
    if asyncio._get_running_loop() is not self:
        return _run_until_complete(self, future)
    ours = not asyncio.isfuture(future)
    future = asyncio.ensure_future(future, loop=self)
    if ours:
        # As stock's: who interrupts this gets the reason, and needs no report of the task.
        future._log_destroy_pending = False
    with _without_current_task(self):
        while not future.done():
            self._run_once()  # type: ignore[attr-defined]
            if self._stopping:  # type: ignore[attr-defined]
                break
    if not future.done():
        raise RuntimeError("Event loop stopped before Future completed.")
    return future.result()


@contextmanager
def _without_current_task(loop: EventLoop) -> Generator[None]:
    """Take the task that makes the call out of the way of the steps of others."""
    caller = asyncio.current_task(loop)
    if caller is None:
        yield
        return
    tasks._leave_task(loop, caller)
    try:
        yield
    finally:
        tasks._enter_task(loop, caller)


def _nestable(run: Any) -> Any:
    @functools.wraps(run)
    def nestable(main: Coroutine[Any, Any, T], **options: Any) -> T:
        loop = asyncio._get_running_loop()
        if not isinstance(loop, EventLoop):
            result: T = run(main, **options)
            return result
        if not asyncio.iscoroutine(main):
            raise ValueError(f"a coroutine was expected, got {main!r}")
        return loop.run_until_complete(main)

    nestable._ferrio_nested = True  # type: ignore[attr-defined]
    return nestable
