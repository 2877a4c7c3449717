"""Random scenarios: two connected transports, and what they and their protocols do, as on stock.

A seed makes a program (calls with turns of the loop between them) and hooks (calls from inside of
the protocols' callbacks). The traces of stock and of the engine must be equal.
"""

import asyncio
import dataclasses
import random
import socket
import sys

import pytest
from event_trace import Trace, noted_logs

# What a call does to a transport; those that end it are rare.
CALLS = (
    *("write",) * 5,
    "write_much",
    "writelines",
    "close",
    "abort",
    "write_eof",
    "pause_reading",
    "resume_reading",
    "set_write_buffer_limits",
    "set_protocol",
    "get_write_buffer_size",
    "repr",
    "is_closing",
    "raise",
)
ENDING = {"close", "abort"}
CALLBACKS = (
    "connection_made",
    "data_received",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "connection_lost",
    "get_buffer",
    "buffer_updated",
)
SIZES = (1, 3, 50, 300, 2000, 9000, 30_000)
HIGH_WATER = (0, 10, 5000, 70_000)

# CPython 3.12.1, 3.13.0: writelines leaves empty pieces behind and pauses nobody.
WRITELINES_AS_WRITE = sys.version_info < (3, 12)


class Raised(Exception):
    """What callbacks raise."""


@dataclasses.dataclass
class Call:
    """One call on the transport of one end, and how many turns of the loop follow it."""

    end: str
    name: str
    size: int
    number: int


@dataclasses.dataclass
class Plan:
    """A random scenario."""

    program: list
    hooks: dict
    protocols: dict
    keep_open: dict
    high_water: int | None
    small_buffers: bool
    early: bool
    debug: bool

    @classmethod
    def random(cls, seed):
        rng = random.Random(seed)
        ends = ("left", "right")
        bases = (asyncio.Protocol, asyncio.Protocol, asyncio.BufferedProtocol)
        return cls(
            program=[random_call(rng) for _ in range(rng.randint(3, 14))],
            hooks={
                (end, callback): [random_call(rng, callback) for _ in range(rng.randint(1, 3))]
                for end in ends
                for callback in CALLBACKS
                if rng.random() < 0.25
            },
            protocols={end: rng.choice(bases) for end in ends},
            keep_open={end: rng.choice((None, True)) for end in ends},
            high_water=rng.choice((None, 0, 100, 3000)),
            small_buffers=rng.random() < 0.6,
            early=rng.random() < 0.3,
            debug=rng.random() < 0.1,
        )


def random_call(rng, callback=None):
    name = rng.choice(CALLS)
    if name in ENDING and callback is None and rng.random() < 0.5:
        name = "write"
    if callback == "resume_writing" and name in {*ENDING, "raise"}:
        name = "write"  # CPython: connection_lost comes twice there, and fails
    if name == "writelines" and not WRITELINES_AS_WRITE:
        name = "write"
    return Call(rng.choice(("left", "right")), name, rng.choice(SIZES), rng.randint(0, 3))


class Run:
    """One run of a plan."""

    def __init__(self, trace, plan):
        self.trace = trace
        self.plan = plan
        self.transports = {}
        self.calls = {}

    async def scenario(self):
        trace, plan = self.trace, self.plan
        near, far = socket.socketpair()
        for sock in (near, far) if plan.small_buffers else ():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        if plan.early:
            far.send(b"early")
        trace.loop.set_debug(plan.debug)
        trace.loop.slow_callback_duration = 60
        left, right = (self.protocol(end, plan.protocols[end]) for end in ("left", "right"))
        await trace.loop.create_connection(lambda: left, sock=near)
        await trace.loop.connect_accepted_socket(lambda: right, sock=far)
        if plan.high_water is not None:
            for transport in self.transports.values():
                transport.set_write_buffer_limits(high=plan.high_water)
        for call in plan.program:
            self.perform(call)
            if call.number:
                await trace.turns(call.number - 1)
        await trace.turns(60)
        for end, transport in self.transports.items():
            size = transport.get_write_buffer_size()
            trace.note("in the end", end, transport.is_closing(), size)
            transport.abort()
        await trace.turns(3)
        trace.note("closed", near.fileno(), far.fileno())
        trace.loop.set_debug(False)

    def protocol(self, end, base):
        """A recording protocol whose callbacks do what the plan says."""

        def hook(callback):
            def method(protocol, *args):
                if callback == "connection_made":
                    self.transports[end] = args[0]
                planned = self.plan.hooks.get((end, callback), ())
                count = self.calls.get((end, callback), 0)
                self.calls[end, callback] = count + 1
                if count < len(planned):
                    self.perform(planned[count], callback)
                answers = {"eof_received": self.plan.keep_open[end], "get_buffer": protocol.space}
                return answers.get(callback)

            return method

        protocol = self.trace.protocol(end, base, **{name: hook(name) for name in CALLBACKS})
        protocol.space = bytearray(3000)
        return protocol

    def perform(self, call, inside=None):
        """Make one call and note it, or what it raises."""
        transport = self.transports.get(call.end)
        if transport is None:
            return
        if call.name == "raise":
            if inside is not None:
                raise Raised(f"in {inside}")
            return
        try:
            result = self.act(transport, call)
        except Exception as exc:
            self.trace.note("raised", call.end, call.name, exc)
        else:
            self.trace.note("called", call.end, call.name, result)

    def act(self, transport, call):
        match call.name:
            case "write" | "write_much":
                size = call.size if call.name == "write" else 120_000
                kind = (bytes, bytearray, memoryview)[call.number % 3]
                transport.write(kind(b"%d" % call.number * size))
                # Whoever looks at the buffer has all of a turn's writes sent.
                transport.get_write_buffer_size()
                return size
            case "writelines":
                transport.writelines([b"a" * call.size, bytearray(b"bc")])
                return transport.get_write_buffer_size()
            case "set_write_buffer_limits":
                return transport.set_write_buffer_limits(high=HIGH_WATER[call.number])
            case "set_protocol":
                base = asyncio.BufferedProtocol if call.size > 2000 else asyncio.Protocol
                return transport.set_protocol(self.protocol(call.end, base))
            case "repr":
                return repr(transport)
            case _:
                return getattr(transport, call.name)()


def fails_on_stock(trace):
    """Whether stock ran into errors of its own: once closed it misses its loop, or a callback."""
    return any("'NoneType' object" in str(event[-1]) for event in trace)


@pytest.mark.parametrize("block", range(6))
def test_random_scenarios_have_the_trace_of_stock(same_as_stock, stock_loop, block):
    plans = {seed: Plan.random(seed) for seed in range(block * 20, block * 20 + 20)}

    def traces(loop, _):
        """The traces of all plans. Each has a loop of its own; `loop` is of the same kind."""
        found = {}
        for seed, plan in plans.items():
            own = type(loop)()
            trace = Trace(own)
            own.set_exception_handler(trace.note_reported)
            trace.tick()
            with noted_logs(trace):
                try:
                    own.run_until_complete(Run(trace, plan).scenario())
                except AttributeError as exc:
                    trace.note("raised", exc)
                finally:
                    own.close()
            found[seed] = trace.events
        return found

    for seed, trace in traces(stock_loop, None).items():
        if fails_on_stock(trace):
            del plans[seed]
    kind, found = same_as_stock(traces)
    assert kind == "returned"
    assert len(found) > 15
    assert all(trace[-1][1:] == ("closed", -1, -1) for trace in found.values())
