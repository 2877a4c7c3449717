//! The decisions of one loop turn as pure functions, and the clock they are made by.
//!
//! One turn: decide the poll, poll, queue the I/O events, queue due timers, run what is queued. Only
//! the first step is a decision; it is here.
//!
//! [`decide`] is the whole rule. A clock reading costs more than the rest of an idle turn, so its
//! two halves are public, and each needs one reading at most:
//! - work is ready or the loop stops: [`decide_busy`], which needs the time since the last poll;
//! - a timer is pending: [`decide_idle`], which needs the time now;
//! - neither: [`Poll::Forever`], which needs no clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The longest sleep, in seconds. `// CPython: MAXIMUM_SELECT_TIMEOUT`
pub const MAX_SELECT_TIMEOUT: f64 = 24.0 * 3600.0;

/// A turn with work left may skip its poll until so long, in seconds, after the last one. Stock polls
/// every turn; this bounds by how much later than there an I/O event can be seen.
pub const POLL_SKIP_LIMIT: f64 = 100e-6;

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

/// How a turn polls that begins at `now` (seconds, the loop's clock), `since_last_poll` seconds after
/// the last poll (infinite when there was none), with `next_when` as its earliest deadline.
pub fn decide(
    ready: bool,
    stopping: bool,
    next_when: Option<f64>,
    now: f64,
    since_last_poll: f64,
) -> Poll {
    if ready || stopping {
        return decide_busy(since_last_poll);
    }
    match next_when {
        Some(when) => decide_idle(when, now),
        None => Poll::Forever,
    }
}

/// [`decide`] for a turn that must not sleep, because something is ready or the loop stops.
#[inline]
pub fn decide_busy(since_last_poll: f64) -> Poll {
    if since_last_poll < POLL_SKIP_LIMIT {
        Poll::Skip
    } else {
        Poll::Now
    }
}

/// [`decide`] for a turn with nothing to do before the deadline `when`.
///
/// The sleep is rounded up to whole nanoseconds: a turn that wakes just before the deadline would
/// find nothing due. Stock rounds up to milliseconds, because its epoll call knows nothing finer.
/// A NaN deadline does not sleep, as on 3.11 and 3.12; 3.13's select raises ValueError for it.
#[inline]
pub fn decide_idle(when: f64, now: f64) -> Poll {
    let timeout = when - now;
    if timeout > MAX_SELECT_TIMEOUT {
        Poll::Until(Duration::from_secs_f64(MAX_SELECT_TIMEOUT))
    } else if timeout > 0.0 {
        // At most MAX_SELECT_TIMEOUT * 1e9, far inside u64.
        Poll::Until(Duration::from_nanos((timeout * 1e9).ceil() as u64))
    } else {
        Poll::Now
    }
}

/// `time.monotonic()`, to the bit: CPython divides the whole count of nanoseconds by 1e9.
#[inline]
#[must_use]
pub fn monotonic() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec * 1_000_000_000 + now.tv_nsec) as f64 / 1e9
}
