//! What only so many connections at once may have.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Places that are free. Shared by threads.
#[derive(Debug)]
pub struct Places {
    free: AtomicUsize,
}

/// One that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub struct Place(&'static Places);

impl Places {
    /// So many, all free.
    #[must_use]
    pub const fn new(number: usize) -> Self {
        Self { free: AtomicUsize::new(number) }
    }

    /// Takes one; None when none is free.
    pub fn take(&'static self) -> Option<Place> {
        let less = |free: usize| free.checked_sub(1);
        // The number alone is shared, and nothing is read by it.
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok().then(|| Place(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}
