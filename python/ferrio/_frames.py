"""Where a native coroutine stands: the code and the frame that stock's coroutine would have.

What an error of native code needs a frame for is here too.

asyncio's reprs, `Task.print_stack`, `inspect.getcoroutinestate` and monitors of tasks ask a
coroutine for `cr_code` and `cr_frame`. The code is that of stock's function. A frame is made of it
when somebody asks: it has the place, and no locals.
https://docs.python.org/3/library/inspect.html#types-and-members
"""

import dis
import functools
import inspect
import sys
from types import CellType, CodeType, FrameType, FunctionType
from typing import Any

_HOMES = (
    *("asyncio", "asyncio.locks", "asyncio.streams", "asyncio.tasks"),
    *("asyncio.selector_events", "asyncio.unix_events"),
)
# They load the operand of an `await` that is a plain name: a future.
_LOADS = {"LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK"}


def code_of(qualified_name: str) -> CodeType | None:
    """The code of stock's coroutine function; None where a program has put another in its place.

    A native function carries the code of the one it stands for, and special methods that are slots
    have stock's class among their bases: this holds under `install()` too.
    """
    *owners, name = qualified_name.split(".")
    for home in _HOMES:
        owner: Any = sys.modules.get(home)
        for part in owners:
            owner = getattr(owner, part, None)
        for holder in getattr(owner, "__mro__", (owner,)):
            code = getattr(getattr(holder, name, None), "__code__", None)
            if isinstance(code, CodeType) and code.co_qualname == qualified_name:
                return code
    return None


@functools.cache
def _awaits(code: CodeType) -> list[tuple[str | None, int]]:
    """Each `await` of the code: the function called for what it awaits, if any, and its line."""
    awaits = []
    called = None
    before = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname in {"LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL"}:
            called = instruction.argval
        # Any other argument than 0 is for `async with`.
        if instruction.opname == "GET_AWAITABLE" and instruction.arg == 0:
            line = instruction.positions.lineno if instruction.positions else None
            name = None if before in _LOADS else called
            awaits.append((name, line or code.co_firstlineno))
        before = instruction.opname
    return awaits


def _line(code: CodeType, awaited: Any) -> int:
    """The line that awaits an object: a call's coroutine by its name, a future by a plain name.

    `sleep(0)` awaits nothing while it yields, where its first `await` is.
    """
    awaits = _awaits(code)
    if awaited is None and awaits:
        return awaits[0][1]
    name = getattr(awaited, "__name__", None)
    return next(
        (line for called, line in reversed(awaits) if called == name),
        awaits[-1][1] if awaits else code.co_firstlineno,
    )


# Eight code units on the code's first line, in its table of lines.
# Reference: Objects/locations.md (InternalDocs/code_objects.md), form 13
ON_FIRST_LINE = bytes((0x80 | 13 << 3 | 7, 0))


def frame_of(coroutine: Any, begun: bool) -> FrameType | None:
    """A frame where a coroutine stands that is not over; None where its code is not known."""
    code = code_of(coroutine.__qualname__)
    # Where ours leaves a rare case to stock's coroutine, that one stands where it says.
    if code is None or getattr(coroutine.cr_await, "cr_code", None) is code:
        return None
    # That of a generator which never begins, so that nothing of the code runs: it takes no
    # argument, and does not warn as a coroutine would.
    flags = code.co_flags & ~(inspect.CO_COROUTINE | inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    here = code.replace(
        co_argcount=0,
        co_posonlyargcount=0,
        co_kwonlyargcount=0,
        co_flags=flags | inspect.CO_GENERATOR,
        co_firstlineno=_line(code, coroutine.cr_await) if begun else code.co_firstlineno,
        co_linetable=ON_FIRST_LINE * (len(code.co_code) // 16 + 1),
    )
    cells = tuple(CellType() for _ in code.co_freevars)
    frame: FrameType | None = FunctionType(here, {}, closure=cells)().gi_frame
    return frame


def raise_holding(error: BaseException, held: object) -> None:
    """Raise the error: as long as its traceback lives, so does `held`, which this frame has."""
    try:
        raise error
    finally:
        # Its traceback has this frame.
        del error
