//! The interpreter's guard against a stack that is used up: RecursionError in the place of a crash.
//! Reference: Doc/c-api/exceptions.rst (Recursion Control)

use std::marker::PhantomData;

use pyo3::ffi;
use pyo3::prelude::*;

/// How much one level counts. 3.12 and 3.13 allow 10 000 calls of C functions however small the stack is,
/// and 8 MiB do not suffice for so many native coroutines in one another, with an error on its way out of
/// them (`tests/unit/test_deep_chains.py`).
const WEIGHT: usize = if cfg!(all(Py_3_12, not(Py_3_14))) { 3 } else { 1 };

/// One level of recursion, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Level<'py>(PhantomData<Python<'py>>);

/// Goes one level deeper.
///
/// # Errors
/// RecursionError when that would be too deep.
#[inline]
pub fn enter(py: Python<'_>) -> PyResult<Level<'_>> {
    for counted in 0..WEIGHT {
        // SAFETY: attached; the text lives for ever. A call that is refused is not counted.
        unsafe {
            if ffi::Py_EnterRecursiveCall(c" while calling a Python object".as_ptr()) != 0 {
                leave(counted);
                return Err(PyErr::fetch(py));
            }
        }
    }
    Ok(Level(PhantomData))
}

/// # Safety
/// Attached; so many calls were counted.
unsafe fn leave(counted: usize) {
    for _ in 0..counted {
        // SAFETY: the caller's promise.
        unsafe { ffi::Py_LeaveRecursiveCall() };
    }
}

impl Drop for Level<'_> {
    fn drop(&mut self) {
        // SAFETY: attached, as the lifetime says; `enter` has counted this level.
        unsafe { leave(WEIGHT) };
    }
}
