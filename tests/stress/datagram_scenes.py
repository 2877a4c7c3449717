"""Datagrams under stress: a flood that arrives, and one that is sent to who does not read."""

import asyncio
import socket

TICK_S = 0.005
NUMBER_DIGITS = 12
PADDING = b"." * 100


class Flooded(asyncio.DatagramProtocol):
    """Checks every datagram of a flood; a datagram `ping` is answered."""

    def __init__(self):
        self.received = 0
        self.wrong = 0
        self.last = {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data == b"ping":
            self.transport.sendto(b"pong", addr)
            return
        self.received += 1
        number = int(data[:NUMBER_DIGITS])
        # The loopback interface may drop datagrams, but neither changes nor reorders them.
        if number <= self.last.get(addr, -1) or data[NUMBER_DIGITS:] != PADDING:
            self.wrong += 1
        self.last[addr] = number


async def flooded(stage):
    """An endpoint under a flood, beside a ticking clock and a connection that goes on.

    The cue `meanwhile N` is answered after N more datagrams, N / 100 ticks and N / 100 echoes over
    a socket pair; `count` at once.
    """
    protocol = Flooded()
    transport, _ = await stage.loop.create_datagram_endpoint(
        lambda: protocol, local_addr=("127.0.0.1", 0)
    )
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    echo_reader, echo_writer = await asyncio.open_connection(sock=far)
    echo = asyncio.create_task(echo_lines(echo_reader, echo_writer))
    stage.tell(address=transport.get_extra_info("sockname"))
    while cue := await stage.cue():
        if cue.startswith("meanwhile"):
            number = int(cue.split()[1])
            await asyncio.gather(
                datagrams(protocol, number),
                ticks(number // 100),
                echoes(reader, writer, number // 100),
            )
        counted = {"received": protocol.received, "wrong": protocol.wrong}
        stage.tell(senders=len(protocol.last), **counted, **stage.count())
    writer.close()
    await echo
    transport.close()


async def datagrams(protocol, number):
    """Wait for that many datagrams more."""
    enough = protocol.received + number
    while protocol.received < enough:
        await asyncio.sleep(0)


async def ticks(number):
    """Sleep that often."""
    for _ in range(number):
        await asyncio.sleep(TICK_S)


async def echoes(reader, writer, number):
    """Say something and wait for the answer, that often."""
    for turn in range(number):
        writer.write(b"%d\n" % turn)
        assert await reader.readline() == b"%d\n" % turn


async def echo_lines(reader, writer):
    """Send back each line."""
    while line := await reader.readline():
        writer.write(line)
    writer.close()


class Throttled(asyncio.DatagramProtocol):
    """Knows whether it may write."""

    def __init__(self):
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.paused = 0
        self.lost = asyncio.get_running_loop().create_future()

    def pause_writing(self):
        self.paused += 1
        self.may_write.clear()

    def resume_writing(self):
        self.may_write.set()

    def connection_lost(self, exc):
        self.lost.set_result(exc)


async def flooding(stage, number, path):
    """Sends `number` datagrams to a Unix socket, which loses none, as fast as flow control allows.

    The cue `start` is answered before the first datagram, `blocked` when the sender must wait,
    `sent` when all is sent.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect(path)
    transport, protocol = await stage.loop.create_datagram_endpoint(Throttled, sock=sock)
    await stage.cue()
    stage.tell(**stage.count())
    sender = asyncio.create_task(send_numbers(transport, protocol, number))
    while cue := await stage.cue():
        if cue == "blocked":
            while protocol.may_write.is_set():
                await asyncio.sleep(0)
        elif cue == "sent":
            await sender
        buffered = transport.get_write_buffer_size()
        stage.tell(buffered=buffered, paused=protocol.paused, **stage.count())
    transport.close()
    await protocol.lost


async def send_numbers(transport, protocol, number):
    """Send datagrams that are numbered, each when the protocol may write."""
    for index in range(number):
        await protocol.may_write.wait()
        transport.sendto(b"%0*d%s" % (NUMBER_DIGITS, index, PADDING))
