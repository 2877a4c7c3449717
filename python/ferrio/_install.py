"""How a program gets Ferrio loops: run and Runner for one call, install for the whole process.

install() sets an event loop policy. `asyncio.run`, `asyncio.Runner` and `asyncio.new_event_loop`
all ask the policy, however early they were imported, and a policy that the program sets afterwards
replaces ours as it would replace any other. It also puts the native classes and functions in the
place of asyncio's own (`_names`).
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ferrio._loop import EventLoop, new_event_loop
from ferrio._names import replace_names, restore_names
from ferrio._nested import is_allowed

if sys.version_info >= (3, 14):
    # The public names warn from 3.14 on; asyncio itself goes on using these.
    from asyncio.events import (
        _AbstractEventLoopPolicy as AbstractEventLoopPolicy,
        _get_event_loop_policy as get_event_loop_policy,
        _set_event_loop_policy as set_event_loop_policy,
    )
    from asyncio.unix_events import _DefaultEventLoopPolicy as DefaultEventLoopPolicy
else:
    from asyncio import (
        AbstractEventLoopPolicy,
        DefaultEventLoopPolicy,
        get_event_loop_policy,
        set_event_loop_policy,
    )

T = TypeVar("T")


class EventLoopPolicy(DefaultEventLoopPolicy):
    """The interpreter's default policy, whose new loops are Ferrio loops.

    It goes wherever a policy is asked for: `asyncio.set_event_loop_policy(EventLoopPolicy())`.
    """

    __module__ = "ferrio"

    _loop_factory = EventLoop

    # The policy that install() found. None when the program itself set this policy, which
    # uninstall() then leaves alone.
    _replaced: AbstractEventLoopPolicy | None = None


class Runner(asyncio.Runner):  # type: ignore[misc]  # typeshed calls it final; asyncio does not
    """`asyncio.Runner` whose loop is a Ferrio loop unless `loop_factory` names another."""

    __module__ = "ferrio"

    def __init__(
        self,
        *,
        debug: bool | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        super().__init__(debug=debug, loop_factory=loop_factory or new_event_loop)


def install() -> None:
    """Make asyncio's own entry points give Ferrio loops, and its names the native ones.

    A second call changes nothing.
    """
    replace_names()
    current = get_event_loop_policy()
    if isinstance(current, EventLoopPolicy):
        return
    policy = EventLoopPolicy()
    policy._replaced = current
    set_event_loop_policy(policy)


def uninstall() -> None:
    """Put back the names and the policy that install() found.

    What the program has put in the place of ours since, stays.
    """
    restore_names()
    current = get_event_loop_policy()
    if isinstance(current, EventLoopPolicy) and current._replaced is not None:
        set_event_loop_policy(current._replaced)


def run(
    main: Coroutine[Any, Any, T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Run `main` on a new Ferrio loop, as `asyncio.run` does on one of its own.

    Arguments, result and errors are those of `asyncio.run(main, debug=debug,
    loop_factory=ferrio.new_event_loop)`, which Python has from 3.12 on. Another `loop_factory` is
    used in its place.
    """
    running = asyncio._get_running_loop()
    if isinstance(running, EventLoop) and is_allowed():
        return running.run_until_complete(main)
    if running is not None:
        # CPython: asyncio.runners.run, text included
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)
