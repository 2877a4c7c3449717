//! One wait of epoll. `epoll_pwait2` takes its timeout to the nanosecond, but Linux has it since 5.11
//! only, and a sandbox or an emulator may know none but older calls. There, `ppoll` on the epoll
//! descriptor itself keeps the time, and `epoll_wait`, which knows milliseconds, collects.
//! Reference: epoll_wait(2), poll(2), epoll(7) (an epoll descriptor is readable when it has events).

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Timeout, to_timespec};

/// Whether `epoll_pwait2` was refused once: the system does not learn it later.
static IS_OLD: AtomicBool = AtomicBool::new(false);

/// Fills the empty `list`, as far as its capacity goes.
pub(super) fn wait(epoll: &Epoll, list: &mut Vec<Event>, timeout: Timeout) -> io::Result<()> {
    if !IS_OLD.load(Ordering::Relaxed) {
        let timespec = match timeout {
            Timeout::Zero => Some(Timespec { tv_sec: 0, tv_nsec: 0 }),
            Timeout::For(duration) => Some(to_timespec(duration)),
            Timeout::Forever => None,
        };
        match epoll::wait(&epoll.0, spare_capacity(list), timespec.as_ref()) {
            Ok(_) => return Ok(()),
            // PERM is what sandboxes say that refuse the calls they do not know; epoll has no use for it.
            Err(Errno::NOSYS | Errno::PERM) => IS_OLD.store(true, Ordering::Relaxed),
            Err(errno) => return Err(errno.into()),
        }
    }
    wait_on_old(epoll, list, timeout)
}

#[cold]
fn wait_on_old(epoll: &Epoll, list: &mut Vec<Event>, timeout: Timeout) -> io::Result<()> {
    match timeout {
        Timeout::Zero => collect(epoll, list, EpollTimeout::ZERO),
        Timeout::Forever => collect(epoll, list, EpollTimeout::NONE),
        Timeout::For(duration) => {
            let mut fds = [PollFd::from_borrowed_fd(epoll.0.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&to_timespec(duration)))? {
                0 => Ok(()),
                _ => collect(epoll, list, EpollTimeout::ZERO),
            }
        }
    }
}

fn collect(epoll: &Epoll, list: &mut Vec<Event>, timeout: EpollTimeout) -> io::Result<()> {
    let mut found = vec![EpollEvent::empty(); list.capacity()];
    let count = epoll.wait(&mut found, timeout)?;
    list.extend(found[..count].iter().map(|event| Event {
        flags: EventFlags::from_bits_retain(event.events().bits().cast_unsigned()),
        data: EventData::new_u64(event.data()),
    }));
    Ok(())
}
