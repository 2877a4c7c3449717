//! epoll as load generator and servers use it: level-triggered, a number for each descriptor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Events taken by one wait.
const BATCH: usize = 1024;

/// An epoll instance and the events of its last wait.
pub(crate) struct Readiness {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(BATCH) })
    }

    /// Watches `source` for `flags`; the wait tells of it as `token`.
    pub(crate) fn add(&self, source: impl AsFd, token: usize, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, EventData::new_u64(token as u64), flags)?)
    }

    pub(crate) fn change(
        &self,
        source: impl AsFd,
        token: usize,
        flags: EventFlags,
    ) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, source, EventData::new_u64(token as u64), flags)?)
    }

    /// Waits, for ever without a timeout, and returns how many events there are.
    pub(crate) fn wait(&mut self, timeout: Option<&Timespec>) -> io::Result<usize> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout) {
            Ok(_) | Err(Errno::INTR) => Ok(self.events.len()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Token and flags of the event with this number, below what `wait` returned.
    pub(crate) fn event(&self, number: usize) -> (usize, EventFlags) {
        let event = self.events[number];
        (event.data.u64() as usize, event.flags)
    }
}
