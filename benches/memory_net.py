"""Resident memory of an idle connection end on each loop: accepted ones, and ones made.

A process under test first has some connections, so that start-up drops out; its RSS (`resident` of
/proc/PID/statm, proc_pid_statm(5)) is read then, and again when it has `--count` more. The other
end of each is `bench-net hold`, or the bare server. Kernel memory is not part of RSS.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from environment import available_loops, names, plain_environment
from loops import loop_factory, prepare
from net_process import BENCH_NET, HERE
from net_rows import KIB, Address

FIRST = 500
"""Connections that are there before the count begins."""


class IdleEnd(asyncio.Protocol):
    """As small as a protocol can be that keeps its transport, and echoes."""

    __slots__ = ("transport",)
    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def hold_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(KIB):
        writer.write(data)


async def serve_protocol() -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(IdleEnd, "127.0.0.1", 0, backlog=4096)


async def serve_streams() -> asyncio.Server:
    return await asyncio.start_server(hold_stream, "127.0.0.1", 0, backlog=4096)


class Kind(NamedTuple):
    """What the process under test has `--count` of."""

    label: str
    serve: Callable[[], Any] | None
    """None for the ends that connect."""
    echo_size: int = 0


KINDS = {
    "accepted": Kind("accepted, Protocol", serve_protocol),
    "accepted_used": Kind("accepted, Protocol, after an echo of 1 KiB", serve_protocol, KIB),
    "accepted_streams": Kind("accepted, streams: with its task", serve_streams),
    "connected": Kind("connected, Protocol", None),
}


async def be_server(kind: Kind) -> None:
    assert kind.serve
    running = await kind.serve()
    print(Address("tcp", *running.sockets[0].getsockname()[:2]), flush=True)
    await asyncio.get_running_loop().create_future()


async def be_client(to: Address, count: int) -> None:
    """Connect, say how many, wait for a line; both twice."""
    loop = asyncio.get_running_loop()
    kept = []
    for wanted in (FIRST, FIRST + count):
        while len(kept) < wanted:
            kept.append(await loop.create_connection(IdleEnd, to.host, to.port))
        print(f"held {wanted}", flush=True)
        sys.stdin.readline()


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def started(*command: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process and the first line that it printed; it is killed in the end."""
    process = subprocess.Popen(
        [str(word) for word in command],
        env=plain_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{command[0]} said nothing and ended")
        yield process, line
    finally:
        process.kill()
        process.communicate()


def bytes_of_server(name: str, loop: str, options: argparse.Namespace) -> float:
    own = [sys.executable, HERE / "memory_net.py", "--here", name, loop]
    with started(*own) as (server, address):

        def held(connections: int) -> contextlib.AbstractContextManager[Any]:
            hold = [options.bench_net, "hold", "--to", address, "--connections", connections]
            size = KINDS[name].echo_size
            return started(*hold, *(["--size", size] if size else []))

        with held(FIRST):
            before = settled_bytes(server.pid, FIRST)
            with held(options.count):
                return (settled_bytes(server.pid, FIRST + options.count) - before) / options.count


def settled_bytes(pid: int, connections: int) -> int:
    """RSS once the server has accepted them all and has gone to sleep."""
    before = 0
    while True:
        accepted = len(os.listdir(f"/proc/{pid}/fd")) >= connections
        after = cpu_ns(pid)
        if accepted and after == before:
            return resident_bytes(pid)
        before = after
        time.sleep(0.02)


def cpu_ns(pid: int) -> int:
    """CPU time of the thread that runs the loop: the others do nothing here."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def bytes_of_client(name: str, loop: str, options: argparse.Namespace) -> float:
    with started(options.bench_net, "serve", "--at", "tcp:127.0.0.1:0") as (_, address):
        own = [sys.executable, HERE / "memory_net.py", "--here", name, loop, "--at", address]
        with started(*own, "--count", options.count) as (client, _):
            before = resident_bytes(client.pid)
            assert client.stdin
            assert client.stdout
            print(file=client.stdin, flush=True)
            assert client.stdout.readline()
            return (resident_bytes(client.pid) - before) / options.count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=names)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--bench-net", type=Path, default=BENCH_NET, help="the other ends")
    parser.add_argument("--here", nargs=2, metavar=("KIND", "LOOP"), help=argparse.SUPPRESS)
    parser.add_argument("--at", type=Address.parse, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        name, loop = options.here
        prepare(loop)
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            kind = KINDS[name]
            body = be_server(kind) if kind.serve else be_client(options.at, options.count)
            runner.run(body)
        return
    loops = available_loops(options.loops)
    figures = {name: {loop: median_of(name, loop, options) for loop in loops} for name in KINDS}
    print_table(figures, loops, options.count)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def median_of(name: str, loop: str, options: argparse.Namespace) -> float:
    measure = bytes_of_server if KINDS[name].serve else bytes_of_client
    return statistics.median(measure(name, loop, options) for _ in range(options.rounds))


def print_table(figures: dict[str, dict[str, float]], loops: list[str], count: int) -> None:
    print(f"| RSS in bytes of an idle connection end, {count} of them | {' | '.join(loops)} |")
    print(f"|:---|{'---:|' * len(loops)}")
    for name, by_loop in figures.items():
        cells = [f"{by_loop[loop]:.0f}" for loop in loops]
        print(f"| {KINDS[name].label} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
