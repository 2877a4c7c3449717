//! Noticing when Python code replaces one of the methods that native code calls directly, or the
//! selector: in a subclass, on the loop itself, or later on its class.
//!
//! Each method has a flag, which hot paths read. It is set when the loop is made, when an attribute of
//! the loop is assigned or deleted, and, because nothing tells of an attribute put on a class, when
//! the class has another version than the flags were found for. That is looked at in each turn and
//! when a delay begins, so `call_soon` put on a class is honoured from the next turn on.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrio_capi::dict;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};
use pyo3::{PyTypeInfo, intern};

use super::connect_parts;
use super::selector;
use crate::loop_state::{EventLoop, set};

/// The methods that native code calls past Python while nobody replaces them, and the flags that say
/// so.
fn watched_methods(native: &EventLoop) -> [(&'static str, &AtomicBool); 9] {
    [
        ("call_soon", &native.call_soon_overridden),
        ("call_at", &native.call_at_overridden),
        ("call_later", &native.call_later_overridden),
        ("_run_once", &native.run_once_overridden),
        ("time", &native.time_overridden),
        ("create_future", &native.create_future_overridden),
        ("create_task", &native.create_task_overridden),
        ("call_soon_threadsafe", &native.threadsafe_overridden),
        ("is_running", &native.is_running_overridden),
    ]
}

/// The methods by which the native `sock_recv` and its relatives wait past Python. One flag stands for
/// all of them: once one is replaced, the inherited coroutines serve, which call them.
const SOCK_WAITS: [&str; 10] = [
    "_add_reader",
    "_add_writer",
    "_remove_reader",
    "_remove_writer",
    "_ensure_fd_no_transport",
    "add_reader",
    "add_writer",
    "remove_reader",
    "remove_writer",
    "create_future",
];

/// Finds the flags of a loop of class `cls` that has no attributes of its own.
pub fn note_class(native: &EventLoop, cls: &Bound<'_, PyType>) -> PyResult<()> {
    let base = EventLoop::type_object(cls.py());
    for (name, flag) in watched_methods(native) {
        set(flag, !cls.getattr(name)?.is(&base.getattr(name)?));
    }
    let mut replaced = false;
    for name in SOCK_WAITS {
        replaced |= !cls.getattr(name)?.is(&base.getattr(name)?);
    }
    set(&native.sock_waits_overridden, replaced);
    connect_parts::note(native, cls, None)?;
    native.class_version.store(dict::class_version(cls), Ordering::Relaxed);
    Ok(())
}

/// Finds the flags anew when the loop's class was changed since, or is another one.
#[inline]
pub fn refresh(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let version = dict::class_version_of(slf.as_any());
    if version != 0 && version == slf.get().class_version.load(Ordering::Relaxed) {
        return Ok(());
    }
    find_again(slf)
}

#[cold]
fn find_again(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let native = slf.get();
    note_class(native, &slf.get_type())?;
    let Some(own) = slf.as_any().getattr_opt(intern!(slf.py(), "__dict__"))? else {
        return Ok(());
    };
    for (name, flag) in watched_methods(native) {
        if own.contains(name)? {
            set(flag, true);
        }
    }
    for name in SOCK_WAITS {
        if own.contains(name)? {
            set(&native.sock_waits_overridden, true);
        }
    }
    connect_parts::note(native, &slf.get_type(), Some(&own))
}

/// `__setattr__` and `__delattr__`: as for every object, but replacing a watched method or the selector
/// is noted, because native code otherwise does not go through them.
pub fn set_attribute(
    slf: &Bound<'_, EventLoop>,
    name: &Bound<'_, PyAny>,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    dict::generic_setattr(slf.as_any(), name, value)?;
    let native = slf.get();
    let name = name.cast::<PyString>()?.to_str()?;
    if name == "_selector" {
        let replaced = match value.filter(|value| !value.is_none()) {
            Some(value) => !selector::is_plain(value)?,
            None => false,
        };
        set(&native.selector_replaced, replaced);
    }
    if name == "_csock" {
        let descriptor = match value.filter(|value| !value.is_none()) {
            Some(socket) => socket.call_method0(intern!(slf.py(), "fileno"))?.extract::<RawFd>()?,
            None => -1,
        };
        native.self_pipe.store(descriptor + 1, Ordering::Relaxed);
    }
    let watched = watched_methods(native).iter().any(|(watched, _)| name == *watched);
    if watched || SOCK_WAITS.contains(&name) || connect_parts::is_part(name) {
        find_again(slf)?;
    }
    Ok(())
}
