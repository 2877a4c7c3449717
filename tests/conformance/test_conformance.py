"""Each interpreter's own asyncio tests on Ferrio: one pytest test for each of their modules.

bindings.py says what is bound, exceptions.toml what cannot be. `FERRIO_CONFORMANCE_TARGET=stock`
runs the same on asyncio itself.
"""

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable

import bindings
import pytest
import run_module
import suites
import targets

CENSUS = pathlib.Path(__file__).with_name("census.py")
LISTED_SHARE_LIMIT = 0.05

# The longest first, so that two processes end at about the same time.
LONG_MODULES = ["test_tasks", "test_subprocess", "test_ssl", "test_taskgroups", "test_sslproto"]

# Run once more with TLS through the public calls of ssl.SSLObject.
TLS_MODULES = ["test_ssl", "test_sslproto"]

needs_test_package = pytest.mark.skipif(
    not bindings.module_names(),
    reason=f"{sys.executable} has no {bindings.PACKAGE}: install its test suite (on Debian the "
    "package libpython3.X-testsuite)",
)


def modules_to_run() -> list[str]:
    names = bindings.module_names()
    unbound = suites.INTERPRETER.reasoned_list("unbound")
    run = [name for name in names if unbound.reason_for(f"{name}/*") is None]
    return sorted(run, key=lambda name: (name not in LONG_MODULES, name))


@needs_test_package
@pytest.mark.timeout(1800)  # each test within has its own limit; this is for many that hang
@pytest.mark.parametrize("module", modules_to_run())
def test_module(module: str, record_property: Callable[[str, object], None]) -> None:
    report = run_module.run_module(module, targets.chosen_name())
    record_property("conformance_summary", report.summary())
    if report.failed:
        pytest.fail(f"{report.summary()}\n\n{report.failures()}", pytrace=False)
    assert report.passed, f"{module}: nothing ran"


@needs_test_package
@pytest.mark.skipif(targets.chosen_name() == "stock", reason="stock has one way to OpenSSL")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("module", TLS_MODULES)
def test_module_without_direct_calls_of_openssl(
    module: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setenv("FERRIO_TLS", "ssl")
    test_module(module, record_property)


@needs_test_package
@pytest.mark.timeout(120)
def test_the_list_is_short_and_every_entry_matches(
    record_property: Callable[[str, object], None],
) -> None:
    command = [sys.executable, str(CENSUS), suites.INTERPRETER.name]
    census = json.loads(subprocess.check_output(command, text=True))
    share = len(census["listed"]) / len(census["bound"])
    counts = f"{len(census['listed'])} of {len(census['bound'])} bound tests"
    record_property("conformance_summary", f"the reasoned list: {counts}, {share:.2%}")
    assert census["useless_patterns"] == []
    assert share < LISTED_SHARE_LIMIT
