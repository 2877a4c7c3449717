//! What a transport has still to send: chunks in order, the first of them perhaps sent in part.
//! Chunks are handed back when they are done with, never dropped inside.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Chunks that wait to be sent. `C` gives its bytes by reference.
#[derive(Debug)]
pub struct WriteBuf<C> {
    /// Most buffers have one chunk, for which nothing is allocated.
    first: Option<C>,
    /// Those behind it. Invariant: no chunk is empty; without a first one there are no more.
    more: VecDeque<C>,
    /// Bytes of the first chunk that have been sent. Invariant: fewer than it has.
    sent: usize,
    /// Bytes not sent yet.
    len: usize,
}

impl<C: AsRef<[u8]>> WriteBuf<C> {
    /// Nothing to send. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: None, more: VecDeque::new(), sent: 0, len: 0 }
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
        debug_assert!(skipped == 0 || self.first.is_none(), "only the first chunk may be begun");
        self.len += len - skipped;
        if self.first.is_none() {
            self.sent = skipped;
            self.first = Some(chunk);
        } else {
            self.more.push_back(chunk);
        }
        None
    }

    /// What to send next, for one vectored write.
    pub fn slices<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, most: usize) {
        let mut skip = self.sent;
        for chunk in self.iter().take(most) {
            slices.push(IoSlice::new(&chunk.as_ref()[skip..]));
            skip = 0;
        }
    }

    /// The bytes of the first chunk that are not sent yet; empty when there is none.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        self.first.as_ref().map_or(&[], |chunk| &chunk.as_ref()[self.sent..])
    }

    /// A copy of all the bytes that are not sent yet.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let all: Vec<u8> = self.iter().flat_map(AsRef::as_ref).copied().collect();
        all.get(self.sent..).unwrap_or_default().to_vec()
    }

    /// How many chunks wait.
    #[must_use]
    pub fn chunks(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    /// Takes note that `count` bytes more were sent; hands back the chunks that are done with.
    ///
    /// # Panics
    /// When there were fewer.
    #[must_use]
    pub fn advance(&mut self, mut count: usize) -> Chunks<C> {
        assert!(count <= self.len, "more was sent than there is");
        self.len -= count;
        let mut done = Chunks { first: None, more: VecDeque::new() };
        while count > 0 {
            let left = self.first().len();
            if count < left {
                self.sent += count;
                break;
            }
            count -= left;
            self.sent = 0;
            let sent = std::mem::replace(&mut self.first, self.more.pop_front());
            if done.first.is_none() {
                done.first = sent;
            } else {
                done.more.extend(sent);
            }
        }
        done
    }

    /// Every chunk, in order.
    pub fn iter(&self) -> impl Iterator<Item = &C> {
        self.first.iter().chain(&self.more)
    }

    /// Empties the buffer and hands its chunks over.
    #[must_use]
    pub fn take_all(&mut self) -> Chunks<C> {
        self.sent = 0;
        self.len = 0;
        Chunks { first: self.first.take(), more: std::mem::take(&mut self.more) }
    }
}

/// Chunks that a buffer is done with, in order.
#[derive(Debug)]
pub struct Chunks<C> {
    /// The first of them; mostly there is no other.
    pub first: Option<C>,
    /// Those behind it.
    pub more: VecDeque<C>,
}

impl<C: AsRef<[u8]>> Default for WriteBuf<C> {
    fn default() -> Self {
        Self::new()
    }
}
