"""call_later and call_at: order, ties, precision, cancelling."""

import asyncio
import contextvars
import random
import time
import weakref

import pytest


def finish(loop):
    """Run what is due and ready until a callback scheduled last has run."""
    loop.call_later(0, loop.stop)
    loop.run_forever()


def test_timers_fire_in_the_order_of_their_deadlines(loop):
    seen = []
    start = loop.time()
    for delay in (0.004, 0.001, 0.003, 0.002):
        loop.call_at(start + delay, seen.append, delay)
    loop.call_at(start + 0.005, loop.stop)
    loop.run_forever()
    assert seen == [0.001, 0.002, 0.003, 0.004]


def test_a_thousand_random_deadlines_fire_sorted(loop):
    chance = random.Random(3)
    deadlines = [chance.random() for _ in range(1000)]
    seen = []
    for deadline in deadlines:
        loop.call_at(deadline, seen.append, deadline)
    finish(loop)
    assert seen == sorted(deadlines)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("distinct", [1, 2, 5])
def test_ties_fire_in_the_order_of_stock(same_as_stock, count, distinct):
    def scenario(loop, engine):
        chance = random.Random(count * 100 + distinct)
        seen = []
        for number in range(count):
            loop.call_at(float(chance.randrange(distinct)), seen.append, number)
        finish(loop)
        return seen

    outcome = same_as_stock(scenario)
    assert sorted(outcome[1]) == list(range(count))


def test_ties_with_cancelled_timers_between_them_fire_in_the_order_of_stock(same_as_stock):
    def scenario(loop, engine):
        chance = random.Random(8)
        seen = []
        handles = [
            loop.call_at(float(chance.randrange(9)), seen.append, number) for number in range(400)
        ]
        for handle in chance.sample(handles, 330):
            handle.cancel()
        finish(loop)
        return seen

    assert len(same_as_stock(scenario)[1]) == 70


def test_due_timers_run_after_what_was_ready_before_the_turn(loop, turns):
    seen = []
    loop.call_later(-1, seen.append, "minus one")
    loop.call_later(0, seen.append, "zero")
    loop.call_soon(seen.append, "soon")
    loop.call_later(-2, seen.append, "minus two")
    time_passed = loop.time()
    while loop.time() <= time_passed:
        pass
    turns()
    assert seen == ["soon", "minus two", "minus one", "zero"]


def test_zero_delays_keep_the_order_in_which_they_were_asked_for(loop):
    seen = []
    for number in range(200):
        loop.call_later(0, seen.append, number)
    finish(loop)
    assert seen == list(range(200))


def test_a_timer_made_by_a_timer_with_no_delay_fires_in_a_later_turn(loop, turns):
    seen = []

    def first():
        seen.append("first")
        loop.call_at(0.0, seen.append, "second")

    loop.call_at(0.0, first)
    turns()
    assert seen == ["first"]
    turns()
    assert seen == ["first", "second"]


def test_an_endless_chain_of_due_timers_does_not_starve_ready_callbacks(loop):
    seen = []

    def again():
        seen.append("timer")
        loop.call_at(0.0, again)

    def callback(count):
        seen.append("callback")
        loop.call_soon(callback, count - 1) if count else loop.stop()

    loop.call_at(0.0, again)
    loop.call_soon(callback, 5)
    loop.run_forever()
    assert seen.count("callback") == 6
    assert seen.count("timer") == 6


@pytest.mark.parametrize("delay", [0.0002, 0.0005, 0.0011])
def test_a_sub_millisecond_sleep_is_not_cut_short(loop, run, delay):
    async def main():
        for _ in range(5):
            started = loop.time()
            await asyncio.sleep(delay)
            assert loop.time() - started >= delay - time.get_clock_info("monotonic").resolution

    run(main())


def test_no_timer_fires_before_its_time(loop):
    resolution = time.get_clock_info("monotonic").resolution
    early = []

    def check(when):
        if loop.time() < when - resolution:
            early.append(when)

    start = loop.time()
    for number in range(60):
        loop.call_at(start + number * 0.00037, check, start + number * 0.00037)
    loop.call_at(start + 60 * 0.00037, loop.stop)
    loop.run_forever()
    assert early == []


def test_the_clock_is_the_monotonic_clock(loop):
    before = time.monotonic()
    now = loop.time()
    assert before <= now <= time.monotonic()


def test_call_later_adds_the_delay_to_the_loop_time(loop, timer_handle_class):
    before = loop.time()
    handle = loop.call_later(100, print)
    assert before + 100 <= handle.when() <= loop.time() + 100
    assert type(handle) is timer_handle_class
    assert isinstance(handle, asyncio.TimerHandle)
    handle.cancel()


def test_a_cancelled_timer_does_not_fire(loop):
    seen = []
    kept = loop.call_later(0, seen.append, "kept")
    loop.call_later(0, seen.append, "cancelled").cancel()
    finish(loop)
    assert seen == ["kept"]
    kept.cancel()
    finish(loop)


def test_a_due_timer_cancels_another_one_of_the_same_turn(loop, turns):
    seen = []
    handles = []
    loop.call_at(0.0, lambda: handles[0].cancel())
    handles.append(loop.call_at(0.0, seen.append, "cancelled"))
    loop.call_at(0.0, seen.append, "kept")
    turns()
    assert seen == ["kept"]


def test_a_cancelled_timer_releases_its_arguments_at_once(loop):
    class Argument:
        pass

    argument = Argument()
    alive = weakref.ref(argument)
    handle = loop.call_later(1000, print, argument)
    del argument
    assert alive() is not None
    handle.cancel()
    assert alive() is None


def test_most_timers_cancelled_leaves_the_rest_in_order(loop):
    seen = []
    handles = [loop.call_at(number / 1000, seen.append, number) for number in range(1000)]
    for number, handle in enumerate(handles):
        if number % 10:
            handle.cancel()
    finish(loop)
    assert seen == list(range(0, 1000, 10))


def test_a_cancelled_head_does_not_hide_the_timer_behind_it(loop):
    loop.call_later(0.001, print).cancel()
    loop.call_later(0.002, loop.stop)
    loop.run_forever()


def test_a_timer_can_be_cancelled_twice_and_after_the_loop_is_closed(loop):
    handle = loop.call_later(1000, print)
    other = loop.call_later(1000, print)
    handle.cancel()
    handle.cancel()
    loop.close()
    other.cancel()
    assert handle.cancelled() and other.cancelled()


def test_a_timer_runs_in_its_context(loop):
    var = contextvars.ContextVar("var", default="unset")
    context = contextvars.Context()
    seen = []
    context.run(var.set, "inside")
    loop.call_later(0, lambda: seen.append(var.get()), context=context)
    loop.call_at(0, lambda: seen.append(var.get()), context=context)
    loop.call_later(0, lambda: seen.append(var.get()))
    finish(loop)
    assert seen == ["inside", "inside", "unset"]
