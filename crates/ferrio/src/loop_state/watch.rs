//! Watching descriptors for native objects and for handles, and the descriptors that transports own.
//! Relies on the loop's table of interests, whose payloads are released outside of its borrow.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use ferrio_capi::{Ref, context};
use ferrio_core::reactor::{Interests, Poller};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::item::{Act, Item, Watch};
use super::{EventLoop, as_native, call_soon, get};
use crate::errors;

/// Which readiness is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Read,
    Write,
}

impl EventLoop {
    /// Watches a descriptor; returns who did so before.
    ///
    /// # Errors
    /// RuntimeError when the loop is closed, OSError from epoll: then nobody watches it any more.
    pub fn set_watch(
        &self,
        py: Python<'_>,
        direction: Direction,
        fd: BorrowedFd<'_>,
        watch: Watch,
    ) -> PyResult<Option<Watch>> {
        self.register(py, fd, |interests, poller| match direction {
            Direction::Read => interests.set_reader(poller, fd, watch),
            Direction::Write => interests.set_writer(poller, fd, watch),
        })
    }

    /// [`EventLoop::set_watch`] for one event: then the watch is to be removed, or armed again.
    ///
    /// # Errors
    /// As [`EventLoop::set_watch`].
    pub fn set_watch_once(
        &self,
        py: Python<'_>,
        direction: Direction,
        fd: BorrowedFd<'_>,
        watch: Watch,
    ) -> PyResult<Option<Watch>> {
        self.register(py, fd, |interests, poller| match direction {
            Direction::Read => interests.set_reader_once(poller, fd, watch),
            Direction::Write => interests.set_writer_once(poller, fd, watch),
        })
    }

    /// [`EventLoop::set_watch`] of a reader that takes all there is with each event, or says that it did not
    /// ([`EventLoop::note_left`]).
    ///
    /// # Errors
    /// As [`EventLoop::set_watch`].
    pub fn set_draining_watch(
        &self,
        py: Python<'_>,
        fd: BorrowedFd<'_>,
        watch: Watch,
    ) -> PyResult<Option<Watch>> {
        self.register(py, fd, |interests, poller| interests.set_draining_reader(poller, fd, watch))
    }

    /// A reader that drains may have left something.
    #[cold]
    pub fn note_left(&self, py: Python<'_>, fd: RawFd) {
        self.interests.borrow_mut(py).note_left(fd);
    }

    /// Has a watch for one event told of the next one.
    ///
    /// # Errors
    /// As [`EventLoop::set_watch`].
    pub fn rearm_watch(&self, py: Python<'_>, fd: BorrowedFd<'_>) -> PyResult<()> {
        self.register(py, fd, |interests, poller| interests.rearm(poller, fd, true).map(|()| None))
            .map(drop)
    }

    /// After an event of a descriptor: has who watches it told of every further one, because what runs
    /// now is a handle, which does not ask for that.
    ///
    /// # Errors
    /// As [`EventLoop::set_watch`].
    #[cold]
    pub fn keep_watch_armed(&self, py: Python<'_>, fd: BorrowedFd<'_>) -> PyResult<()> {
        self.register(py, fd, |interests, poller| interests.rearm(poller, fd, false).map(|()| None))
            .map(drop)
    }

    fn register(
        &self,
        py: Python<'_>,
        fd: BorrowedFd<'_>,
        change: impl FnOnce(&mut Interests<Watch>, &Poller) -> io::Result<Option<Watch>>,
    ) -> PyResult<Option<Watch>> {
        let replaced = {
            let poller = self.poller.borrow_mut(py);
            let Some(poller) = poller.as_deref() else { return Err(errors::loop_closed()) };
            change(&mut self.interests.borrow_mut(py), poller)
        };
        self.drop_lost(py, fd.as_raw_fd());
        replaced.map_err(|error| errors::os_error(py, &error))
    }

    /// Whether this very object watches a descriptor.
    #[inline]
    pub fn is_watched_by(
        &self,
        direction: Direction,
        fd: RawFd,
        object: &Bound<'_, PyAny>,
    ) -> bool {
        let interests = self.interests.borrow_mut(object.py());
        let watch = match direction {
            Direction::Read => interests.reader(fd),
            Direction::Write => interests.writer(fd),
        };
        matches!(watch, Some(Watch::Act { object: watching, .. }) if watching.as_ptr() == object.as_ptr())
    }

    /// Stops watching a descriptor; returns who did.
    ///
    /// # Errors
    /// OSError from epoll: then nobody watches it any more.
    pub fn remove_watch(
        &self,
        py: Python<'_>,
        direction: Direction,
        fd: BorrowedFd<'_>,
    ) -> io::Result<Option<Watch>> {
        let Some(poller) = self.poller.borrow_mut(py).clone() else {
            return Ok(None);
        };
        let removed = {
            let mut interests = self.interests.borrow_mut(py);
            match direction {
                Direction::Read => interests.remove_reader(&poller, fd),
                Direction::Write => interests.remove_writer(&poller, fd),
            }
        };
        self.drop_lost(py, fd.as_raw_fd());
        removed
    }

    /// Watches whose descriptor the kernel has forgotten are dropped outside of the table's borrow, and
    /// so is the object that named `fd` when nobody waits for it any more.
    fn drop_lost(&self, py: Python<'_>, fd: RawFd) {
        let (lost, watched) = {
            let mut interests = self.interests.borrow_mut(py);
            (interests.take_lost(), interests.events_of(fd).is_some())
        };
        drop(lost);
        let forgotten = {
            let mut files = self.files.borrow_mut(py);
            if watched || files.is_empty() { None } else { files.remove(&fd) }
        };
        drop(forgotten);
    }

    /// Whether native objects may wait for descriptors without a handle: nobody put a selector of
    /// their own into `_selector`, and debug mode wants no handle.
    #[inline]
    pub fn takes_watches(&self) -> bool {
        !(get(&self.selector_replaced) || get(&self.debug) || get(&self.closed))
    }
}

/// `loop._add_reader(fd, act of object)` or its sister. Returns the context of the registration, which
/// the act is called with. CPython: BaseSelectorEventLoop._add_reader
pub fn watch_act<'py>(
    event_loop: &Bound<'py, EventLoop>,
    direction: Direction,
    fd: BorrowedFd<'_>,
    object: &Bound<'py, PyAny>,
    act: &'static Act,
) -> PyResult<Bound<'py, PyAny>> {
    register(event_loop, direction, fd, (object, act), EventLoop::set_watch)
}

/// [`watch_act`] for one event. Where there is a handle it comes again and again.
pub fn watch_act_once<'py>(
    event_loop: &Bound<'py, EventLoop>,
    direction: Direction,
    fd: BorrowedFd<'_>,
    object: &Bound<'py, PyAny>,
    act: &'static Act,
) -> PyResult<Bound<'py, PyAny>> {
    register(event_loop, direction, fd, (object, act), EventLoop::set_watch_once)
}

/// [`watch_act`] for a reader that drains ([`EventLoop::set_draining_watch`]).
pub fn watch_draining_act<'py>(
    event_loop: &Bound<'py, EventLoop>,
    fd: BorrowedFd<'_>,
    object: &Bound<'py, PyAny>,
    act: &'static Act,
) -> PyResult<Bound<'py, PyAny>> {
    register(event_loop, Direction::Read, fd, (object, act), |native, py, _, fd, watch| {
        native.set_draining_watch(py, fd, watch)
    })
}

/// How a watch is put into the table; what it replaces is given back.
type SetWatch =
    fn(&EventLoop, Python<'_>, Direction, BorrowedFd<'_>, Watch) -> PyResult<Option<Watch>>;

#[inline]
fn register<'py>(
    event_loop: &Bound<'py, EventLoop>,
    direction: Direction,
    fd: BorrowedFd<'_>,
    (object, act): (&Bound<'py, PyAny>, &'static Act),
    set_watch: SetWatch,
) -> PyResult<Bound<'py, PyAny>> {
    if !event_loop.get().takes_watches() {
        return watch_through_python(event_loop, direction, fd, object, act);
    }
    let (watch, context) = Watch::by(object, act)?;
    cancel(object.py(), set_watch(event_loop.get(), object.py(), direction, fd, watch)?)?;
    Ok(context)
}

/// Cancels the handle that watched.
fn cancel(py: Python<'_>, watch: Option<Watch>) -> PyResult<()> {
    match watch {
        Some(Watch::Handle(handle)) => {
            handle.into_bound(py).call_method0(intern!(py, "cancel")).map(drop)
        }
        Some(Watch::Act { .. }) | None => Ok(()),
    }
}

#[cold]
fn watch_through_python<'py>(
    event_loop: &Bound<'py, EventLoop>,
    direction: Direction,
    fd: BorrowedFd<'_>,
    object: &Bound<'py, PyAny>,
    act: &'static Act,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let name = match direction {
        Direction::Read => intern!(py, "_add_reader"),
        Direction::Write => intern!(py, "_add_writer"),
    };
    let (callback, args) = (act.parts)(object)?;
    let mut all = vec![fd.as_raw_fd().into_pyobject(py)?.into_any(), callback];
    all.extend(args.iter());
    let handle = event_loop.call_method1(name, PyTuple::new(py, all)?)?;
    match handle.is_none() {
        // The inherited method returns its handle; a replaced one need not.
        true => context::copy_current(py),
        false => handle.getattr(intern!(py, "_context")),
    }
}

/// `loop._remove_reader(fd)` or its sister, for what [`watch_act`] registered.
pub fn unwatch(
    event_loop: &Bound<'_, EventLoop>,
    direction: Direction,
    fd: BorrowedFd<'_>,
) -> PyResult<()> {
    let py = event_loop.py();
    if get(&event_loop.get().selector_replaced) {
        let name = match direction {
            Direction::Read => intern!(py, "_remove_reader"),
            Direction::Write => intern!(py, "_remove_writer"),
        };
        return event_loop.call_method1(name, (fd.as_raw_fd(),)).map(drop);
    }
    let removed = event_loop.get().remove_watch(py, direction, fd);
    cancel(py, removed.map_err(|error| errors::os_error(py, &error))?)
}

/// `loop.call_soon(callback, argument)`, without a handle where nobody looks.
#[inline]
pub fn call_one_soon<'py>(
    event_loop: &Bound<'py, EventLoop>,
    callback: Bound<'py, PyAny>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = event_loop.py();
    let context = context::copy_current(py)?;
    if !event_loop.get().takes_items() {
        return call_soon(event_loop.as_any(), &callback, &[argument], &context);
    }
    let (callback, future) = (Ref::new(callback), Ref::new(argument.clone()));
    event_loop.get().push(py, Item::Callback { callback, future, context: Ref::new(context) });
    Ok(())
}

/// `loop.call_soon(act of object)`, without a handle where nobody looks.
#[inline]
pub fn call_act_soon<'py>(
    event_loop: &Bound<'py, PyAny>,
    object: &Bound<'py, PyAny>,
    act: &'static Act,
) -> PyResult<()> {
    let py = event_loop.py();
    let context = context::copy_current(py)?;
    if let Some(native) = as_native(event_loop).filter(|native| native.get().takes_items()) {
        let (object, context) = (Ref::new(object.clone()), Ref::new(context));
        native.get().push(py, Item::Act { object, context, act });
        return Ok(());
    }
    let (callback, args) = (act.parts)(object)?;
    let args: Vec<_> = args.iter().collect();
    call_soon(event_loop, &callback, &args.iter().collect::<Vec<_>>(), &context)
}
