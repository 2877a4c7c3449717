//! Descriptors that a transport owns: nobody else may wait for them.

use std::os::fd::RawFd;

use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::sock;
use crate::loop_state::EventLoop;

/// `_ensure_fd_no_transport` for a number or an object with `fileno()`.
///
/// # Errors
/// RuntimeError when a transport that is not closing owns it, ValueError when it is no file object.
/// CPython: BaseSelectorEventLoop._ensure_fd_no_transport
pub fn ensure_none(slf: &Bound<'_, EventLoop>, file: &Bound<'_, PyAny>) -> PyResult<()> {
    if file.is_exact_instance_of::<PyInt>() {
        return ensure_none_owns(slf, file, file);
    }
    if let Some(facts) = sock::plain::facts_of_plain(file)? {
        return match slf.get().owner_of_fd(slf.py(), facts.fd) {
            Some(owner) => refuse_open(&owner, file),
            None => Ok(()),
        };
    }
    let number = if file.is_instance_of::<PyInt>() { file.clone() } else { fileno(file)? };
    ensure_none_owns(slf, &number, file)
}

/// The same for a descriptor.
///
/// # Errors
/// RuntimeError when a transport that is not closing owns it.
#[inline]
pub fn ensure_none_of(slf: &Bound<'_, EventLoop>, fd: RawFd) -> PyResult<()> {
    match slf.get().owner_of_fd(slf.py(), fd) {
        Some(owner) => refuse_open(&owner, &PyInt::new(slf.py(), fd).into_any()),
        None => Ok(()),
    }
}

/// CPython: selectors._fileobj_to_fd
fn fileno<'py>(file: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = file.py();
    let number = file
        .call_method0(intern!(py, "fileno"))
        .and_then(|number| py.get_type::<PyInt>().call1((number,)));
    number.map_err(|error| {
        let unusable = error.is_instance_of::<PyAttributeError>(py)
            || error.is_instance_of::<PyTypeError>(py)
            || error.is_instance_of::<PyValueError>(py);
        match file.repr() {
            Ok(text) if unusable => PyValueError::new_err(format!("Invalid file object: {text}")),
            Err(error) if unusable => error,
            _ => error,
        }
    })
}

fn ensure_none_owns<'py>(
    slf: &Bound<'py, EventLoop>,
    number: &Bound<'py, PyAny>,
    shown: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let owner = number.extract().ok().and_then(|fd| slf.get().owner_of_fd(slf.py(), fd));
    owner.map_or(Ok(()), |owner| refuse_open(&owner, shown))
}

/// Refuses the descriptor of a transport unless that is closing. Since 3.12 a transport that counts as
/// false owns nothing.
fn refuse_open(transport: &Bound<'_, PyAny>, shown: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    if (cfg!(Py_3_12) && !transport.is_truthy()?)
        || transport.call_method0(intern!(py, "is_closing"))?.is_truthy()?
    {
        return Ok(());
    }
    let text =
        format!("File descriptor {} is used by transport {}", shown.repr()?, transport.repr()?);
    Err(PyRuntimeError::new_err(text))
}
