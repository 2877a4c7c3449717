//! What a callback raises is handed to the loop's exception handler, or leaves the loop.
//! CPython: Handle._run

use ferrio_capi::handled;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::{call, debug};
use crate::combinators::timeout::Timeout;
use crate::loop_state::{Act, EventLoop, Item};
use crate::tasks::Task;
use crate::{errors, names};

/// Hands a callback's exception to the loop's handler, or back when it leaves the loop.
/// CPython: Handle._run
#[cold]
pub fn report<'py>(
    slf: &Bound<'py, EventLoop>,
    error: PyErr,
    handle: &Bound<'py, PyAny>,
    source: Option<(&Bound<'py, PyAny>, &Bound<'py, PyAny>)>,
) -> PyResult<()> {
    let py = slf.py();
    if errors::leaves_the_loop(py, &error) {
        return Err(error);
    }
    let exception = error.into_value(py).into_bound(py);
    handled::while_handling(&exception, || report_handled(slf, &exception, handle, source))
}

fn report_handled<'py>(
    slf: &Bound<'py, EventLoop>,
    exception: &Bound<'py, PyAny>,
    handle: &Bound<'py, PyAny>,
    source: Option<(&Bound<'py, PyAny>, &Bound<'py, PyAny>)>,
) -> PyResult<()> {
    let py = slf.py();
    let text = match source {
        Some((callback, args)) => debug::format_callback(slf, callback, args)?,
        None => handle.repr()?.to_string(),
    };
    let report = PyDict::new(py);
    report.set_item("message", format!("Exception in callback {text}"))?;
    report.set_item("exception", exception)?;
    report.set_item("handle", handle)?;
    if let Some(stack) = handle.getattr_opt(intern!(py, "_source_traceback"))?
        && !stack.is_none()
    {
        report.set_item("source_traceback", stack)?;
    }
    slf.call_method1(intern!(py, "call_exception_handler"), (report,)).map(drop)
}

#[cold]
pub fn report_handle<'py>(
    slf: &Bound<'py, EventLoop>,
    error: PyErr,
    handle: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = slf.py();
    let callback = handle.getattr(intern!(py, "_callback"))?;
    let args = handle.getattr(intern!(py, "_args"))?;
    report(slf, error, handle, Some((&callback, &args)))
}

#[cold]
pub fn report_callback<'py>(
    slf: &Bound<'py, EventLoop>,
    error: PyErr,
    callback: &Bound<'py, PyAny>,
    future: &Bound<'py, PyAny>,
    context: Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = slf.py();
    if errors::leaves_the_loop(py, &error) {
        return Err(error);
    }
    let args = PyTuple::new(py, [future])?;
    let handle = call::make_handle(slf, callback, args.clone(), Some(context))?;
    report(slf, error, handle.as_any(), Some((callback, args.as_any())))
}

#[cold]
pub fn report_timeout<'py>(
    slf: &Bound<'py, EventLoop>,
    error: PyErr,
    timeout: &Bound<'py, Timeout>,
    context: Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = slf.py();
    if errors::leaves_the_loop(py, &error) {
        return Err(error);
    }
    let callback = timeout.as_any().getattr(intern!(py, "_on_timeout"))?;
    let args = PyTuple::empty(py);
    let handle = call::make_handle(slf, &callback, args.clone(), Some(context))?;
    report(slf, error, handle.as_any(), Some((&callback, args.as_any())))
}

#[cold]
pub fn report_act<'py>(
    slf: &Bound<'py, EventLoop>,
    error: PyErr,
    act: &'static Act,
    object: &Bound<'py, PyAny>,
    context: Bound<'py, PyAny>,
) -> PyResult<()> {
    if errors::leaves_the_loop(slf.py(), &error) {
        return Err(error);
    }
    let (callback, args) = (act.parts)(object)?;
    let handle = call::make_handle(slf, &callback, args.clone(), Some(context))?;
    report(slf, error, handle.as_any(), Some((&callback, args.as_any())))
}

#[cold]
pub fn report_step<'py>(
    slf: &Bound<'py, EventLoop>,
    error: PyErr,
    task: &Bound<'py, Task>,
) -> PyResult<()> {
    if errors::leaves_the_loop(slf.py(), &error) {
        return Err(error);
    }
    let handle = debug::handle_of(slf, Item::Step(names::owned(task.as_any())))?;
    report_handle(slf, error, &handle)
}
