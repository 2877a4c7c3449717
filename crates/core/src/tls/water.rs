//! Flow control by two water marks: when who writes, or who reads, has to stop.

use std::cell::Cell;

/// What a new amount changes.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// Who writes, or reads, has to stop.
    Pause,
    /// They may go on.
    Resume,
}

/// Two marks, and whether the upper one was reached. The empty value pauses at once.
#[derive(Debug, Default)]
pub struct Marks {
    high: Cell<f64>,
    low: Cell<f64>,
    paused: Cell<bool>,
}

impl Marks {
    /// Sets the marks; they count from the next [`Marks::judge`] on.
    pub fn set(&self, high: f64, low: f64) {
        self.high.set(high);
        self.low.set(low);
    }

    /// The (high, low) marks.
    pub fn get(&self) -> (f64, f64) {
        (self.high.get(), self.low.get())
    }

    /// Whether somebody is paused.
    #[inline]
    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// Notes that somebody is paused, or is not.
    pub fn set_paused(&self, paused: bool) {
        self.paused.set(paused);
    }

    /// So much waits now. The marks themselves count: with both at 0 nothing at all pauses.
    #[inline]
    pub fn judge(&self, waiting: usize) -> Change {
        let waiting = waiting as f64;
        let paused = self.paused.get();
        if !paused && waiting >= self.high.get() {
            self.paused.set(true);
            Change::Pause
        } else if paused && waiting <= self.low.get() {
            self.paused.set(false);
            Change::Resume
        } else {
            Change::Nothing
        }
    }
}
