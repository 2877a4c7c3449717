//! The exception that is being handled, `sys.exception()`. Reference: Include/pyerrors.h.

use pyo3::ffi;
use pyo3::prelude::*;

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
