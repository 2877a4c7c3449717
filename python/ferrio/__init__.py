"""asyncio with its engine in Rust. Importing this package changes nothing by itself.

Names stand in the order in which a program meets them: how to run on Ferrio, then the loop, then
the objects the loop hands out. Each follows the asyncio page of the same name.
"""

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
    Task,
    TaskGroup,
    Timeout,
    TimerHandle,
    as_completed,
    build_info,
    ensure_future,
    gather,
    sleep,
    timeout,
    timeout_at,
    wait_for,
)
from ferrio._install import EventLoopPolicy, Runner, install, run, uninstall
from ferrio._loop import EventLoop, new_event_loop

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
    "Task",
    "TaskGroup",
    "Timeout",
    "TimerHandle",
    "as_completed",
    "build_info",
    "ensure_future",
    "gather",
    "install",
    "new_event_loop",
    "run",
    "sleep",
    "timeout",
    "timeout_at",
    "uninstall",
    "wait_for",
]
