"""One HTTP measurement: a server in a process on one core, wrk on another, or a client alone.

Servers and clients are those of bench_http_*.py, which net_server.py runs on a loop. Relies on
/proc/PID/task/*/schedstat: nanoseconds that a thread ran, and those it waited for a core.
"""

from __future__ import annotations

import http.client
import json
import math
import time
from pathlib import Path
from typing import Any, ClassVar

from loops import STOCK
from net_process import HERE, Bench, MeasurementFailed
from net_rows import Address, NetRow, clients

QUIET_S = 0.002
ATTEMPTS = 500


class HttpBench(Bench):
    """A bench whose load generator is wrk; `binary` is where it lies."""

    server_options: ClassVar[tuple[str, ...]] = ("--http",)

    def _measure(self, row: NetRow, loop: str) -> dict[str, Any]:
        if row.server in clients:
            command = self._net_server(STOCK, "http_answers", "--at", row.at)
            with self._served([*command, "--core", self.load_core]) as running:
                command = [*self._own_command(row, loop, ""), "--at", running.address]
                return self._figures([*command, *self._duration()], running.errors)
        with self._served(self._server_command(row, loop)) as running:
            check_answer(running.address)
            self._under_wrk(row, running.address, self.warm_up_s, running.errors)
            before = cpu_when_idle(running.pid)
            figures = self._under_wrk(row, running.address, self.seconds, running.errors)
            after = cpu_when_idle(running.pid)
        ran_s, waited_s = ((late - early) / 1e9 for early, late in zip(before, after, strict=True))
        return figures | {"server_cpu_s": ran_s, "server_wait_s": waited_s, "lost": 0}

    def _under_wrk(self, row: NetRow, address: str, seconds: float, errors: Path) -> dict[str, Any]:
        """Wrk takes whole seconds; what it prints of its own goes before the line of figures."""
        at = Address.parse(address)
        command = ["taskset", "--cpu-list", self.load_core, self.binary, "--threads", 1]
        command += [*row.load, "--duration", math.ceil(seconds)]
        command += ["--script", HERE / "wrk_figures.lua", f"http://{at.host}:{at.port}/"]
        *_, last = self._printed(command, errors).splitlines()
        figures: dict[str, Any] = json.loads(last)
        if figures.pop("errors"):
            raise MeasurementFailed("wrk met errors")
        return figures


def check_answer(address: str) -> None:
    """A server that answers anything but 200, or nothing, is not measured."""
    at = Address.parse(address)
    connection = http.client.HTTPConnection(at.host, at.port, timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    body = response.read()
    connection.close()
    if response.status != http.client.OK or not body:
        raise MeasurementFailed(f"status {response.status}, {len(body)} bytes")


def cpu_when_idle(pid: int) -> tuple[int, int]:
    """Nanoseconds that the process ran and waited, once it sleeps: the kernel adds a running
    thread's time at its next tick, so a busy one would be read short."""
    before = _all_threads(pid)
    for _ in range(ATTEMPTS):
        time.sleep(QUIET_S)
        after = _all_threads(pid)
        if after == before:
            return after
        before = after
    raise MeasurementFailed("the server does not come to rest")


def _all_threads(pid: int) -> tuple[int, int]:
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    times = [thread.read_text().split() for thread in threads]
    return sum(int(ran) for ran, _, _ in times), sum(int(waited) for _, waited, _ in times)
