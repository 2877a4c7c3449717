"""asyncio with its engine in Rust. Importing this package changes nothing by itself.

It has every public name of asyncio's: those that are native, those that choose Ferrio's loop, and
for the rest the interpreter's own objects (`_inherited`), submodules included. Each follows the
asyncio page of the same name.
"""

from asyncio import (
    base_events as base_events,
    base_futures as base_futures,
    base_subprocess as base_subprocess,
    base_tasks as base_tasks,
    constants as constants,
    coroutines as coroutines,
    events as events,
    exceptions as exceptions,
    format_helpers as format_helpers,
    futures as futures,
    locks as locks,
    log as log,
    mixins as mixins,
    protocols as protocols,
    queues as queues,
    runners as runners,
    selector_events as selector_events,
    sslproto as sslproto,
    staggered as staggered,
    streams as streams,
    subprocess as subprocess,
    taskgroups as taskgroups,
    tasks as tasks,
    threads as threads,
    timeouts as timeouts,
    transports as transports,
    trsock as trsock,
    unix_events as unix_events,
)
from typing import TYPE_CHECKING

from ferrio import _copying, _inherited
from ferrio._ferrio import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Future,
    Handle,
    LifoQueue,
    Lock,
    PriorityQueue,
    Queue,
    QueueShutDown,
    Semaphore,
    StreamReader,
    StreamReaderProtocol,
    StreamWriter,
    Task,
    TaskGroup,
    Timeout,
    TimerHandle,
    as_completed,
    build_info,
    create_task,
    ensure_future,
    gather,
    open_connection,
    open_unix_connection,
    run_coroutine_threadsafe,
    shield,
    sleep,
    start_server,
    start_unix_server,
    timeout,
    timeout_at,
    to_thread,
    wait,
    wait_for,
    wrap_future,
)
from ferrio._inherited import *
from ferrio._install import EventLoopPolicy, Runner, install, run, uninstall
from ferrio._loop import EventLoop, new_event_loop
from ferrio._nested import allow_nested_run
from ferrio._subprocess import create_subprocess_exec, create_subprocess_shell

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "EventLoop",
    "EventLoopPolicy",
    "Future",
    "Handle",
    "LifoQueue",
    "Lock",
    "PriorityQueue",
    "Queue",
    "QueueShutDown",
    "Runner",
    "Semaphore",
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "Task",
    "TaskGroup",
    "Timeout",
    "TimerHandle",
    "allow_nested_run",
    "as_completed",
    "build_info",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "create_task",
    "ensure_future",
    "gather",
    "install",
    "new_event_loop",
    "open_connection",
    "open_unix_connection",
    "run",
    "run_coroutine_threadsafe",
    "shield",
    "sleep",
    "start_server",
    "start_unix_server",
    "timeout",
    "timeout_at",
    "to_thread",
    "uninstall",
    "wait",
    "wait_for",
    "wrap_future",
]
__all__ += _inherited.__all__

_copying.make_copyable()

if not TYPE_CHECKING:
    # A type checker would take every name for one of ours.
    from ferrio._inherited import find_in_asyncio as __getattr__  # noqa: F401
