//! Which sockets Rust may serve without asking their methods: instances of `socket.socket` itself, while
//! the methods in question are those of the C class behind it. Subclasses, TLS sockets, mocks and a
//! class that somebody has patched are asked.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use ferrio_capi::dict;
use ferrio_capi::socket_object::{self, SocketFacts};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::names;

/// The address of `socket.socket`, and the version of it whose methods were found to be the C class's; 0
/// before that.
static PLAIN_CLASS: AtomicUsize = AtomicUsize::new(0);
static PLAIN_VERSION: AtomicU32 = AtomicU32::new(0);

/// The methods that native code takes the place of.
const METHODS: [&str; 14] = [
    "__new__",
    "_accept",
    "connect",
    "fileno",
    "getsockopt",
    "gettimeout",
    "recv",
    "recv_into",
    "recvfrom",
    "recvfrom_into",
    "send",
    "sendto",
    "setblocking",
    "setsockopt",
];

/// Those among them that are Python code around the C class.
const PYTHON_METHODS: [&str; 3] = ["__init__", "accept", "close"];

/// What a plain socket knows; None for any other object.
#[inline]
pub fn facts_of_plain(sock: &Bound<'_, PyAny>) -> PyResult<Option<SocketFacts>> {
    let known = is_known(sock.get_type_ptr() as usize, dict::class_version_of(sock));
    if known || find_out(&sock.get_type())? { Ok(socket_object::facts(sock)) } else { Ok(None) }
}

/// Whether a class is `socket.socket` with its own methods.
pub fn is_plain(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let known = is_known(class.as_type_ptr() as usize, dict::class_version(class));
    if known { Ok(true) } else { find_out(class) }
}

#[inline]
fn is_known(class: usize, version: u32) -> bool {
    class == PLAIN_CLASS.load(Ordering::Relaxed)
        && version == PLAIN_VERSION.load(Ordering::Relaxed)
        && version != 0
}

#[cold]
fn find_out(class: &Bound<'_, PyType>) -> PyResult<bool> {
    if !class.is(names::STOCK_SOCKET.get(class.py())?) {
        return Ok(false);
    }
    let c_class = names::C_SOCKET.class(class.py())?;
    // With a `__dict__`, an instance could have methods of its own.
    if !class.is_subclass(c_class)? || class.getattr("__dictoffset__")?.extract::<isize>()? != 0 {
        return Ok(false);
    }
    for name in METHODS {
        if !class.getattr(name)?.is(&c_class.getattr(name)?) {
            return Ok(false);
        }
    }
    for name in PYTHON_METHODS {
        let module = class.getattr(name)?.getattr_opt("__module__")?;
        if !module.map_or(Ok(false), |module| module.eq("socket"))? {
            return Ok(false);
        }
    }
    PLAIN_CLASS.store(class.as_type_ptr() as usize, Ordering::Relaxed);
    PLAIN_VERSION.store(dict::class_version(class), Ordering::Relaxed);
    Ok(true)
}
