"""Bare sockets: readiness callbacks, sock_ calls, protocols and datagrams."""

import asyncio
import os
import socket
import sys


async def readiness(loop):
    read_end, write_end = os.pipe()
    got = loop.create_future()
    loop.add_reader(read_end, lambda: print("replaced"))
    loop.add_reader(read_end, lambda: got.set_result(os.read(read_end, 10)))
    loop.add_writer(write_end, os.write, write_end, b"ready")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print(loop.remove_writer(write_end), loop.remove_writer(write_end))
    print((await got)[:5], loop.remove_reader(read_end), loop.remove_reader(read_end))
    for fd in (read_end, write_end):
        os.close(fd)
    for wrong in (-1, "x", None):
        try:
            loop.add_reader(wrong, print)
        except (TypeError, ValueError) as error:
            print(type(error).__name__, error)


async def sock_calls(loop):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    client = socket.socket()
    client.setblocking(False)
    accepted, _ = await asyncio.gather(
        loop.sock_accept(listener), loop.sock_connect(client, listener.getsockname())
    )
    server, _ = accepted
    big = b"z" * 2_000_000
    sending = asyncio.create_task(loop.sock_sendall(client, big))
    received = bytearray()
    while len(received) < len(big):
        received += await loop.sock_recv(server, 65536)
    await sending
    print(len(received), bytes(received) == big)
    buffer = bytearray(4)
    reading = asyncio.create_task(loop.sock_recv_into(server, buffer))
    await asyncio.sleep(0)
    await loop.sock_sendall(client, b"ab")
    print(await reading, buffer)
    waiting = asyncio.create_task(loop.sock_recv(server, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    print(await asyncio.gather(waiting, return_exceptions=True))
    client.close()
    print(await loop.sock_recv(server, 1))
    for sock in (server, listener):
        sock.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.queue = asyncio.Queue()
        self.closed = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, address):
        self.queue.put_nowait((data, address))

    def connection_lost(self, error):
        self.closed.set_result(error)


async def datagrams(loop):
    here = ("127.0.0.1", 0)
    transport, server = await loop.create_datagram_endpoint(Datagrams, local_addr=here)
    address = transport.get_extra_info("sockname")
    other, client = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
    # Before 3.13 an empty datagram was not sent.
    for data in (b"one", b"", b"three") if sys.version_info >= (3, 13) else (b"one", b"three"):
        other.sendto(data)
        got, back = await server.queue.get()
        transport.sendto(got[::-1], back)
        print((await client.queue.get())[0])
    for endpoint, protocol in ((transport, server), (other, client)):
        endpoint.close()
        print(await protocol.closed, endpoint.is_closing())


class Shouter(asyncio.Protocol):
    def __init__(self, log, done):
        self.log, self.done = log, done

    def connection_made(self, transport):
        self.log.append("made")
        self.transport = transport

    def data_received(self, data):
        self.log.append(data)
        self.transport.write(data.upper())

    def eof_received(self):
        self.log.append("eof")

    def connection_lost(self, error):
        self.log.append(error)
        self.done.set_result(self.log)


async def protocols(loop):
    done = loop.create_future()
    server = await loop.create_server(lambda: Shouter([], done), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello")
    print(await reader.readexactly(5))
    writer.write_eof()
    print(await reader.read(), await done)
    writer.close()
    server.close()
    await server.wait_closed()


async def main():
    loop = asyncio.get_running_loop()
    await readiness(loop)
    await sock_calls(loop)
    await datagrams(loop)
    await protocols(loop)


asyncio.run(main())
