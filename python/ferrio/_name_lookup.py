"""Names to addresses. A host that is a number is answered in place, others by a pool of threads.

The pool is the loop's own, so that work which fills the default executor delays no connection. It
has as many threads as stock's default executor, made as they are needed, and ends with that one:
in `shutdown_default_executor`, in `close`, at the exit of the interpreter.
"""

import _socket
import asyncio
import concurrent.futures
from asyncio import base_events
from collections.abc import Callable
from socket import NI_NUMERICHOST, NI_NUMERICSERV, SOCK_STREAM
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from socket import _GetAddrInfoResult

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_NUMERIC = NI_NUMERICHOST | NI_NUMERICSERV


class NameLookup(asyncio.BaseEventLoop):
    """The part of `ferrio.EventLoop` that resolves names."""

    # From _ferrio.EventLoop.
    _addrinfo_in_place: "Callable[..., _GetAddrInfoResult | None]"
    _ipaddr_info: Callable[..., tuple[Any, ...] | None]
    # From asyncio, whose type stubs lack them. The executors' annotations are strings because the
    # class is imported when it is first named.
    _check_closed: Callable[[], None]
    _check_default_executor: Callable[[], None]
    _debug: bool
    _default_executor: "concurrent.futures.ThreadPoolExecutor | None"
    _executor_shutdown_called: bool
    _getaddrinfo_debug: "Callable[..., _GetAddrInfoResult]"

    _name_pool: "concurrent.futures.ThreadPoolExecutor | None"

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> "_GetAddrInfoResult":
        """Like socket.getaddrinfo(), without blocking the loop."""
        if not self._executor_shutdown_called:
            infos = self._addrinfo_in_place(host, port, family, type, proto, flags)
            if infos is not None:
                return infos
        lookup = self._getaddrinfo_debug if self._debug else _socket_module().getaddrinfo
        return await self._in_name_pool(lookup, host, port, family, type, proto, flags)

    async def getnameinfo(
        self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int = 0
    ) -> tuple[str, str]:
        """Like socket.getnameinfo(), without blocking the loop."""
        lookup = _socket_module().getnameinfo
        if lookup is _socket.getnameinfo and self._is_numeric(flags):
            return lookup(sockaddr, flags)
        return await self._in_name_pool(lookup, sockaddr, flags)

    def _is_numeric(self, flags: object) -> bool:
        """Whether getnameinfo() with these flags asks nobody, neither for the host nor the port."""
        refuses = self._executor_shutdown_called or self.is_closed()
        return not refuses and isinstance(flags, int) and flags & _NUMERIC == _NUMERIC

    async def _ensure_resolved(
        self,
        address: tuple[Any, ...],
        *,
        family: int = 0,
        type: int = SOCK_STREAM,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
        loop: asyncio.AbstractEventLoop,
    ) -> "_GetAddrInfoResult":
        info = self._ipaddr_info(address, family, type, proto)
        if info is not None:
            return [info]
        resolve = super()._ensure_resolved  # type: ignore[misc]
        infos: _GetAddrInfoResult = await resolve(
            address, family=family, type=type, proto=proto, flags=flags, loop=loop
        )
        return infos

    def _in_name_pool(self, lookup: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        # In the order in which stock's run_in_executor(None, ...) refuses.
        self._check_closed()
        self._check_default_executor()
        pool = self._name_pool
        if pool is None:
            make = concurrent.futures.ThreadPoolExecutor
            pool = self._name_pool = make(thread_name_prefix="ferrio-names")
            # Without a default executor shutdown_default_executor() would end at once. This one has
            # no thread until it is used.
            if self._default_executor is None:
                self._default_executor = make(thread_name_prefix="asyncio")
        return self.run_in_executor(pool, lookup, *args)

    def _do_shutdown(self, future: "asyncio.Future[None]") -> None:
        """What the thread that shutdown_default_executor() starts does."""
        try:
            if self._name_pool is not None:
                self._name_pool.shutdown(wait=True)
        finally:
            super()._do_shutdown(future)  # type: ignore[misc]

    def close(self) -> None:
        """Close the event loop, without waiting for look-ups that are under way."""
        try:
            super().close()
        finally:
            pool, self._name_pool = self._name_pool, None
            if pool is not None:
                pool.shutdown(wait=False)


def _socket_module() -> Any:
    """The module `socket` where asyncio finds it; tests replace that name, and names in it."""
    return base_events.socket  # type: ignore[attr-defined]
