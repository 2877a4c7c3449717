//! What a transport has still to send: chunks in order, the first of them perhaps sent in part.
//! Chunks are handed back when they are done with, never dropped inside.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Chunks that wait to be sent. `C` gives its bytes by reference.
#[derive(Debug)]
pub struct WriteBuf<C> {
    /// Invariant: no chunk is empty.
    chunks: VecDeque<C>,
    /// Bytes of the first chunk that have been sent. Invariant: fewer than it has.
    sent: usize,
    /// Bytes not sent yet.
    len: usize,
}

impl<C: AsRef<[u8]>> WriteBuf<C> {
    /// Nothing to send. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { chunks: VecDeque::new(), sent: 0, len: 0 }
    }

    /// Bytes not sent yet.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether all has been sent.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a chunk whose first `skipped` bytes are sent already. One with nothing left is handed back.
    pub fn push(&mut self, chunk: C, skipped: usize) -> Option<C> {
        let len = chunk.as_ref().len();
        if skipped >= len {
            return Some(chunk);
        }
        debug_assert!(skipped == 0 || self.chunks.is_empty(), "only the first chunk may be begun");
        if self.chunks.is_empty() {
            self.sent = skipped;
        }
        self.len += len - skipped;
        self.chunks.push_back(chunk);
        None
    }

    /// What to send next, for one vectored write.
    pub fn slices<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, most: usize) {
        let mut skip = self.sent;
        for chunk in self.chunks.iter().take(most) {
            slices.push(IoSlice::new(&chunk.as_ref()[skip..]));
            skip = 0;
        }
    }

    /// The bytes of the first chunk that are not sent yet; empty when there is none.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| &chunk.as_ref()[self.sent..])
    }

    /// A copy of all the bytes that are not sent yet.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let all: Vec<u8> = self.chunks.iter().flat_map(AsRef::as_ref).copied().collect();
        all.get(self.sent..).unwrap_or_default().to_vec()
    }

    /// How many chunks wait.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Takes note that `count` bytes more were sent; hands back the chunks that are done with.
    ///
    /// # Panics
    /// When there were fewer.
    pub fn advance(&mut self, mut count: usize, done: &mut Vec<C>) {
        assert!(count <= self.len, "more was sent than there is");
        self.len -= count;
        while count > 0 {
            let left = self.first().len();
            if count < left {
                self.sent += count;
                return;
            }
            count -= left;
            self.sent = 0;
            done.extend(self.chunks.pop_front());
        }
        if self.chunks.is_empty() {
            // An idle connection keeps no memory.
            self.chunks = VecDeque::new();
        }
    }

    /// Every chunk, in order.
    pub fn iter(&self) -> impl Iterator<Item = &C> {
        self.chunks.iter()
    }

    /// Empties the buffer and hands its chunks over.
    #[must_use]
    pub fn take_all(&mut self) -> VecDeque<C> {
        self.sent = 0;
        self.len = 0;
        std::mem::take(&mut self.chunks)
    }
}

impl<C: AsRef<[u8]>> Default for WriteBuf<C> {
    fn default() -> Self {
        Self::new()
    }
}
