"""Putting native classes and functions in the place of asyncio's own, and taking them out again.

A name is replaced in every module of asyncio that holds it, so that asyncio's own code uses the
native one as well. What a program imported before keeps working beside it.
"""

import sys
from asyncio import format_helpers
from types import MethodType, ModuleType
from typing import Any

from ferrio import _ferrio

CLASSES: tuple[Any, ...] = (
    _ferrio.Lock,
    _ferrio.Event,
    _ferrio.Condition,
    _ferrio.Semaphore,
    _ferrio.BoundedSemaphore,
    _ferrio.Queue,
    _ferrio.LifoQueue,
    _ferrio.PriorityQueue,
    _ferrio.Barrier,
    _ferrio.TaskGroup,
    _ferrio.Timeout,
    _ferrio.StreamReader,
    _ferrio.StreamReaderProtocol,
    _ferrio.StreamWriter,
    _ferrio.SubprocessStreamProtocol,
)
FUNCTIONS: tuple[Any, ...] = (
    _ferrio.sleep,
    _ferrio.as_completed,
    _ferrio.create_task,
    _ferrio.ensure_future,
    _ferrio.gather,
    _ferrio.open_connection,
    _ferrio.open_unix_connection,
    _ferrio.run_coroutine_threadsafe,
    _ferrio.shield,
    _ferrio.start_server,
    _ferrio.start_unix_server,
    _ferrio.timeout,
    _ferrio.timeout_at,
    _ferrio.to_thread,
    _ferrio.wait,
    _ferrio.wait_for,
    _ferrio.wrap_future,
)

_replaced: list[tuple[ModuleType, str, Any, Any]] = []


_stock_function_source: Any = format_helpers._get_function_source


def _get_function_source(func: Any) -> Any:
    """None for a bound method of ours, as for any other: `__wrapped__` is a function of stock's."""
    if isinstance(func, MethodType) and isinstance(func.__func__, type(_ferrio.sleep)):
        return None
    return _stock_function_source(func)


def replace_names() -> None:
    """Replace every name of asyncio's that has a native form."""
    natives: dict[int, Any] = {id(native._ferrio_replaces): native for native in CLASSES}
    natives |= {id(native.__wrapped__): native for native in FUNCTIONS}
    natives[id(_stock_function_source)] = _get_function_source
    for module in _asyncio_modules():
        for name, value in list(vars(module).items()):
            if id(value) in natives:
                native = natives[id(value)]
                setattr(module, name, native)
                _replaced.append((module, name, value, native))


def restore_names() -> None:
    """Put every name back that still is what `replace_names` made of it."""
    while _replaced:
        module, name, stock, native = _replaced.pop()
        if vars(module).get(name) is native:
            setattr(module, name, stock)


def _asyncio_modules() -> list[ModuleType]:
    return [
        module
        for name, module in list(sys.modules.items())
        if (name == "asyncio" or name.startswith("asyncio.")) and module is not None
    ]
