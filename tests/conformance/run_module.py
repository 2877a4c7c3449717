"""Runs the bound tests of one module in worker processes and judges every outcome.

A test that hangs or crashes ends its worker; it counts as failed, with the stacks, and a new worker
runs the rest. What fails on Ferrio is run once more on stock with the same binding: what fails
there too is the machine's fault (no IPv6, root, ...) and is counted apart.

From a shell: `python run_module.py MODULE... [--verbose]`; no name means every module.
uvloop_suite.py does the same for uvloop's own tests.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from typing import Any

import suites
import targets

WORKER = pathlib.Path(__file__).with_name("worker.py")
TEST_TIMEOUT_S = 60.0
TRACEBACK_LINES = 25


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one test ended: passed, failed, skipped, hung, crashed."""

    kind: str
    detail: str
    seconds: float


@dataclasses.dataclass
class Report:
    """The judged outcomes of one module."""

    module: str
    target: str
    bound: list[str]
    seconds: float
    passed: dict[str, Outcome] = dataclasses.field(default_factory=dict)
    failed: dict[str, Outcome] = dataclasses.field(default_factory=dict)
    listed: dict[str, Outcome] = dataclasses.field(default_factory=dict)
    skipped: dict[str, Outcome] = dataclasses.field(default_factory=dict)
    fails_on_stock: dict[str, Outcome] = dataclasses.field(default_factory=dict)

    def summary(self) -> str:
        """One line of counts."""
        counts = f"{self.module}: {len(self.bound)} bound, {len(self.passed)} passed, "
        counts += f"{len(self.listed)} listed, {len(self.failed)} failed"
        for count, name in ((self.skipped, "skipped"), (self.fails_on_stock, "fail on stock too")):
            if count:
                counts += f", {len(count)} {name}"
        return f"{counts} ({self.target}, {self.seconds:.1f} s)"

    def failures(self) -> str:
        """Every failed test with the end of its traceback."""
        parts = []
        for test_id, outcome in self.failed.items():
            lines = outcome.detail.rstrip().splitlines()[-TRACEBACK_LINES:]
            parts.append("\n".join([f"{test_id}: {outcome.kind}", *(f"    {x}" for x in lines)]))
        return "\n\n".join(parts)


def run_module(
    module: str,
    target: str,
    timeout_s: float = TEST_TIMEOUT_S,
    suite: suites.Suite = suites.INTERPRETER,
    only: Collection[str] | None = None,
) -> Report:
    """Run every bound test of `module`, or `only` those, and judge it against the list and stock.

    A test that takes longer than `timeout_s` seconds counts as hung.
    """
    started_at = time.monotonic()
    bound, outcomes = _run(suite, module, target, timeout_s, only)
    report = Report(module, target, bound, 0.0)
    listed = suite.reasoned_list("listed")
    for test_id, outcome in outcomes.items():
        if target == "ferrio" and listed.reason_for(test_id):
            _judge_listed(report, test_id, outcome)
        elif listed.reason_for(test_id):
            report.listed[test_id] = outcome
        else:
            by_kind = {"passed": report.passed, "skipped": report.skipped}
            by_kind.get(outcome.kind, report.failed)[test_id] = outcome
    if target == "ferrio" and report.failed:
        _excuse_what_stock_fails(suite, report, timeout_s)
    report.seconds = time.monotonic() - started_at
    return report


def _judge_listed(report: Report, test_id: str, outcome: Outcome) -> None:
    if outcome.kind in ("passed", "skipped"):
        detail = f"{outcome.kind}, though it is listed: take it off the list"
        report.failed[test_id] = dataclasses.replace(outcome, detail=detail)
    else:
        report.listed[test_id] = outcome


def _excuse_what_stock_fails(suite: suites.Suite, report: Report, timeout_s: float) -> None:
    suspects = [name for name, outcome in report.failed.items() if outcome.kind != "passed"]
    _, on_stock = _run(suite, report.module, "stock", timeout_s, only=suspects)
    for test_id in suspects:
        if test_id in on_stock and on_stock[test_id].kind not in ("passed", "skipped"):
            report.fails_on_stock[test_id] = report.failed.pop(test_id)


def passing_on_stock(
    suite: suites.Suite, module: str, test_ids: Collection[str], timeout_s: float = TEST_TIMEOUT_S
) -> list[str]:
    """Those of the tests that pass on stock asyncio."""
    if not test_ids:
        return []
    _, on_stock = _run(suite, module, "stock", timeout_s, only=test_ids)
    return [test_id for test_id in test_ids if on_stock[test_id].kind == "passed"]


def _run(
    suite: suites.Suite,
    module: str,
    target: str,
    timeout_s: float,
    only: Collection[str] | None = None,
) -> tuple[list[str], dict[str, Outcome]]:
    """Run workers until one finishes: the ids that the first one collected, and their outcomes."""
    bound: list[str] | None = None
    outcomes: dict[str, Outcome] = {}
    finished = False
    while not finished:
        worker = Worker(suite, module, target, timeout_s, only, outcomes)
        events, died = worker.run()
        started = None
        for event in events:
            if event["event"] == "collected" and bound is None:
                bound = event["ids"]
            elif event["event"] == "start":
                started = event["id"]
            elif event["event"] == "result":
                started = None
                outcomes[event["id"]] = _outcome(event)
            elif event["event"] == "finished":
                finished = True
        if died is not None:
            # Outside of any test, as in an import or at the interpreter's exit, nothing is left
            # to skip, and another worker would end in the same way.
            outcomes[started or f"{module}/(outside of tests)"] = died
            finished = finished or started is None
    return bound or [], outcomes


def _outcome(event: dict[str, Any]) -> Outcome:
    return Outcome(event["outcome"], event.get("detail", ""), event["seconds"])


@dataclasses.dataclass(frozen=True)
class Worker:
    """One process that runs the tests of `module`: those in `only` (None: all), less `done`."""

    suite: suites.Suite
    module: str
    target: str
    timeout_s: float
    only: Collection[str] | None
    done: Collection[str]

    def run(self) -> tuple[list[dict[str, Any]], Outcome | None]:
        """The worker's events, and how it died if it did not end by itself."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as name:
            folder = pathlib.Path(name)
            started_at = time.monotonic()
            status = self._wait(folder)
            died = None
            if status != 0:
                stacks = _read(folder / "stacks")
                detail = stacks or _read(folder / "output")[-8000:]
                kind = "hung" if stacks else "crashed"
                detail = f"exit status {status}\n{detail}"
                died = Outcome(kind, detail, time.monotonic() - started_at)
            lines = _read(folder / "events").splitlines()
            return [json.loads(line) for line in lines], died

    def _wait(self, folder: pathlib.Path) -> int:
        with (folder / "output").open("wb") as output:
            # Its own session, so that the children of a hung test can be ended with it; its own
            # folder, because the tests leave files where they run.
            process = subprocess.Popen(
                self._command(folder),
                cwd=folder,
                env=_environment(self.suite),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                return process.wait()
            finally:
                _end_session(process.pid)

    def _command(self, folder: pathlib.Path) -> list[str]:
        command = [sys.executable, "-W", "default", str(WORKER), self.module]
        command += ["--suite", self.suite.name, "--target", self.target]
        command += ["--timeout", str(self.timeout_s)]
        command += ["--events", str(folder / "events"), "--stacks", str(folder / "stacks")]
        for option, test_ids in (("only", self.only), ("skip", self.done)):
            if test_ids is not None:
                path = folder / option
                path.write_text(json.dumps(list(test_ids)))
                command += [f"--{option}", str(path)]
        return command


def _environment(suite: suites.Suite) -> dict[str, str]:
    """Ours and the suite's, without the settings that change what the tests themselves check."""
    dropped = {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, **suite.environment}


def _end_session(session: int) -> None:
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return


def _read(path: pathlib.Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--target", choices=targets.TARGET_NAMES, default=targets.chosen_name())
    parser.add_argument("--verbose", action="store_true", help="one JSON line for each test")
    arguments = parser.parse_args()
    totals: Counter[str] = Counter()
    for module in arguments.modules or suites.INTERPRETER.load_bindings().module_names():
        report = run_module(module, arguments.target)
        if arguments.verbose:
            print_tests(report)
        elif report.failed:
            print(report.failures())
        print(report.summary(), flush=True)
        totals.update({"bound": len(report.bound), "passed": len(report.passed)})
        totals.update({"listed": len(report.listed), "failed": len(report.failed)})
    print(", ".join(f"{totals[name]} {name}" for name in ("bound", "passed", "listed", "failed")))
    sys.exit(1 if totals["failed"] else 0)


def print_tests(report: Report) -> None:
    """Print one JSON line for each test."""
    for verdict in ("passed", "failed", "listed", "skipped", "fails_on_stock"):
        for test_id, outcome in getattr(report, verdict).items():
            fields = {"id": test_id, "verdict": verdict, **dataclasses.asdict(outcome)}
            print(json.dumps(fields))


if __name__ == "__main__":
    main()
