"""Values of a trace as plain tuples, equal on every engine when the values mean the same."""

import asyncio
import re

ADDRESS = re.compile(r"0x[0-9a-f]+")
DEFAULT_NAME = re.compile(r"\bTask-\d+")
MODULE = re.compile(r"\b_?ferrio\.(?:_ferrio\.)?|\b_asyncio\.|\basyncio\.(?:\w+\.)*(?=[A-Z])")
DESCRIPTOR = re.compile(r"\bfd=\d+")
SOCKET = re.compile(r"(ferrio-differential-)\d+")
# docs/compatibility.md: a native coroutine has no frame, and does not know where it was made.
PLACE = re.compile(r" (?:running|done, defined) at (?!program\.py)[^>\n]*:\d+(?=>)")
MADE_AT = re.compile(r"\nCoroutine created at .*", re.DOTALL)
LOOP = re.compile(r"_UnixSelectorEventLoop|\bEventLoop\b")
PLAIN = (type(None), bool, int, float, str, bytes)


def normalise(text):
    """The text without addresses, default numbers of tasks, and the modules of classes."""
    text = SOCKET.sub(r"\1N", PLACE.sub("", text))
    text = DEFAULT_NAME.sub(
        "Task-N", ADDRESS.sub("0x", DESCRIPTOR.sub("fd=N", MADE_AT.sub("", text)))
    )
    return LOOP.sub("Loop", MODULE.sub("", text))


def describe(value, seen=None):
    """What the value is, down to the chain of an exception."""
    if isinstance(value, PLAIN):
        return normalise(value) if isinstance(value, str) else value
    seen = {} if seen is None else seen
    if isinstance(value, BaseException):
        return describe_error(value, seen)
    if isinstance(value, (list, tuple)):
        return tuple(describe(item, seen) for item in value)
    if isinstance(value, (set, frozenset)):
        return ("set", *sorted((describe(item, seen) for item in value), key=repr))
    if asyncio.isfuture(value):
        return describe_future(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    return normalise(type(value).__name__)


def describe_future(future):
    """Its name, if it is a task, and how it stands."""
    name = normalise(future.get_name()) if isinstance(future, asyncio.Task) else "Future"
    if not future.done():
        return name, "pending", future.cancelling() if isinstance(future, asyncio.Task) else 0
    return name, "cancelled" if future.cancelled() else "done"


def describe_error(error, seen):
    """Type, arguments, notes, and every exception that it leads to; the same one by its number."""
    if id(error) in seen:
        return f"error {seen[id(error)]}"
    seen[id(error)] = len(seen)
    parts = [type(error).__name__, *(describe(arg, seen) for arg in error.args)]
    if notes := getattr(error, "__notes__", None):
        parts.append(("notes", *notes))
    if isinstance(error, BaseExceptionGroup):
        parts.append(("holds", *(describe(part, seen) for part in error.exceptions)))
    if error.__cause__ is not None:
        parts.append(("cause", describe(error.__cause__, seen)))
    if error.__context__ is not None:
        parts.append(("context", describe(error.__context__, seen)))
    if error.__suppress_context__:
        parts.append("suppressed")
    return tuple(parts)
