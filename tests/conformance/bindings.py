"""Which classes of the installed `test.test_asyncio` run, and what is bound into each.

Every TestCase class of a module is bound unless exceptions.toml says why it cannot be, so a class
that a new Python brings takes part without a change here. A bound class is a subclass made at run
time; no test is copied. It relies on targets.py for the classes and on loops.py for stand-in loops.

What every bound test gets, from before its setUp until after its cleanups:
- the target is installed, so `asyncio.run`, `Runner` and `new_event_loop` give its loops;
- the names under which tests construct a loop, a policy, or the C Task and Future by hand
  (`asyncio.SelectorEventLoop()`, `futures._CFuture(...)`, ...) lead to the target's;
- class attributes that hold the C Task or Future (`Task`, `Future`, `cls`) hold the target's, and
  subclasses of them are made anew from the target's;
- `create_event_loop` and a `loop_factory` give the target's loop.

Classes that build on `new_test_loop` use a loop with a fake clock. They run as they are, suffix
`-test_loop` (the target's tasks on a foreign loop), and once more on the target's own loop with
a fake clock, suffix `-own_loop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pathlib
import sys
import unittest
from asyncio import base_events, futures, selector_events, sslproto, tasks
from collections.abc import Iterator
from typing import Any
from unittest import mock

from suites import ModuleNotRunnableError
from targets import Target

import loops

PACKAGE = "test.test_asyncio"

# The classes of which `new_test_loop` makes every loop that the tests use.
FAKE_CLOCK_CLASSES = {
    "BaseTaskTests",
    "GatherTestsBase",
    "BaseFutureTests",
    "BaseFutureDoneCallbackTests",
    "BaseFutureInheritanceTests",
    "DuckTests",
    "SubprocessTransportTests",
}

# Classes whose tests construct handles by hand. Elsewhere `asyncio.Handle` stays stock, because
# inherited code (signals) makes stock handles and tests check their type.
HANDLE_CLASSES = {"HandleTests", "TimerTests"}

# Classes whose tests construct `BaseEventLoop()`, in test_base_events, test_pep492, test_runners.
# Elsewhere the name stays stock, because tests patch methods of the stock class through it.
BASE_EVENT_LOOP_CLASSES = {"BaseEventLoopTests", "BaseTest"}

# Classes whose tests construct `BaseSelectorEventLoop()`, which has no sendfile of its own.
SENDFILE_FALLBACK_CLASSES = {"BaseLoopSockSendfileTests"}

# Classes that put the C Future under the name by which asyncio tells any future, tasks included. It
# stays stock, which is the base of Ferrio's Future and Task both; the loop makes Ferrio's.
ANY_FUTURE_CLASSES = {"TestCallStackC"}

C_TASK: Any = getattr(tasks, "_CTask", None)
C_FUTURE: Any = getattr(futures, "_CFuture", None)


def module_names() -> list[str]:
    """The test modules of the running interpreter, by name; empty where it has none installed."""
    try:
        package = importlib.import_module(PACKAGE)
    except ModuleNotFoundError:
        return []
    return sorted(path.stem for path in pathlib.Path(package.__path__[0]).glob("test_*.py"))


def bound_classes(module_name: str, target: Target) -> dict[str, type[unittest.TestCase]]:
    """The bound classes of a module by their conformance names, `Class` or `Class-variant`.

    A dotted `module_name` is a module outside of the package.
    """
    try:
        dotted = module_name if "." in module_name else f"{PACKAGE}.{module_name}"
        module = importlib.import_module(dotted)
    except unittest.SkipTest as reason:
        raise ModuleNotRunnableError(str(reason)) from None
    bound: dict[str, type[unittest.TestCase]] = {}
    for case in vars(module).values():
        is_case = isinstance(case, type) and issubclass(case, unittest.TestCase)
        if is_case and case.__module__ == module.__name__:
            bound.update(_variants(case, module, target))
    return bound


def _variants(case: type[Any], module: Any, target: Target) -> Iterator[tuple[str, type[Any]]]:
    natives = _native_attributes(case, target)
    if not _descends(case, FAKE_CLOCK_CLASSES):
        yield case.__name__, _bind(case, module, target, natives)
        return
    own_loop = _own_loop_attributes(case, module, target)
    yield f"{case.__name__}-test_loop", _bind(case, module, target, natives)
    yield f"{case.__name__}-own_loop", _bind(case, module, target, natives | own_loop)
    if case.__name__ == "CTask_CFuture_Tests":
        yield from _mixed_types(case, module, target, own_loop)


def _mixed_types(
    case: type[Any], module: Any, target: Target, own_loop: dict[str, Any]
) -> Iterator[tuple[str, type[Any]]]:
    """Tasks and futures of which one kind or both are stock C, on the target's loop."""
    for suffix, task, future in (
        ("foreign_task", C_TASK, target.future),
        ("foreign_future", target.task, C_FUTURE),
        ("foreign_both", C_TASK, C_FUTURE),
    ):
        types = {"Task": task, "Future": future}
        yield f"{case.__name__}-{suffix}", _bind(case, module, target, types | own_loop)


def _bind(
    case: type[Any], module: Any, target: Target, attributes: dict[str, Any]
) -> type[unittest.TestCase]:
    patches = _patches(case, target)

    def run(self: Any, result: Any = None) -> Any:
        with contextlib.ExitStack() as stack:
            target.install()
            stack.callback(target.uninstall)
            for owner, name, value in patches:
                stack.enter_context(mock.patch.object(owner, name, value))
            return case.run(self, result)

    namespace = {"run": run, "__module__": case.__module__, "__qualname__": case.__qualname__}
    # The class keeps its name: some tests look for it in a repr.
    bound = type(case.__name__, (case,), namespace | attributes)
    if _adds_subclass_tests(case):
        module.add_subclass_tests(bound)
    return bound


def _adds_subclass_tests(case: type[Any]) -> bool:
    """Whether `add_subclass_tests` made the class: it puts subclasses in place of both types."""
    return hasattr(case, "test_subclasses_ctask_cfuture")


def _native_attributes(case: type[Any], target: Target) -> dict[str, Any]:
    """The class attributes that must change so that `case` tests the target."""
    attributes: dict[str, Any] = {}
    for name in ("Task", "Future", "cls"):
        attribute = getattr(case, name, None)
        if isinstance(attribute, type):
            attributes[name] = _native_type(case, attribute, target)
    if hasattr(case, "create_event_loop"):
        attributes["create_event_loop"] = lambda self: target.new_event_loop()
    if getattr(case, "loop_factory", None) is not None:
        attributes["loop_factory"] = staticmethod(target.new_event_loop)
    return attributes


def _native_type(case: type[Any], attribute: type[Any], target: Target) -> type[Any]:
    if _adds_subclass_tests(case):
        # Without the layer that add_subclass_tests put on it: _bind puts that on again.
        attribute = attribute.__bases__[-1]
    for stock, native in ((C_TASK, target.task), (C_FUTURE, target.future)):
        if attribute is stock:
            return native
        if stock is not None and stock in attribute.__bases__:
            return type(attribute.__name__, (native,), {})
    return attribute


def _own_loop_attributes(case: type[Any], module: Any, target: Target) -> dict[str, Any]:
    loop_class = loops.fake_clock_loop(target.event_loop)

    def new_test_loop(self: Any, gen: Any = None) -> Any:
        loop = loop_class(gen)
        self.set_event_loop(loop)
        return loop

    def run_loop(self: Any, loop: Any) -> None:
        # The original asks the private ready queue when to stop; no test here needs ten turns.
        for _ in range(10):
            module.test_utils.run_briefly(loop)

    attributes: dict[str, Any] = {"new_test_loop": new_test_loop}
    if hasattr(case, "_run_loop"):
        attributes["_run_loop"] = run_loop
    return attributes


def _patches(case: type[Any], target: Target) -> list[tuple[Any, str, Any]]:
    """The names to lead to the target while a test of `case` runs."""
    patches: list[tuple[Any, str, Any]] = [
        (asyncio, "SelectorEventLoop", target.event_loop),
        (sslproto, "SSLProtocol", target.ssl_protocol),
    ]
    if sys.version_info >= (3, 13):
        patches.append((asyncio, "EventLoop", target.event_loop))
    if target.policy is not None:
        patches.append((asyncio, "DefaultEventLoopPolicy", target.policy))
    if C_TASK is not None:
        patches.append((tasks, "_CTask", target.task))
        if not _descends(case, ANY_FUTURE_CLASSES):
            patches.append((futures, "_CFuture", target.future))
    if _descends(case, HANDLE_CLASSES):
        patches += [(asyncio, "Handle", target.handle)]
        patches += [(asyncio, "TimerHandle", target.timer_handle)]
    if _descends(case, BASE_EVENT_LOOP_CLASSES):
        spying_loop = loops.spying_loop(target.event_loop)
        patches += [(owner, "BaseEventLoop", spying_loop) for owner in (asyncio, base_events)]
    if _descends(case, SENDFILE_FALLBACK_CLASSES):
        slow_loop = _without_native_sendfile(target)
        patches += [(selector_events, "BaseSelectorEventLoop", slow_loop)]
    return patches


def _descends(case: type[Any], names: set[str]) -> bool:
    return not names.isdisjoint(base.__name__ for base in case.__mro__)


def _without_native_sendfile(target: Target) -> type[Any]:
    """A loop that sends files through its fallback, as every BaseSelectorEventLoop does."""
    stock: Any = base_events.BaseEventLoop
    body = {"_sock_sendfile_native": stock._sock_sendfile_native}
    return type("LoopWithoutNativeSendfile", (target.event_loop,), body)
