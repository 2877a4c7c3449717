"""Names of asyncio that have no form of Ferrio's own: the interpreter's objects.

With them `import ferrio as asyncio` serves a program. A name that gets a native form leaves these
lists. The submodules of `ferrio` are asyncio's own: the native names stand in `ferrio` itself, and
come into the submodules by `install()` alone, because all of the process sees them.
"""

import asyncio
import sys
from asyncio import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    AbstractEventLoop,
    AbstractServer,
    BaseEventLoop,
    BaseProtocol,
    BaseTransport,
    BrokenBarrierError,
    BufferedProtocol,
    CancelledError,
    DatagramProtocol,
    DatagramTransport,
    IncompleteReadError,
    InvalidStateError,
    LimitOverrunError,
    Protocol,
    QueueEmpty,
    QueueFull,
    ReadTransport,
    SelectorEventLoop,
    SendfileNotAvailableError,
    Server,
    SubprocessProtocol,
    SubprocessTransport,
    TimeoutError,  # noqa: A004
    Transport,
    WriteTransport,
    _enter_task,
    _get_running_loop,
    _leave_task,
    _register_task,
    _set_running_loop,
    _unregister_task,
    all_tasks,
    current_task,
    get_event_loop,
    get_event_loop_policy,
    get_running_loop,
    iscoroutine,
    iscoroutinefunction,
    isfuture,
    set_event_loop,
    set_event_loop_policy,
)

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "AbstractEventLoop",
    "AbstractServer",
    "BaseEventLoop",
    "BaseProtocol",
    "BaseTransport",
    "BrokenBarrierError",
    "BufferedProtocol",
    "CancelledError",
    "DatagramProtocol",
    "DatagramTransport",
    "IncompleteReadError",
    "InvalidStateError",
    "LimitOverrunError",
    "Protocol",
    "QueueEmpty",
    "QueueFull",
    "ReadTransport",
    "SelectorEventLoop",
    "SendfileNotAvailableError",
    "Server",
    "SubprocessProtocol",
    "SubprocessTransport",
    "TimeoutError",
    "Transport",
    "WriteTransport",
    "_enter_task",
    "_get_running_loop",
    "_leave_task",
    "_register_task",
    "_set_running_loop",
    "_unregister_task",
    "all_tasks",
    "current_task",
    "get_event_loop",
    "get_event_loop_policy",
    "get_running_loop",
    "iscoroutine",
    "iscoroutinefunction",
    "isfuture",
    "set_event_loop",
    "set_event_loop_policy",
]

if sys.version_info >= (3, 12):
    from asyncio import create_eager_task_factory, eager_task_factory

    __all__ += ["create_eager_task_factory", "eager_task_factory"]

if sys.version_info >= (3, 14):
    from asyncio import (
        FrameCallGraphEntry,
        FutureCallGraph,
        capture_call_graph,
        format_call_graph,
        future_add_to_awaited_by,
        future_discard_from_awaited_by,
        print_call_graph,
    )

    __all__ += [
        "FrameCallGraphEntry",
        "FutureCallGraph",
        "capture_call_graph",
        "format_call_graph",
        "future_add_to_awaited_by",
        "future_discard_from_awaited_by",
        "print_call_graph",
    ]
else:
    from asyncio import (
        AbstractChildWatcher,
        AbstractEventLoopPolicy,
        DefaultEventLoopPolicy,
        FastChildWatcher,
        MultiLoopChildWatcher,
        PidfdChildWatcher,
        SafeChildWatcher,
        ThreadedChildWatcher,
        get_child_watcher,
        set_child_watcher,
    )

    __all__ += [
        "AbstractChildWatcher",
        "AbstractEventLoopPolicy",
        "DefaultEventLoopPolicy",
        "FastChildWatcher",
        "MultiLoopChildWatcher",
        "PidfdChildWatcher",
        "SafeChildWatcher",
        "ThreadedChildWatcher",
        "get_child_watcher",
        "set_child_watcher",
    ]


def find_in_asyncio(name: str) -> object:
    """`ferrio.__getattr__`: what else asyncio has, for one the policies that 3.14 deprecates."""
    if not name.startswith("__"):
        try:
            return getattr(asyncio, name)
        except AttributeError:
            pass
    raise AttributeError(f"module 'ferrio' has no attribute {name!r}", name=name)
