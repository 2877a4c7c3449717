//! The methods that a program calls for every callback, timer, future and task. They take CPython's
//! fast calling convention as it is: PyO3's trampoline and argument parser would cost a fifth of a
//! `call_soon`.

use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_core::turn;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyTuple};

use super::{call, fd, make};
use crate::loop_state::{Direction, EventLoop};

type Loop<'py> = Bound<'py, EventLoop>;

fn call_soon<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let (callback, rest, context) = callback_and_rest("EventLoop.call_soon", &arguments)?;
    call::soon(slf, callback, rest, context)
}

fn call_soon_threadsafe<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let (callback, rest, context) =
        callback_and_rest("EventLoop.call_soon_threadsafe", &arguments)?;
    call::soon_threadsafe(slf, callback, rest, context)
}

fn call_later<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let (delay, callback, rest, context) =
        time_and_callback("EventLoop.call_later", "delay", &arguments)?;
    call::later(slf, delay, callback, rest, context)
}

fn call_at<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let (when, callback, rest, context) =
        time_and_callback("EventLoop.call_at", "when", &arguments)?;
    call::at(slf, when, callback, rest, context)
}

type Callback<'a, 'py> = (&'a Bound<'py, PyAny>, Bound<'py, PyTuple>, Option<Bound<'py, PyAny>>);

/// `(callback, *args, context=None)`.
#[inline]
fn callback_and_rest<'a, 'py>(
    function: &str,
    arguments: &Arguments<'a, 'py>,
) -> PyResult<Callback<'a, 'py>> {
    if arguments.positional_len() > 0 && arguments.names().is_none() {
        let callback = arguments.value(0).ok_or_else(|| missing(function, &["callback"]))?;
        return Ok((callback, arguments.rest(1)?, None));
    }
    let [callback, context] = arguments.keyword_only(function, ["callback", "context"])?;
    let callback = match (arguments.positional_len(), callback) {
        (0, callback) => callback,
        (_, None) => arguments.value(0),
        (_, Some(_)) => return Err(twice(function, "callback")),
    };
    let callback = callback.ok_or_else(|| missing(function, &["callback"]))?;
    Ok((callback, arguments.rest(1)?, context.cloned()))
}

type TimedCallback<'a, 'py> =
    (&'a Bound<'py, PyAny>, &'a Bound<'py, PyAny>, Bound<'py, PyTuple>, Option<Bound<'py, PyAny>>);

/// `(time, callback, *args, context=None)`, `time` being named `first`.
#[inline]
fn time_and_callback<'a, 'py>(
    function: &str,
    first: &str,
    arguments: &Arguments<'a, 'py>,
) -> PyResult<TimedCallback<'a, 'py>> {
    let [time, callback, context] = match arguments.names() {
        None => [None; 3],
        Some(_) => arguments.keyword_only(function, [first, "callback", "context"])?,
    };
    let given = arguments.positional_len();
    if given > 0 && time.is_some() {
        return Err(twice(function, first));
    }
    if given > 1 && callback.is_some() {
        return Err(twice(function, "callback"));
    }
    let time = if given > 0 { arguments.value(0) } else { time };
    let callback = if given > 1 { arguments.value(1) } else { callback };
    match (time, callback) {
        (Some(time), Some(callback)) => Ok((time, callback, arguments.rest(2)?, context.cloned())),
        (None, None) => Err(missing(function, &[first, "callback"])),
        (None, Some(_)) => Err(missing(function, &[first])),
        (Some(_), None) => Err(missing(function, &["callback"])),
    }
}

/// The words of a Python function for arguments that are not there.
#[cold]
fn missing(function: &str, names: &[&str]) -> PyErr {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    PyTypeError::new_err(format!(
        "{function}() missing {} required positional argument{plural}: {}",
        names.len(),
        quoted.join(" and "),
    ))
}

#[cold]
fn twice(function: &str, name: &str) -> PyErr {
    PyTypeError::new_err(format!("{function}() got multiple values for argument '{name}'"))
}

fn create_task<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    make::create_task(slf, &arguments)
}

fn add_reader<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    fd::add_public(slf, Direction::Read, &arguments)
}

fn add_writer<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    fd::add_public(slf, Direction::Write, &arguments)
}

fn remove_reader<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    fd::remove_public(slf, Direction::Read, &arguments)
}

fn remove_writer<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    fd::remove_public(slf, Direction::Write, &arguments)
}

fn time<'py>(slf: &Loop<'py>) -> Object<'py> {
    Ok(PyFloat::new(slf.py(), turn::monotonic()).into_any())
}

/// Adds the methods to the class.
pub fn install(py: Python<'_>) -> PyResult<()> {
    Members::default()
        .keywords::<EventLoop, _>(
            c"call_soon(callback, *args, context=None)",
            call_soon,
            c"Arrange for a callback to be called as soon as possible; return its Handle.",
        )
        .keywords::<EventLoop, _>(
            c"call_soon_threadsafe(callback, *args, context=None)",
            call_soon_threadsafe,
            c"Like call_soon(), but may be called from any thread.",
        )
        .keywords::<EventLoop, _>(
            c"call_later(delay, callback, *args, context=None)",
            call_later,
            c"Arrange for a callback to be called after a delay in seconds; return its TimerHandle.",
        )
        .keywords::<EventLoop, _>(
            c"call_at(when, callback, *args, context=None)",
            call_at,
            c"Like call_later(), but with an absolute time of the loop's clock, in seconds.",
        )
        .noargs::<EventLoop, _>(
            c"create_future",
            make::create_future,
            c"Create a Future object attached to the loop.",
        )
        .keywords::<EventLoop, _>(
            c"create_task(coro, *, name=None, context=None, **kwargs)",
            create_task,
            c"Schedule a coroutine object; return a Task object.",
        )
        .noargs::<EventLoop, _>(
            c"time",
            time,
            c"Return the loop's time in seconds: time.monotonic().",
        )
        .keywords::<EventLoop, _>(
            c"add_reader(fd, callback, *args)",
            add_reader,
            c"Call callback(*args) whenever a descriptor can be read.",
        )
        .keywords::<EventLoop, _>(
            c"add_writer(fd, callback, *args)",
            add_writer,
            c"Call callback(*args) whenever a descriptor can be written to.",
        )
        .keywords::<EventLoop, _>(
            c"remove_reader(fd)",
            remove_reader,
            c"Stop watching a descriptor for reading; return True if it was watched.",
        )
        .keywords::<EventLoop, _>(
            c"remove_writer(fd)",
            remove_writer,
            c"Stop watching a descriptor for writing; return True if it was watched.",
        )
        .install::<EventLoop>(py)
}
