"""The suites that the harness runs: who binds their tests, and which list says what cannot apply.

The module named `bindings` offers `module_names()`, the test modules in order, and
`bound_classes(module_name, target)`, the classes of one module by their conformance names; it
raises ModuleNotRunnableError for a module that cannot even be imported here.
"""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
from collections.abc import Mapping
from typing import Any

import reasoned_list

FOLDER = pathlib.Path(__file__).parent


class ModuleNotRunnableError(Exception):
    """The module itself says that its tests do not run here."""


@dataclasses.dataclass(frozen=True)
class Suite:
    """One body of tests: the name of the module that binds them, their list of exceptions, and what
    the environment of the processes that run them has beside ours."""

    name: str
    bindings: str
    exceptions: pathlib.Path
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def load_bindings(self) -> Any:
        """Import the module that binds the tests."""
        return importlib.import_module(self.bindings)

    def reasoned_list(self, kind: str) -> reasoned_list.ReasonedList:
        """The entries of `kind`, `listed` or `unbound`, for the running Python."""
        return reasoned_list.load(kind, self.exceptions)


INTERPRETER = Suite("interpreter", "bindings", FOLDER / "exceptions.toml")

# Some tests of uvloop's expect one thing of uvloop and another of asyncio. For which of the two
# do they take the target?
TAKEN_FOR = "FERRIO_UVLOOP_SUITE_TAKES_TARGET_FOR"


def _uvloop(name: str, taken_for: str) -> Suite:
    exceptions = FOLDER / "uvloop_exceptions.toml"
    return Suite(name, "uvloop_bindings", exceptions, {TAKEN_FOR: taken_for})


UVLOOP = _uvloop("uvloop", "uvloop")
UVLOOP_OF_ASYNCIO = _uvloop("uvloop_of_asyncio", "asyncio")
SUITES = {suite.name: suite for suite in (INTERPRETER, UVLOOP, UVLOOP_OF_ASYNCIO)}
