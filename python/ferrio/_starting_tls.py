"""Connections that change to TLS in the middle: the coroutine around the native protocol."""

import asyncio
from asyncio import sslproto
from typing import TYPE_CHECKING, Any

from ferrio import _ferrio

if TYPE_CHECKING:
    import ssl

# What may stand in asyncio: its own class, for which ours serves, or ours.
_SERVED = (sslproto.SSLProtocol, _ferrio.SSLProtocol)

# Since gh-142352 asyncio hands over what a StreamReader has already got when a server starts TLS:
# it is the beginning of the peer's handshake.
_HANDS_OVER = "_incoming" in asyncio.BaseEventLoop.start_tls.__code__.co_names


class StartingTLS(asyncio.SelectorEventLoop):
    """The part of `ferrio.EventLoop` that starts TLS."""

    async def start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: "ssl.SSLContext",
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: Any = None,
        ssl_shutdown_timeout: Any = None,
    ) -> Any:
        """Upgrade a transport to TLS; the new one is for `protocol` to use at once.

        See asyncio's loop.start_tls().
        """
        library: Any = getattr(sslproto, "ssl", None)
        if (
            sslproto.SSLProtocol not in _SERVED
            or library is None
            or not isinstance(sslcontext, library.SSLContext)
            or not getattr(transport, "_start_tls_compatible", False)
        ):
            # The words for what cannot be, and the class that somebody has put there.
            return await super().start_tls(
                transport,
                protocol,
                sslcontext,
                server_side=server_side,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
        done = self.create_future()
        tls = _ferrio.SSLProtocol(
            self,
            protocol,
            sslcontext,
            done,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
            call_connection_made=False,
        )
        # Nothing may come to the new protocol before it has its connection.
        transport.pause_reading()
        if _HANDS_OVER and server_side:
            _hand_over(protocol, tls)
        transport.set_protocol(tls)
        made = self.call_soon(tls.connection_made, transport)
        resumed = self.call_soon(transport.resume_reading)
        try:
            await done
        except BaseException:
            transport.close()
            made.cancel()
            resumed.cancel()
            # The traceback has this frame, and the future has the exception.
            del done
            raise
        return tls._app_transport


def _hand_over(protocol: Any, tls: Any) -> None:
    """Give what the reader of a protocol of streams has got to the TLS protocol."""
    if not isinstance(protocol, (asyncio.StreamReaderProtocol, _ferrio.StreamReaderProtocol)):
        return
    reader = getattr(protocol, "_stream_reader", None)
    if reader is not None and reader._buffer:
        buffer = reader._buffer
        tls._feed(buffer)
        buffer.clear()


# Tracebacks, reprs and the texts of TypeErrors show a coroutine of this name on every loop.
StartingTLS.start_tls.__qualname__ = asyncio.BaseEventLoop.start_tls.__qualname__
