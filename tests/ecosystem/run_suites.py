"""Runs upstream test suites on stock, then on Ferrio: `python run_suites.py PREFIX [SUITE...]`.

PREFIX and a suite's name give the virtual environment to use, which has the suite's dependencies
and no Ferrio; that comes in through PYTHONPATH (`underneath/sitecustomize.py`). A test counts when
stock passes it. One that then does not pass on Ferrio is run alone, twice at most, because a busy
machine lets tests fail that watch the clock. What fails every time is a difference, and so is what
never ended; unless stock fails it as well when it runs alone, as it does where threads race.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator

import sources

sys.path.insert(0, str(sources.FOLDER.parent / "conformance"))

import reasoned_list

REPOSITORY = sources.FOLDER.parents[1]
UNDERNEATH = sources.FOLDER / "underneath"
EXCEPTIONS = sources.FOLDER / "exceptions.toml"
TEST_TIMEOUT_S = 60
SUITE_TIMEOUT_S = 3600
RUNS_ALONE = 2
MOST_RUN_ALONE = 200

# Two names for one place: tests of IPv6 look "localhost" up, which not every machine has for both.
HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"


@dataclasses.dataclass
class Outcomes:
    """What the tests of one run came to, and on whose loops they ran."""

    tests: dict[str, str]
    runs: collections.Counter[str]
    on_stock: list[str]
    log: pathlib.Path

    def passed(self) -> set[str]:
        return {test for test, outcome in self.tests.items() if outcome in {"passed", "xfailed"}}


def run(
    suite: sources.Suite, target: str, prefix: str, record: pathlib.Path, options: list[str]
) -> Outcomes:
    """One run of pytest in the suite's environment, with `target` underneath."""
    record.mkdir()
    path = [str(UNDERNEATH)] + ([str(REPOSITORY / "python")] if target == "ferrio" else [])
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("PYTEST")}
    environment |= {
        "FERRIO_ECOSYSTEM_TARGET": target,
        "FERRIO_ECOSYSTEM_RECORD": str(record),
        "PYTHONPATH": os.pathsep.join(path),
    }
    pytest = REPOSITORY / f"{prefix}{suite.name}" / "bin" / "pytest"
    command = [*with_hosts(record), str(pytest), "-p", "ecosystem_recorder", "-o", "addopts="]
    command += ["-p", "no:cacheprovider", f"--timeout={TEST_TIMEOUT_S}", "-rfE", "--tb=short"]
    with (record / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, *options],
            cwd=sources.folder_of(suite),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(SUITE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return read(record)


def read(record: pathlib.Path) -> Outcomes:
    """What the plugin wrote down."""
    runs: collections.Counter[str] = collections.Counter()
    on_stock: list[str] = []
    for path in record.glob("loops-*.json"):
        loops = json.loads(path.read_text())
        runs.update(loops["runs"])
        on_stock += loops["on_stock"]
    written = record / "outcomes.json"
    outcomes = json.loads(written.read_text()) if written.exists() else {}
    # Parameters that are classes name the test; the loop's class is one of them.
    tests = {
        test.replace("_UnixSelectorEventLoop", "EventLoop"): outcomes[test] for test in outcomes
    }
    return Outcomes(tests, runs, on_stock, record / "log")


def with_hosts(record: pathlib.Path) -> list[str]:
    """The command under which "localhost" is ::1 too; empty where it is, or nobody may say so."""
    try:
        socket.getaddrinfo("localhost", None, socket.AF_INET6)
    except socket.gaierror:
        if os.geteuid() == 0:
            (record / "hosts").write_text(HOSTS)
            script = 'mount --bind "$0" /etc/hosts && exec "$@"'
            return ["unshare", "-m", "sh", "-c", script, str(record / "hosts")]
    return []


def compare(suite: sources.Suite, prefix: str, folder: pathlib.Path, jobs: int) -> list[str]:
    """Run the suite on both, print what it came to; what is wrong, in sentences."""
    crowd = ["-n", str(jobs), *suite.arguments]
    stock = run(suite, "stock", prefix, folder / "stock", crowd)
    ferrio = run(suite, "ferrio", prefix, folder / "ferrio", crowd)
    wrong = misplaced(stock, ferrio)
    listed = exceptions_of(suite.name)
    differing = {test for test in stock.passed() - ferrio.passed() if not listed.reason_for(test)}
    unlucky = passing_alone(suite, prefix, folder, differing)
    unsteady = failing_alone_on_stock(suite, prefix, folder, differing - unlucky)
    differing -= unlucky | unsteady
    for test in sorted(differing):
        wrong.append(f"{test}: passes on stock, {ferrio.tests.get(test, 'missing')} on Ferrio")
    wrong += outdated(listed, stock, ferrio)
    both = stock.passed() & (ferrio.passed() | unlucky)
    if not both:
        wrong.append(f"nothing ran: {stock.log.read_text()[-2000:]}")
    counts = {
        "tests": len(stock.tests),
        "pass on both": len(both),
        "differ": len(differing),
        "listed": sum(listed.reason_for(test) is not None for test in stock.tests),
        "fail on stock": list(stock.tests.values()).count("failed"),
        "passed when run alone": len(unlucky),
        "fail on stock when run alone": len(unsteady),
        "runs of Ferrio's loops": ferrio.runs["ferrio"],
    }
    print(
        f"{suite.name}:", ", ".join(f"{count} {what}" for what, count in counts.items()), flush=True
    )
    return [f"{suite.name}: {sentence}" for sentence in wrong]


def passing_alone(
    suite: sources.Suite, prefix: str, folder: pathlib.Path, differing: set[str]
) -> set[str]:
    """Those of the tests that pass on Ferrio when they run with few others, one after the other."""
    passing: set[str] = set()
    for alone in turns_alone(suite, "ferrio", prefix, folder, differing, passing):
        passing |= alone.passed() & differing
        print(failures(alone), end="")
    return passing


def failing_alone_on_stock(
    suite: sources.Suite, prefix: str, folder: pathlib.Path, tests: set[str]
) -> set[str]:
    """Those of the tests that stock passed in the crowd, but fails in one of the turns alone."""
    failing: set[str] = set()
    for alone in turns_alone(suite, "stock", prefix, folder, tests, failing):
        failing |= {test for test in tests if alone.tests.get(test) == "failed"}
    for test in sorted(failing):
        print(f"fails on stock too when run alone: {test}")
    return failing


def turns_alone(
    suite: sources.Suite,
    target: str,
    prefix: str,
    folder: pathlib.Path,
    tests: set[str],
    settled: set[str],
) -> Iterator[Outcomes]:
    """Runs of the tests that the caller has not settled yet, one test after the other."""
    options = [option for option in suite.arguments if option != "tests"]
    for turn in range(RUNS_ALONE):
        left = sorted(tests - settled)
        if left and len(left) <= MOST_RUN_ALONE:
            record = folder / f"alone-{target}-{turn}"
            yield run(suite, target, prefix, record, [*options, "--", *left])


def outdated(listed: reasoned_list.ReasonedList, stock: Outcomes, ferrio: Outcomes) -> list[str]:
    """Entries of the list that are no exceptions."""
    missing = [f"{pattern}: is listed and not there" for pattern in listed.unmatched(stock.tests)]
    return missing + [
        f"{test}: is listed, but passes on Ferrio, or not on stock"
        for test in sorted(stock.tests)
        if listed.reason_for(test) and (test in ferrio.passed() or test not in stock.passed())
    ]


def exceptions_of(name: str) -> reasoned_list.ReasonedList:
    """The tests of one suite that are listed."""
    reasons = {}
    for entry in tomllib.loads(EXCEPTIONS.read_text()).get("listed", []):
        versions = entry.get("versions", [reasoned_list.RUNNING_VERSION])
        if entry["suite"] == name and reasoned_list.RUNNING_VERSION in versions:
            reasons.update(dict.fromkeys(entry["tests"], entry["reason"]))
    return reasoned_list.ReasonedList(reasons)


def misplaced(stock: Outcomes, ferrio: Outcomes) -> list[str]:
    """Whatever ran on loops that it should not have run on."""
    found = [f"{test}: ran on a stock loop" for test in ferrio.on_stock]
    if stock.runs["ferrio"]:
        found.append("the run on stock ran on Ferrio's loops")
    if not ferrio.runs["ferrio"]:
        found.append("the run on Ferrio ran on none of its loops")
    return found


def failures(outcomes: Outcomes) -> str:
    """The part of pytest's output that tells of failures."""
    _, mark, rest = outcomes.log.read_text().partition("= FAILURES =")
    return mark + rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix")
    parser.add_argument("suites", nargs="*")
    parser.add_argument("--jobs", type=int, default=2, help="tests to run at a time")
    arguments = parser.parse_args()
    known = sources.suites()
    wrong = []
    for name in arguments.suites or known:
        with tempfile.TemporaryDirectory() as folder:
            wrong += compare(known[name], arguments.prefix, pathlib.Path(folder), arguments.jobs)
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
