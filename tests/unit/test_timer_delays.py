"""call_later and call_at with odd delays: infinite, NaN, huge, of other types, no numbers."""

import fractions
import math

import pytest

NAN = math.nan
INFINITY = math.inf


def finish(loop):
    """Run what is due and ready until a callback scheduled last has run."""
    loop.call_later(0, loop.stop)
    loop.run_forever()


def test_an_infinite_delay_never_fires_and_holds_nothing_up(loop):
    seen = []
    handle = loop.call_later(INFINITY, seen.append, "never")
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert seen == []
    assert handle.when() == INFINITY
    handle.cancel()


def test_a_minus_infinite_delay_fires_first(loop):
    seen = []
    loop.call_later(-5, seen.append, "minus five")
    loop.call_later(-INFINITY, seen.append, "minus infinity")
    finish(loop)
    assert seen == ["minus infinity", "minus five"]


@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_a_lone_nan_timer_does_what_stock_does(same_as_stock, method):
    def scenario(loop, engine):
        seen = []
        getattr(loop, method)(NAN, seen.append, "fired")
        loop.stop()
        loop.run_forever()
        getattr(loop, method)(NAN, loop.stop)
        loop.run_forever()
        return seen

    same_as_stock(scenario)


def test_nan_among_other_timers_fires_in_the_order_of_stock(same_as_stock):
    def scenario(loop, engine):
        seen = []
        for number, when in enumerate([3.0, NAN, 1.0, 2.0, NAN, 0.0, 1.0]):
            loop.call_at(when, seen.append, (number, str(when)))
        for _ in range(3):
            loop.stop()
            loop.run_forever()
        return seen

    same_as_stock(scenario)


def test_call_at_keeps_the_very_number_it_was_given(loop):
    for when in (10, 10.5, True, fractions.Fraction(1, 3), 2**70):
        handle = loop.call_at(when, print)
        assert handle.when() == when
        assert type(handle.when()) is type(when)
        handle.cancel()


def test_delays_of_every_numeric_type_fire_in_order(loop):
    seen = []
    loop.call_at(fractions.Fraction(3, 2), seen.append, "1.5")
    loop.call_at(1, seen.append, "1")
    loop.call_at(True + 1.25, seen.append, "2.25")
    loop.call_at(-(2**70), seen.append, "-2**70")
    finish(loop)
    assert seen == ["-2**70", "1", "1.5", "2.25"]


@pytest.mark.parametrize("bad", [None, "1", object(), []])
def test_a_delay_that_is_no_number_gives_the_stock_error(same_as_stock, bad):
    assert same_as_stock(lambda loop, engine: loop.call_later(bad, print))[1] is TypeError


def test_no_time_at_all_gives_the_stock_error(same_as_stock):
    assert same_as_stock(lambda loop, engine: loop.call_at(None, print))[1] is TypeError


@pytest.mark.parametrize("bad", ["1", object(), [], 1j])
def test_a_time_that_is_no_number_fails_at_the_call_or_in_the_run(loop, bad):
    """Stock notices it when it first compares: with another timer, or with the clock."""

    def scenario():
        loop.call_at(bad, print)
        finish(loop)

    with pytest.raises(TypeError):
        scenario()


def test_a_huge_delay_is_accepted(loop):
    seen = []
    loop.call_later(1e300, seen.append, "never")
    loop.call_later(10**9, seen.append, "never")
    finish(loop)
    assert seen == []


@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_an_integer_too_large_for_a_float_gives_the_stock_outcome(same_as_stock, method):
    def scenario(loop, engine):
        seen = []
        getattr(loop, method)(10**400, seen.append, "never")
        finish(loop)
        return seen

    same_as_stock(scenario)
