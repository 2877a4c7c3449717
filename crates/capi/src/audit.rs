//! Audit events, for work that a C function of the interpreter announces and native code does in its
//! place. Reference: Include/sysmodule.h (PySys_Audit), PEP 578.

use std::ffi::{CStr, c_char, c_int};

use pyo3::ffi;
use pyo3::prelude::*;

unsafe extern "C" {
    fn PySys_Audit(event: *const c_char, format: *const c_char, ...) -> c_int;
}

/// Raises the event `name` with two objects and three numbers: the arguments of `socket.getaddrinfo`.
///
/// # Errors
/// What an audit hook raises to forbid the work.
#[inline]
pub fn audit_two_and_three(
    name: &CStr,
    objects: [&Bound<'_, PyAny>; 2],
    numbers: [c_int; 3],
) -> PyResult<()> {
    let [first, second]: [*mut ffi::PyObject; 2] = objects.map(Bound::as_ptr);
    let [a, b, c] = numbers;
    // SAFETY: attached; the format asks for two live objects and three C ints, which are passed.
    let answer = unsafe { PySys_Audit(name.as_ptr(), c"OOiii".as_ptr(), first, second, a, b, c) };
    if answer == 0 { Ok(()) } else { Err(PyErr::fetch(objects[0].py())) }
}
