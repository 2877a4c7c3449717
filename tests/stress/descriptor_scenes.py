"""Processes that run out of descriptors: while they accept, and in each call that needs some."""

import asyncio
import contextlib
import errno
import functools
import gc
import resource
import socket
import sys
import tempfile

from connection_scenes import Echo, Guestbook
from descriptors import open_descriptors

# More than any one call needs.
ENOUGH = 16


@contextlib.contextmanager
def free_descriptors(number):
    """Let this process open that many descriptors, and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = open_descriptors()
    limit = 0
    while limit - sum(fd < limit for fd in taken) < number:
        limit += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def accept_with_few(stage, free):
    """An echo server that can accept `free` connections at a time.

    The cue `count` tells what is open; `empty` the same when no connection is left.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    book = Guestbook(stage.loop)
    server = await stage.loop.create_server(lambda: Echo(book), "127.0.0.1", 0, backlog=4 * free)
    stage.tell(address=server.sockets[0].getsockname(), **stage.count())
    with free_descriptors(free):
        few, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        while cue := await stage.cue():
            if cue == "empty":
                await book.few()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            stage.tell(made=book.made, **stage.count())
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    server.close()
    await server.wait_closed()


async def calls_without_descriptors(stage):
    """Each call with no free descriptor, with one, ... until it has enough of them.

    Tells, by call, how often it failed for want of a descriptor, and what stayed open or was closed
    that was not its own; and which functions raised where nobody could hear it.
    """
    unraisable = []
    sys.unraisablehook = lambda found: unraisable.append(found.object.__qualname__)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(f"{folder}/listening")
        unix.listen()
        calls = {
            "create_connection": functools.partial(connect, listening.getsockname()),
            "create_unix_connection": functools.partial(connect_unix, f"{folder}/listening"),
            "create_server": serve,
            "create_unix_server": functools.partial(serve_unix, f"{folder}/served"),
            "create_datagram_endpoint": receive_datagrams,
            "subprocess_exec": start_child,
            "new_event_loop": functools.partial(make_loop, type(stage.loop)),
        }
        told = {}
        for name, call in calls.items():
            await call(stage.loop)  # what is opened once and kept, is opened now
            before = stage.count()["descriptors"]
            failures = 0
            while await fails_for_want(call, stage.loop, failures):
                failures += 1
            told[name] = {"failures": failures, **difference(before, stage.count()["descriptors"])}
    stage.tell(calls=told, reported=stage.reported, unraisable=unraisable)
    await stage.cue()


async def fails_for_want(call, loop, free):
    """Whether the call fails for want of descriptors when `free` are left."""
    assert free <= ENOUGH, "the call fails for ever"
    try:
        with free_descriptors(free):
            await call(loop)
    except OSError as exc:
        # create_server of some versions says only that no address could be bound.
        failed = exc.errno == errno.EMFILE or "could not bind on any address" in str(exc)
        if not failed:
            raise
    else:
        failed = False
    # What the exception kept is let go, and what was put off to the next turns is done.
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    return failed


def difference(before, after):
    """What is open that was not, and what is not open that was."""
    opened = [what for fd, what in after.items() if before.get(fd) != what]
    closed = [what for fd, what in before.items() if after.get(fd) != what]
    return {"opened": opened, "closed": closed}


class Ending(asyncio.Protocol):
    """A protocol whose connection_lost can be awaited."""

    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc):
        self.lost.set_result(exc)


async def connect(address, loop):
    """Connect to a listening socket that nobody accepts from, and close."""
    transport, protocol = await loop.create_connection(Ending, *address)
    transport.close()
    await protocol.lost


async def connect_unix(path, loop):
    """The same over a Unix socket."""
    transport, protocol = await loop.create_unix_connection(Ending, path)
    transport.close()
    await protocol.lost


async def serve(loop):
    """Begin to listen, and stop."""
    server = await loop.create_server(Ending, "127.0.0.1", 0)
    listens = bool(server.sockets)
    server.close()
    await server.wait_closed()
    if not listens:  # what some versions make of an error of socket()
        raise OSError(errno.EMFILE, "a server without a socket")


async def serve_unix(path, loop):
    """The same at a Unix path."""
    server = await loop.create_unix_server(Ending, path)
    server.close()
    await server.wait_closed()


async def receive_datagrams(loop):
    """Open a UDP socket, and close it."""
    transport, protocol = await loop.create_datagram_endpoint(Ending, local_addr=("127.0.0.1", 0))
    transport.close()
    await protocol.lost


async def start_child(_):
    """Start a child with three pipes, and wait for its end."""
    child = await asyncio.create_subprocess_exec("/bin/cat", stdin=-1, stdout=-1, stderr=-1)
    out, err = await child.communicate(b"words")
    assert (out, err, child.returncode) == (b"words", b"", 0)


async def make_loop(loop_class, _):
    """Make another loop, and close it."""
    loop_class().close()
