"""Methods that native code calls past Python are called through it once somebody replaced them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import ferrio


def test_a_subclass_that_overrides_run_once_runs_every_turn() -> None:
    class Counting(ferrio.EventLoop):
        turns = 0

        def _run_once(self) -> None:
            self.turns += 1
            super()._run_once()  # type: ignore[misc]

    loop = Counting()
    try:
        loop.run_until_complete(asyncio.sleep(0))
        assert loop.turns == 3
    finally:
        loop.close()


def test_ferrio_sleep_goes_through_an_overridden_call_later() -> None:
    class Hurried(ferrio.EventLoop):
        asked: list[float]

        def call_later(  # type: ignore[override]
            self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
        ) -> asyncio.TimerHandle:
            self.asked.append(delay)
            return super().call_later(0, callback, *args, context=context)

    loop = Hurried()
    loop.asked = []
    try:
        assert loop.run_until_complete(ferrio.sleep(3600, "awake")) == "awake"
        assert loop.asked == [3600]
    finally:
        loop.close()


@pytest.mark.parametrize("replaced", ["on the loop", "in a subclass"])
def test_sleep_waits_for_a_future_of_an_overridden_create_future(replaced: str) -> None:
    made = []

    class Loop(ferrio.EventLoop):
        def create_future(self) -> asyncio.Future:
            made.append(None)
            return super().create_future()

    loop = Loop() if replaced == "in a subclass" else ferrio.new_event_loop()
    if replaced == "on the loop":
        plain = loop.create_future
        loop.create_future = lambda: made.append(None) or plain()
    try:
        assert loop.run_until_complete(ferrio.sleep(0.001, "slept")) == "slept"
    finally:
        loop.close()
    assert made == [None]


def test_only_classes_of_native_loops_are_remembered_as_such() -> None:
    for other in (asyncio.SelectorEventLoop, object, int):
        with pytest.raises(TypeError, match="not a class of native loops"):
            ferrio._ferrio._remember_loop_class(other, asyncio.SelectorEventLoop)
    # The class of the first import stays the one that counts, and others are told as before.

    class Own(ferrio.EventLoop):
        pass

    ferrio._ferrio._remember_loop_class(Own, asyncio.SelectorEventLoop)
    for loop in (ferrio.new_event_loop(), Own()):
        assert isinstance(ferrio.Future(loop=loop).get_loop(), ferrio.EventLoop)
        assert loop.run_until_complete(asyncio.sleep(0, "ran")) == "ran"
        loop.close()
