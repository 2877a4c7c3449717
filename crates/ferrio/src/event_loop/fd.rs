//! Watching descriptors. CPython: BaseSelectorEventLoop._add_reader and its relatives

use std::os::fd::{BorrowedFd, RawFd};

use ferrio_capi::method::Object;
use ferrio_capi::{Ref, runtime};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::call;
use super::lifecycle::inherited;
use crate::errors;
use crate::handles;
use crate::loop_state::{EventLoop, get};
use crate::names;

/// Which readiness is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Read,
    Write,
}

impl Direction {
    /// The inherited method that registers with the selector that somebody put into `_selector`.
    fn add_method(self) -> &'static str {
        match self {
            Self::Read => "_add_reader",
            Self::Write => "_add_writer",
        }
    }

    /// The inherited method that undoes it.
    fn remove_method(self) -> &'static str {
        match self {
            Self::Read => "_remove_reader",
            Self::Write => "_remove_writer",
        }
    }
}

/// `_add_reader`, `_add_writer`: a second one replaces the first.
pub fn add<'py>(
    slf: &Bound<'py, EventLoop>,
    direction: Direction,
    file: &Bound<'py, PyAny>,
    callback: &Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
) -> Object<'py> {
    let py = slf.py();
    let native = slf.get();
    native.check_closed()?;
    if get(&native.selector_replaced) {
        let mut all = vec![file.clone(), callback.clone()];
        all.extend(args.iter());
        return inherited(slf)?.call_method1(direction.add_method(), PyTuple::new(py, all)?);
    }
    let handle = call::make_handle(slf, callback, args, None)?;
    ferrio_capi::class::track(&handle);
    let handle = handle.into_any();
    let fd = descriptor(file)?;
    let replaced = {
        let poller = native.poller.borrow_mut(py).clone();
        let poller = poller.ok_or_else(|| PyRuntimeError::new_err("Event loop is closed"))?;
        let mut interests = native.interests.borrow_mut(py);
        let kept = Ref::new(handle.clone());
        match direction {
            Direction::Read => interests.set_reader(&poller, fd, kept),
            Direction::Write => interests.set_writer(&poller, fd, kept),
        }
    };
    drop_lost(slf);
    cancel(py, replaced.map_err(|error| errors::os_error(py, &error))?)?;
    Ok(handle)
}

/// `_remove_reader`, `_remove_writer`: whether there was one.
pub fn remove(
    slf: &Bound<'_, EventLoop>,
    direction: Direction,
    file: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let py = slf.py();
    let native = slf.get();
    if get(&native.closed) {
        return Ok(false);
    }
    if get(&native.selector_replaced) {
        return inherited(slf)?.call_method1(direction.remove_method(), (file,))?.extract();
    }
    let Ok(fd) = descriptor(file) else {
        return Ok(false);
    };
    let removed = {
        let poller = native.poller.borrow_mut(py).clone();
        let Some(poller) = poller else {
            return Ok(false);
        };
        let mut interests = native.interests.borrow_mut(py);
        match direction {
            Direction::Read => interests.remove_reader(&poller, fd),
            Direction::Write => interests.remove_writer(&poller, fd),
        }
    };
    drop_lost(slf);
    let removed = removed.map_err(|error| errors::os_error(py, &error))?;
    let found = removed.is_some();
    cancel(py, removed)?;
    Ok(found)
}

/// Handles whose descriptor the kernel has forgotten are dropped outside of the table's borrow.
fn drop_lost(slf: &Bound<'_, EventLoop>) {
    let lost = slf.get().interests.borrow_mut(slf.py()).take_lost();
    drop(lost);
}

fn cancel(py: Python<'_>, handle: Option<Ref>) -> PyResult<()> {
    let Some(handle) = handle else { return Ok(()) };
    let handle = handle.into_bound(py);
    match handles::as_handle(&handle) {
        Some(handle) => call::cancel_handle(handle).map(drop),
        None => handle.call_method0(intern!(py, "cancel")).map(drop),
    }
}

/// The descriptor of a number or of an object with `fileno()`. CPython: selectors._fileobj_to_fd
fn descriptor(file: &Bound<'_, PyAny>) -> PyResult<BorrowedFd<'static>> {
    let fd: RawFd = match file.extract() {
        Ok(fd) if fd >= 0 => fd,
        _ => names::FILEOBJ_TO_FD.get(file.py())?.call1((file,))?.extract()?,
    };
    runtime::borrow_fd(fd)
        .ok_or_else(|| PyValueError::new_err(format!("Invalid file descriptor: {fd}")))
}

/// Queues the handles of a descriptor that is ready; one that was cancelled is removed instead.
/// CPython: BaseSelectorEventLoop._process_events
pub fn dispatch(
    slf: &Bound<'_, EventLoop>,
    fd: RawFd,
    readable: bool,
    writable: bool,
) -> PyResult<()> {
    let py = slf.py();
    let (reader, writer) = {
        let interests = slf.get().interests.borrow_mut(py);
        let bind = |handle: &Ref| handle.bind(py);
        let reader = if readable { interests.reader(fd).map(bind) } else { None };
        let writer = if writable { interests.writer(fd).map(bind) } else { None };
        (reader, writer)
    };
    for (direction, handle) in [(Direction::Read, reader), (Direction::Write, writer)] {
        let Some(handle) = handle else { continue };
        if is_cancelled(&handle)? {
            remove(slf, direction, fd.into_pyobject(py)?.as_any())?;
        } else {
            slf.get().push(py, crate::loop_state::Item::Handle(Ref::new(handle)));
        }
    }
    Ok(())
}

fn is_cancelled(handle: &Bound<'_, PyAny>) -> PyResult<bool> {
    match handles::as_handle(handle) {
        Some(handle) => Ok(handles::AnyHandle::is_cancelled(handle)),
        None => handle.getattr(intern!(handle.py(), "_cancelled"))?.is_truthy(),
    }
}
