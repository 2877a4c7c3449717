//! The decisions of one loop turn as pure functions, and the clock they are made by.
//!
//! One turn: decide the poll, poll, queue the I/O events, queue due timers, run what is queued. Only
//! the first step is a decision; it is here.
//!
//! A clock reading costs more than the rest of an idle turn, so the rule is cut by what is known:
//! - work is ready or the loop stops: [`decide_busy`], which needs no clock;
//! - a timer is pending: [`decide_idle`], which needs the time now;
//! - neither: [`Poll::Forever`].

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The longest sleep, in seconds. `// CPython: MAXIMUM_SELECT_TIMEOUT`
pub const MAX_SELECT_TIMEOUT: f64 = 24.0 * 3600.0;

/// The longest step, in nanoseconds, to which sleeps are rounded up: stock's, for all of them.
pub const COARSEST_STEP_NS: u64 = 1_000_000;

/// The shortest such step.
pub const FINEST_STEP_NS: u64 = 1 << 16;

/// So many turns in a row may go without a poll. It bounds nothing that a program can see, because
/// a poll is skipped only when it could not find anything; it keeps a mistake in that from lasting.
pub const MAX_SKIPPED_TURNS: u32 = 255;

/// How a turn polls.
#[must_use]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Poll {
    /// Not at all: there is work, and the last poll was a moment ago.
    Skip,
    /// Without sleeping.
    Now,
    /// Sleeping so long at most. Never zero.
    Until(Duration),
    /// Sleeping until an event or a wake-up.
    Forever,
}

/// How a turn polls that must not sleep, because something is ready or the loop stops: as stock does,
/// without sleeping, unless the poll could not find anything (`quiet`: nothing but the loop's own
/// wake-up is watched, and no signal arrives through it). `skipped` counts the turns since the last
/// poll.
#[inline]
pub fn decide_busy(quiet: bool, skipped: u32) -> Poll {
    if quiet && skipped < MAX_SKIPPED_TURNS { Poll::Skip } else { Poll::Now }
}

/// How a turn polls with nothing to do before the deadline `when`.
///
/// The sleep is rounded up: a turn that wakes just before the deadline would find nothing due. Stock
/// rounds every sleep to whole milliseconds, and programs rely on that without knowing: timers set
/// within a few microseconds of each other, as by tasks that start together and sleep equally long,
/// fire in one turn, in the order of their deadlines and before what the first of them wakes. Here the
/// step is stock's from 4 ms on, and below that a power of two of nanoseconds between an eighth and a
/// quarter of the sleep, so that half a millisecond stays about that.
///
/// A NaN deadline does not sleep, as on 3.11 and 3.12; 3.13's select raises ValueError for it.
#[inline]
pub fn decide_idle(when: f64, now: f64) -> Poll {
    let timeout = when - now;
    if timeout > MAX_SELECT_TIMEOUT {
        Poll::Until(Duration::from_secs_f64(MAX_SELECT_TIMEOUT))
    } else if timeout > 0.0 {
        Poll::Until(Duration::from_nanos(rounded_up((timeout * 1e9).ceil() as u64)))
    } else {
        Poll::Now
    }
}

/// The sleep in whole steps.
fn rounded_up(sleep_ns: u64) -> u64 {
    let step = if sleep_ns >= 4 * COARSEST_STEP_NS {
        COARSEST_STEP_NS
    } else {
        // The highest power of two in a quarter of it.
        (1 << (sleep_ns / 4).max(1).ilog2()).max(FINEST_STEP_NS)
    };
    sleep_ns.next_multiple_of(step)
}

/// `time.monotonic()`, to the bit: CPython divides the whole count of nanoseconds by 1e9.
#[inline]
#[must_use]
pub fn monotonic() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec * 1_000_000_000 + now.tv_nsec) as f64 / 1e9
}
