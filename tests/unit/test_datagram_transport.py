"""Datagrams: receiving, sending, flow control, errors, closing."""

import asyncio
import socket
import sys

import pytest
from event_trace import events

Protocol = asyncio.DatagramProtocol


def test_a_datagram_arrives_with_its_address(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            trace.note("address", far.getsockname() == transport.get_extra_info("peername"))
            for data in (b"one", b"two", b""):
                far.send(data)
                await trace.turns(3)
            transport.close()
            trace.loop.call_soon(trace.note, "after close")
            await trace.turns(2)

    assert same_trace(scenario)[1:] == [
        ["address", True],
        ["near", "datagram_received", b"one", "THE PEER"],
        ["near", "datagram_received", b"two", "THE PEER"],
        ["near", "datagram_received", b"", "THE PEER"],
        ["near", "connection_lost", None],
        ["after close"],
        ["returned", None],
    ]


@pytest.mark.parametrize("connected", [False, True])
def test_udp_datagrams_arrive_with_their_address(loop, run, connected):
    received = []

    class Collect(Protocol):
        def datagram_received(self, data, addr):
            received.append((data, addr))
            if len(received) == 3:
                done.set_result(None)

    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.bind(("127.0.0.1", 0))
            address = {"remote_addr": far.getsockname()} if connected else {}
            transport, _ = await loop.create_datagram_endpoint(
                Collect, local_addr=("127.0.0.1", 0), **address
            )
            for data in (b"one", b"", b"x" * 60_000):
                far.sendto(data, transport.get_extra_info("sockname"))
            await done
            assert received == [(data, far.getsockname()) for data in (b"one", b"", b"x" * 60_000)]
            assert all(type(data) is bytes for data, _ in received)
            transport.close()
        await asyncio.sleep(0)

    done = loop.create_future()
    run(main())


def test_ipv6_addresses_have_four_parts(loop, run):
    received = loop.create_future()

    class Collect(Protocol):
        def datagram_received(self, data, addr):
            received.set_result((data, addr))

    async def main():
        transport, _ = await loop.create_datagram_endpoint(Collect, local_addr=("::1", 0))
        address = transport.get_extra_info("sockname")
        transport.sendto(b"to four parts", address)
        assert await received == (b"to four parts", address)
        transport.sendto(b"to two parts", address[:2])
        transport.close()
        await asyncio.sleep(0)

    try:
        run(main())
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_many_datagrams_arrive_in_order(loop, run):
    numbers = []

    class Collect(Protocol):
        def datagram_received(self, data, addr):
            numbers.append(int(data))
            if len(numbers) == 100:
                done.set_result(None)

    async def main():
        transport, _ = await loop.create_datagram_endpoint(Collect, local_addr=("127.0.0.1", 0))
        address = transport.get_extra_info("sockname")
        for number in range(100):
            transport.sendto(b"%d" % number, address)
        await done
        transport.close()
        await asyncio.sleep(0)

    done = loop.create_future()
    run(main())
    assert numbers == list(range(100))


def test_several_datagrams_at_once_arrive_in_order_and_stop_at_a_pause(same_trace):
    async def scenario(trace):
        def received(self, data, _):
            if data == b"2":
                self.transport.pause_reading()

        transport, far = await trace.connect_datagrams(
            trace.protocol("near", Protocol, datagram_received=received)
        )
        with far:
            for number in range(5):
                far.send(b"%d" % number)
            await trace.turns(10)
            trace.note("resume")
            transport.resume_reading()
            await trace.turns(10)
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario, turns=False)
    datagrams = [event[2] for event in events(trace, "datagram_received")]
    assert datagrams == [b"%d" % number for number in range(5)]
    assert trace.index(["resume"]) == 4


@pytest.mark.parametrize("act", ["close", "abort"])
def test_closing_inside_datagram_received_delivers_no_more(same_trace, act):
    async def scenario(trace):
        def received(self, *_):
            getattr(self.transport, act)()

        _, far = await trace.connect_datagrams(
            trace.protocol("near", Protocol, datagram_received=received)
        )
        with far:
            for _ in range(3):
                far.send(b"data")
            await trace.turns(6)

    assert [event[1] for event in same_trace(scenario)[:-1]] == [
        "connection_made",
        "datagram_received",
        "connection_lost",
    ]


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"array"), memoryview(b"..view..")[2:6]])
def test_sendto_sends_at_once(same_trace, data):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            trace.note("sent", transport.sendto(data), transport.get_write_buffer_size())
            trace.note("received", far.recv(100))
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert ["sent", None, 0] in trace
    assert ["received", bytes(data)] in trace


def test_an_empty_datagram_is_sent_from_313_on(same_trace):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            transport.sendto(b"")
            transport.sendto(b"after")
            first = far.recv(100)
            transport.close()
            await trace.turns(2)
            return first

    expected = b"" if sys.version_info >= (3, 13) else b"after"
    assert same_trace(scenario)[-1] == ["returned", expected]


@pytest.mark.parametrize("data", ["text", None, 5, [b"x"], object])
def test_sending_a_wrong_type_raises(same_trace, data):
    async def scenario(trace):
        transport, far = await trace.connect_datagrams(trace.protocol("near", Protocol))
        with far:
            try:
                transport.sendto(data)
            except TypeError as exc:
                trace.note("raised", exc)
            transport.close()
            await trace.turns(2)

    text = f"data argument must be a bytes-like object, not {type(data).__name__!r}"
    assert ["raised", f"TypeError({text})"] in same_trace(scenario)


def test_a_connected_endpoint_accepts_its_own_address_only(loop, run):
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.bind(("127.0.0.1", 0))
            address = far.getsockname()
            transport, _ = await loop.create_datagram_endpoint(Protocol, remote_addr=address)
            transport.sendto(b"one", address)
            transport.sendto(b"two", None)
            transport.sendto(b"three")
            assert [far.recv(10) for _ in range(3)] == [b"one", b"two", b"three"]
            with pytest.raises(ValueError) as caught:
                transport.sendto(b"x", ("127.0.0.1", 1))
            assert str(caught.value) == f"Invalid address: must be None or {address}"
            transport.close()
            await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("address", [None, 5, "text", ("127.0.0.1",), ("127.0.0.1", "port"), ()])
def test_a_wrong_address_does_what_stock_does(same_trace, address):
    # CPython: what is not an OSError closes the endpoint, and the exception handler hears of it.
    async def scenario(trace):
        protocol = trace.protocol("near", Protocol)
        transport, _ = await trace.loop.create_datagram_endpoint(
            lambda: protocol, local_addr=("127.0.0.1", 0)
        )
        try:
            trace.note("returned", transport.sendto(b"data", address))
        except Exception as exc:
            trace.note("raised", exc)
        trace.note("closing", transport.is_closing())
        transport.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert len(events(trace, "connection_lost")) == 1


def test_a_name_as_address_is_resolved(loop, run):
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.bind(("127.0.0.1", 0))
            transport, _ = await loop.create_datagram_endpoint(Protocol, family=socket.AF_INET)
            transport.sendto(b"hello", ("localhost", far.getsockname()[1]))
            assert far.recv(10) == b"hello"
            transport.close()
            await asyncio.sleep(0)

    run(main())


def closed_port():
    """A UDP address of 127.0.0.1 where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()


def test_a_refused_datagram_reaches_error_received(loop, run):
    errors = loop.create_future()

    class Collect(Protocol):
        def error_received(self, exc):
            if not errors.done():
                errors.set_result(exc)

        def connection_lost(self, exc):
            lost.append(exc)

    async def main():
        transport, _ = await loop.create_datagram_endpoint(Collect, remote_addr=closed_port())
        transport.sendto(b"hello")
        error = await errors
        assert transport.is_closing() is False
        transport.close()
        await asyncio.sleep(0)
        return error

    lost = []
    assert type(run(main())) is ConnectionRefusedError
    assert lost == [None]


def test_a_datagram_that_is_too_long_reaches_error_received_at_once(same_trace):
    async def scenario(trace):
        protocol = trace.protocol("near", Protocol)
        transport, _ = await trace.loop.create_datagram_endpoint(
            lambda: protocol, local_addr=("127.0.0.1", 0)
        )
        address = transport.get_extra_info("sockname")
        trace.note("sent", transport.sendto(b"x" * 70_000, address), transport.is_closing())
        transport.close()
        await trace.turns(2)

    assert same_trace(scenario)[1:3] == [
        ["near", "error_received", "OSError([Errno 90] Message too long)"],
        ["sent", None, False],
    ]


@pytest.mark.parametrize("callback", ["datagram_received", "error_received"])
def test_an_error_in_a_callback_is_reported_and_the_endpoint_lives(same_trace, callback):
    async def scenario(trace):
        def fail(*_):
            raise ValueError("of the program")

        transport, far = await trace.connect_datagrams(
            trace.protocol("near", Protocol, **{callback: fail})
        )
        with far:
            if callback == "datagram_received":
                far.send(b"data")
            else:
                try:
                    transport.sendto(b"x" * 10_000_000)
                except ValueError as exc:
                    trace.note("raised", exc)
            await trace.turns(3)
            trace.note("closing", transport.is_closing())
            transport.close()
            await trace.turns(2)

    trace = same_trace(scenario)
    assert ["closing", False] in trace
    assert len(events(trace, "reported", "raised")) == 1


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_exits_in_datagram_received_leave_run_forever(loop, run, exception):
    class Leave(Protocol):
        def datagram_received(self, data, addr):
            raise exception("out")

    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with far:
        transport, _ = run(loop.create_datagram_endpoint(Leave, sock=near))
        far.send(b"data")
        with pytest.raises(exception, match="^out$"):
            loop.run_forever()
        assert transport.is_closing() is False
        transport.abort()
        run(asyncio.sleep(0))
