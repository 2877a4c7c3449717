"""TCP transports hear once of what came, and read all of it (docs/design/0001): what one read
leaves must be heard of as on stock, and several connections in stock's order."""

import asyncio
import itertools
import random
import socket

import pytest

ORDERS = list(itertools.permutations(range(3)))


@pytest.fixture
def connected(tcp_pair):
    """Connect a protocol to one end of a TCP connection; return its transport and the other end."""

    async def connect(loop, protocol):
        near, far = tcp_pair()
        transport, _ = await loop.create_connection(lambda: protocol, sock=near)
        return transport, far

    return connect


class Collector(asyncio.Protocol):
    """Keeps what came, and has a future for its end."""

    def __init__(self, loop):
        self.received = []
        self.ended = loop.create_future()

    def data_received(self, data):
        self.received.append(bytes(data))

    async def until(self, data):
        """Wait until this is what has come."""
        while b"".join(self.received) != data:
            await asyncio.sleep(0)

    def connection_lost(self, exc):
        self.ended.set_result(exc)


class BufferedCollector(Collector, asyncio.BufferedProtocol):
    """The same, of a few bytes at a time."""

    size = 10

    def get_buffer(self, sizehint):
        self.buffer = bytearray(self.size)
        return self.buffer

    def buffer_updated(self, nbytes):
        self.data_received(self.buffer[:nbytes])


def test_data_and_its_end_that_came_together(loop, run, connected):
    async def main():
        protocol = Collector(loop)
        _, far = await connected(loop, protocol)
        far.send(b"all")
        far.shutdown(socket.SHUT_WR)
        assert await protocol.ended is None
        return protocol.received

    assert run(main()) == [b"all"]


def test_a_reset_after_data(loop, run, connected):
    async def main():
        protocol = Collector(loop)
        transport, far = await connected(loop, protocol)
        far.send(b"all")
        await protocol.until(b"all")
        transport.write(b"not read by the peer")
        far.close()
        return type(await protocol.ended), protocol.received

    assert run(main()) == (ConnectionResetError, [b"all"])


def test_a_connection_that_stays_open_for_answers(loop, run, connected):
    class Protocol(Collector):
        def eof_received(self):
            self.received.append(b" eof")
            return True

    async def main():
        protocol = Protocol(loop)
        transport, far = await connected(loop, protocol)
        far.send(b"question")
        far.shutdown(socket.SHUT_WR)
        await protocol.until(b"question eof")
        transport.write(b"answer")
        transport.close()
        await protocol.ended
        return protocol.received, far.recv(100)

    assert run(main()) == ([b"question", b" eof"], b"answer")


@pytest.mark.parametrize("buffered", [False, True])
def test_more_than_one_read_takes(loop, run, connected, buffered):
    async def main():
        protocol = (BufferedCollector if buffered else Collector)(loop)
        transport, far = await connected(loop, protocol)
        if not buffered:
            transport.max_size = BufferedCollector.size
        sent = b""
        for count in (25, 10, 7, 20, 100):
            sent += (part := random.randbytes(count))
            far.send(part)
            await protocol.until(sent)
        transport.close()
        await protocol.ended
        return protocol.received

    assert max(map(len, run(main()))) == BufferedCollector.size


def test_much_more_than_one_read_takes(loop, run, connected):
    sent = random.randbytes(3_000_000)

    async def main():
        protocol = Collector(loop)
        _, far = await connected(loop, protocol)
        await loop.sock_sendall(far, sent)
        far.close()
        await protocol.ended
        return b"".join(protocol.received)

    assert run(main()) == sent


@pytest.mark.parametrize("before", [b"", b"before"])
@pytest.mark.parametrize("after", [b"", b"after"])
def test_urgent_data_between(loop, run, connected, before, after):
    """A read stops at the mark, though there is more behind it."""

    async def main():
        protocol = Collector(loop)
        transport, far = await connected(loop, protocol)
        for round_ in range(1, 4):
            far.send(before)
            far.send(b"!", socket.MSG_OOB)
            far.send(after)
            await protocol.until((before + after) * round_)
        far.send(b"end")
        await protocol.until((before + after) * 3 + b"end")
        transport.close()
        assert await protocol.ended is None

    run(main())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_before_the_read(loop, connected, error):
    class Protocol(BufferedCollector):
        def get_buffer(self, sizehint):
            if not self.received:
                self.received.append(b"")
                raise error
            return super().get_buffer(sizehint)

    protocol = Protocol(loop)
    transport, far = loop.run_until_complete(connected(loop, protocol))
    far.send(b"data")
    far_end = loop.create_future()
    with pytest.raises(error):
        loop.run_until_complete(far_end)
    loop.run_until_complete(protocol.until(b"data"))
    transport.close()
    loop.run_until_complete(protocol.ended)


def test_who_asks_the_selector_takes_nothing_away(loop, run, connected):
    async def main():
        protocol = Collector(loop)
        transport, far = await connected(loop, protocol)
        await asyncio.sleep(0)
        far.send(b"data")
        seen = []
        for _ in range(3):
            ready = loop._selector.select(0)
            seen.append([key.fd for key, _ in ready if key.fd == transport._sock_fd])
        await protocol.until(b"data")
        fd = transport._sock_fd
        transport.close()
        await protocol.ended
        return seen == [[fd]] * 3, protocol.received

    assert run(main()) == (True, [b"data"])


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_debug_mode_and_back(loop, run, connected, when):
    async def main():
        protocol = Collector(loop)
        transport, far = await connected(loop, protocol)
        for number in range(6):
            loop.set_debug(number % 2 == 1)
            if when == "between":
                await asyncio.sleep(0)
            far.send(b"%d" % number)
            if when == "after":
                loop.set_debug(number % 2 == 0)
            await protocol.until(b"012345"[: number + 1])
        loop.set_debug(False)
        transport.close()
        await protocol.ended
        return protocol.received

    loop.slow_callback_duration = 60
    assert run(main()) == [b"%d" % number for number in range(6)]


def test_another_protocol_between(loop, run, connected):
    async def main():
        protocols = [kind(loop) for kind in (Collector, BufferedCollector, Collector)]
        transport, far = await connected(loop, protocols[0])
        for protocol in protocols:
            transport.set_protocol(protocol)
            far.send(b"x" * 35)
            await protocol.until(b"x" * 35)
        transport.close()
        await protocols[-1].ended
        return [len(protocol.received) for protocol in protocols]

    assert run(main()) == [1, 4, 1]


def test_room_and_data_at_once(loop, run, connected):
    """While a transport waits for room it hears in each turn of what came, then as before."""

    async def main():
        protocol = Collector(loop)
        transport, far = await connected(loop, protocol)
        received = 0
        for number in range(1, 4):
            transport.write(bytes(8_000_000))
            far.send(b"data")
            await protocol.until(b"data" * number)
            while received < 8_000_000 * number:
                received += len(await loop.sock_recv(far, 1 << 20))
        transport.close()
        await protocol.ended
        return protocol.received

    assert run(main()) == [b"data"] * 3


def test_pauses_with_data_on_its_way(loop, run, connected):
    async def main():
        protocol = Collector(loop)
        transport, far = await connected(loop, protocol)
        for number in range(1, 4):
            transport.pause_reading()
            far.send(b"data")
            for _ in range(4):
                await asyncio.sleep(0)
            assert len(protocol.received) == number - 1
            transport.resume_reading()
            await protocol.until(b"data" * number)
        transport.close()
        await protocol.ended
        return protocol.received

    assert run(main()) == [b"data"] * 3


def test_a_message_with_descriptors_on_a_unix_socket(loop, run):
    """A read stops there, though there is more behind it."""

    async def main():
        near, far = socket.socketpair()
        protocol = Collector(loop)
        await loop.create_connection(lambda: protocol, sock=near)
        with far:
            for _ in range(2):
                far.send(b"one")
                socket.send_fds(far, [b"two"], [far.fileno()])
                far.send(b"three")
            await protocol.until(b"onetwothree" * 2)
        await protocol.ended

    run(main())


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize("leaves", [False, True])
def test_the_order_of_connections(same_as_stock, tcp_pair, idle, leaves):
    """Whoever was heard of in the last turn is heard of first. The next bytes are sent in the turn
    in which the last ones came, so the loop asks for them next; idle, it might sleep then."""
    fars, heard = [], []

    class Protocol(asyncio.Protocol):
        def __init__(self, number, orders, ended):
            self.number, self.orders, self.ended = number, orders, ended

        def data_received(self, data):
            heard.extend(self.number for _ in data)
            if len(heard) % 6 == 0:
                send(self.orders, self.ended)

    def send(orders, ended):
        for number in next(orders, ()):
            fars[number].send(b"xx")
        if len(heard) == 6 * 12:
            ended.set_result(None)

    async def main():
        loop = asyncio.get_running_loop()
        orders, ended = iter(ORDERS * 2), loop.create_future()
        transports = []
        for number in range(3):
            near, far = tcp_pair()
            fars.append(far)
            protocol = Protocol(number, orders, ended)
            transport, _ = await loop.create_connection(lambda made=protocol: made, sock=near)
            transports.append(transport)
        if leaves:
            transports[1].max_size = 1
        send(orders, ended)
        while not (idle or ended.done()):
            await asyncio.sleep(0)
        await ended
        for transport in transports:
            transport.close()

    def scenario(loop, engine):
        fars.clear()
        heard.clear()
        loop.run_until_complete(main())
        return list(heard)

    kind, noted = same_as_stock(scenario)
    assert kind == "returned"
    assert sorted(noted[:6]) == [0, 0, 1, 1, 2, 2]


def test_a_new_connection_among_those_heard_of(same_trace, tcp_pair):
    async def scenario(trace):
        fars = []

        async def connect(number):
            near, far = tcp_pair()
            protocol = trace.protocol(number)
            await trace.loop.create_connection(lambda: protocol, sock=near)
            await trace.turns(1)
            fars.append(far)

        choices = random.Random(5)
        for number in range(8):
            await connect(number)
            for _ in range(4):
                for far in choices.sample(fars, choices.randint(0, len(fars))):
                    far.send(b"x")
                await trace.turns(choices.randint(1, 3))
                trace.note("next")
        for far in fars:
            far.close()
        await trace.turns(4)

    same_trace(scenario, turns=False)
