"""Puts Ferrio underneath every Python process that finds this folder on its PYTHONPATH.

Python imports a module of this name at its start, so this reaches the children of a test too.
Nothing happens before the process imports asyncio; then, before its importer sees it, asyncio gets
Ferrio's loop in every place from which a program can take one.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys

TARGET = os.environ.get("FERRIO_ECOSYSTEM_TARGET")


class _Loader(importlib.abc.Loader):
    """Runs asyncio's own loader, then swaps."""

    def __init__(self, own):
        self._own = own

    def __getattr__(self, name):
        return getattr(self._own, name)

    def create_module(self, spec):
        return self._own.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._own
        self._own.exec_module(module)
        swap()


class _Finder(importlib.abc.MetaPathFinder):
    """Sees the first import of asyncio, and steps aside."""

    def find_spec(self, name, path, target=None):
        if name != "asyncio":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        spec.loader = _Loader(spec.loader)
        return spec


def swap():
    """Give Ferrio's loop to whoever asks asyncio for one, by whatever name."""
    import asyncio
    import asyncio.unix_events

    import ferrio

    ferrio.install()
    for module in (asyncio, asyncio.unix_events):
        for name in ("SelectorEventLoop", "EventLoop", "_UnixSelectorEventLoop"):
            if hasattr(module, name):
                setattr(module, name, ferrio.EventLoop)
    for name in ("_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy"):
        if policy := vars(asyncio.unix_events).get(name):
            policy._loop_factory = ferrio.EventLoop


if TARGET == "ferrio":
    sys.meta_path.insert(0, _Finder())
