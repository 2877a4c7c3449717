//! Who waits for which fd. Relies on a [`Poller`] to tell the kernel, and on its caller to pass the
//! same one each time.
//!
//! # State
//! 1. An fd has a reader, a writer, both, or no entry. What is registered in epoll is that, unless
//!    the fd was closed or reopened behind the table's back.
//! 2. The epoll_ctl calls are those of `selectors.EpollSelector` under
//!    `BaseSelectorEventLoop._add_reader` and its three sisters, and no others: ADD for a new fd, MOD
//!    when the mask changes, DEL for the last interest, none when only the payload changes.
//! 3. An fd that was closed while registered gives what it gives there: its removal is silent, a
//!    change of its mask drops the entry and returns the error.
//! 4. Who waits for one event only says so (`set_reader_once`), and is registered with EPOLLONESHOT
//!    while it waits alone: what has been reported is then silent without a DEL, and stays registered
//!    for the next one, which costs a MOD. Such a rest needs no trust: where the fd was closed
//!    meanwhile, the kernel has forgotten it and the MOD fails, and where another process keeps the
//!    file open, it is silent for ever.
//! 5. Who takes all there is with each event says so (`set_draining_reader`), and is registered with
//!    EPOLLET while it waits alone: epoll need not look again at what was read. What it leaves is told
//!    of like any other's from the next wait on ([`reported`]).
//!
//! # Shutdown
//! 6. `take_all`, then drop the poller.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::event::epoll::EventFlags;

use super::Poller;
use pair::{EDGE, Pair, Registration, Side};

mod pair;
mod reported;

/// Who waits for which fd: at most one reader and one writer each, registered in a [`Poller`].
///
/// A failed call can drop payloads (the new one, and with it those of the fd). They are kept until
/// [`Interests::take_lost`], so that nothing is dropped inside a borrow of the table.
#[derive(Debug)]
pub struct Interests<T> {
    /// Indexed by fd, below `DENSE_FDS`.
    dense: Vec<Pair<T>>,
    /// The other fds. Invariant: no pair that is empty and not registered.
    sparse: HashMap<RawFd, Pair<T>>,
    /// Pairs that are not empty.
    len: usize,
    lost: Vec<T>,
    /// How many waits have reported.
    waits: u64,
    /// Readers that drain and may have left something since the last wait.
    left: Vec<RawFd>,
    /// epoll's list may be another than the last report: a reader that drains was in it, or it was put in order.
    unkept: bool,
}

impl<T> Interests<T> {
    /// Nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self {
            dense: Vec::new(),
            sparse: HashMap::new(),
            len: 0,
            lost: Vec::new(),
            waits: 0,
            left: Vec::new(),
            unkept: false,
        }
    }

    /// Waits for `fd` to be readable; returns the reader that was replaced.
    /// An error leaves `fd` without reader and writer. `// CPython: _add_reader`
    pub fn set_reader(
        &mut self,
        poller: &Poller,
        fd: BorrowedFd<'_>,
        item: T,
    ) -> io::Result<Option<T>> {
        self.set(poller, fd, Side::Reader, item, EventFlags::empty())
    }

    /// [`Interests::set_reader`] for a reader that is content with one event: then it is to be removed,
    /// or armed again.
    pub fn set_reader_once(
        &mut self,
        poller: &Poller,
        fd: BorrowedFd<'_>,
        item: T,
    ) -> io::Result<Option<T>> {
        self.set(poller, fd, Side::Reader, item, EventFlags::ONESHOT)
    }

    /// [`Interests::set_reader`] for a reader that takes all there is with each event, or says that it did
    /// not ([`Interests::note_left`]).
    pub fn set_draining_reader(
        &mut self,
        poller: &Poller,
        fd: BorrowedFd<'_>,
        item: T,
    ) -> io::Result<Option<T>> {
        self.set(poller, fd, Side::Reader, item, EDGE)
    }

    /// Waits for `fd` to be writable; returns the writer that was replaced.
    /// An error leaves `fd` without reader and writer. `// CPython: _add_writer`
    pub fn set_writer(
        &mut self,
        poller: &Poller,
        fd: BorrowedFd<'_>,
        item: T,
    ) -> io::Result<Option<T>> {
        self.set(poller, fd, Side::Writer, item, EventFlags::empty())
    }

    /// [`Interests::set_writer`] for a writer that is content with one event, as
    /// [`Interests::set_reader_once`].
    pub fn set_writer_once(
        &mut self,
        poller: &Poller,
        fd: BorrowedFd<'_>,
        item: T,
    ) -> io::Result<Option<T>> {
        self.set(poller, fd, Side::Writer, item, EventFlags::ONESHOT)
    }

    /// Has those who wait for `fd` told of events again, after one was reported; of every event from now
    /// on, unless `once`. An error leaves `fd` without reader and writer.
    pub fn rearm(&mut self, poller: &Poller, fd: BorrowedFd<'_>, once: bool) -> io::Result<()> {
        let number = fd.as_raw_fd();
        let Some(pair) = self.pair_mut(number).filter(|pair| !pair.is_empty()) else {
            return Ok(());
        };
        (pair.drains, pair.left) = (false, false);
        let once = if once { EventFlags::ONESHOT } else { EventFlags::empty() };
        let outcome = pair.register(poller, fd, pair.flags(once));
        if outcome.is_err() {
            self.lose(number);
        }
        outcome
    }

    /// Stops waiting for `fd` to be readable; returns the reader there was.
    ///
    /// An error comes only from an fd that keeps its writer and was closed or reopened behind the
    /// table's back; it leaves `fd` without reader and writer. `// CPython: _remove_reader`
    pub fn remove_reader(&mut self, poller: &Poller, fd: BorrowedFd<'_>) -> io::Result<Option<T>> {
        self.remove(poller, fd, Side::Reader)
    }

    /// Stops waiting for `fd` to be writable; errors as [`Interests::remove_reader`].
    /// `// CPython: _remove_writer`
    pub fn remove_writer(&mut self, poller: &Poller, fd: BorrowedFd<'_>) -> io::Result<Option<T>> {
        self.remove(poller, fd, Side::Writer)
    }

    /// The reader of `fd`.
    #[inline]
    #[must_use]
    pub fn reader(&self, fd: RawFd) -> Option<&T> {
        self.pair(fd)?.reader.as_ref()
    }

    /// The writer of `fd`.
    #[inline]
    #[must_use]
    pub fn writer(&self, fd: RawFd) -> Option<&T> {
        self.pair(fd)?.writer.as_ref()
    }

    /// Whether `fd` has (a reader, a writer); `None` when it has neither.
    #[must_use]
    pub fn events_of(&self, fd: RawFd) -> Option<(bool, bool)> {
        let pair = self.pair(fd)?;
        Some((pair.reader.is_some(), pair.writer.is_some()))
    }

    /// All fds as (fd, reader, writer), in no order to rely on.
    pub fn iter(&self) -> impl Iterator<Item = (RawFd, Option<&T>, Option<&T>)> {
        let dense = (0..).zip(&self.dense);
        let sparse = self.sparse.iter().map(|(fd, pair)| (*fd, pair));
        dense
            .chain(sparse)
            .filter(|(_, pair)| !pair.is_empty())
            .map(|(fd, pair)| (fd, pair.reader.as_ref(), pair.writer.as_ref()))
    }

    /// Registered fds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no fd is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Empties the table and hands all payloads over, those of failed calls included. Makes no system
    /// call: it is for a poller that is about to be dropped.
    #[must_use]
    pub fn take_all(&mut self) -> Vec<T> {
        let mut items = self.take_lost();
        let dense = std::mem::take(&mut self.dense).into_iter();
        let sparse = std::mem::take(&mut self.sparse).into_values();
        for pair in dense.chain(sparse) {
            items.extend(pair.reader);
            items.extend(pair.writer);
        }
        self.len = 0;
        items
    }

    /// The payloads that failed calls dropped since the last time: call it after an error.
    #[must_use]
    pub fn take_lost(&mut self) -> Vec<T> {
        std::mem::take(&mut self.lost)
    }

    fn set(
        &mut self,
        poller: &Poller,
        fd: BorrowedFd<'_>,
        side: Side,
        item: T,
        mode: EventFlags,
    ) -> io::Result<Option<T>> {
        let number = fd.as_raw_fd();
        let pair = self.pair_or_insert(number);
        let first = pair.is_empty();
        let replaced = pair.side(side).replace(item);
        if matches!(side, Side::Reader) {
            pair.drains = mode == EDGE;
            pair.left &= pair.drains;
        }
        let outcome = pair.register(poller, fd, pair.flags(mode & EventFlags::ONESHOT));
        if first {
            self.len += 1;
        }
        if let Err(error) = outcome {
            self.lost.extend(replaced);
            self.lose(number);
            return Err(error);
        }
        Ok(replaced)
    }

    fn remove(&mut self, poller: &Poller, fd: BorrowedFd<'_>, side: Side) -> io::Result<Option<T>> {
        let number = fd.as_raw_fd();
        let Some(pair) = self.pair_mut(number) else {
            return Ok(None);
        };
        let Some(removed) = pair.side(side).take() else {
            return Ok(None);
        };
        let outcome = pair.register(poller, fd, pair.flags(EventFlags::empty()));
        if let Err(error) = outcome {
            *pair.side(side) = Some(removed);
            self.lose(number);
            return Err(error);
        }
        if pair.is_empty() {
            let unknown = pair.registration == Registration::None;
            self.len -= 1;
            if unknown && dense_index(number).is_none() {
                self.sparse.remove(&number);
            }
        }
        Ok(Some(removed))
    }

    /// The pair of `fd`, unless it is empty.
    #[inline]
    fn pair(&self, fd: RawFd) -> Option<&Pair<T>> {
        let pair = match dense_index(fd) {
            Some(index) => self.dense.get(index),
            None => self.sparse.get(&fd),
        };
        pair.filter(|pair| !pair.is_empty())
    }

    #[inline]
    fn pair_mut(&mut self, fd: RawFd) -> Option<&mut Pair<T>> {
        match dense_index(fd) {
            Some(index) => self.dense.get_mut(index),
            None => self.sparse.get_mut(&fd),
        }
    }

    fn pair_or_insert(&mut self, fd: RawFd) -> &mut Pair<T> {
        let Some(index) = dense_index(fd) else {
            return self.sparse.entry(fd).or_default();
        };
        if index >= self.dense.len() {
            self.dense.resize_with(index + 1, Pair::default);
        }
        &mut self.dense[index]
    }

    fn take_pair(&mut self, fd: RawFd) -> Option<Pair<T>> {
        let pair = match dense_index(fd) {
            Some(index) => self.dense.get_mut(index).map(std::mem::take),
            None => self.sparse.remove(&fd),
        };
        let pair = pair.filter(|pair| !pair.is_empty())?;
        self.len -= 1;
        Some(pair)
    }

    fn lose(&mut self, fd: RawFd) {
        if let Some(pair) = self.take_pair(fd) {
            self.lost.extend(pair.reader);
            self.lost.extend(pair.writer);
        }
    }
}

impl<T> Default for Interests<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn dense_index(fd: RawFd) -> Option<usize> {
    usize::try_from(fd).ok().filter(|index| *index < DENSE_FDS)
}

/// Fds below this are looked up by index. A table for all of them is 1 MiB with one-word payloads.
const DENSE_FDS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Fds on both sides of the limit, and those of a caller who passes on a wrong number.
    const NUMBERS: [RawFd; 6] = [0, 7, 65_535, 65_536, RawFd::MAX, RawFd::MIN];

    #[test]
    fn every_number_has_a_pair_of_its_own() {
        let mut table = Interests::new();
        for fd in NUMBERS {
            table.pair_or_insert(fd).reader = Some(fd);
            table.len += 1;
        }
        for fd in NUMBERS {
            assert_eq!(table.reader(fd), Some(&fd));
            assert_eq!(table.events_of(fd), Some((true, false)));
        }
        assert_eq!(table.iter().count(), NUMBERS.len());
        for (left, fd) in NUMBERS.iter().enumerate() {
            assert!(table.take_pair(*fd).is_some());
            assert!(table.take_pair(*fd).is_none());
            assert_eq!(table.len(), NUMBERS.len() - 1 - left);
        }
        assert_eq!(table.iter().count(), 0);
    }

    #[test]
    fn a_huge_number_costs_no_memory_for_the_numbers_below() {
        let mut table = Interests::new();
        table.pair_or_insert(RawFd::MAX).writer = Some(());
        assert!(table.dense.is_empty());
    }

    #[test]
    fn take_all_gives_every_payload_on_both_sides_of_the_limit() {
        let mut table = Interests::new();
        for fd in NUMBERS {
            let pair = Pair { reader: Some(fd), writer: Some(fd), ..Pair::default() };
            *table.pair_or_insert(fd) = pair;
            table.len += 1;
        }
        assert_eq!(table.take_all().len(), 2 * NUMBERS.len());
        assert!(table.is_empty());
        assert_eq!(table.iter().count(), 0);
    }
}
