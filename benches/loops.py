"""The event loops that are compared: how each is made, and which release of it is installed."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import platform
from collections.abc import Callable

STOCK = "asyncio"
FERRIO = "ferrio"
LOOP_NAMES = (STOCK, "uvloop", "rloop", FERRIO)
AIOFASTNET = "aiofastnet"
PATCHED_LOOP_NAMES = (f"{STOCK}+{AIOFASTNET}", f"uvloop+{AIOFASTNET}")
"""Loops whose networking aiofastnet replaces; only rows of TLS have them."""

ON_REQUEST = ("zuvloop",)
"""Loops that are measured where they are asked for, and installed by hand: it needs Python 3.14."""

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory(name: str) -> LoopFactory:
    """What `asyncio.Runner(loop_factory=...)` takes for this loop; ImportError if it is missing."""
    if name in PATCHED_LOOP_NAMES:
        return _patched(loop_factory(name.partition("+")[0]))
    if name == STOCK:
        return asyncio.SelectorEventLoop
    factory: LoopFactory = importlib.import_module(name).new_event_loop
    return factory


def _patched(factory: LoopFactory) -> LoopFactory:
    patch = importlib.import_module(AIOFASTNET).patch_loop

    def patched() -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = patch(factory())
        return loop

    return patched


def prepare(name: str) -> None:
    """Have Ferrio's own classes in asyncio's place, as under `python -m ferrio`."""
    if name == FERRIO:
        importlib.import_module(FERRIO).install()


def loop_version(name: str) -> str:
    """The installed release; a Ferrio run from its source tree has no metadata and says so."""
    if name in PATCHED_LOOP_NAMES:
        return importlib.metadata.version(AIOFASTNET)
    if name == STOCK:
        return f"CPython {platform.python_version()}"
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "source tree"


def missing_loops(names: list[str]) -> dict[str, str]:
    """The loops of `names` that this interpreter cannot import, each with the reason."""
    missing = {}
    for name in names:
        try:
            loop_factory(name)
        except (ImportError, AttributeError) as error:
            missing[name] = str(error)
    return missing
