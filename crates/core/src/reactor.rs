//! Readiness: epoll with its wake-up, and the table of who waits for which fd. Relies on epoll(7),
//! eventfd(2) and epoll_pwait2(2), which Linux has since 5.11.
//!
//! # State
//! 1. Level-triggered: `add_reader` promises a callback for as long as data is there, which
//!    edge-triggered epoll does not give.
//! 2. [`Interests`] makes the epoll_ctl calls of `selectors.EpollSelector` under
//!    `BaseSelectorEventLoop._add_reader` and its three sisters, and no others: ADD for a new fd, MOD
//!    when the mask changes, DEL for the last interest, none when only the payload changes.
//! 3. An fd that was closed while registered gives what it gives there: its removal is silent, a
//!    change of its mask drops the entry and returns the error.
//!
//! # Fields
//! 4. epoll's user data is the fd itself, and [`WAKE_TOKEN`], which no fd equals, for the eventfd.
//!
//! # Shutdown
//! 5. Dropping the [`Poller`] closes both descriptors; registrations go with them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

/// An epoll instance and the eventfd that wakes it. Shared by threads; one of them waits.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    /// Registered in `epoll` as [`WAKE_TOKEN`], readable from `wake` until `wait` reports it.
    eventfd: OwnedFd,
}

/// How long [`Poller::wait`] may block.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// Not at all.
    Zero,
    /// So long at most, to the nanosecond.
    For(Duration),
    /// Until something happens.
    Forever,
}

impl Poller {
    /// A poller with nothing registered but its own wake-up. Both descriptors are close-on-exec.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &epoll,
            &eventfd,
            EventData::new_u64(WAKE_TOKEN),
            EventFlags::IN,
        )?;
        Ok(Self { epoll, eventfd })
    }

    /// Makes the current or the next [`Poller::wait`] return. From any thread.
    pub fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes()) {
            // AGAIN: the counter is full, so the eventfd is readable as it is.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Replaces the content of `events` with what is ready, in one epoll system call, and one read
    /// when the wake-up was among it. A signal gives `ErrorKind::Interrupted` and no events.
    pub fn wait(&self, events: &mut Events, timeout: Timeout) -> io::Result<()> {
        let timespec = match timeout {
            Timeout::Zero => Some(Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
            Timeout::For(duration) => Some(to_timespec(duration)),
            Timeout::Forever => None,
        };
        if events.prepare().wait(&self.epoll, timespec.as_ref())? {
            self.clear_wake()?;
        }
        Ok(())
    }

    /// The epoll descriptor's number, for those who show or poll it.
    #[must_use]
    pub fn epoll_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    fn clear_wake(&self) -> io::Result<()> {
        let mut counter = [0_u8; 8];
        match rustix::io::read(&self.eventfd, &mut counter) {
            // AGAIN: another process that shares the eventfd since a fork has read it.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn add(&self, fd: BorrowedFd<'_>, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, token_of(fd), flags)?)
    }

    fn modify(&self, fd: BorrowedFd<'_>, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, token_of(fd), flags)?)
    }

    fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What one wait reported, in epoll's order. Reused from wait to wait.
pub struct Events {
    /// Invariant: between waits it holds no event with [`WAKE_TOKEN`].
    list: Vec<epoll::Event>,
}

/// One ready fd. An error or hang-up counts as both, as in `selectors.EpollSelector.select`; a
/// direction that nobody waits for is told apart by [`Interests::reader`] and [`Interests::writer`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The descriptor's number as it was registered.
    pub fd: RawFd,
    /// Any bit other than EPOLLOUT is set.
    pub readable: bool,
    /// Any bit other than EPOLLIN is set.
    pub writable: bool,
}

impl Events {
    /// A buffer for a usual turn; it grows when a wait fills it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            list: Vec::with_capacity(FIRST_CAPACITY),
        }
    }

    /// The events of the last wait.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.list.iter().map(|event| {
            let flags = event.flags;
            Event {
                // The token is the fd that was registered, so nothing is cut off.
                fd: event.data.u64() as RawFd,
                readable: !flags.difference(EventFlags::OUT).is_empty(),
                writable: !flags.difference(EventFlags::IN).is_empty(),
            }
        })
    }

    /// How many fds the last wait reported.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether the last wait reported nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Empties the buffer, and doubles it when the last wait filled it: stock passes the number of
    /// registered fds as the limit, so there one turn sees all that is ready.
    fn prepare(&mut self) -> &mut Self {
        let used = self.list.len();
        self.list.clear();
        // The wake-up was taken out of the list, so one short of full may have been full.
        if used + 1 >= self.list.capacity() && used < LAST_CAPACITY {
            self.list.reserve(used * 2);
        }
        self
    }

    /// Fills the empty buffer; says whether the wake-up was reported, and takes it out.
    fn wait(&mut self, epoll: &OwnedFd, timeout: Option<&Timespec>) -> io::Result<bool> {
        epoll::wait(epoll, spare_capacity(&mut self.list), timeout)?;
        let wake = self
            .list
            .iter()
            .position(|event| event.data.u64() == WAKE_TOKEN);
        if let Some(index) = wake {
            self.list.remove(index);
        }
        Ok(wake.is_some())
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// Who waits for which fd: at most one reader and one writer each, registered in a [`Poller`].
///
/// A failed call can drop payloads (the new one, and with it those of the fd). They are kept until
/// [`Interests::take_lost`], so that nothing is dropped inside a borrow of the table.
#[derive(Debug)]
pub struct Interests<T> {
    /// Indexed by fd, below [`DENSE_FDS`].
    dense: Vec<Pair<T>>,
    /// The other fds. Invariant: no empty pair.
    sparse: HashMap<RawFd, Pair<T>>,
    /// Pairs that are not empty.
    len: usize,
    lost: Vec<T>,
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
        self.set(poller, fd, Side::Reader, item)
    }

    /// Waits for `fd` to be writable; returns the writer that was replaced.
    /// An error leaves `fd` without reader and writer. `// CPython: _add_writer`
    pub fn set_writer(
        &mut self,
        poller: &Poller,
        fd: BorrowedFd<'_>,
        item: T,
    ) -> io::Result<Option<T>> {
        self.set(poller, fd, Side::Writer, item)
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
    ) -> io::Result<Option<T>> {
        let number = fd.as_raw_fd();
        let before = self.flags(number);
        let after = before | side.flag();
        let outcome = if before.is_empty() {
            poller.add(fd, after)
        } else if before != after {
            poller.modify(fd, after)
        } else {
            Ok(())
        };
        if let Err(error) = outcome {
            self.lose(number);
            self.lost.push(item);
            return Err(error);
        }
        if before.is_empty() {
            self.len += 1;
        }
        Ok(self.pair_or_insert(number).side(side).replace(item))
    }

    fn remove(&mut self, poller: &Poller, fd: BorrowedFd<'_>, side: Side) -> io::Result<Option<T>> {
        let number = fd.as_raw_fd();
        let before = self.flags(number);
        let after = before.difference(side.flag());
        if before == after {
            return Ok(None);
        }
        if after.is_empty() {
            // An fd that was closed since is no longer registered, and that is what was asked for.
            let _ = poller.delete(fd);
            return Ok(self.take_pair(number).and_then(|pair| pair.into_side(side)));
        }
        if let Err(error) = poller.modify(fd, after) {
            self.lose(number);
            return Err(error);
        }
        Ok(self.pair_or_insert(number).side(side).take())
    }

    fn flags(&self, fd: RawFd) -> EventFlags {
        let mut flags = EventFlags::empty();
        if let Some(pair) = self.pair(fd) {
            flags.set(EventFlags::IN, pair.reader.is_some());
            flags.set(EventFlags::OUT, pair.writer.is_some());
        }
        flags
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

#[derive(Debug)]
struct Pair<T> {
    reader: Option<T>,
    writer: Option<T>,
}

impl<T> Pair<T> {
    fn is_empty(&self) -> bool {
        self.reader.is_none() && self.writer.is_none()
    }

    fn side(&mut self, side: Side) -> &mut Option<T> {
        match side {
            Side::Reader => &mut self.reader,
            Side::Writer => &mut self.writer,
        }
    }

    fn into_side(self, side: Side) -> Option<T> {
        match side {
            Side::Reader => self.reader,
            Side::Writer => self.writer,
        }
    }
}

impl<T> Default for Pair<T> {
    fn default() -> Self {
        Self {
            reader: None,
            writer: None,
        }
    }
}

#[derive(Copy, Clone)]
enum Side {
    Reader,
    Writer,
}

impl Side {
    fn flag(self) -> EventFlags {
        match self {
            Side::Reader => EventFlags::IN,
            Side::Writer => EventFlags::OUT,
        }
    }
}

fn dense_index(fd: RawFd) -> Option<usize> {
    usize::try_from(fd).ok().filter(|index| *index < DENSE_FDS)
}

fn token_of(fd: BorrowedFd<'_>) -> EventData {
    // The bits of the fd; a negative one is refused by the kernel before they matter.
    EventData::new_u64(u64::from(fd.as_raw_fd() as u32))
}

fn to_timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// No fd: those are 32 bits wide.
const WAKE_TOKEN: u64 = u64::MAX;

/// Fds below this are looked up by index. A table for all of them is 1 MiB with one-word payloads.
const DENSE_FDS: usize = 1 << 16;

/// Events that the buffer of an idle loop has room for.
const FIRST_CAPACITY: usize = 64;

/// The buffer does not grow beyond twice this; epoll reports the rest next time, in turn.
const LAST_CAPACITY: usize = 1 << 14;
