"""The fuzzer itself: planted bugs are found and made small, and stock never differs from stock."""

import contextlib

import engines
import fuzz
import pytest
import stage

SMALL = 32  # lines of a program that shows a planted bug


@pytest.fixture
def pair_with():
    """Stock beside an engine of these arguments."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(engines.Pair(*arguments))


@pytest.mark.timeout(300)  # making a program small takes a few hundred runs
@pytest.mark.parametrize(
    ("bug", "feature"),
    [
        ("lock_wakes_the_last_waiter", "locks"),
        ("queue_takes_one_turn_more", "queues"),
        ("event_forgets_a_waiter", "events"),
        ("chain_is_cut", "groups"),
        ("gather_crashes", "gather"),
        ("reader_wakes_for_nothing", "streams"),
        ("drain_forgets_to_wait", "streams"),
    ],
)
def test_a_planted_bug_is_found_and_made_small(pair_with, bug, feature):
    pair = pair_with("asyncio", bug)
    found = fuzz.first_difference(pair, 1, [feature], batch=2000)
    assert found is not None, f"{bug} was not found in {pair.played} programs"
    source, text = found
    assert source.count("\n") <= SMALL, source
    assert "ferrio:" in text


def test_an_engine_that_hangs_is_a_difference_and_the_next_program_goes_on(pair_with, monkeypatch):
    monkeypatch.setattr(engines, "PATIENCE", 1)
    pair = pair_with("asyncio", "barrier_spins")
    hanging = program(
        "b0 = asyncio.Barrier(2)",
        "async def t0():\n    await b0.wait()",
        "async def t1():\n    await b0.wait()",
    )
    assert "hangs" in pair.difference(hanging)
    assert pair.difference(program("async def t0(): pass", "async def t1(): pass")) is None


def test_a_program_without_end_is_ended_on_both(pair_with):
    pair = pair_with("asyncio")
    endless = program(
        "@traced\nasync def t0():\n    while True:\n        log(1)", "async def t1():\n    log(2)"
    )
    assert pair.difference(endless) is None
    _, trace, _ = pair.stock.play(endless)
    assert len(trace) == stage.LIMIT + 1


def test_stock_agrees_with_stock(pair_with):
    pair = pair_with("asyncio")
    assert fuzz.first_difference(pair, 2, batch=200) is None
    assert pair.undecided == 0


@pytest.mark.parametrize("clock", ["virtual", "turns"])
def test_delays_are_kept_without_waiting(pair_with, clock):
    source = program(
        "async def t0():\n    await asyncio.sleep(2)\n    log('t0', 2)",
        "async def t1():\n    await asyncio.sleep(1)\n    log('t1', 1)",
        clock=clock,
    )
    _, trace, _ = pair_with("asyncio").stock.play(source)
    finished = [event[1] for event in trace if event[1] in ("t0", "t1") and len(event) > 4]
    assert finished == (["t1", "t0"] if clock == "virtual" else [])


def program(*parts, clock="turns"):
    """A program of two tasks."""
    head = ["import asyncio", "from stage import *", f'loop = new_loop("{clock}")']
    return "\n".join([*head, *parts, "play(t0, t1)", ""])
