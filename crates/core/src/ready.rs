//! FIFO of runnable things, generic over its payload; relies on nothing but `VecDeque`.
//!
//! A turn runs exactly what was queued when it began: the caller takes [`Ready::len`] at the
//! beginning and pops that many times. What those items queue is behind them and waits for the
//! next turn, so a callback that reschedules itself cannot starve I/O. An item may also empty the
//! queue (a callback that closes the loop), so [`Ready::pop`] can run out earlier.

use std::collections::VecDeque;
use std::collections::vec_deque;

/// The ready queue: first in, first out.
#[derive(Debug)]
pub struct Ready<T> {
    items: VecDeque<T>,
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
        self.items.push_back(item);
    }

    /// The item that has waited longest.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    /// The item that will be popped after `ahead` others.
    #[inline]
    #[must_use]
    pub fn peek(&self, ahead: usize) -> Option<&T> {
        self.items.get(ahead)
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
    pub fn iter(&self) -> vec_deque::Iter<'_, T> {
        self.items.iter()
    }

    /// Empties the queue and hands its items over, to be dropped outside of any borrow of it.
    #[must_use]
    pub fn take_all(&mut self) -> VecDeque<T> {
        std::mem::take(&mut self.items)
    }
}

impl<T> Default for Ready<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, T> IntoIterator for &'a Ready<T> {
    type Item = &'a T;
    type IntoIter = vec_deque::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
