"""Connections that a program makes: the coroutines around the native part that does the work.

asyncio's own coroutines serve what is rare or asks for more: TLS, sockets that are given, local
addresses, Happy Eyeballs, debug mode, and loops or sockets whose parts somebody has replaced.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from socket import AF_UNIX, SOCK_STREAM
from typing import TYPE_CHECKING, Any

_logger = logging.getLogger("asyncio")

if TYPE_CHECKING:
    _Made = tuple[asyncio.Transport, Any]


class Connecting(asyncio.SelectorEventLoop):
    """The part of `ferrio.EventLoop` that connects."""

    # From _ferrio.EventLoop.
    _connects_natively: Callable[[], bool]
    _native_connection: Callable[[Callable[[], Any], list[Any]], Awaitable[Any] | None]
    # From asyncio, whose type stubs lack them.
    _debug: bool
    _ipaddr_info: Callable[..., tuple[Any, ...] | None]
    _ensure_resolved: Callable[..., Awaitable[list[Any]]]
    _connect_sock: Callable[..., Awaitable[Any]]
    _create_connection_transport: Callable[..., Awaitable["_Made"]]

    if sys.version_info >= (3, 12):

        async def create_connection(
            self,
            protocol_factory: Callable[[], Any],
            host: Any = None,
            port: Any = None,
            *,
            ssl: Any = None,
            family: int = 0,
            proto: int = 0,
            flags: int = 0,
            sock: Any = None,
            local_addr: Any = None,
            server_hostname: Any = None,
            ssl_handshake_timeout: Any = None,
            ssl_shutdown_timeout: Any = None,
            happy_eyeballs_delay: Any = None,
            interleave: Any = None,
            all_errors: bool = False,
        ) -> Any:
            """Connect to a TCP server. See asyncio's loop.create_connection()."""
            no_tls = _names_no_tls(
                ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
            )
            to_host = not (host is None and port is None) and sock is local_addr is None
            in_order = happy_eyeballs_delay is None and not interleave
            if no_tls and to_host and in_order and self._connects_natively():
                return await self._connect_to_host(
                    protocol_factory, host, port, family, proto, flags, all_errors
                )
            return await super().create_connection(
                protocol_factory,
                host,
                port,
                ssl=ssl,
                family=family,
                proto=proto,
                flags=flags,
                sock=sock,
                local_addr=local_addr,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
                happy_eyeballs_delay=happy_eyeballs_delay,
                interleave=interleave,
                all_errors=all_errors,
            )

    else:

        async def create_connection(
            self,
            protocol_factory: Callable[[], Any],
            host: Any = None,
            port: Any = None,
            *,
            ssl: Any = None,
            family: int = 0,
            proto: int = 0,
            flags: int = 0,
            sock: Any = None,
            local_addr: Any = None,
            server_hostname: Any = None,
            ssl_handshake_timeout: Any = None,
            ssl_shutdown_timeout: Any = None,
            happy_eyeballs_delay: Any = None,
            interleave: Any = None,
        ) -> Any:
            """Connect to a TCP server. See asyncio's loop.create_connection()."""
            no_tls = _names_no_tls(
                ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
            )
            to_host = not (host is None and port is None) and sock is local_addr is None
            in_order = happy_eyeballs_delay is None and not interleave
            if no_tls and to_host and in_order and self._connects_natively():
                return await self._connect_to_host(
                    protocol_factory, host, port, family, proto, flags, False
                )
            return await super().create_connection(
                protocol_factory,
                host,
                port,
                ssl=ssl,
                family=family,
                proto=proto,
                flags=flags,
                sock=sock,
                local_addr=local_addr,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
                happy_eyeballs_delay=happy_eyeballs_delay,
                interleave=interleave,
            )

    async def create_unix_connection(
        self,
        protocol_factory: Callable[[], Any],
        path: Any = None,
        *,
        ssl: Any = None,
        sock: Any = None,
        server_hostname: Any = None,
        ssl_handshake_timeout: Any = None,
        ssl_shutdown_timeout: Any = None,
    ) -> Any:
        """Connect to a Unix socket. See asyncio's loop.create_unix_connection()."""
        no_tls = _names_no_tls(ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        if path is not None and sock is None and no_tls and self._connects_natively():
            path = os.fspath(path)
            infos = [(AF_UNIX, SOCK_STREAM, 0, "", path)]
            connecting = self._native_connection(protocol_factory, infos)
            if connecting is not None:
                made = await connecting
                if type(made) is list:
                    try:
                        raise made[0]
                    finally:
                        del made
                return made
        return await super().create_unix_connection(
            protocol_factory,
            path,
            ssl=ssl,
            sock=sock,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    async def _connect_to_host(
        self,
        protocol_factory: Callable[[], Any],
        host: Any,
        port: Any,
        family: int,
        proto: int,
        flags: int,
        all_errors: bool,
    ) -> Any:
        """`create_connection` to a host and a port, when `_connects_natively`."""
        info = self._ipaddr_info((host, port), family, SOCK_STREAM, proto)
        if info is None:
            infos = await self._ensure_resolved(
                (host, port), family=family, type=SOCK_STREAM, proto=proto, flags=flags, loop=self
            )
            if not infos:
                raise OSError("getaddrinfo() returned empty list")
        else:
            infos = [info]
        connecting = self._native_connection(protocol_factory, infos)
        if connecting is None:
            made = await self._connect_through_parts(protocol_factory, infos)
        else:
            made = await connecting
        if type(made) is list:
            try:
                raise _failure(made, all_errors)
            finally:
                del made
        if self._debug:
            sock = made[0].get_extra_info("socket")
            _logger.debug("%r connected to %s:%r: (%r, %r)", sock, host, port, *made)
        return made

    async def _connect_through_parts(
        self, protocol_factory: Callable[[], Any], infos: list[Any]
    ) -> Any:
        """What `_native_connection` gives, for addresses or sockets that it does not know."""
        failures: list[list[OSError]] = []
        for info in infos:
            try:
                sock = await self._connect_sock(failures, info)
            except OSError:
                continue
            return await self._create_connection_transport(sock, protocol_factory, None, None)
        return [failure for attempt in failures for failure in attempt]


# Tracebacks, reprs and the texts of TypeErrors show coroutines of these names on every loop.
for _name in ("create_connection", "create_unix_connection"):
    _qualified = getattr(asyncio.SelectorEventLoop, _name).__qualname__
    getattr(Connecting, _name).__qualname__ = _qualified


def _names_no_tls(ssl: Any, server_hostname: Any, *timeouts: Any) -> bool:
    return not ssl and server_hostname is None and not any(t is not None for t in timeouts)


def _failure(failures: list[OSError], all_errors: bool) -> Exception:
    """The exception that tells why no address could be connected to."""
    if all_errors:
        return ExceptionGroup("create_connection failed", failures)
    texts = [str(failure) for failure in failures]
    if texts.count(texts[0]) == len(texts):
        return failures[0]
    return OSError(f"Multiple exceptions: {', '.join(texts)}")
