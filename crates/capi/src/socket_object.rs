//! What a socket object knows of its socket, read without a call: whoever closes the object makes its
//! descriptor -1 at once, so no other file is ever mistaken for it. Reference: Modules/socketmodule.h
//! (PySocketSockObject), which is not installed: where the fields lie is found at the interpreter's own
//! class when the extension is loaded, and refused if it is not clear.

use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// `_socket.socket`, once its layout is known.
static CLASS: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());

/// Where the fields lie in an instance of it, in bytes from its start.
static FD: AtomicUsize = AtomicUsize::new(0);
static FAMILY: AtomicUsize = AtomicUsize::new(0);
static KIND: AtomicUsize = AtomicUsize::new(0);
static PROTOCOL: AtomicUsize = AtomicUsize::new(0);
static TIMEOUT: AtomicUsize = AtomicUsize::new(0);

/// What a socket object knows.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct SocketFacts {
    /// -1 once the socket is closed or detached.
    pub fd: RawFd,
    /// Its address family.
    pub family: c_int,
    /// Its type, without flags.
    pub kind: c_int,
    /// Its protocol, 0 for the usual one.
    pub protocol: c_int,
    /// `setblocking(False)` or `settimeout(0)`: its methods do not wait.
    pub never_waits: bool,
}

/// Finds the fields. No socket is opened for that.
///
/// # Errors
/// RuntimeError when they are not where they are looked for.
pub fn locate(py: Python<'_>) -> PyResult<()> {
    let class = py.import("_socket")?.getattr("socket")?.cast_into::<PyType>()?;
    let unclear = || PyRuntimeError::new_err("_socket.socket is not laid out as expected");
    for (name, place) in [("family", &FAMILY), ("type", &KIND), ("proto", &PROTOCOL)] {
        place.store(int_member(&class, name)?.ok_or_else(unclear)?, Ordering::Relaxed);
    }
    // `__new__` alone gives an object without socket: its fd is -1, its timeout minus one second, and
    // all other numbers are zero.
    let empty = class.call_method1("__new__", (&class,))?;
    // SAFETY: a live type object.
    let size = unsafe { (*class.as_type_ptr()).tp_basicsize } as usize;
    let first = size_of::<ffi::PyObject>();
    let timeout = find(first, size, size_of::<i64>(), |offset| {
        // SAFETY: aligned and within the instance.
        unsafe { field::<i64>(empty.as_ptr(), offset) == MINUS_ONE_SECOND }
    })
    .ok_or_else(unclear)?;
    let fd = find(first, size, size_of::<c_int>(), |offset| {
        let in_timeout = (timeout..timeout + size_of::<i64>()).contains(&offset);
        // SAFETY: aligned and within the instance.
        !in_timeout && unsafe { field::<c_int>(empty.as_ptr(), offset) == -1 }
    })
    .ok_or_else(unclear)?;
    TIMEOUT.store(timeout, Ordering::Relaxed);
    FD.store(fd, Ordering::Relaxed);
    // The class lives as long as the interpreter: the reference is given up to it.
    CLASS.store(class.into_ptr().cast(), Ordering::Relaxed);
    Ok(())
}

/// Whether an object is a socket of the interpreter's own, or of a class derived from it.
#[inline]
#[must_use]
pub fn is_socket(object: &Bound<'_, PyAny>) -> bool {
    let class = CLASS.load(Ordering::Relaxed);
    // SAFETY: both are alive, and so is the only base of a class; no Python code runs.
    unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        // `socket.socket` is a direct subclass.
        (*kind).tp_base == class || ffi::PyType_IsSubtype(kind, class) != 0
    }
}

/// What a socket object knows; None when the object is no socket of the interpreter's own.
#[inline]
#[must_use]
pub fn facts(object: &Bound<'_, PyAny>) -> Option<SocketFacts> {
    if !is_socket(object) {
        return None;
    }
    let int = |place: &AtomicUsize| {
        // SAFETY: `locate` found an int there in every instance of the class.
        unsafe { field::<c_int>(object.as_ptr(), place.load(Ordering::Relaxed)) }
    };
    // SAFETY: likewise 64 bits.
    let timeout: i64 = unsafe { field(object.as_ptr(), TIMEOUT.load(Ordering::Relaxed)) };
    Some(SocketFacts {
        fd: int(&FD),
        family: int(&FAMILY),
        kind: int(&KIND),
        protocol: int(&PROTOCOL),
        never_waits: timeout == 0,
    })
}

/// The descriptor of a socket object, -1 when it is closed. None when the object is no socket of the
/// interpreter's own: ask `fileno()` then.
#[inline]
#[must_use]
pub fn descriptor(object: &Bound<'_, PyAny>) -> Option<RawFd> {
    // SAFETY: an int lies there in every instance of the class.
    is_socket(object)
        .then(|| unsafe { field::<c_int>(object.as_ptr(), FD.load(Ordering::Relaxed)) })
}

/// No timeout, as `_PyTime_t`.
const MINUS_ONE_SECOND: i64 = -1_000_000_000;

/// # Safety
/// `offset` is aligned for T and lies within the live instance; T is an integer.
#[inline]
unsafe fn field<T: Copy>(object: *mut ffi::PyObject, offset: usize) -> T {
    // SAFETY: the caller's promise.
    unsafe { object.cast::<u8>().add(offset).cast::<T>().read() }
}

/// The one offset, among those aligned to `width`, that is wanted.
fn find(first: usize, size: usize, width: usize, wanted: impl Fn(usize) -> bool) -> Option<usize> {
    let mut found = (first..=size.checked_sub(width)?).step_by(width).filter(|at| wanted(*at));
    let offset = found.next()?;
    found.next().is_none().then_some(offset)
}

/// Where the class's own descriptor says that an int member lies.
fn int_member(class: &Bound<'_, PyType>, name: &str) -> PyResult<Option<usize>> {
    let descriptor = class.getattr(name)?;
    if descriptor.get_type().name()? != "member_descriptor" {
        return Ok(None);
    }
    // SAFETY: an object of type member_descriptor is a PyMemberDescrObject.
    let member = unsafe { *(*descriptor.as_ptr().cast::<ffi::PyMemberDescrObject>()).d_member };
    let offset = usize::try_from(member.offset).ok();
    Ok(offset.filter(|offset| member.type_code == ffi::Py_T_INT && *offset > 0))
}
