//! The descriptor inside of a socket object, read without a call: whoever closes the object makes it
//! -1 at once, so no other file is ever mistaken for it. Reference: Modules/socketmodule.h
//! (PySocketSockObject), whose first fields are the descriptor, the family, the type and the protocol.

use std::ffi::c_int;
use std::os::fd::RawFd;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// The first fields after an object's header.
#[repr(C)]
struct SocketObject {
    header: ffi::PyObject,
    fd: c_int,
    family: c_int,
    kind: c_int,
    protocol: c_int,
}

/// `_socket.socket`, once an instance was found to have the known layout.
static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Whether [`descriptor`] works on this open socket. The first one is asked for its numbers, which must
/// lie where they are expected.
///
/// # Errors
/// What the methods of the socket raise.
pub fn is_known(socket: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = socket.py();
    let class = py.import("_socket")?.getattr("socket")?.cast_into::<PyType>()?;
    // SAFETY: a live type object.
    let size = unsafe { (*class.as_type_ptr()).tp_basicsize };
    if !socket.is_instance(&class)? || size < size_of::<SocketObject>() as ffi::Py_ssize_t {
        return Ok(false);
    }
    if CLASS.get(py).is_some() {
        return Ok(true);
    }
    let number = |name| -> PyResult<c_int> { socket.getattr(name)?.extract() };
    let told = [
        socket.call_method0(intern!(py, "fileno"))?.extract()?,
        number("family")?,
        number("type")?,
        number("proto")?,
    ];
    // SAFETY: the size of an instance was checked, and every pattern of bits is an integer.
    let found = unsafe {
        let fields = &*socket.as_ptr().cast::<SocketObject>();
        [fields.fd, fields.family, fields.kind, fields.protocol]
    };
    if found == told {
        CLASS.get_or_init(py, || class.unbind());
    }
    Ok(found == told)
}

/// The descriptor of a socket object, -1 when it is closed. None when the object is no socket of the
/// interpreter's own, or [`is_known`] found none with the known layout: ask `fileno()` then.
#[inline]
#[must_use]
pub fn descriptor(socket: &Bound<'_, PyAny>) -> Option<RawFd> {
    let class = CLASS.get(socket.py())?.bind(socket.py());
    if !is_subtype(socket, class) {
        return None;
    }
    // SAFETY: an instance of the class whose layout was looked at.
    Some(unsafe { (*socket.as_ptr().cast::<SocketObject>()).fd })
}

#[inline]
fn is_subtype(object: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> bool {
    // SAFETY: both are alive, and so is the only base of a class; no Python code runs.
    unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        // `socket.socket` is a direct subclass.
        (*kind).tp_base == class.as_type_ptr()
            || ffi::PyType_IsSubtype(kind, class.as_type_ptr()) != 0
    }
}
