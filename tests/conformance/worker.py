"""Runs the bound tests of one module in this process and writes one JSON line for each event.

`start` before a test, then `result` with its outcome, and `finished` after the last. A test that
outlives its time is ended with the whole process by faulthandler, which writes every thread's
stack first; run_module.py sees a `start` without a `result` and begins again behind it.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import pathlib
import signal
import time
import unittest
from collections.abc import Collection
from typing import Any, TextIO

import suites
import targets

# How long the interpreter may take to end after the last test; threads can keep it from that.
EXIT_TIMEOUT_S = 10.0


class ReportingResult(unittest.TestResult):
    """Writes each test's outcome as it ends, and keeps the watchdog armed."""

    def __init__(self, events: TextIO, stacks: TextIO, timeout_s: float) -> None:
        super().__init__()
        self._events = events
        self._stacks = stacks
        self._timeout_s = timeout_s
        self._outcome: dict[str, Any] = {}
        self._started_at = 0.0
        self._running: unittest.TestCase | None = None

    def write(self, event: str, **fields: Any) -> None:
        """Write one event and arm the watchdog for what comes next."""
        timeout_s = EXIT_TIMEOUT_S if event == "finished" else self._timeout_s
        self._events.write(json.dumps({"event": event, **fields}) + "\n")
        self._events.flush()
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=self._stacks)

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self._outcome = {"outcome": "passed"}
        self._running = test
        self._started_at = time.monotonic()
        self.write("start", id=test.conformance_id)

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        if self._running is None:
            return  # 3.12.1 stops what it skipped without a start (gh-106584)
        self._running = None
        seconds = round(time.monotonic() - self._started_at, 3)
        self.write("result", id=test.conformance_id, seconds=seconds, **self._outcome)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._fail(test, self.errors[-1][1])

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._fail(test, self.failures[-1][1])

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, f"{subtest}\n{self._exc_info_to_string(err, test)}")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._fail(test, "the test expects a failure, and passed")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._settle(test, {"outcome": "skipped", "detail": reason})

    def _fail(self, test: Any, detail: str) -> None:
        self._settle(test, {"outcome": "failed", "detail": detail})

    def _settle(self, test: Any, outcome: dict[str, Any]) -> None:
        if self._running is None:
            # A class or module fixture, or a skip that this unittest reports without a start.
            name = getattr(test, "conformance_id", None) or test.id()
            self.write("result", id=name, seconds=0.0, **outcome)
        elif self._outcome["outcome"] != "failed":
            self._outcome = outcome


def collect(suite: suites.Suite, module_name: str, target: targets.Target) -> list[Any]:
    """Every bound test of a module, with the id by which the list of exceptions knows it."""
    unbound = suite.reasoned_list("unbound")
    if unbound.reason_for(f"{module_name}/*"):
        return []
    tests = collect_all(suite, module_name, target)
    return [test for test in tests if unbound.reason_for(test.conformance_id) is None]


def collect_all(suite: suites.Suite, module_name: str, target: targets.Target) -> list[Any]:
    """What `collect` gives, and the tests that the list of exceptions leaves unbound."""
    tests = []
    for name, case in suite.load_bindings().bound_classes(module_name, target).items():
        for method in unittest.defaultTestLoader.getTestCaseNames(case):
            test: Any = case(method)
            test.conformance_id = f"{module_name}/{name}.{method}"
            tests.append(test)
    return tests


def set_up_interpreter() -> None:
    """What `python -m test` sets up and asyncio's tests rely on: no optional resources, and Ctrl-C,
    which a shell has its background jobs ignore."""
    from test import support

    support.use_resources = []
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.enable()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("--suite", choices=suites.SUITES, required=True)
    parser.add_argument("--target", choices=targets.TARGET_NAMES, default=targets.chosen_name())
    parser.add_argument("--events", type=pathlib.Path, required=True)
    parser.add_argument("--stacks", type=pathlib.Path, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--only", type=pathlib.Path, help="a JSON list of the ids to run")
    parser.add_argument("--skip", type=pathlib.Path, help="a JSON list of the ids not to run")
    arguments = parser.parse_args()

    set_up_interpreter()
    # Programs that a test starts choose the same target.
    os.environ[targets.ENVIRONMENT_NAME] = arguments.target
    suite = suites.SUITES[arguments.suite]
    tests = collect(suite, arguments.module, targets.load(arguments.target))
    if arguments.only:
        only = _ids(arguments.only)
        tests = [test for test in tests if test.conformance_id in only]
    if arguments.skip:
        skip = _ids(arguments.skip)
        tests = [test for test in tests if test.conformance_id not in skip]

    # Some tests collect garbage in a loop: what lives until the end need not be walked each time.
    gc.collect()
    gc.freeze()
    with arguments.events.open("a") as events, arguments.stacks.open("a") as stacks:
        result = ReportingResult(events, stacks, arguments.timeout)
        result.write("collected", ids=[test.conformance_id for test in tests])
        unittest.TestSuite(tests).run(result)
        result.write("finished")


def _ids(path: pathlib.Path) -> Collection[str]:
    return set(json.loads(path.read_text()))


if __name__ == "__main__":
    main()
