"""Connecting, beside stock: in which turn each part of it comes, and what errors it ends with."""

import asyncio
import errno
import os
import socket
import sys
import warnings

import pytest
from event_trace import shown
from test_transport_traces import order, ticks


@pytest.fixture
def addresses(tmp_path):
    """Where somebody listens and where nobody does, by kind: the arguments of `connect`."""
    with socket.socket() as closed, socket.socket(socket.AF_UNIX) as unix:
        closed.bind(("127.0.0.1", 0))
        unix.bind(str(tmp_path / "listener"))
        unix.listen(100)
        with socket.create_server(("127.0.0.1", 0), backlog=100) as tcp:
            yield {
                "tcp": tcp.getsockname(),
                "closed tcp": closed.getsockname(),
                "unix": (unix.getsockname(),),
                "closed unix": (str(tmp_path / "nothing"),),
            }


def connect(loop, factory, kind, address):
    if kind.endswith("unix"):
        return loop.create_unix_connection(factory, *address)
    return loop.create_connection(factory, *address)


@pytest.mark.parametrize("kind", ["tcp", "unix", "closed tcp", "closed unix"])
@pytest.mark.parametrize("debug", [False, True])
def test_every_part_comes_in_its_turn(same_trace, addresses, kind, debug):
    async def scenario(trace):
        if debug:
            trace.loop.set_debug(True)
            trace.loop.slow_callback_duration = 60
        ticks(trace, 12)

        def factory():
            trace.note("factory")
            ticks(trace, 8, "tick of the factory")
            return trace.protocol("near")

        try:
            transport, _ = await connect(trace.loop, factory, kind, addresses[kind])
        except OSError as exc:
            trace.note("failed", exc)
        else:
            trace.note("connected")
            trace.loop.call_soon(trace.note, "queued when connected")
            await trace.turns(3)
            transport.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    found = order(trace, "factory", "near", "connected", "failed")
    if kind.startswith("closed"):
        assert [event[0] for event in found] == ["failed"]
    else:
        expected = ["factory", "near", "connected", "near"]
        assert [event[0] for event in found] == expected


def test_each_refused_address_takes_its_turns(same_trace, addresses):
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    infos = [(*kind, addresses["closed tcp"])] * 2 + [(*kind, addresses["tcp"])]

    async def scenario(trace):
        async def getaddrinfo(*args, **kwargs):
            return infos

        # Without threads, which take turns as they like.
        trace.loop.run_in_executor = lambda _, function, *args: getaddrinfo()
        ticks(trace, 20)
        make = trace.loop.create_connection(lambda: trace.protocol("near"), "a name", 1)
        transport, _ = await make
        trace.note("connected")
        del trace.loop.run_in_executor
        transport.close()
        await trace.turns(3)

    trace = same_trace(scenario)
    assert order(trace, "near", "connected") == [
        ("near", "connection_made"),
        ("connected",),
        ("near", "connection_lost"),
    ]


class Refusing(LookupError):
    """What a factory raises."""


@pytest.mark.parametrize("error", [Refusing, StopIteration, OSError])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_what_the_factory_raises_comes_out(same_as_stock, addresses, kind, error):
    def factory():
        raise error("no")

    def scenario(loop, _):
        try:
            loop.run_until_complete(connect(loop, factory, kind, addresses[kind]))
        except Exception as exc:
            cause = exc.__cause__
            return type(exc), str(exc), type(cause), exc.__context__ is cause

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind, (raised, text, *_) = same_as_stock(scenario)
    # Before 3.14 the collector closes the socket: that of stock, and that of the engine under test.
    unclosed = [str(warning.message)[:16] for warning in caught]
    assert unclosed == ["unclosed <socket"] * (2 if sys.version_info < (3, 14) else 0)
    assert kind == "returned"
    if error is StopIteration:
        assert (raised, text) == (RuntimeError, "coroutine raised StopIteration")
    else:
        assert (raised, text) == (error, "no")


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_descriptor_of_a_forgotten_transport_is_refused_as_on_stock(
    same_as_stock, addresses, kind
):
    def scenario(loop, _):
        async def main():
            near, far = socket.socketpair()
            old, _ = await loop.create_connection(asyncio.Protocol, sock=near)
            # Behind its back; the next socket gets this number.
            number = near.detach()
            keep = os.dup(number)
            os.close(number)
            try:
                made = await connect(loop, asyncio.Protocol, kind, addresses[kind])
            except RuntimeError as exc:
                text = shown(str(exc)).partition(" is used by transport ")
                found = text[0].partition("fd=")[0], text[1]
            else:
                made[0].abort()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                found = "connected"
            os.dup2(keep, number)
            os.close(keep)
            old.abort()
            await asyncio.sleep(0)
            os.close(number)
            far.close()
            return found

        return loop.run_until_complete(main())

    assert same_as_stock(scenario)[0] == "returned"


def test_a_unix_listener_with_a_full_queue_ends_as_on_stock(same_as_stock, tmp_path):
    def scenario(loop, _):
        path = str(tmp_path / "full")
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
            listener.bind(path)
            listener.listen(0)
            first.connect(path)

            async def main():
                made = loop.create_unix_connection(asyncio.Protocol, path)
                try:
                    transport, _ = await asyncio.wait_for(made, 20)
                except OSError as exc:
                    return errno.errorcode[exc.errno]
                names = transport.get_extra_info("peername")
                transport.abort()
                await asyncio.sleep(0)
                return names

            try:
                return loop.run_until_complete(main())
            finally:
                os.unlink(path)

    assert same_as_stock(scenario)[0] == "returned"
