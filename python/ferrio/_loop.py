"""The loop class: the Rust engine first, the interpreter's own selector loop behind it."""

import asyncio
import selectors

from ferrio import _ferrio, _live_tasks
from ferrio._connecting import Connecting
from ferrio._name_lookup import NameLookup
from ferrio._starting_tls import StartingTLS
from ferrio._subprocess import Subprocesses


class EventLoop(
    _ferrio.EventLoop,
    NameLookup,
    Connecting,
    StartingTLS,
    Subprocesses,
    asyncio.SelectorEventLoop,
):
    """asyncio's event loop, with tasks, futures, callbacks, timers and readiness served by Rust.

    The method resolution order decides who serves a call: what `_ferrio.EventLoop` defines is
    native, everything else is inherited from `asyncio.SelectorEventLoop` and calls back into it.
    """

    __module__ = "ferrio"

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        # The inherited code wants a selector; the one it gets answers from the native reactor. A
        # selector of the caller's own is polled in its place, as stock does.
        native = selector is None
        super().__init__(_ferrio.EpollSelector(self) if native else selector)  # type: ignore[arg-type]
        _live_tasks.add_loop(self)


_ferrio._remember_connect_parts(EventLoop, asyncio.SelectorEventLoop)


def new_event_loop() -> EventLoop:
    """Return a new loop that runs nothing yet. Fits wherever asyncio takes a `loop_factory`."""
    return EventLoop()
