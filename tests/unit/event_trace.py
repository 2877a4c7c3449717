"""Traces: what happened in a scenario, each event with the turn of the loop in which it happened.

A scenario is `async def scenario(trace)`. The fixture `same_trace` (conftest.py) runs it on stock
and on the engine under test: every protocol callback, what the exception handler got and what
asyncio logged must come in the same order, in the same turns, with the same contents.

Turns are comparable where the kernel delivers at once, which is why scenarios speak over
`socket.socketpair()`; over TCP a segment may come a turn later. `Trace.turns` waits that many turns
and not a time, so a trace is the same on a busy machine.
"""

import asyncio
import contextlib
import gc
import logging
import re
import socket
import warnings

STREAM_CALLBACKS = (
    "connection_made",
    "data_received",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "connection_lost",
)
BUFFERED_CALLBACKS = (*STREAM_CALLBACKS, "get_buffer", "buffer_updated")
DATAGRAM_CALLBACKS = (*STREAM_CALLBACKS, "datagram_received", "error_received")
PROCESS_CALLBACKS = (*STREAM_CALLBACKS, "pipe_data_received", "pipe_connection_lost")
PROCESS_CALLBACKS += ("process_exited",)


def shown(value):
    """`value` as it stands in a trace: the same text on every loop and in every run."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}({shown(str(value))})"
    if isinstance(value, asyncio.BaseTransport):
        return "the transport"
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value)  # one of six bytes is a name that the kernel gave, see unix(7)
        return "THE PEER" if re.fullmatch(rb"\0[0-9a-f]{5}", value) else value
    if not isinstance(value, str):
        return value
    value = re.sub(r"<_?(?:Selector|Unix)?(\w+Transport)\b", r"<\1", value)
    value = re.sub(r"\b(fd=|File descriptor )\d+", r"\1N", value)
    value = re.sub(r"\bpid[= ]\d+", "pid=N", value)
    value = re.sub(r"\b(Read|Write) pipe \d+", r"\1 pipe N", value)
    value = re.sub(r"('(?:127|::)[\w.:]*', )\d+", r"\1PORT", value)
    value = re.sub(r"^(Exception in callback) .*", r"\1", value, flags=re.DOTALL)
    return re.sub(r" at 0x[0-9a-f]+", "", value)


class Trace:
    """The events of one run, and what a scenario needs to make some."""

    def __init__(self, loop):
        self.loop = loop
        self.turn = 0
        self.events = []
        self.next_tick = None

    def note(self, *event):
        """Append an event of the current turn."""
        self.events.append((self.turn, *map(shown, event)))

    def note_reported(self, loop, context):
        """The exception handler: note the message, the keys and the exception."""
        keys = " ".join(sorted(context))
        self.note("reported", context["message"], keys, context.get("exception"))

    def tick(self):
        """Count the turns from now on."""
        self.turn += 1
        if self.next_tick:
            self.next_tick.set_result(None)
            self.next_tick = None
        self.loop.call_soon(self.tick)

    async def count_anew(self):
        """Call this turn the first one, at a place in it that does not depend on what woke us.

        What another thread schedules comes before or after the tick of its turn, as it happens.
        """
        self.next_tick = self.loop.create_future()
        await self.next_tick
        self.turn = 0

    @staticmethod
    async def turns(number=1):
        """Let the loop run that many turns."""
        for _ in range(number):
            await asyncio.sleep(0)

    @contextlib.contextmanager
    def debug(self):
        """Debug mode, in which no callback is slow."""
        self.loop.set_debug(True)
        self.loop.slow_callback_duration = 60
        yield
        self.loop.set_debug(False)

    def protocol(self, name, base=asyncio.Protocol, /, **hooks):
        """A protocol that notes its callbacks under `name`, then calls `hooks[callback](protocol,
        *arguments)` where there is one."""
        return PROTOCOLS[base](self, name, hooks)

    async def connect(self, protocol):
        """Connect the protocol to one end of a pair; return its transport and the other socket."""
        near, far = socket.socketpair()
        far.setblocking(False)
        transport, _ = await self.loop.create_connection(lambda: protocol, sock=near)
        return transport, far

    async def connect_datagrams(self, protocol):
        """Connect the datagram protocol to one end of a pair; return as `connect` does.

        Both have abstract names: CPython sends without an address only where a peer has a name.
        """
        near, far = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        near.bind("")
        far.bind("")
        near.connect(far.getsockname())
        far.connect(near.getsockname())
        far.setblocking(False)
        transport, _ = await self.loop.create_datagram_endpoint(lambda: protocol, sock=near)
        return transport, far

    async def pair(self, left, right):
        """Connect two protocols with each other; return their transports."""
        near, far = socket.socketpair()
        first, _ = await self.loop.create_connection(lambda: left, sock=near)
        second, _ = await self.loop.connect_accepted_socket(lambda: right, sock=far)
        return first, second


class Recorder:
    """What all recording protocols have; `recording` adds the callbacks."""

    def __init__(self, trace, name, hooks):
        self.trace = trace
        self.name = name
        self.hooks = hooks
        self.transport = None
        self.space = bytearray(64)
        self.received = bytearray()

    def __repr__(self):
        return f"<protocol {self.name}>"


def recording(base, callbacks):
    """A protocol class derived from `base` that notes the callbacks."""

    def noting(callback):
        def method(self, *args):
            self.trace.note(self.name, callback, *args)
            if callback == "connection_made":
                self.transport = args[0]
            elif callback == "data_received":
                self.received += args[0]
            hook = self.hooks.get(callback)
            if hook is not None:
                return hook(self, *args)
            return self.space if callback == "get_buffer" else None

        return method

    methods = {callback: noting(callback) for callback in callbacks}
    return type(f"Recording{base.__name__}", (Recorder, base), methods)


PROTOCOLS = {
    asyncio.Protocol: recording(asyncio.Protocol, STREAM_CALLBACKS),
    asyncio.BufferedProtocol: recording(asyncio.BufferedProtocol, BUFFERED_CALLBACKS),
    asyncio.DatagramProtocol: recording(asyncio.DatagramProtocol, DATAGRAM_CALLBACKS),
    asyncio.SubprocessProtocol: recording(asyncio.SubprocessProtocol, PROCESS_CALLBACKS),
}


class LogNotes(logging.Handler):
    """Writes what asyncio logs into the trace."""

    def __init__(self, trace):
        super().__init__()
        self.trace = trace

    def emit(self, record):
        self.trace.note("logged", record.levelname, record.getMessage())


@contextlib.contextmanager
def noted_logs(trace):
    """Note all that asyncio logs in this block, from DEBUG on, and let nobody keep the records,
    for their arguments are sockets and transports."""
    logger = logging.getLogger("asyncio")
    handler, level = LogNotes(trace), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = True


def traced(scenario, turns=True):
    """The function `(loop, engine)` that runs `scenario(trace)` and returns its events; with
    `turns=False` all of one turn."""

    def run(loop, engine):
        trace = Trace(loop)
        loop.set_exception_handler(trace.note_reported)
        trace.tick()
        with noted_logs(trace), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = loop.run_until_complete(scenario(trace))
            gc.collect()
        for warning in caught:
            # Stock leaves the socket of a failed server factory to the garbage collector.
            if not str(warning.message).startswith("unclosed <socket.socket"):
                trace.note("warned", warning.category.__name__, str(warning.message))
        trace.note("returned", result)
        return trace.events if turns else [(0, *event) for _, *event in trace.events]

    return run


def events(trace, *names):
    """The events of a trace that have one of these kinds, or are of one of these protocols."""
    return [event for event in trace if any(part in names for part in event[:2])]


async def fill(transport):
    """Write until more is buffered than the high water mark; return how much was written."""
    chunk = b"x" * 65536
    written = 0
    while transport.get_write_buffer_size() <= transport.get_write_buffer_limits()[1]:
        transport.write(chunk)
        written += len(chunk)
    return written


async def drained(trace, far, expected):
    """Read `expected` bytes from the socket; where there are none, the loop runs a turn."""
    received = 0
    while received < expected:
        try:
            received += len(far.recv(1 << 20))
        except BlockingIOError:
            await trace.turns(1)
    return received
