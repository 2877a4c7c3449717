//! contextvars from native code. Reference: Include/cpython/context.h.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

/// A copy of the thread's current context, as `contextvars.copy_context()` gives it.
#[inline]
pub fn copy_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached; returns a new reference or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// Whether `object` is a `contextvars.Context`.
#[inline]
#[must_use]
pub fn is_context(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: reads the type of a live object.
    unsafe { ffi::PyContext_CheckExact(object.as_ptr()) != 0 }
}

/// Runs `body` inside `context`, as `Context.run` does, without building its arguments.
///
/// # Errors
/// RuntimeError when the context is already entered, what looking up `run` raises when it is not a
/// context; `body` did not run then.
#[inline]
pub fn run_in<R>(context: &Bound<'_, PyAny>, body: impl FnOnce() -> R) -> PyResult<R> {
    if !is_context(context) {
        return Err(not_a_context(context));
    }
    // SAFETY: attached, and the type was checked.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let entered = Entered(context);
    let outcome = body();
    drop(entered);
    Ok(outcome)
}

/// CPython: Handle._run, which calls `context.run`.
#[cold]
fn not_a_context(object: &Bound<'_, PyAny>) -> PyErr {
    match object.getattr("run") {
        Err(error) => error,
        Ok(_) => {
            let name = object.get_type().name().map(|name| name.to_string()).unwrap_or_default();
            PyTypeError::new_err(format!("a Context was expected, got '{name}'"))
        }
    }
}

/// Leaves the context on drop, also when `body` panics.
struct Entered<'a, 'py>(&'a Bound<'py, PyAny>);

impl Drop for Entered<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        // PyContext_Exit must not see or lose an exception that the body left set; our bodies
        // return theirs as PyErr, so none is pending here.
        // SAFETY: attached; this guard exists only after a successful PyContext_Enter.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } < 0 {
            PyErr::fetch(self.0.py()).write_unraisable(self.0.py(), Some(self.0));
        }
    }
}
