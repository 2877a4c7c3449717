//! What a wait has reported, in the order in which level-triggered epoll reports it. Relies on how epoll keeps
//! its list of what is ready: ep_send_events in Linux' fs/eventpoll.c.
//!
//! # State
//! 1. epoll keeps on its list what it has reported, at the end and in the same order. The next wait begins
//!    with what of it is ready again, and has the others behind it as their events came.
//! 2. Readers that drain are not kept there, so the kernel has them where their events came. Their place
//!    ([`Place`]) says where they would have been.
//! 3. A wait that finds nothing empties the list, and what comes while it sleeps stands in the order in which
//!    it came. Whether it slept nobody says, so one that may sleep is preceded by one that does not
//!    ([`Interests::looks_first`]).

use std::os::fd::{BorrowedFd, RawFd};

use rustix::event::epoll::EventFlags;

use super::Interests;
use super::pair::{EDGE, Place, Registration};
use crate::reactor::{Event, Events, Poller};

impl<T> Interests<T> {
    /// Takes note of what a wait has reported, and puts it in order. What was armed for one event is silent
    /// from now on.
    ///
    /// `anew`: the wait slept, after one that found nothing.
    pub fn note_reported(&mut self, events: &mut Events, anew: bool) {
        let wait = self.waits;
        self.waits += 1;
        let unkept = std::mem::replace(&mut self.unkept, false) && !anew;
        for event in &events.list {
            let (fd, told) = (event.data.u64() as RawFd, event.flags);
            let Some(pair) = self.pair_mut(fd) else { continue };
            let Registration::Armed(flags) = pair.registration else { continue };
            if flags.contains(EventFlags::ONESHOT) {
                pair.registration = Registration::Spent;
            } else if flags.contains(EDGE) {
                let left = told != EventFlags::IN && !std::mem::replace(&mut pair.left, true);
                self.left.extend(left.then_some(fd));
                self.unkept = true;
            }
        }
        if unkept && !events.list.is_sorted_by_key(|event| self.rank(event.data.u64(), wait)) {
            events.list.sort_by_key(|event| self.rank(event.data.u64(), wait));
            self.unkept = true;
        }
        for (index, event) in events.list.iter().enumerate() {
            if let Some(pair) = self.pair_mut(event.data.u64() as RawFd)
                && matches!(pair.registration, Registration::Armed(_))
            {
                pair.place = Some(Place { wait: wait + 1, index });
            }
        }
    }

    /// Whether a wait that may sleep is to be preceded by one that does not: with all registered alike, epoll
    /// would have somebody on its list, and there are others than the `internal` fds to be told of later.
    #[must_use]
    pub fn looks_first(&self, internal: usize) -> bool {
        self.unkept && self.len > internal + 1
    }

    /// The reader of `fd`, if it drains, may have left something. From the next wait on it is told of that as
    /// others are.
    pub fn note_left(&mut self, fd: RawFd) {
        if let Some(pair) = self.pair_mut(fd)
            && matches!(pair.registration, Registration::Armed(flags) if flags.contains(EDGE))
            && !std::mem::replace(&mut pair.left, true)
        {
            self.left.push(fd);
        }
    }

    /// [`Interests::note_left`] for all that the last wait reported.
    pub fn note_all_left(&mut self, events: &[Event]) {
        events.iter().for_each(|event| self.note_left(event.fd));
    }

    /// Before a wait: those that have left something are registered as others are. `borrow` gives the open
    /// descriptor of a number.
    pub fn tell_left<'fd>(
        &mut self,
        poller: &Poller,
        borrow: impl Fn(RawFd) -> Option<BorrowedFd<'fd>>,
    ) {
        while let Some(number) = self.left.pop() {
            // It may have been closed since, and its number be another's.
            let Some(pair) = self.pair_mut(number).filter(|pair| pair.left) else { continue };
            (pair.drains, pair.left) = (false, false);
            if let Some(fd) = borrow(number) {
                // Of a descriptor that was closed meanwhile nobody is told any more, as by `selectors`.
                let _ = pair.register(poller, fd, pair.flags(EventFlags::empty()));
            }
        }
    }

    /// Where level-triggered epoll has `token` in the report after so many waits.
    fn rank(&self, token: u64, wait: u64) -> usize {
        match self.pair(token as RawFd).and_then(|pair| pair.place) {
            Some(place) if place.wait == wait => place.index,
            _ => usize::MAX,
        }
    }
}
