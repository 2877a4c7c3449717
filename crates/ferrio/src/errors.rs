//! The one table from what went wrong to the Python exception that says so, with stock's words.

use ferrio_capi::runtime;
use pyo3::exceptions::{
    PyAttributeError, PyKeyboardInterrupt, PyOSError, PyResourceWarning, PyRuntimeError,
    PySystemExit,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::names;

/// `asyncio.InvalidStateError(text)`.
pub fn invalid_state(py: Python<'_>, text: &str) -> PyErr {
    match names::INVALID_STATE_ERROR.class(py) {
        Ok(class) => PyErr::from_type(class.clone(), (text.to_owned(),)),
        Err(error) => error,
    }
}

/// RuntimeError for a Future or Task whose `__init__` did not run.
pub fn uninitialized() -> PyErr {
    PyRuntimeError::new_err("Future object is not initialized.")
}

/// AttributeError for `del` of a native attribute.
pub fn cannot_be_deleted() -> PyErr {
    PyAttributeError::new_err("cannot delete attribute")
}

/// AttributeError for an attribute that an initialiser would have set.
#[cold]
pub fn missing<T>(object: &Bound<'_, T>, name: &str) -> PyErr {
    match object.as_any().get_type().name() {
        Ok(kind) => PyAttributeError::new_err(format!("'{kind}' object has no attribute '{name}'")),
        Err(error) => error,
    }
}

/// RuntimeError for every operation on a closed loop.
pub fn loop_closed() -> PyErr {
    PyRuntimeError::new_err("Event loop is closed")
}

/// RuntimeError of debug mode for a call from a strange thread.
pub fn wrong_thread() -> PyErr {
    PyRuntimeError::new_err(
        "Non-thread-safe operation invoked on an event loop other than the current one",
    )
}

/// An error that is about to be looked at, as an exception. PyO3 would make one by attaching once more,
/// which the interpreter refuses while it ends.
pub fn settled(py: Python<'_>, error: PyErr) -> PyErr {
    if !runtime::is_finalizing(py) {
        return error;
    }
    error.restore(py);
    PyErr::fetch(py)
}

/// Whether the exception ends the loop instead of being reported by it.
pub fn leaves_the_loop(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py)
}

/// Whether the exception is `asyncio.CancelledError`.
pub fn is_cancelled_error(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    Ok(error.is_instance(py, names::CANCELLED_ERROR.get(py)?))
}

/// The OSError of a failed system call, with its errno and the words of `os.strerror`.
pub fn os_error(py: Python<'_>, error: &std::io::Error) -> PyErr {
    let Some(errno) = error.raw_os_error() else {
        return PyOSError::new_err(error.to_string());
    };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (errno,)));
    match text.and_then(|text| text.extract::<String>()) {
        Ok(text) => PyOSError::new_err((errno, text)),
        Err(error) => error,
    }
}

/// The OSError of an attempt to connect that has failed. `address` is what Python code has for one.
/// CPython: BaseSelectorEventLoop._sock_connect_cb
#[cold]
pub fn connect_call_failed(error: &std::io::Error, address: &Bound<'_, PyAny>) -> PyErr {
    match address.str() {
        Ok(address) => {
            let text = format!("Connect call failed {}", address.to_string_lossy());
            PyOSError::new_err((error.raw_os_error(), text))
        }
        Err(error) => error,
    }
}

/// The OSError of a system call on a closed descriptor.
#[cold]
pub fn bad_descriptor(py: Python<'_>) -> PyErr {
    os_error(py, &closed_descriptor())
}

/// What a system call says of a closed descriptor.
#[cold]
pub fn closed_descriptor() -> std::io::Error {
    const EBADF: i32 = 9;
    std::io::Error::from_raw_os_error(EBADF)
}

/// What is raised after `error` was handled: itself, or what went wrong meanwhile with `error` as its
/// context, as in an `except` block.
pub fn after_handling(py: Python<'_>, error: PyErr, handled: PyResult<()>) -> PyErr {
    let Err(later) = handled else {
        return error;
    };
    let set = later.value(py).setattr(pyo3::intern!(py, "__context__"), error.value(py));
    set.err().unwrap_or(later)
}

/// Where stock warns of what nobody closed: the finalizer of a class of asyncio's.
#[derive(Debug)]
pub struct Finalizer {
    /// The module.
    pub module: &'static str,
    /// The class.
    pub class: &'static str,
    /// Which of its warnings it is, 0 the first and -1 the last.
    pub warning: i8,
}

/// A ResourceWarning from stock's place; from where the program is while the interpreter ends.
pub fn warn_unclosed<'py>(
    py: Python<'py>,
    place: &Finalizer,
    text: &str,
    source: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    if runtime::is_finalizing(py) {
        let keywords = PyDict::new(py);
        if let Some(source) = source {
            keywords.set_item("source", source)?;
        }
        let arguments = (text, py.get_type::<PyResourceWarning>());
        return names::WARN.get(py)?.call(arguments, Some(&keywords)).map(drop);
    }
    let arguments = (place.module, place.class, place.warning, text, source);
    names::WARN_UNCLOSED.get(py)?.call1(arguments).map(drop)
}
