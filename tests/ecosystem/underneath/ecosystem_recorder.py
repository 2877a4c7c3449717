"""A pytest plugin: writes down what each test came to, and on whose loops the tests ran.

It is loaded by name (`-p ecosystem_recorder`), with FERRIO_ECOSYSTEM_RECORD naming a folder. The
loops are how a run shows by itself that what it says to test lay underneath, and nothing else.
"""

import asyncio
import collections
import functools
import json
import os
import pathlib

import pytest

FOLDER = pathlib.Path(os.environ["FERRIO_ECOSYSTEM_RECORD"])
WORST_LAST = ["passed", "xpassed", "xfailed", "skipped", "failed"]

# How many runs there were on loops of each maker; for stock ones, in which tests.
runs: collections.Counter[str] = collections.Counter()
on_stock: collections.Counter[str] = collections.Counter()


def _noted(method):
    @functools.wraps(method)
    def run(self, *arguments):
        makers = {base.__module__.partition(".")[0] for base in type(self).__mro__}
        runs["ferrio" if "ferrio" in makers else "stock"] += 1
        if "ferrio" not in makers:
            on_stock[os.environ.get("PYTEST_CURRENT_TEST", "outside of tests")] += 1
        return method(self, *arguments)

    return run


def pytest_configure() -> None:
    """Note each `run_until_complete`, which both kinds inherit, and stock's `run_forever`."""
    base = asyncio.base_events.BaseEventLoop
    base.run_until_complete = _noted(base.run_until_complete)
    base.run_forever = _noted(base.run_forever)


class Recorder:
    """The worst that each test came to in its phases."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report) -> None:
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if outcome == "skipped" else "xpassed"
        before = self.outcomes.get(report.nodeid, "passed")
        self.outcomes[report.nodeid] = max(before, outcome, key=WORST_LAST.index)

    def pytest_sessionfinish(self) -> None:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        record = {"runs": runs, "on_stock": on_stock}
        (FOLDER / f"loops-{worker}.json").write_text(json.dumps(record))
        if worker == "main":
            (FOLDER / "outcomes.json").write_text(json.dumps(self.outcomes))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session) -> None:
    """Begin to record, in the process that hands out the tests and in those that run them."""
    session.config.pluginmanager.register(Recorder(), "ecosystem-outcomes")
