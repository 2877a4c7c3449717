"""Runs uvloop's own tests with Ferrio as their loop: `python uvloop_suite.py [MODULE...]`.

The tests come with uvloop's source distribution. pip downloads it once, into a cache folder outside
of this repository; nothing of it is built or copied here. uvloop_bindings.py puts the target's loop
in place of uvloop's, run_module.py runs and judges.

Each test takes the target for uvloop first. Where that fails on stock as well, uvloop and asyncio
differ; the suite knows most of these places and expects asyncio's way of asyncio. So such a test is
run once more and takes the target for asyncio.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import run_module
import suites
import targets
import uvloop_bindings

RELEASE = "uvloop-0.23.0"
SHA256 = "28d160f51ab4da3b187063652e643dea6831072add4adc1e6d62afbe73b6be27"
TEST_TIMEOUT_S = 30.0

# The suite looks for a free port, lets it go and binds it later: another process may be faster.
PORT_TAKEN = "address already in use"

# Its server hangs up after 1.2 s, however long the client takes to copy 200 MB and to wait 0.2 s.
HANGS_UP = "test_sockets/TestUVSockets.test_socket_cancel_sock_sendall"
HUNG_UP = "Connection reset by peer"

# The longest first, so that two processes end at about the same time.
LONG_MODULES = ["test_tcp", "test_sockets"]
CENSUS = pathlib.Path(__file__).with_name("census.py")
COUNTED = {
    "bound": "bound",
    "passed": "passed",
    "listed": "listed",
    "skipped": "skipped",
    "fails_on_stock": "fail on stock too",
    "failed": "failed",
}


def suite_folder() -> pathlib.Path:
    """Where the unpacked distribution is, after downloading it when it is not there yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(cache) / "ferrio" / RELEASE
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            unpacked = _download(pathlib.Path(name))
            try:
                unpacked.rename(folder)
            except OSError:  # unless another run came first
                if not folder.exists():
                    raise
    return folder


def _download(folder: pathlib.Path) -> pathlib.Path:
    requirement = RELEASE.replace("-", "==")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "uvloop", "--dest", str(folder), requirement]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(
            f"uvloop's own tests did not run: pip, whose words are above, ended with {status} and "
            f"did not download the source distribution of {requirement}, which has them"
        )
    archive = folder / f"{RELEASE}.tar.gz"
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(
            f"uvloop's own tests did not run: {archive.name} has the hash {found}, not {SHA256}"
        )
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / RELEASE


def set_environment(folder: pathlib.Path) -> None:
    """Let every process begun from here find the tests, and the shim before all else."""
    os.environ[uvloop_bindings.SUITE_NAME] = str(folder)
    path = [str(uvloop_bindings.SHIM), str(folder), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(entry for entry in path if entry)


def run(module: str, target: str) -> run_module.Report:
    """Run the tests of `module`; those that stock fails too once more as tests of asyncio.

    What is listed must fail on stock as well: nothing may be listed that only Ferrio fails.
    """
    started_at = time.monotonic()
    report = run_module.run_module(module, target, TEST_TIMEOUT_S, suites.UVLOOP)
    if unlucky := [name for name, end in report.failed.items() if _is_bad_luck(name, end.detail)]:
        again = run_module.run_module(module, target, TEST_TIMEOUT_S, suites.UVLOOP, unlucky)
        _take_verdicts(report, again)
    differing = list(report.fails_on_stock if target == "ferrio" else report.failed)
    if differing:
        of_asyncio = suites.UVLOOP_OF_ASYNCIO
        again = run_module.run_module(module, target, TEST_TIMEOUT_S, of_asyncio, differing)
        _take_verdicts(report, again)
    for test_id in run_module.passing_on_stock(
        suites.UVLOOP, module, list(report.listed), TEST_TIMEOUT_S
    ):
        detail = "passes on stock, though it is listed"
        report.failed[test_id] = dataclasses.replace(report.listed.pop(test_id), detail=detail)
    report.seconds = time.monotonic() - started_at
    return report


def _is_bad_luck(test_id: str, detail: str) -> bool:
    """Whether the test lost a race against something that no loop has a hand in."""
    return PORT_TAKEN in detail or (test_id == HANGS_UP and HUNG_UP in detail)


def _take_verdicts(report: run_module.Report, again: run_module.Report) -> None:
    """Let what the tests said when they ran once more replace what they said before."""
    for verdict in ("passed", "failed", "skipped", "fails_on_stock"):
        for test_id, outcome in getattr(again, verdict).items():
            report.failed.pop(test_id, None)
            report.fails_on_stock.pop(test_id, None)
            getattr(report, verdict)[test_id] = outcome


def unmatched_patterns(target: str) -> list[str]:
    """The patterns of the list that match no test."""
    environment = {**os.environ, **suites.UVLOOP.environment, targets.ENVIRONMENT_NAME: target}
    command = [sys.executable, str(CENSUS), suites.UVLOOP.name]
    census = json.loads(subprocess.check_output(command, text=True, env=environment))
    return census["useless_patterns"]


def modules_to_run() -> list[str]:
    """The test modules of which something is bound, the longest first."""
    unbound = suites.UVLOOP.reasoned_list("unbound")
    names = uvloop_bindings.module_names()
    run = [name for name in names if unbound.reason_for(f"{name}/*") is None]
    return sorted(run, key=lambda name: (name not in LONG_MODULES, name))


def print_report(report: run_module.Report, verbose: bool) -> None:
    """Print the counts of one module, and each failure; with `verbose` each test."""
    if verbose:
        run_module.print_tests(report)
    elif report.failed:
        print(report.failures())
    for test_id in report.fails_on_stock:
        print(f"{test_id}: fails on stock too, and is not listed")
    print(report.summary(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--target", choices=targets.TARGET_NAMES, default=targets.chosen_name())
    parser.add_argument("--jobs", type=int, default=1, help="modules to run at a time")
    parser.add_argument("--verbose", action="store_true", help="one JSON line for each test")
    arguments = parser.parse_args()

    set_environment(suite_folder())
    modules = arguments.modules or modules_to_run()
    totals: Counter[str] = Counter()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for report in pool.map(run, modules, [arguments.target] * len(modules)):
            print_report(report, arguments.verbose)
            totals.update({name: len(getattr(report, name)) for name in COUNTED})
    print("uvloop's own tests:", ", ".join(f"{totals[name]} {COUNTED[name]}" for name in COUNTED))
    useless = unmatched_patterns(arguments.target)
    if useless:
        print(f"uvloop_exceptions.toml lists tests that are not there: {useless}")
    sys.exit(1 if totals["failed"] or useless or not totals["passed"] else 0)


if __name__ == "__main__":
    main()
