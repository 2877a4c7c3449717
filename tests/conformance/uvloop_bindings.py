"""Binds uvloop's own tests to the target: their `uvloop` is the package in uvloop_shim.

Every TestCase class of the suite is bound unless uvloop_exceptions.toml says why it cannot be. It
relies on uvloop_suite.py, which downloads the tests and sets the path of the processes.

Some tests expect one thing of uvloop and another of asyncio, by the attribute `implementation` of
their class. The environment says for which of the two they take the target (suites.TAKEN_FOR), save
those that the list has under `as_asyncio`.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import unittest
from typing import Any

from suites import TAKEN_FOR, UVLOOP, ModuleNotRunnableError
from targets import Target

SUITE_NAME = "UVLOOP_SUITE"
SHIM = pathlib.Path(__file__).with_name("uvloop_shim")


def module_names() -> list[str]:
    """The test modules of the suite."""
    folder = pathlib.Path(os.environ[SUITE_NAME]) / "tests"
    return sorted(path.stem for path in folder.glob("test_*.py"))


def bound_classes(module_name: str, target: Target) -> dict[str, type[unittest.TestCase]]:
    """The bound classes of a module by their own names."""
    _check_substitution(target)
    try:
        module = importlib.import_module(f"tests.{module_name}")
    except ModuleNotFoundError as missing:
        if not str(missing.name).startswith("uvloop."):
            raise
        raise ModuleNotRunnableError(str(missing)) from None
    _check_origin(module)
    return {
        case.__name__: _bind(case, module_name, target)
        for case in vars(module).values()
        if isinstance(case, type)
        and issubclass(case, unittest.TestCase)
        and case.__module__ == module.__name__
    }


def _check_substitution(target: Target) -> None:
    """Refuse to test anything but the target, whatever else is installed."""
    import uvloop

    _check_path(uvloop, SHIM)
    loop = uvloop.new_event_loop()
    loop.close()
    if uvloop.Loop is not target.event_loop or type(loop) is not target.event_loop:
        raise RuntimeError(f"uvloop.Loop is {uvloop.Loop}, not {target.event_loop}")


def _check_origin(module: Any) -> None:
    _check_path(module, pathlib.Path(os.environ[SUITE_NAME]))


def _check_path(module: Any, folder: pathlib.Path) -> None:
    if not pathlib.Path(module.__file__).is_relative_to(folder):
        raise RuntimeError(f"{module.__name__} is {module.__file__}, outside of {folder}")


def _bind(case: type[Any], module_name: str, target: Target) -> type[unittest.TestCase]:
    if not hasattr(case, "new_loop"):
        return case
    as_asyncio = UVLOOP.reasoned_list("as_asyncio")

    @property
    def implementation(self: Any) -> str:
        test_id = f"{module_name}/{case.__name__}.{self._testMethodName}"
        return "asyncio" if as_asyncio.reason_for(test_id) else os.environ[TAKEN_FOR]

    def new_loop(self: Any) -> Any:
        loop = case.new_loop(self)
        if type(loop) is not target.event_loop:
            raise RuntimeError(f"the suite made {loop}, no {target.event_loop}")
        return loop

    namespace = {
        "implementation": implementation,
        "is_asyncio_loop": lambda self: self.implementation == "asyncio",
        "new_loop": new_loop,
        "__module__": case.__module__,
        "__qualname__": case.__qualname__,
    }
    return type(case.__name__, (case,), namespace)
