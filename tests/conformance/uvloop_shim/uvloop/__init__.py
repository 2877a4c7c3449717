"""What uvloop's own tests import as `uvloop`: the target's loop, and nothing of uvloop itself.

uvloop_suite.py puts this package before uvloop on the path, in the programs that tests start as
well. Only `uvloop._testbase`, the base classes of the tests, comes from uvloop's distribution: a
test that imports anything else from inside of uvloop fails with ModuleNotFoundError.
"""

import asyncio
import os
import sys

SUITE = os.environ["UVLOOP_SUITE"]
TARGET = os.environ["FERRIO_CONFORMANCE_TARGET"]

__path__.append(os.path.join(SUITE, "uvloop"))

__all__ = ["EventLoopPolicy", "Loop", "new_event_loop", "run"]

if TARGET == "stock":
    Loop = asyncio.SelectorEventLoop
    EventLoopPolicy = asyncio.DefaultEventLoopPolicy
elif TARGET == "ferrio":
    from ferrio import EventLoop as Loop, EventLoopPolicy
else:
    raise ValueError(f"no such target: {TARGET!r}")


def new_event_loop():
    """Make a loop of the target."""
    return Loop()


def run(main, *, loop_factory=new_event_loop, debug=None):
    """Run `main` on a loop of the target unless `loop_factory` makes another."""
    if sys.version_info >= (3, 12):
        return asyncio.run(main, loop_factory=loop_factory, debug=debug)
    with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
        return runner.run(main)
