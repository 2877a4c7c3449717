//! Ciphertext that has come and was not decrypted yet: what is left of earlier reads, and behind it
//! the memory of the read that is being worked on, which is lent and not copied.

/// The ciphertext, in order.
///
/// Invariant: `rest[rest_done..]` comes before `fresh[fresh_done..fresh_end]`; `fresh_end` is at most
/// the length of `fresh`.
#[derive(Debug, Default)]
pub struct Input {
    rest: Vec<u8>,
    rest_done: usize,
    fresh: Vec<u8>,
    fresh_done: usize,
    fresh_end: usize,
}

impl Input {
    /// Bytes that wait.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.rest.len() - self.rest_done + self.fresh_end - self.fresh_done
    }

    /// Whether none waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the first `len` bytes of `memory`, which stays here until [`Input::take_back`].
    ///
    /// # Panics
    /// When `memory` has fewer.
    pub fn lend(&mut self, memory: Vec<u8>, len: usize) {
        assert!(len <= memory.len(), "more was lent than there is");
        self.settle();
        self.fresh = memory;
        self.fresh_done = 0;
        self.fresh_end = len;
    }

    /// Gives back what was lent; what is left of it was copied.
    #[must_use]
    pub fn take_back(&mut self) -> Vec<u8> {
        self.settle();
        std::mem::take(&mut self.fresh)
    }

    /// Adds a copy of `data`.
    pub fn push(&mut self, data: &[u8]) {
        self.settle();
        self.compact();
        self.rest.extend_from_slice(data);
    }

    /// Copies what comes next to `space`; how much there was.
    pub fn read(&mut self, space: &mut [u8]) -> usize {
        let rest = &self.rest[self.rest_done..];
        let (from, done) = if rest.is_empty() {
            (&self.fresh[self.fresh_done..self.fresh_end], &mut self.fresh_done)
        } else {
            (rest, &mut self.rest_done)
        };
        let count = from.len().min(space.len());
        space[..count].copy_from_slice(&from[..count]);
        *done += count;
        if self.rest_done == self.rest.len() && self.rest_done > 0 {
            self.forget_rest();
        }
        count
    }

    /// Copies what is left of the lent memory, so that it can be given back.
    fn settle(&mut self) {
        if self.fresh_done < self.fresh_end {
            self.compact();
            self.rest.extend_from_slice(&self.fresh[self.fresh_done..self.fresh_end]);
        }
        self.fresh_done = 0;
        self.fresh_end = 0;
    }

    fn compact(&mut self) {
        if self.rest_done > 0 {
            self.rest.drain(..self.rest_done);
            self.rest_done = 0;
        }
    }

    fn forget_rest(&mut self) {
        self.rest_done = 0;
        if self.rest.capacity() > KEPT {
            self.rest = Vec::new();
        } else {
            self.rest.clear();
        }
    }
}

/// Memory that an idle connection keeps.
const KEPT: usize = 1024;
