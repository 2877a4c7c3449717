//! The border between CPython's C calls and our Rust functions: errors become exceptions, and no
//! panic crosses.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PySystemError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Runs a slot's or a method's body and leaves its error set in the interpreter.
///
/// # Safety
/// The calling thread is attached: true for everything that CPython calls through a type's slots.
#[inline]
pub unsafe fn guard<R>(failed: R, body: impl FnOnce(Python<'_>) -> PyResult<R>) -> R {
    // SAFETY: the caller's promise.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            error.restore(py);
            failed
        }
        Err(payload) => {
            panic_error(&*payload).restore(py);
            failed
        }
    }
}

/// [`guard`] for functions that return an object.
///
/// # Safety
/// As for [`guard`].
#[inline]
pub unsafe fn guard_object(
    body: impl for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>>,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { guard(std::ptr::null_mut(), |py| body(py).map(Bound::into_ptr)) }
}

#[cold]
fn panic_error(payload: &(dyn Any + Send)) -> PyErr {
    let text = payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "panic from Rust code".to_owned());
    // Not PyO3's PanicException: that one unwinds again as soon as Rust code receives it, so a panic
    // in one callback would end the loop.
    PySystemError::new_err(format!("Rust panic: {text}"))
}
