"""Warns of what nobody closed from where stock does: filters cannot match a native frame.

`warnings.filterwarnings` knows a warning by the module and the line that it is raised from:
https://docs.python.org/3/library/warnings.html#the-warnings-filter
"""

import dis
import functools
import sys
import warnings
from types import CodeType, FunctionType
from typing import Any

from ferrio._frames import ON_FIRST_LINE


def _warn(warn: Any, text: str, source: Any) -> None:
    if source is None:
        warn(text, ResourceWarning)
    else:
        warn(text, ResourceWarning, source=source)


def _lines(code: CodeType) -> list[int]:
    """The lines of the calls that are passed ResourceWarning."""
    lines = []
    named = False
    for each in dis.get_instructions(code):
        if named and each.opname in {"CALL", "CALL_KW"}:
            lines.append((each.positions and each.positions.lineno) or code.co_firstlineno)
            named = False
        named = named or each.argval == "ResourceWarning"
    return lines


@functools.cache
def _placed(finalizer: FunctionType, number: int) -> FunctionType:
    """`_warn` where the finalizer warns for the first (0) or the last (-1) time."""
    code = finalizer.__code__
    lines = _lines(code)
    placed = _warn.__code__.replace(
        co_filename=code.co_filename,
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_firstlineno=lines[number] if lines else code.co_firstlineno,
        co_linetable=ON_FIRST_LINE * (len(_warn.__code__.co_code) // 16 + 1),
    )
    return FunctionType(placed, finalizer.__globals__)


def warn(module: str, class_name: str, number: int, text: str, source: Any) -> None:
    """Warn as `class_name.__del__` of an asyncio module does."""
    shown = getattr(sys.modules[module], class_name)
    # After `install()` the name stands for a native class, which knows the one that it replaces.
    stock = getattr(shown, "_ferrio_replaces", shown)
    finalizers = (vars(each).get("__del__") for each in stock.__mro__)
    finalizer = next((each for each in finalizers if isinstance(each, FunctionType)), None)
    (_placed(finalizer, number) if finalizer else _warn)(warnings.warn, text, source)
