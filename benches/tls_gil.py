"""What a thread beside a busy TLS server gets, and what it costs: `python benches/tls_gil.py`.

A loop writes one piece of plaintext after another to a client that takes the ciphertext and leaves
it at that. A thread of the same process counts in Python, or hashes while it gives up the GIL, or
there is none. Ferrio encrypts with the GIL held; stock, and Ferrio over the public calls of `ssl`
(FERRIO_TLS=ssl), give it up for each SSL_write.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from loops import loop_factory
from net_process import make_certificate

SIZES = {"16 KiB": 1 << 14, "100 KiB": 100 << 10, "1 MiB": 1 << 20}
ENGINES = {
    "asyncio": ("asyncio", ""),
    "ferrio": ("ferrio", ""),
    "ferrio, FERRIO_TLS=ssl": ("ferrio", "ssl"),
}
HASHED = bytes(1 << 16)
WORK: dict[str, Callable[[], object]] = {
    "no thread": lambda: None,
    "counts": lambda: sum(range(1000)),
    "hashes": lambda: hashlib.sha256(HASHED).digest(),
}


class Beside(threading.Thread):
    """A thread that does a thing over and over; `done` says how often."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.work = work
        self.done = 0
        self.ending = False

    def run(self) -> None:
        while not self.ending and self.work() is not None:
            self.done += 1


class Writer(asyncio.Protocol):
    """Writes pieces as fast as they leave."""

    def __init__(self, piece: bytes) -> None:
        self.piece = piece
        self.written = 0
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost.set()

    async def write_until(self, end: float) -> None:
        while time.perf_counter() < end:
            await self.may_write.wait()
            self.transport.write(self.piece)
            self.written += 1
            await asyncio.sleep(0)
        self.transport.abort()
        await self.lost.wait()


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, and a client's that takes any certificate."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder, "certificate")
        make_certificate(certificate)
        server_side.load_cert_chain(certificate)
    client_side = ssl.create_default_context()
    client_side.check_hostname = False
    client_side.verify_mode = ssl.CERT_NONE
    return server_side, client_side


def begin_client(near: socket.socket, far: socket.socket, context: ssl.SSLContext) -> int:
    """A process that shakes hands and then takes what comes."""
    child = os.fork()
    if child:
        near.close()
        return child
    far.close()
    try:
        with context.wrap_socket(near) as client:
            space = bytearray(1 << 20)
            while socket.socket.recv_into(client, space):
                pass
    finally:
        os._exit(0)


async def measure(size: int, work: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Pieces of `size` bytes a second, and what the thread did a second."""
    server_side, client_side = contexts()
    near, far = socket.socketpair()
    child = begin_client(near, far, client_side)
    far.setblocking(False)
    loop = asyncio.get_running_loop()
    _, writer = await loop.connect_accepted_socket(
        lambda: Writer(bytes(size)), far, ssl=server_side
    )
    beside = Beside(work)
    begun = time.perf_counter()
    beside.start()
    await writer.write_until(begun + seconds)
    beside.ending = True
    passed = time.perf_counter() - begun
    os.waitpid(child, 0)
    return writer.written / passed, beside.done / passed


def measure_apart(engine: str, size: str, work: str, seconds: float) -> list[float]:
    """The same in a process of its own."""
    loop, way = ENGINES[engine]
    command = [sys.executable, __file__, "--one", loop, size, work, "--seconds", str(seconds)]
    return json.loads(subprocess.check_output(command, env=os.environ | {"FERRIO_TLS": way}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument(
        "--one", nargs=3, metavar=("LOOP", "SIZE", "WORK"), help="only that, as JSON"
    )
    options = parser.parse_args()
    if options.one:
        loop, size, work = options.one
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            print(json.dumps(runner.run(measure(SIZES[size], WORK[work], options.seconds))))
        return
    print("| pieces | thread | engine | pieces a second | thread's work a second |")
    print("| :-- | :-- | :-- | --: | --: |")
    for size in SIZES:
        for work in WORK:
            taken: dict[str, list[list[float]]] = {engine: [] for engine in ENGINES}
            for _ in range(options.rounds):
                for engine, figures in taken.items():
                    figures.append(measure_apart(engine, size, work, options.seconds))
            for engine, figures in taken.items():
                pieces, done = (statistics.median(column) for column in zip(*figures, strict=True))
                print(f"| {size} | {work} | {engine} | {pieces:.0f} | {done:.0f} |", flush=True)


if __name__ == "__main__":
    main()
