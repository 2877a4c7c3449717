"""Loop classes that let tests written for a stock loop without I/O run on a loop that has I/O.

Both take the target's loop class as their base, so that the same binding is proved on stock.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

LONGEST_WAIT_S = 0.01
SELECTOR_METHODS = ("register", "unregister", "modify", "get_map", "get_key", "close")


def spying_loop(event_loop: type[Any]) -> type[Any]:
    """A stand-in for `BaseEventLoop`: mocks assigned for its missing parts become spies.

    The tests replace `_selector`, `_process_events` and `_write_to_self` by mocks, because
    `BaseEventLoop` has none. A real loop must go on polling, so each mock is told to call the
    part that it replaces; its call records stay readable.
    """

    class SpyingLoop(event_loop):
        def __setattr__(self, name: str, value: Any) -> None:
            if isinstance(value, mock.NonCallableMock):
                _call_through(value, name, getattr(self, name, None))
            super().__setattr__(name, value)

    return SpyingLoop


def _call_through(spy: Any, name: str, real: Any) -> None:
    if real is None:
        return
    if name == "_selector":
        for method in SELECTOR_METHODS:
            getattr(spy, method).side_effect = getattr(real, method)
        # The tests count on a mock that returns at once, also when asked to wait for an hour. When
        # nothing is ready it returns the events that the test made up.
        spy.select.return_value = ()
        spy.select.side_effect = lambda timeout: (
            real.select(min(timeout or 0.0, LONGEST_WAIT_S)) or mock.DEFAULT
        )
    elif name in ("_process_events", "_write_to_self"):
        spy.side_effect = real


def fake_clock_loop(event_loop: type[Any]) -> type[Any]:
    """A stand-in for `test_utils.TestLoop`: the generator given to it moves the clock.

    TestLoop moves its clock at the end of each turn in which timers were made. A turn cannot be
    hooked from outside, so here a callback queued by the first of these timers moves it. Only
    `time` and `call_at` are overridden, which also checks that the loop calls both.
    """

    class FakeClockLoop(event_loop):
        def __init__(self, gen: Any = None) -> None:
            self._time = 0.0
            self._timers_seen: list[float] = []
            self._check_on_close = gen is not None
            self._gen = gen() if gen is not None else _one_yield()
            next(self._gen)
            super().__init__()
            self._clock_resolution = 1e-9

        def time(self) -> float:
            return self._time

        def advance_time(self, advance: float | None) -> None:
            if advance:
                self._time += advance

        def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
            if not self._timers_seen:
                self.call_soon(self._move_clock)
            self._timers_seen.append(when)
            return super().call_at(when, callback, *args, context=context)

        def close(self) -> None:
            super().close()
            if self._check_on_close:
                self._move_clock()
                try:
                    self._gen.send(0)
                except StopIteration:
                    return
                raise AssertionError("the time generator expects more timers")

        def _move_clock(self) -> None:
            seen, self._timers_seen = self._timers_seen, []
            for when in seen:
                self.advance_time(self._gen.send(when))

    return FakeClockLoop


def _one_yield() -> Any:
    yield
