//! Those who wait for one fd, and what epoll knows of it.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use super::Poller;

/// A reader, a writer, both or nobody.
#[derive(Debug)]
pub(super) struct Pair<T> {
    pub(super) reader: Option<T>,
    pub(super) writer: Option<T>,
    pub(super) registration: Registration,
    /// The reader takes all there is with each event, and says so where it did not.
    pub(super) drains: bool,
    /// It may have left something since the last wait. Never without `drains`.
    pub(super) left: bool,
    /// Where the last report of the fd stood, while epoll still has it on its list, or would have it there.
    pub(super) place: Option<Place>,
}

/// The number of a wait, and the place among its events.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) wait: u64,
    pub(super) index: usize,
}

/// How a reader that drains is registered while it waits alone. PRI and RDHUP are for the table: with either,
/// one read may leave something behind.
pub(super) const EDGE: EventFlags = EventFlags::ET.union(EventFlags::PRI).union(EventFlags::RDHUP);

/// What epoll knows of an fd, as far as we do.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Registration {
    /// Nothing.
    None,
    /// These events are reported; one of them only if `ONESHOT` is among them.
    Armed(EventFlags),
    /// One event was reported, and no further one will be.
    Spent,
}

impl<T> Pair<T> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.reader.is_none() && self.writer.is_none()
    }

    /// The events that are waited for; `once` is added where one side waits alone.
    pub(super) fn flags(&self, once: EventFlags) -> EventFlags {
        match (&self.reader, &self.writer) {
            (None, None) => EventFlags::empty(),
            (Some(_), None) if self.drains => EventFlags::IN | EDGE,
            (Some(_), None) => EventFlags::IN | once,
            (None, Some(_)) => EventFlags::OUT | once,
            (Some(_), Some(_)) => EventFlags::IN | EventFlags::OUT,
        }
    }

    /// Makes the registration of `fd` what is wanted.
    pub(super) fn register(
        &mut self,
        poller: &Poller,
        fd: BorrowedFd<'_>,
        wanted: EventFlags,
    ) -> io::Result<()> {
        match self.registration {
            // One who wants a single event ignores those that come on top.
            Registration::Armed(flags)
                if flags == wanted || flags | EventFlags::ONESHOT == wanted =>
            {
                return Ok(());
            }
            Registration::Armed(_) if wanted.is_empty() => {
                // An fd that was closed since is no longer registered, and that is what was asked for.
                let _ = poller.delete(fd);
                self.registration = Registration::None;
                self.place = None;
                self.left = false;
                return Ok(());
            }
            Registration::Armed(_) => poller.modify(fd, wanted)?,
            _ if wanted.is_empty() => return Ok(()),
            Registration::Spent => match poller.modify(fd, wanted) {
                Err(error) if is_unknown(&error) => poller.add(fd, wanted)?,
                outcome => outcome?,
            },
            Registration::None => poller.add(fd, wanted)?,
        }
        self.registration = Registration::Armed(wanted);
        Ok(())
    }

    pub(super) fn side(&mut self, side: Side) -> &mut Option<T> {
        match side {
            Side::Reader => &mut self.reader,
            Side::Writer => &mut self.writer,
        }
    }
}

impl<T> Default for Pair<T> {
    fn default() -> Self {
        let registration = Registration::None;
        Self { reader: None, writer: None, registration, drains: false, left: false, place: None }
    }
}

/// Which of the two.
#[derive(Copy, Clone)]
pub(super) enum Side {
    Reader,
    Writer,
}

/// Whether epoll says that the fd is not registered.
fn is_unknown(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOENT)
}
