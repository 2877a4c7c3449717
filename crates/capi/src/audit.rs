//! Audit events, for work that a C function of the interpreter announces and native code does in its
//! place. Reference: Include/sysmodule.h (PySys_Audit), PEP 578.

use std::ffi::{CStr, c_char, c_int, c_void};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::trampoline::guard;

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

/// Raises `socket.__new__`, as a new socket object of that family, type and protocol does. `make` gives
/// the object, and is called only if somebody listens.
///
/// # Errors
/// What an audit hook raises to forbid the work, and what `make` raises.
pub fn audit_new_socket<'py>(
    py: Python<'py>,
    mut make: impl FnMut() -> PyResult<Bound<'py, PyAny>>,
    numbers: [c_int; 3],
) -> PyResult<()> {
    let mut make = Maker(&mut make);
    let (call, maker): (Convert, *mut c_void) = (make_object, (&raw mut make).cast());
    let [a, b, c] = numbers;
    // SAFETY: attached; the format asks for a converter with its argument, which is alive, and for three
    // C ints.
    let answer =
        unsafe { PySys_Audit(c"socket.__new__".as_ptr(), c"O&iii".as_ptr(), call, maker, a, b, c) };
    if answer == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
}

/// Raises `socket.connect` with the socket that `make` gives, as [`audit_new_socket`], and the address.
///
/// # Errors
/// As [`audit_new_socket`].
pub fn audit_connect<'py>(
    mut make: impl FnMut() -> PyResult<Bound<'py, PyAny>>,
    address: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let mut make = Maker(&mut make);
    let (call, maker): (Convert, *mut c_void) = (make_object, (&raw mut make).cast());
    // SAFETY: as above; the address is a live object.
    let answer = unsafe {
        PySys_Audit(c"socket.connect".as_ptr(), c"O&O".as_ptr(), call, maker, address.as_ptr())
    };
    if answer == 0 { Ok(()) } else { Err(PyErr::fetch(address.py())) }
}

/// Raises `socket.sendto` with the socket and the address.
///
/// # Errors
/// What an audit hook raises to forbid the work.
#[inline]
pub fn audit_sendto(sock: &Bound<'_, PyAny>, address: &Bound<'_, PyAny>) -> PyResult<()> {
    let (event, format) = (c"socket.sendto".as_ptr(), c"OO".as_ptr());
    // SAFETY: attached; the format asks for two live objects, which are passed.
    let answer = unsafe { PySys_Audit(event, format, sock.as_ptr(), address.as_ptr()) };
    if answer == 0 { Ok(()) } else { Err(PyErr::fetch(sock.py())) }
}

/// What `O&` of Py_BuildValue calls. Doc/c-api/arg.rst
type Convert = unsafe extern "C" fn(*mut c_void) -> *mut ffi::PyObject;

/// Makes an object when the arguments of an event are built.
struct Maker<'a, 'py>(&'a mut dyn FnMut() -> PyResult<Bound<'py, PyAny>>);

/// # Safety
/// `maker` points to a Maker that nobody else uses.
unsafe extern "C" fn make_object(maker: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: called while the event is raised, attached; the caller's promise.
    unsafe {
        guard(std::ptr::null_mut(), |_| {
            let maker: &mut Maker<'_, '_> = &mut *maker.cast();
            (maker.0)().map(Bound::into_ptr)
        })
    }
}
