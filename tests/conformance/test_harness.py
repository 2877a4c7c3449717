"""The harness itself: no ending of a test, however bad, goes unnoticed or stops the others."""

import pytest
import reasoned_list
import run_module
import targets

MODULE = "samples.ending_badly"
ENDINGS = f"{MODULE}/EndingTests"


@pytest.fixture(scope="module")
def report() -> run_module.Report:
    return run_module.run_module(MODULE, "stock", timeout_s=2.0)


def test_tests_after_a_hang_and_a_crash_still_run(report: run_module.Report) -> None:
    names = ["a_passes", "d_passes_after_a_hang", "f_passes_after_a_crash"]
    assert list(report.passed) == [f"{ENDINGS}.test_{name}" for name in names]
    assert list(report.skipped) == [f"{ENDINGS}.test_g_is_skipped"]


def test_a_hang_is_a_failure_that_shows_where_it_hung(report: run_module.Report) -> None:
    hung = report.failed[f"{ENDINGS}.test_c_hangs"]
    assert hung.kind == "hung"
    assert "in test_c_hangs" in hung.detail


def test_a_crash_is_a_failure_that_shows_where_it_crashed(report: run_module.Report) -> None:
    crashed = report.failed[f"{ENDINGS}.test_e_crashes"]
    assert crashed.kind == "crashed"
    assert "in test_e_crashes" in crashed.detail


def test_failures_carry_their_traceback(report: run_module.Report) -> None:
    assert "on purpose" in report.failed[f"{ENDINGS}.test_b_fails"].detail
    assert "number=2" in report.failed[f"{ENDINGS}.test_h_fails_in_a_subtest"].detail
    assert f"{ENDINGS}.test_b_fails: failed" in report.failures()


def test_a_class_whose_fixture_fails_is_a_failure(report: run_module.Report) -> None:
    assert [name for name in report.failed if "setUpClass" in name]
    assert len(report.failed) == 5


def test_the_summary_counts_every_outcome(report: run_module.Report) -> None:
    assert report.summary().startswith(
        f"{MODULE}: 9 bound, 3 passed, 0 listed, 5 failed, 1 skipped (stock, "
    )


def test_a_listed_test_that_passes_fails_the_run(
    report: run_module.Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {f"{ENDINGS}.test_a_passes": "said to fail", f"{ENDINGS}.test_b_fails": "fails"}
    outcomes = {**report.passed, **report.failed}
    monkeypatch.setattr(run_module, "_run", lambda *_args, **_named: (list(outcomes), outcomes))
    monkeypatch.setattr(reasoned_list, "load", lambda *_: reasoned_list.ReasonedList(listed))
    judged = run_module.run_module(MODULE, "ferrio")
    assert list(judged.listed) == [f"{ENDINGS}.test_b_fails"]
    assert "take it off the list" in judged.failed[f"{ENDINGS}.test_a_passes"].detail
    # Everything that failed on Ferrio failed on stock as well, as _run stands in for both.
    assert list(judged.failed) == [f"{ENDINGS}.test_a_passes"]


def test_an_unknown_target_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(targets.ENVIRONMENT_NAME, "feriro")
    with pytest.raises(ValueError, match="feriro"):
        targets.chosen_name()
