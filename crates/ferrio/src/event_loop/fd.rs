//! Watching descriptors. CPython: BaseSelectorEventLoop._add_reader and its relatives

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::{Ref, runtime};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple};

use super::lifecycle::inherited;
use super::{call, sock, transport_fds};
use crate::errors;
use crate::handles;
use crate::loop_state::{Direction, EventLoop, Item, Watch, get};
use crate::names;

/// The inherited method that registers with the selector that somebody put into `_selector`.
fn add_method(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "_add_reader",
        Direction::Write => "_add_writer",
    }
}

/// The inherited method that undoes it.
fn remove_method(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "_remove_reader",
        Direction::Write => "_remove_writer",
    }
}

/// The method that a program calls.
fn public_name(direction: Direction, adds: bool) -> &'static str {
    match (direction, adds) {
        (Direction::Read, true) => "add_reader",
        (Direction::Read, false) => "remove_reader",
        (Direction::Write, true) => "add_writer",
        (Direction::Write, false) => "remove_writer",
    }
}

/// `add_reader`, `add_writer`. What is not called in the plain way, or was replaced in part, is left to
/// the inherited method.
#[inline]
pub fn add_public<'py>(
    slf: &Bound<'py, EventLoop>,
    direction: Direction,
    arguments: &Arguments<'_, 'py>,
) -> Object<'py> {
    let py = slf.py();
    if arguments.names().is_none()
        && !get(&slf.get().sock_waits_overridden)
        && let (Some(file), Some(callback)) = (arguments.value(0), arguments.value(1))
    {
        transport_fds::ensure_none(slf, file)?;
        add(slf, direction, file, callback, arguments.rest(2)?)?;
        return Ok(names::none(py));
    }
    let (positional, keywords) = arguments.to_objects()?;
    inherited(slf)?.call_method(public_name(direction, true), positional, Some(&keywords))
}

/// `remove_reader`, `remove_writer`.
#[inline]
pub fn remove_public<'py>(
    slf: &Bound<'py, EventLoop>,
    direction: Direction,
    arguments: &Arguments<'_, 'py>,
) -> Object<'py> {
    if arguments.names().is_none()
        && arguments.positional_len() == 1
        && !get(&slf.get().sock_waits_overridden)
        && let Some(file) = arguments.value(0)
    {
        transport_fds::ensure_none(slf, file)?;
        return Ok(names::boolean(slf.py(), remove(slf, direction, file)?));
    }
    let (positional, keywords) = arguments.to_objects()?;
    inherited(slf)?.call_method(public_name(direction, false), positional, Some(&keywords))
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
        return inherited(slf)?.call_method1(add_method(direction), PyTuple::new(py, all)?);
    }
    let handle = call::make_handle(slf, callback, args, None)?;
    ferrio_capi::tracking::track(&handle);
    let handle = handle.into_any();
    let fd = descriptor(slf, file)?.ok_or_else(too_large)?;
    let first = native.interests.borrow_mut(py).events_of(fd.as_raw_fd()).is_none();
    let watch = Watch::Handle(Ref::new(handle.clone()));
    let replaced = native.set_watch(py, direction, fd, watch)?;
    cancel(py, replaced)?;
    if first && !file.is_instance_of::<PyInt>() {
        let named = Ref::new(file.clone());
        let old = native.files.borrow_mut(py).insert(fd.as_raw_fd(), named);
        drop(old);
    }
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
        return inherited(slf)?.call_method1(remove_method(direction), (file,))?.extract();
    }
    let Some(fd) = descriptor(slf, file)? else {
        return Ok(false);
    };
    let removed = native.remove_watch(py, direction, fd);
    let removed = removed.map_err(|error| errors::os_error(py, &error))?;
    let found = removed.is_some();
    cancel(py, removed)?;
    Ok(found)
}

/// Cancels the handle that waited. A native object that did knows that it no longer does.
pub fn cancel(py: Python<'_>, watch: Option<Watch>) -> PyResult<()> {
    let Some(Watch::Handle(handle)) = watch else { return Ok(()) };
    let handle = handle.into_bound(py);
    match handles::as_handle(&handle) {
        Some(handle) => call::cancel_handle(handle).map(drop),
        None => handle.call_method0(intern!(py, "cancel")).map(drop),
    }
}

/// The descriptor of a number or of an object with `fileno()`; None when the number is too large for
/// one. A closed object that is watched has the descriptor that it had.
/// CPython: _BaseSelectorImpl._fileobj_lookup
fn descriptor(
    slf: &Bound<'_, EventLoop>,
    file: &Bound<'_, PyAny>,
) -> PyResult<Option<BorrowedFd<'static>>> {
    let py = slf.py();
    if let Ok(number) = file.cast::<PyInt>()
        && let Some(fd) = number.extract().ok().and_then(runtime::borrow_fd)
    {
        return Ok(Some(fd));
    }
    if let Some(facts) = sock::plain::facts_of_plain(file)?
        && let Some(fd) = runtime::borrow_fd(facts.fd)
    {
        return Ok(Some(fd));
    }
    match names::FILEOBJ_TO_FD.get(py)?.call1((file,)) {
        Ok(number) => Ok(number.extract().ok().and_then(runtime::borrow_fd)),
        Err(error) if error.is_instance_of::<PyValueError>(py) => {
            let known = watched_as(slf, file);
            known.and_then(runtime::borrow_fd).map(Some).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// The descriptor that this very object named when it began to be watched.
fn watched_as(slf: &Bound<'_, EventLoop>, file: &Bound<'_, PyAny>) -> Option<RawFd> {
    let files = slf.get().files.borrow_mut(slf.py());
    files.iter().find(|(_, known)| known.as_ptr() == file.as_ptr()).map(|(fd, _)| *fd)
}

/// CPython: PyLong_AsInt, in epoll.register
fn too_large() -> PyErr {
    PyOverflowError::new_err("Python int too large to convert to C int")
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
        let item = |watch: &Watch| watch.item(py);
        let reader = if readable { interests.reader(fd).map(item) } else { None };
        let writer = if writable { interests.writer(fd).map(item) } else { None };
        (reader, writer)
    };
    for (direction, item) in [(Direction::Read, reader), (Direction::Write, writer)] {
        let Some(item) = item else { continue };
        if let Item::Handle(handle) = &item
            && is_cancelled(&handle.bind(py))?
        {
            remove(slf, direction, fd.into_pyobject(py)?.as_any())?;
        } else {
            slf.get().push(py, item);
        }
    }
    if get(&slf.get().debug)
        && let Some(fd) = runtime::borrow_fd(fd)
    {
        // Where the descriptor was closed meanwhile, nobody is told any more, as on stock.
        let _ = slf.get().keep_watch_armed(py, fd);
    }
    Ok(())
}

fn is_cancelled(handle: &Bound<'_, PyAny>) -> PyResult<bool> {
    match handles::as_handle(handle) {
        Some(handle) => Ok(handles::AnyHandle::is_cancelled(handle)),
        None => handle.getattr(intern!(handle.py(), "_cancelled"))?.is_truthy(),
    }
}
