# What the Rust extension exports, as a type checker sees it. Signatures follow typeshed's asyncio;
# where Ferrio promises more, the result is the native type.

import asyncio
import sys
from _socket import _Address, _RetAddress
from asyncio import _CoroutineLike, sslproto, subprocess
from asyncio.futures import wrap_future
from asyncio.streams import (
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)
from asyncio.tasks import (
    as_completed,
    create_task,
    ensure_future,
    gather,
    run_coroutine_threadsafe,
    shield,
    wait,
    wait_for,
)
from asyncio.threads import to_thread
from asyncio.timeouts import timeout, timeout_at
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from contextvars import Context
from selectors import SelectorKey
from socket import socket
from typing import Any, Self, TypeAlias, TypeVar, TypeVarTuple, final, overload

from _typeshed import (
    FileDescriptorLike,
    ReadableBuffer,
    SupportsRichComparisonT,
    WriteableBuffer,
)
from typing_extensions import disjoint_base

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_Ts = TypeVarTuple("_Ts")

_HandlePair: TypeAlias = tuple[asyncio.Handle | None, asyncio.Handle | None]

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "EpollSelector",
    "Event",
    "EventLoop",
    "Future",
    "Handle",
    "LifoQueue",
    "Lock",
    "PriorityQueue",
    "Queue",
    "QueueShutDown",
    "SSLProtocol",
    "Semaphore",
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "SubprocessStreamProtocol",
    "Task",
    "TaskGroup",
    "Timeout",
    "TimerHandle",
    "_SSLProtocolTransport",
    "_locate_ssl",
    "_remember_loop_class",
    "_set_tls_engine",
    "as_completed",
    "build_info",
    "create_task",
    "ensure_future",
    "gather",
    "open_connection",
    "open_unix_connection",
    "run_coroutine_threadsafe",
    "shield",
    "sleep",
    "start_server",
    "start_unix_server",
    "timeout",
    "timeout_at",
    "to_thread",
    "wait",
    "wait_for",
    "wrap_future",
]

def _remember_loop_class(cls: type, base: type, /) -> None: ...
def build_info() -> dict[str, str]: ...
def _set_tls_engine(name: str, /) -> None: ...
def _locate_ssl(socket: object, incoming: object, outgoing: object, /) -> tuple[int, int]: ...
@overload
def sleep(delay: float) -> Coroutine[Any, Any, None]: ...
@overload
def sleep(delay: float, result: _T) -> Coroutine[Any, Any, _T]: ...

@disjoint_base
class Future(asyncio.Future[_T]): ...

@disjoint_base
class Task(asyncio.Task[_T_co]):
    # asyncio's own Task has it from 3.12 on.
    def get_context(self) -> Context: ...

class Handle(asyncio.Handle): ...

@disjoint_base
class TimerHandle(asyncio.TimerHandle): ...

# At run time it stands for asyncio's own without being a subclass of it.
@disjoint_base
class Lock(asyncio.Lock):
    _ferrio_replaces: type[asyncio.Lock]

@disjoint_base
class Barrier(asyncio.Barrier):
    _ferrio_replaces: type[asyncio.Barrier]

@disjoint_base
class Condition(asyncio.Condition):
    _ferrio_replaces: type[asyncio.Condition]

@disjoint_base
class TaskGroup(asyncio.TaskGroup):
    _ferrio_replaces: type[asyncio.TaskGroup]
    # asyncio's own has it from 3.15 on.
    def cancel(self) -> None: ...

@final
class Timeout(asyncio.Timeout):  # type: ignore[misc]  # called final, as asyncio's own is
    _ferrio_replaces: type[asyncio.Timeout]

@disjoint_base
class BoundedSemaphore(asyncio.BoundedSemaphore):
    _ferrio_replaces: type[asyncio.BoundedSemaphore]

@disjoint_base
class Semaphore(asyncio.Semaphore):
    _ferrio_replaces: type[asyncio.Semaphore]

@disjoint_base
class Event(asyncio.Event):
    _ferrio_replaces: type[asyncio.Event]

@disjoint_base
class Queue(asyncio.Queue[_T]):
    _ferrio_replaces: type[asyncio.Queue[Any]]
    # asyncio's own has it from 3.13 on.
    def shutdown(self, immediate: bool = False) -> None: ...

class LifoQueue(Queue[_T], asyncio.LifoQueue[_T]): ...
class PriorityQueue(
    Queue[SupportsRichComparisonT], asyncio.PriorityQueue[SupportsRichComparisonT]
): ...

if sys.version_info >= (3, 13):
    from asyncio import QueueShutDown as QueueShutDown
else:
    class QueueShutDown(Exception): ...

@disjoint_base
class StreamReader(asyncio.StreamReader):
    _ferrio_replaces: type[asyncio.StreamReader]

@disjoint_base
class StreamReaderProtocol(asyncio.StreamReaderProtocol):
    _ferrio_replaces: type[asyncio.StreamReaderProtocol]

@disjoint_base
class StreamWriter(asyncio.StreamWriter):
    _ferrio_replaces: type[asyncio.StreamWriter]

@disjoint_base
class SubprocessStreamProtocol(subprocess.SubprocessStreamProtocol):
    _ferrio_replaces: type[subprocess.SubprocessStreamProtocol]

# The TLS protocol, and the transport that an application over TLS has.
@disjoint_base
class SSLProtocol(sslproto.SSLProtocol):
    _ferrio_replaces: type[sslproto.SSLProtocol]
    def _resume(self) -> None: ...
    def _feed(self, data: ReadableBuffer, /) -> None: ...

@disjoint_base
class _SSLProtocolTransport(sslproto._SSLProtocolTransport):
    _ferrio_replaces: type[sslproto._SSLProtocolTransport]

@disjoint_base
class EventLoop:
    # Running
    def run_forever(self) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def is_running(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def time(self) -> float: ...
    def get_debug(self) -> bool: ...
    def set_debug(self, enabled: bool) -> None: ...

    # Callbacks
    def call_soon(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> Handle: ...
    def call_soon_threadsafe(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> Handle: ...
    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...

    # Futures and tasks. A task factory may return any task, so create_task promises no more.
    def create_future(self) -> Future[Any]: ...
    if sys.version_info >= (3, 13):
        def create_task(
            self,
            coro: _CoroutineLike[_T],
            *,
            name: object = None,
            context: Context | None = None,
            eager_start: bool | None = None,
        ) -> asyncio.Task[_T]: ...
    else:
        def create_task(
            self,
            coro: _CoroutineLike[_T],
            *,
            name: object = None,
            context: Context | None = None,
        ) -> asyncio.Task[_T]: ...

    # Threads
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]: ...

    # Descriptors
    def add_reader(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
    ) -> None: ...
    def add_writer(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
    ) -> None: ...
    def remove_reader(self, fd: FileDescriptorLike) -> bool: ...
    def remove_writer(self, fd: FileDescriptorLike) -> bool: ...

    # Sockets
    async def sock_recv(self, sock: socket, n: int) -> bytes: ...
    async def sock_recv_into(self, sock: socket, buf: WriteableBuffer) -> int: ...
    async def sock_recvfrom(self, sock: socket, bufsize: int) -> tuple[bytes, _RetAddress]: ...
    async def sock_recvfrom_into(
        self, sock: socket, buf: WriteableBuffer, nbytes: int = 0
    ) -> tuple[int, _RetAddress]: ...
    async def sock_sendall(self, sock: socket, data: ReadableBuffer) -> None: ...
    async def sock_sendto(self, sock: socket, data: ReadableBuffer, address: _Address) -> int: ...
    async def sock_accept(self, sock: socket) -> tuple[socket, _RetAddress]: ...
    async def sock_connect(self, sock: socket, address: _Address) -> None: ...

    # Signals. Everything else is inherited by ferrio.EventLoop.
    def add_signal_handler(
        self,
        sig: int,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
    ) -> None: ...
    def remove_signal_handler(self, sig: int) -> bool: ...
    def _live_tasks(self) -> list[Task[Any]]: ...
    def _watch_child(
        self,
        transport: asyncio.SubprocessTransport,
        when_abandoned: Callable[[asyncio.SubprocessTransport], object] | None = None,
    ) -> None: ...

    # Names
    def _addrinfo_in_place(
        self, host: object, port: object, family: int, kind: int, proto: int, flags: int, /
    ) -> list[Any] | None: ...
    def _ipaddr_info(
        self, address: object, family: int, kind: int, proto: int, /
    ) -> tuple[Any, ...] | None: ...

# loop._selector: what asyncio's inherited code asks of a selector.
@final
class EpollSelector:
    def __new__(cls, event_loop: EventLoop) -> Self: ...
    def get_map(self) -> Mapping[FileDescriptorLike, SelectorKey]: ...
    def get_key(self, fileobj: FileDescriptorLike) -> SelectorKey: ...
    def register(
        self, fileobj: FileDescriptorLike, events: int, data: _HandlePair | None = None
    ) -> SelectorKey: ...
    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: _HandlePair | None = None
    ) -> SelectorKey: ...
    def unregister(self, fileobj: FileDescriptorLike) -> SelectorKey: ...
    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...
