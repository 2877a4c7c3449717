"""`loop_factory`: every test that asks for it runs on stock asyncio first, then on Ferrio."""

import signal
from asyncio import AbstractEventLoop
from collections.abc import Callable
from importlib import import_module

import pytest


@pytest.fixture(params=["asyncio", "ferrio"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], AbstractEventLoop]:
    """The function that makes a new event loop of one implementation."""
    return import_module(request.param).new_event_loop


def pytest_configure() -> None:
    """Undo what a shell does to the commands that it starts in the background.

    They ignore Ctrl-C, and so would every program that a test starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a test of stock that failed once more.

    Stock is the yardstick and not what is tested: what it does once in many runs is the machine's
    doing, which takes its processor for some milliseconds. Ferrio has no second try.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec and callspec.params.get("loop_factory") == "asyncio":
            item.add_marker(pytest.mark.flaky(reruns=1))
