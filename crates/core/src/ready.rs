//! FIFO of runnable things, generic over its payload; relies on nothing but `VecDeque`.
//!
//! A turn runs exactly what was queued when it began: the caller takes [`Ready::len`] at the
//! beginning and pops that many times. What those items queue is behind them and waits for the
//! next turn, so a callback that reschedules itself cannot starve I/O. An item may also empty the
//! queue (a callback that closes the loop), so [`Ready::pop`] can run out earlier.

use std::collections::VecDeque;
use std::fmt;
use std::mem::ManuallyDrop;

/// The ready queue: first in, first out.
pub struct Ready<T> {
    /// An item that nobody drops should the push panic is stored word by word, out of registers. Another
    /// is put together in memory, and copied in pieces that straddle the words just written, which the
    /// processor waits for (`perf annotate` of `tasks::step::schedule`).
    items: VecDeque<ManuallyDrop<T>>,
}

impl<T> Ready<T> {
    /// An empty queue that owns no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: VecDeque::new() }
    }

    /// Queues `item` behind all others.
    #[inline]
    pub fn push(&mut self, item: T) {
        self.push_undropped(ManuallyDrop::new(item));
    }

    /// [`Ready::push`], of an item that is not dropped should its way to here panic.
    #[inline]
    pub fn push_undropped(&mut self, item: ManuallyDrop<T>) {
        self.items.push_back(item);
    }

    /// The item that has waited longest.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_front().map(ManuallyDrop::into_inner)
    }

    /// The item that will be popped after `ahead` others.
    #[inline]
    #[must_use]
    pub fn peek(&self, ahead: usize) -> Option<&T> {
        self.items.get(ahead).map(|item| &**item)
    }

    /// Items queued now; at the beginning of a turn, the number that turn may run.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is queued.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items in the order in which they would be popped.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.items.iter().map(|item| &**item)
    }

    /// Empties the queue and hands its items over, to be dropped outside of any borrow of it.
    #[must_use]
    pub fn take_all(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl<T> Drop for Ready<T> {
    fn drop(&mut self) {
        while let Some(item) = self.pop() {
            drop(item);
        }
    }
}

impl<T> Default for Ready<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Ready<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}
