"""`loop_factory`: every test that asks for it runs on stock asyncio first, then on Ferrio."""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from importlib import import_module

import pytest


@pytest.fixture(params=["asyncio", "ferrio"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], AbstractEventLoop]:
    """The function that makes a new event loop of one implementation."""
    return import_module(request.param).new_event_loop
