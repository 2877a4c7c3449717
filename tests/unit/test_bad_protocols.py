"""Protocol factories that give what is no protocol, and protocols that change on the way."""

import asyncio
import socket

import pytest
from event_trace import events


class Absent:
    """Has no `connection_made`: the property raises."""

    @property
    def connection_made(self):
        raise AttributeError("no connection_made here")


class Fallback(asyncio.Protocol):
    """What another protocol leaves the connection to."""


class Leaves(asyncio.Protocol):
    def connection_made(self, transport):
        transport.set_protocol(Fallback())
        raise ValueError("left")


BAD = {
    "None": lambda: None,
    "an object": object,
    "no connection_made": Absent,
    "one of datagrams": asyncio.DatagramProtocol,
    "one that leaves": Leaves,
}
bad = pytest.mark.parametrize("factory", BAD.values(), ids=BAD)


@bad
def test_connecting_with_one_raises_what_stock_raises(same_as_stock, factory, tmp_path):
    async def main(loop):
        reported, found = [], []
        loop.set_exception_handler(lambda loop, context: reported.append(context["message"]))
        near, far = socket.socketpair()
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
            local.bind(str(tmp_path / f"socket of {id(loop)}"))
            local.listen()
            for connect in (
                lambda: loop.create_connection(factory, sock=near),
                lambda: loop.create_connection(factory, *tcp.getsockname()),
                lambda: loop.create_unix_connection(factory, local.getsockname()),
            ):
                try:
                    transport, _ = await connect()
                except AttributeError as exc:
                    found.append(repr(exc))
                else:
                    transport.abort()
                    found.append("connected")
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        far.close()
        return found, reported

    same_as_stock(main)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("debug", [False, True])
@bad
def test_a_server_serves_on_after_one(same_as_stock, factory, debug):
    async def main(loop):
        reported, made = [], []
        loop.set_exception_handler(lambda loop, context: reported.append(context["message"]))
        loop.set_debug(debug)
        second = asyncio.Event()

        class Good(asyncio.Protocol):
            def connection_made(self, transport):
                transport.abort()

            def connection_lost(self, exc):
                second.set()

        def make():
            made.append(None)
            return factory() if len(made) == 1 else Good()

        server = await loop.create_server(make, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address), socket.create_connection(address):
            await second.wait()
        server.close()
        await asyncio.sleep(0)
        return reported, len(made)

    same_as_stock(main)


def test_connection_made_is_the_method_that_the_protocol_had_at_first(same_trace):
    async def scenario(trace):
        class Changes(asyncio.Protocol):
            def __init__(self):
                trace.loop.call_soon(setattr, self, "connection_made", self.other)

            def connection_made(self, transport):
                trace.note("the first")

            def other(self, transport):
                trace.note("the other")

        near, far = socket.socketpair()
        with far:
            transport, _ = await trace.loop.create_connection(Changes, sock=near)
            transport.abort()
            await trace.turns(2)

    assert ["the first"] in same_trace(scenario)


def test_max_size_is_the_most_of_one_read(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            trace.note(transport.max_size)
            transport.max_size = 4
            trace.note(transport.max_size)
            far.send(b"0123456789")
            await trace.turns(5)
            transport.close()
            await trace.turns(2)

    received = events(same_trace(scenario), "data_received")
    assert [data for *_, data in received] == [b"0123", b"4567", b"89"]


def test_a_negative_backlog_is_passed_on(loop, run):
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, backlog=-1)
        assert len(server.sockets) == 1
        server.close()

    run(main())
