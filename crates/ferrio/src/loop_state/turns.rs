//! Turns have numbers, and native objects something to do when one ends: transports send what they
//! gathered.

use std::sync::atomic::Ordering;

use ferrio_capi::Ref;
use ferrio_core::turn;
use pyo3::prelude::*;

use super::{BeforePoll, EventLoop, get, set};

/// So many native objects wait for the end of a batch at most: the first answer of a long batch is not to
/// wait for thousands of others, and waking a peer once for so many answers is once enough.
const MOST_BEFORE_POLL: usize = 64;

/// For so many seconds after a send its receiver is still at work, and the next send need not wake anybody:
/// about what an answer of a few microseconds of Python takes, a handler's is longer.
const AWAKE_S: f64 = 6e-6;

/// Nothing waits longer than this, in seconds, and the item that runs then: a program whose callbacks take
/// milliseconds has no use for fewer wake-ups, and its first answer must not wait for its last.
const MOST_WAIT_S: f64 = 1e-3;

impl EventLoop {
    /// The number of the turn that runs; it repeats after four thousand million turns.
    #[inline]
    pub fn turn(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }

    /// A turn begins.
    #[inline]
    pub fn begin_turn(&self) {
        self.turns.store(self.turn().wrapping_add(1), Ordering::Relaxed);
    }

    /// A TCP transport writes, one that `gathers` its writes or not; whether that is better sent later,
    /// together with what others write in this turn: whoever gets it has been woken by what was sent before,
    /// and is asleep again.
    #[inline]
    pub fn note_write(&self, gathers: bool) -> bool {
        let turn = self.turn();
        let first = self.wrote_in_turn.load(Ordering::Relaxed) != turn;
        self.wrote_in_turn.store(turn, Ordering::Relaxed);
        let now = turn::monotonic();
        let since_sent = now - f64::from_bits(self.sent_at.load(Ordering::Relaxed));
        let waits = gathers || (!first && since_sent > AWAKE_S);
        if !waits {
            self.sent_at.store(now.to_bits(), Ordering::Relaxed);
        } else if since_sent > MOST_WAIT_S {
            self.call_after_item();
        }
        waits
    }

    /// Has `act` called with `object` when the batch that runs now has ended, or earlier.
    pub fn call_before_poll(&self, object: &Bound<'_, PyAny>, act: BeforePoll) {
        let mut queue = self.before_poll.borrow_mut(object.py());
        queue.push((Ref::new(object.clone()), act));
        if queue.len() >= MOST_BEFORE_POLL {
            self.call_after_item();
        }
    }

    /// Has what is to be called before the poll called when the item that runs now has ended.
    #[inline]
    pub fn call_after_item(&self) {
        set(&self.flush_after_item, true);
    }

    /// Whether [`EventLoop::call_after_item`] was called since this was asked.
    #[inline]
    pub fn takes_after_item(&self) -> bool {
        let asked = get(&self.flush_after_item);
        if asked {
            set(&self.flush_after_item, false);
        }
        asked
    }

    /// Calls what [`EventLoop::call_before_poll`] has noted.
    #[inline]
    pub fn run_before_poll(&self, py: Python<'_>) {
        while !self.before_poll.borrow_mut(py).is_empty() {
            self.sent_at.store(turn::monotonic().to_bits(), Ordering::Relaxed);
            let mut queue = std::mem::take(&mut *self.before_poll.borrow_mut(py));
            for (object, act) in queue.drain(..) {
                act(&object.into_bound(py));
            }
            // Its memory serves the next turn, unless an act has begun another queue.
            let mut next = self.before_poll.borrow_mut(py);
            if next.capacity() == 0 {
                *next = queue;
            }
        }
    }
}
