"""One server on one loop in a process of its own, pinned to a core; run_net.py starts it.

A server prints the address it listens at and serves until it is killed. A program, or a client of
the server at `--at`, is repeated for `--seconds` after a warm-up, `--at-once` of it together, and
its figures are printed as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
from pathlib import Path

import bench_net_files
import bench_net_tls
from loops import loop_factory, prepare
from net_rows import (
    HTTP_TOPICS,
    NET_TOPICS,
    Address,
    Kept,
    Program,
    all_net_rows,
    clients,
    closing,
    programs,
    servers,
)
from rows import Stopwatch


async def serve(name: str, at: Address) -> None:
    kept: Kept = []
    print(await servers[name](at, kept), flush=True)
    until_killed = asyncio.get_running_loop().create_future()
    # A task of the server that ends has failed, and ends the process with its traceback.
    await asyncio.gather(until_killed, *filter(asyncio.isfuture, kept))


async def repeat(body: Program, at_once: int, seconds: float) -> int:
    """How many ran in at least so many seconds."""
    watch, count = Stopwatch(), 0
    while watch.elapsed().wall_s < seconds:
        await asyncio.gather(*(body() for _ in range(at_once)))
        count += at_once
    return count


async def measure(body: Program, options: argparse.Namespace) -> None:
    await repeat(body, options.at_once, options.warm_up)
    watch = Stopwatch()
    count = await repeat(body, options.at_once, options.seconds)
    timing = watch.elapsed()
    for close in closing:
        await close()
    print(
        json.dumps(
            {"requests": count, "wall_s": timing.wall_s, "server_cpu_s": timing.cpu_s, "lost": 0}
            | {"latency_us": {}}
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop")
    parser.add_argument("server")
    parser.add_argument("--at", type=Address.parse)
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--file", type=Path, help="what the servers of files send")
    parser.add_argument("--certificate", type=Path, help="certificate and key of TLS servers")
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--warm-up", type=float, default=0.3)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--http", action="store_true", help="it is one of run_http.py's")
    options = parser.parse_args()
    all_net_rows(HTTP_TOPICS if options.http else NET_TOPICS)
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    if options.file:
        bench_net_files.served.append(options.file)
    if options.certificate:
        bench_net_tls.certificates.append(options.certificate)
    prepare(options.loop)
    with asyncio.Runner(loop_factory=loop_factory(options.loop)) as runner:
        if options.server in programs:
            runner.run(measure(programs[options.server], options))
        elif options.server in clients:
            runner.run(measure(functools.partial(clients[options.server], options.at), options))
        else:
            runner.run(serve(options.server, options.at))


if __name__ == "__main__":
    main()
