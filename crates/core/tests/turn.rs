//! Black-box tests of the poll decision and of the clock.

use std::time::Duration;

use ferrio_core::turn::{
    FINEST_STEP_NS, MAX_SELECT_TIMEOUT, MAX_SKIPPED_TURNS, Poll, decide_busy, decide_idle,
    monotonic,
};

const NOW: f64 = 1000.0;

fn idle(when: f64) -> Poll {
    decide_idle(when, NOW)
}

#[test]
fn a_busy_turn_polls_when_something_is_watched() {
    assert_eq!(decide_busy(false, 0), Poll::Now);
    assert_eq!(decide_busy(false, MAX_SKIPPED_TURNS), Poll::Now);
}

#[test]
fn a_busy_turn_skips_a_poll_that_could_find_nothing_until_the_limit() {
    assert_eq!(decide_busy(true, 0), Poll::Skip);
    assert_eq!(decide_busy(true, MAX_SKIPPED_TURNS - 1), Poll::Skip);
    assert_eq!(decide_busy(true, MAX_SKIPPED_TURNS), Poll::Now);
}

#[test]
fn a_deadline_that_has_passed_does_not_sleep() {
    assert_eq!(idle(NOW), Poll::Now);
    assert_eq!(idle(NOW - 1.0), Poll::Now);
    assert_eq!(idle(f64::NEG_INFINITY), Poll::Now);
}

#[test]
fn a_deadline_ahead_sleeps_just_so_long() {
    assert_eq!(idle(NOW + 1.5), Poll::Until(Duration::from_millis(1500)));
    assert_eq!(decide_idle(NOW + 1.5, NOW), idle(NOW + 1.5));
}

fn slept_ns(timeout: f64) -> u64 {
    match decide_idle(timeout, 0.0) {
        Poll::Until(sleep) => u64::try_from(sleep.as_nanos()).expect("less than a day"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_long_sleep_takes_whole_milliseconds() {
    assert_eq!(slept_ns(0.1), 100_000_000);
    assert_eq!(slept_ns(0.099_000_1), 100_000_000);
    assert_eq!(slept_ns(0.004), 4_000_000);
    assert_eq!(slept_ns(0.004_000_1), 5_000_000);
}

#[test]
fn a_short_sleep_is_rounded_up_by_a_quarter_at_most() {
    for micros in 300..4000 {
        let wanted = micros * 1000;
        let slept = slept_ns(wanted as f64 / 1e9);
        assert!((wanted..=wanted + wanted / 4).contains(&slept), "{wanted}: {slept}");
    }
}

#[test]
fn sleeps_that_begin_a_few_microseconds_apart_mostly_end_in_one_turn() {
    assert_eq!(slept_ns(0.000_999), slept_ns(0.000_990));
    assert_eq!(slept_ns(0.001_999), slept_ns(0.001_980));
}

#[test]
fn a_sleep_is_never_zero() {
    assert_eq!(slept_ns(1.5e-9), FINEST_STEP_NS);
    assert_eq!(slept_ns(f64::MIN_POSITIVE), FINEST_STEP_NS);
}

#[test]
fn a_sleep_is_a_day_at_most() {
    let day = Poll::Until(Duration::from_secs(24 * 3600));
    assert_eq!(decide_idle(MAX_SELECT_TIMEOUT, 0.0), day);
    assert_eq!(decide_idle(MAX_SELECT_TIMEOUT * 1.5, 0.0), day);
    assert_eq!(idle(f64::MAX), day);
    assert_eq!(idle(f64::INFINITY), day);
}

#[test]
fn a_nan_deadline_does_not_sleep() {
    assert_eq!(idle(f64::NAN), Poll::Now);
    assert_eq!(decide_idle(f64::INFINITY, f64::INFINITY), Poll::Now);
}

#[test]
fn the_clock_is_the_kernels_monotonic_clock_in_seconds() {
    let nanoseconds = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
    };
    let before = nanoseconds();
    let seconds = monotonic();
    let after = nanoseconds();
    assert!(before as f64 / 1e9 <= seconds);
    assert!(seconds <= after as f64 / 1e9);
}

#[test]
fn the_clock_never_goes_back() {
    let mut last = monotonic();
    for _ in 0..1000 {
        let now = monotonic();
        assert!(now >= last);
        last = now;
    }
}
