//! What combinators do with futures: past Python where those are of exactly our classes, by their
//! methods where they are not, as what a task factory makes.

use ferrio_capi::call::call_method;
use pyo3::intern;
use pyo3::prelude::*;

use super::callback::Callback;
use crate::futures::AsFuture;
use crate::futures::future::{NativeFuture, Status};
use crate::tasks::{task, wrapper};

/// `future.done()`.
#[inline]
pub fn is_done(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    match wrapper::exact_future(future) {
        Some(native) => Ok(!native.state.is_pending()),
        None => future.call_method0(intern!(future.py(), "done"))?.is_truthy(),
    }
}

/// `future.cancelled()`.
#[inline]
pub fn is_cancelled(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    match wrapper::exact_future(future) {
        Some(native) => Ok(native.state.status() == Status::Cancelled),
        None => future.call_method0(intern!(future.py(), "cancelled"))?.is_truthy(),
    }
}

/// `future.result()`.
#[inline]
pub fn result<'py>(future: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match wrapper::exact_future(future) {
        Some(native) => native.result(),
        None => future.call_method0(intern!(future.py(), "result")),
    }
}

/// `future.exception()`, None when there is none, of a future that is done and was not cancelled.
#[inline]
pub fn exception<'py>(future: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match wrapper::exact_future(future) {
        Some(native) => Ok(native_exception(native)),
        None => {
            let error = future.call_method0(intern!(future.py(), "exception"))?;
            Ok(Some(error).filter(|error| !error.is_none()))
        }
    }
}

#[inline]
fn native_exception<'py>(native: NativeFuture<'_, 'py>) -> Option<Bound<'py, PyAny>> {
    native.state.log_traceback.set(false);
    native.state.value(native.object.py(), Status::Exception)
}

/// [`exception`] of any future that is done: of a cancelled one, its CancelledError.
#[inline]
pub fn failure<'py>(future: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match wrapper::exact_future(future) {
        Some(native) if native.state.status() != Status::Cancelled => Ok(native_exception(native)),
        _ if is_cancelled(future)? => cancelled_error(future).map(Some),
        _ => exception(future),
    }
}

/// `future._make_cancelled_error()`.
pub fn cancelled_error<'py>(future: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = future.py();
    match wrapper::exact_future(future) {
        Some(native) => native.state.make_cancelled_error(py),
        None => future.call_method0(intern!(py, "_make_cancelled_error")),
    }
}

/// `future._cancel_message`, None where that is None.
pub fn cancel_message<'py>(future: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = future.py();
    let message = match wrapper::exact_future(future) {
        Some(native) => native.state.cancel_message(py),
        None => Some(future.getattr(intern!(py, "_cancel_message"))?),
    };
    Ok(message.filter(|message| !message.is_none()))
}

/// `future.set_result(value)`.
#[inline]
pub fn set_result<'py>(future: &Bound<'py, PyAny>, value: Bound<'py, PyAny>) -> PyResult<()> {
    match wrapper::exact_future(future) {
        Some(native) => native.set_result(value),
        None => call_method(future, intern!(future.py(), "set_result"), [&value]).map(drop),
    }
}

/// `future.set_exception(error)`.
pub fn set_exception<'py>(future: &Bound<'py, PyAny>, error: &Bound<'py, PyAny>) -> PyResult<()> {
    match wrapper::exact_future(future) {
        Some(native) => native.set_exception(error),
        None => call_method(future, intern!(future.py(), "set_exception"), [error]).map(drop),
    }
}

/// `future.add_done_callback(callback)`; `context` is a copy of the current one.
#[inline]
pub fn add_callback<'py>(
    future: &Bound<'py, PyAny>,
    callback: &Bound<'py, Callback>,
    context: &Bound<'py, PyAny>,
) -> PyResult<()> {
    match wrapper::exact_future(future) {
        Some(native) => native.add_callback(callback.as_any(), context.clone()),
        None => {
            let name = intern!(future.py(), "add_done_callback");
            call_method(future, name, [callback.as_any()]).map(drop)
        }
    }
}

/// `future.remove_done_callback(callback)`.
pub fn remove_callback<'py>(
    future: &Bound<'py, PyAny>,
    callback: &Bound<'py, PyAny>,
) -> PyResult<()> {
    match wrapper::exact_future(future) {
        Some(native) => native.state.callbacks.remove(callback).map(drop),
        None => {
            let name = intern!(future.py(), "remove_done_callback");
            call_method(future, name, [callback]).map(drop)
        }
    }
}

/// `task._log_destroy_pending = False`.
#[inline]
pub fn silence_destruction(future: &Bound<'_, PyAny>) -> PyResult<()> {
    match task::as_exact(future) {
        Some(native) => native.as_future().state.silent_destroy.set(true),
        None => future.setattr(intern!(future.py(), "_log_destroy_pending"), false)?,
    }
    Ok(())
}

/// `futures._get_loop(future)`.
#[inline]
pub fn get_loop<'py>(future: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = future.py();
    match wrapper::exact_future(future).and_then(|native| native.state.event_loop.get(py)) {
        Some(event_loop) => Ok(event_loop),
        None => wrapper::loop_of_foreign(future),
    }
}
