"""The other end of a TLS connection in a trace: an SSLObject of its own, on a plain socket."""

import asyncio
import contextlib
import socket
import ssl

BASES = [asyncio.Protocol, asyncio.BufferedProtocol]


class Peer:
    """TLS by hand over a socket that does not block; it moves when the scenario says so."""

    def __init__(self, sock, context, **options):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **options)

    def flush(self):
        """Send what waits, as far as somebody is there to take it."""
        if data := self.outgoing.read():
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.sock.sendall(data)

    def take(self):
        """Take what has come; False at the end of the stream."""
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self.incoming.write(data)
        return bool(data)

    async def handshake(self, trace):
        """Do the handshake, a turn for each flight."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                await trace.turns(1)
                self.take()
            else:
                self.flush()
                return

    def write(self, data):
        """Encrypt and send."""
        self.tls.write(data)
        self.flush()

    def encrypted(self, data):
        """The ciphertext of `data`, not sent."""
        self.tls.write(data)
        return self.outgoing.read()

    async def read(self, trace, size):
        """Decrypt `size` bytes, or what there is up to the end."""
        found = bytearray()
        while len(found) < size:
            try:
                data = self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                if not self.take():
                    break
                await trace.turns(1)
            except ssl.SSLError:
                break
            else:
                if not data:
                    break
                found += data
        return bytes(found)

    def close(self):
        """Say that no more comes (close_notify)."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()


async def serve(trace, protocol, server_context, client_context, **options):
    """The transport of a server's connection whose peer has done its handshake; and the peer."""
    near, far = socket.socketpair()
    far.setblocking(False)
    connecting = asyncio.ensure_future(
        trace.loop.connect_accepted_socket(lambda: protocol, near, ssl=server_context, **options)
    )
    peer = Peer(far, client_context, server_hostname="localhost")
    await peer.handshake(trace)
    transport, _ = await connecting
    return transport, peer


async def settle(trace, peer):
    """Let the connection come to its end."""
    await trace.turns(4)
    peer.sock.close()
    await trace.turns(4)
