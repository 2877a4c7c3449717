"""One network measurement: a server in a process on one core, the load generator on another.

The bare servers are `bench-net serve` and `bench-net spawn`, the others net_server.py on a loop.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple, TypeVar

from environment import plain_environment
from net_rows import FILE_SIZE, NetRow, clients, programs

HERE = Path(__file__).parent
BENCH_NET = HERE.parent / "target/bench/release/bench-net"
BARE = "bare"
PROCESS_TIMEOUT_S = 60
LOCK = Path(tempfile.gettempdir()) / "ferrio-bench-net.lock"


Kind = TypeVar("Kind", bound="Bench")


class MeasurementFailed(Exception):
    """A process of the measurement did not end well; says what it said last."""


class Running(NamedTuple):
    """A server process."""

    pid: int
    address: str
    errors: Path
    """What it said on stderr."""


@dataclass
class Bench:
    """Where and for how long measurements run."""

    binary: Path
    folder: Path
    """Holds the file that is served, Unix sockets, and what the server said."""
    server_core: int
    load_core: int
    warm_up_s: float
    seconds: float
    nice: int
    server_options: ClassVar[tuple[str, ...]] = ()
    """What net_server.py is told besides."""

    @property
    def served_file(self) -> Path:
        return self.folder / "served"

    @property
    def certificate(self) -> Path:
        """Certificate and key in one file, made when they are needed first."""
        path = self.folder / "certificate"
        if not path.exists():
            make_certificate(path)
        return path

    def measure(self, row: NetRow, loop: str) -> dict[str, Any]:
        """What the load generator, the program or the client printed. Runs at once take turns."""
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._measure(row, loop)

    def _measure(self, row: NetRow, loop: str) -> dict[str, Any]:
        if row.server in programs:
            return self._figures([*self._own_command(row, loop, "spawn"), *self._duration()])
        if row.server in clients:
            at = row.at.replace("127.0.0.1", _loopback_address())
            serve = [self.binary, "serve", "--at", at, "--core", self.load_core]
            with self._served(serve) as running:
                command = self._own_command(row, loop, "load")
                place = ["--to" if loop == BARE else "--at", running.address]
                figures = self._figures([*command, *place, *self._duration()], running.errors)
            return figures | {"server_cpu_s": figures.get("own_cpu_s", figures["server_cpu_s"])}
        with self._served(self._server_command(row, loop)) as running:
            command = [self.binary, "load", "--to", running.address, "--watch", running.pid]
            command += [*self._completed(row.load), *self._duration(), "--core", self.load_core]
            return self._figures(command, running.errors)

    def _figures(self, command: list[Any], errors: Path | None = None) -> dict[str, Any]:
        figures: dict[str, Any] = json.loads(self._printed(command, errors))
        return figures

    def _printed(self, command: list[Any], errors: Path | None = None) -> str:
        """What a process printed that ended well, while the server of `errors` was silent."""
        with tempfile.TemporaryFile("w+") as said:
            process = self._start(command, said)
            try:
                printed, _ = process.communicate(timeout=PROCESS_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise MeasurementFailed(f"no end after {PROCESS_TIMEOUT_S} s") from None
            said.seek(0)
            complaint = (errors.read_text() if errors else "") or said.read()
        if process.returncode or complaint:
            raise MeasurementFailed(_last_line(complaint, process.returncode))
        return printed

    @contextlib.contextmanager
    def _served(self, command: list[Any]) -> Iterator[Running]:
        """A server that has said where it listens; it is killed in the end."""
        errors = self.folder / "errors"
        with errors.open("w") as said:
            process = self._start(command, said)
        try:
            assert process.stdout
            address = process.stdout.readline().strip()
            if not address:
                status = process.wait(PROCESS_TIMEOUT_S)
                raise MeasurementFailed(_last_line(errors.read_text(), status))
            yield Running(process.pid, address, errors)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()

    def _start(self, command: list[Any], errors: IO[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=plain_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=bool(self.nice),
        )
        if self.nice:
            # A session is a group of its own for the scheduler, and groups have the share that
            # their own nice value gives them (sched(7), "The autogroup feature").
            os.setpriority(os.PRIO_PROCESS, process.pid, self.nice)
            autogroup = Path(f"/proc/{process.pid}/autogroup")
            if autogroup.exists():
                autogroup.write_text(str(self.nice))
        return process

    def _server_command(self, row: NetRow, loop: str) -> list[Any]:
        pinned: list[Any] = ["--core", self.server_core]
        at = row.at
        if at == "unix:":
            socket = self.folder / "socket"
            socket.unlink(missing_ok=True)
            at = f"unix:{socket}"
        if "--tls" in row.load:
            pinned += ["--certificate", self.certificate]
        if loop == BARE:
            return [self.binary, "serve", "--at", at, *self._completed(row.bare), *pinned]
        command = self._net_server(loop, row.server, "--at", at, *pinned)
        return [*command, "--file", self.served_file]

    def _own_command(self, row: NetRow, loop: str, bare: str) -> list[Any]:
        """A program or a client on the measured core; `bare` is the subcommand of its limit."""
        if loop == BARE:
            return [self.binary, bare, *row.bare, "--core", self.server_core]
        return self._net_server(loop, row.server, *row.load, "--core", self.server_core)

    def _net_server(self, loop: str, server: str, *more: Any) -> list[Any]:
        return [sys.executable, HERE / "net_server.py", loop, server, *more, *self.server_options]

    def _duration(self) -> list[Any]:
        return ["--warm-up", self.warm_up_s, "--seconds", self.seconds]

    def _completed(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(self.served_file) if word == "FILE" else word for word in arguments]


def _loopback_address() -> str:
    """One of 127.0.0.0/8, for the server of one measurement.

    At an address that the last minute's clients were connected to, their ports in TIME_WAIT are
    taken, and a connect's search for a free one costs more than the rest of it.
    """
    return "127." + ".".join(str(random.randint(1, 250)) for _ in range(3))


@contextlib.contextmanager
def bench(kind: type[Kind], binary: Path, **places: Any) -> Iterator[Kind]:
    """A bench with a folder of its own, in which the served file lies."""
    if not binary.exists():
        sys.exit(f"{binary} is missing: benches/README.md says where it comes from")
    with tempfile.TemporaryDirectory(prefix="bench-net-") as name:
        made = kind(binary=binary, folder=Path(name), **places)
        made.served_file.write_bytes(bytes(index * index % 251 for index in range(FILE_SIZE)))
        yield made


def make_certificate(path: Path) -> None:
    """A certificate of the kind that most web servers have, signed by itself, and its key."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    key = path.with_suffix(".key")
    command = ["openssl", "req", "-x509", *curve, "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", path], check=True, stderr=subprocess.DEVNULL)
    with path.open("a") as file:
        file.write(key.read_text())


def _last_line(text: str, status: int) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else f"exit status {status}"
