//! A place where one thread sleeps until another one wakes it. Relies on futex(2).
//!
//! # State
//! 1. Sleeping, then woken, once and for good: a sleeper takes a new parker for its next sleep.
//!
//! # Safety
//! 2. The kernel puts a thread to sleep only while the word still says "sleeping", so a wake-up that
//!    comes before the sleep, or in the middle of its beginning, is not lost.
//! 3. `unpark` releases and `park` acquires: what the waker wrote before is seen by the woken.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;

use crate::reactor::to_timespec;

const SLEEPING: u32 = 0;
const WOKEN: u32 = 1;

/// One sleep of one thread.
#[derive(Debug, Default)]
pub struct Parker {
    word: AtomicU32,
}

/// How a [`Parker::park`] ended.
#[must_use]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Parked {
    /// Somebody called [`Parker::unpark`].
    Woken,
    /// The time is over.
    TimedOut,
    /// A signal came, or the kernel had a reason of its own.
    Interrupted,
}

impl Parker {
    /// Nobody has woken it yet.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(SLEEPING) }
    }

    /// Sleeps until woken, so long at most; returns at once when woken already.
    pub fn park(&self, limit: Option<Duration>) -> Parked {
        let limit = limit.map(to_timespec);
        let slept = match self.word.load(Ordering::Acquire) {
            SLEEPING => futex::wait(&self.word, futex::Flags::PRIVATE, SLEEPING, limit.as_ref()),
            _ => Ok(()),
        };
        match (self.word.load(Ordering::Acquire), slept) {
            (WOKEN, _) => Parked::Woken,
            (_, Err(Errno::TIMEDOUT)) => Parked::TimedOut,
            _ => Parked::Interrupted,
        }
    }

    /// Wakes the thread that sleeps here, or will. From any thread.
    pub fn unpark(&self) {
        self.word.store(WOKEN, Ordering::Release);
        // The call fails only for an address that is none.
        let _ = futex::wake(&self.word, futex::Flags::PRIVATE, 1);
    }
}
