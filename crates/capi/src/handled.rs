//! The exception that is being handled, `sys.exception()`. Reference: Include/pyerrors.h.

use pyo3::exceptions::{PyBaseException, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Runs `body` as inside `except` of a `try` that caught `exception`: `sys.exc_info()` gives it, and
/// it becomes the `__context__` of what `body` raises.
pub fn while_handling<R>(exception: &Bound<'_, PyAny>, body: impl FnOnce() -> R) -> R {
    let py = exception.py();
    // SAFETY: attached; a new reference, or null when nothing is being handled.
    let outer = unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyErr_GetHandledException()) };
    let restore = Restore { py, outer };
    // SAFETY: attached; a live exception, of which the interpreter takes a reference of its own.
    unsafe { ffi::PyErr_SetHandledException(exception.as_ptr()) };
    let result = body();
    drop(restore);
    result
}

/// The error of `raise error from cause`.
#[must_use]
pub fn raise_from(error: &Bound<'_, PyAny>, cause: &Bound<'_, PyAny>) -> PyErr {
    let py = error.py();
    let cause = if cause.is_none() { std::ptr::null_mut() } else { cause.clone().into_ptr() };
    // SAFETY: a live exception; the reference to the cause, an exception or null for None, is given away.
    unsafe { ffi::PyException_SetCause(error.as_ptr(), cause) };
    raise(py, error)
}

/// The error of `raise object`, for any object.
#[must_use]
pub fn raise_any(object: &Bound<'_, PyAny>) -> PyErr {
    let py = object.py();
    if object.is_instance_of::<PyBaseException>() {
        return raise(py, object);
    }
    match object.cast::<PyType>() {
        Ok(class) if class.is_subclass_of::<PyBaseException>().unwrap_or(false) => {
            object.call0().map_or_else(|error| error, |made| raise_any(&made))
        }
        _ => PyTypeError::new_err("exceptions must derive from BaseException"),
    }
}

/// The error of `raise error`: what is being handled becomes its `__context__`.
#[must_use]
pub fn raise(py: Python<'_>, error: &Bound<'_, PyAny>) -> PyErr {
    // SAFETY: attached; a live exception and its class.
    unsafe { ffi::PyErr_SetObject(ffi::Py_TYPE(error.as_ptr()).cast(), error.as_ptr()) };
    PyErr::fetch(py)
}

/// Puts the outer exception back on drop, also when `body` panics.
struct Restore<'py> {
    py: Python<'py>,
    outer: Option<Bound<'py, PyAny>>,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let none = self.py.None();
        let outer = self.outer.as_ref().map_or(none.as_ptr(), Bound::as_ptr);
        // SAFETY: attached; a live exception or None, which both mean "as it was".
        unsafe { ffi::PyErr_SetHandledException(outer) };
    }
}
