//! Readiness: epoll with its wake-up. Relies on epoll(7) and eventfd(2). Who waits for which fd stands
//! in [`Interests`].
//!
//! # State
//! 1. Level-triggered: `add_reader` promises a callback for as long as data is there, which
//!    edge-triggered epoll does not give. Readers that need no such promise say so ([`Interests`]).
//! 2. A waiting thread holds nothing but a shared borrow, so others wake it and register freely.
//!
//! # Fields
//! 3. epoll's user data is the fd itself, and `WAKE_TOKEN`, which no fd equals, for the eventfd.
//!
//! # Shutdown
//! 4. Dropping the [`Poller`] closes both descriptors; registrations go with them.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::sys::epoll::Epoll;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

mod interests;
mod waiting;

pub use interests::Interests;

/// An epoll instance and the eventfd that wakes it. Shared by threads; one of them waits.
#[derive(Debug)]
pub struct Poller {
    epoll: Epoll,
    /// Registered in `epoll` as `WAKE_TOKEN`, readable from `wake` until `wait` reports it.
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
        let epoll = Epoll(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll.0, &eventfd, EventData::new_u64(WAKE_TOKEN), EventFlags::IN)?;
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
    /// when the wake-up was among it; says whether anything was. A signal gives `ErrorKind::Interrupted`
    /// and no events.
    pub fn wait(&self, events: &mut Events, timeout: Timeout) -> io::Result<bool> {
        events.list.clear();
        let woken = events.wait(&self.epoll, timeout)?;
        if woken {
            self.clear_wake()?;
        }
        Ok(woken || !events.is_empty())
    }

    /// The epoll descriptor's number, for those who show or poll it.
    #[must_use]
    pub fn epoll_fd(&self) -> RawFd {
        self.epoll.0.as_raw_fd()
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
        Ok(epoll::add(&self.epoll.0, fd, token_of(fd), flags)?)
    }

    fn modify(&self, fd: BorrowedFd<'_>, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll.0, fd, token_of(fd), flags)?)
    }

    fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll.0, fd)?)
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// What one wait reported, in epoll's order. Reused from wait to wait.
pub struct Events {
    /// Invariant: between waits it holds no event with `WAKE_TOKEN`.
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
    /// A buffer for a usual turn; see [`Events::reserve`].
    #[must_use]
    pub fn new() -> Self {
        Self { list: Vec::with_capacity(FIRST_CAPACITY) }
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

    /// Makes room for the events of `fds` registered descriptors: stock passes their number as the
    /// limit, so one turn sees all that is ready.
    pub fn reserve(&mut self, fds: usize) {
        self.list.clear();
        // One more for the wake-up.
        self.list.reserve(fds.min(LAST_CAPACITY) + 1);
    }

    /// Fills the empty buffer; says whether the wake-up was reported, and takes it out.
    fn wait(&mut self, epoll: &Epoll, timeout: Timeout) -> io::Result<bool> {
        waiting::wait(epoll, &mut self.list, timeout)?;
        let wake = self.list.iter().position(|event| event.data.u64() == WAKE_TOKEN);
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

fn token_of(fd: BorrowedFd<'_>) -> EventData {
    // The bits of the fd; a negative one is refused by the kernel before they matter.
    EventData::new_u64(u64::from(fd.as_raw_fd() as u32))
}

pub(crate) fn to_timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// No fd: those are 32 bits wide.
const WAKE_TOKEN: u64 = u64::MAX;

/// Events that the buffer of an idle loop has room for.
const FIRST_CAPACITY: usize = 64;

/// The buffer does not grow beyond this; epoll reports the rest next time, in turn.
const LAST_CAPACITY: usize = 1 << 14;
