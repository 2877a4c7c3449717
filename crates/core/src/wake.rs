//! The wake flag: tells other threads whether the loop must be woken. Relies on one atomic.
//!
//! # State
//! 1. Clear: the loop runs, or will look at its queue again before it blocks. Set: it may block.
//! 2. Loop thread: `prepare_sleep`, look at the queue once more, block if it is empty, `awake`.
//! 3. Any thread: queue the item, then `request`, then wake the poller if told so.
//! 4. `request` clears the flag, so a sleep is answered with one write however many threads ask.
//!
//! # Safety
//! 5. All three are read-modify-write operations with acquire and release, so they are totally
//!    ordered and each one sees what came before the earlier ones. Of a `request` and the
//!    `prepare_sleep` next to it, either the request is first, and the loop's second look finds the
//!    item, or the sleep is first, and the request reads the flag set. This holds for any queue, also
//!    one without ordering of its own.
//! 6. Neither a plain store in `awake` nor a plain load in `request` would do: a store hides the
//!    earlier request from the next `prepare_sleep`, a load is ordered before nothing.
//!
//! # Shutdown
//! 7. None. A write that was promised but comes after the loop woke for another reason costs the
//!    next wait one early return.

use std::fmt;

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the loop sleeps, shared with every thread that queues work for it.
pub struct WakeFlag {
    /// Set by the loop before it blocks; cleared by the first request, or by the loop on waking.
    sleeping: AtomicBool,
}

/// What the thread that asked must do.
#[must_use]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Wake {
    /// Write the eventfd: the loop sleeps, or is about to, and nobody else was told to.
    Write,
    /// Nothing: the loop runs and will find the item, or another thread writes.
    AlreadyAwake,
}

impl WakeFlag {
    /// The flag of a loop that does not sleep.
    #[must_use]
    pub fn new() -> Self {
        Self { sleeping: AtomicBool::new(false) }
    }

    /// Loop thread, before it looks at its queue for the last time and blocks. It must call
    /// [`WakeFlag::awake`] afterwards, whether or not it blocked.
    pub fn prepare_sleep(&self) {
        self.sleeping.swap(true, Ordering::AcqRel);
    }

    /// Loop thread, after the wait, before it takes from its queue.
    pub fn awake(&self) {
        self.sleeping.swap(false, Ordering::AcqRel);
    }

    /// Any thread, after it has queued its item.
    pub fn request(&self) -> Wake {
        if self.sleeping.swap(false, Ordering::AcqRel) { Wake::Write } else { Wake::AlreadyAwake }
    }
}

impl Default for WakeFlag {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WakeFlag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WakeFlag").finish_non_exhaustive()
    }
}
