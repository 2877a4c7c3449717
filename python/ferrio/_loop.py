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

    # What Python code of the bases keeps on a loop. As long as there is nothing else, a loop has no
    # `__dict__`, and the interpreter finds its methods without looking there first.
    __slots__ = (
        "_asyncgens",
        "_asyncgens_shutdown_called",
        "_clock_resolution",
        "_coroutine_origin_tracking_enabled",
        "_coroutine_origin_tracking_saved_depth",
        "_csock",
        "_current_handle",
        "_default_executor",
        "_exception_handler",
        "_executor_shutdown_called",
        "_name_pool",
        "_old_agen_hooks",
        "_selector",
        "_signal_handlers",
        "_ssock",
        "_timer_cancelled_count",
        "_unix_server_sockets",
        "slow_callback_duration",
    )

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        # The inherited code wants a selector; the one it gets answers from the native reactor. A
        # selector of the caller's own is polled in its place, as stock does.
        native = selector is None
        self._name_pool = None
        super().__init__(_ferrio.EpollSelector(self) if native else selector)  # type: ignore[arg-type]
        _live_tasks.add_loop(self)


_ferrio._remember_loop_class(EventLoop, asyncio.SelectorEventLoop)


def new_event_loop() -> EventLoop:
    """Return a new loop that runs nothing yet. Fits wherever asyncio takes a `loop_factory`."""
    return EventLoop()
