//! What `await` does with any object: finding its iterator, and throwing into it.

use std::ffi::c_int;

use ferrio_capi::recursion;
use ferrio_capi::send::{self, Sent};
use pyo3::exceptions::{PyGeneratorExit, PyTypeError};
use pyo3::prelude::*;
use pyo3::{ffi, intern};

use super::Progress;
use crate::futures::methods as futures;
use crate::tasks::face;

/// The progress of a coroutine that comes to `await awaitable`.
///
/// # Errors
/// TypeError, in the interpreter's words, when the object cannot be awaited.
#[inline]
pub fn awaiting<'py>(awaitable: Bound<'py, PyAny>) -> PyResult<Progress<'py>> {
    if futures::as_exact(&awaitable).is_some() {
        // SAFETY: `as_exact` proved the class.
        return Ok(Progress::Future(unsafe { awaitable.cast_into_unchecked() }));
    }
    if send::is_exact_coroutine(&awaitable) {
        face::check_unawaited(&awaitable)?;
        return Ok(Progress::Iterator(awaitable));
    }
    iterator(awaitable).map(Progress::Iterator)
}

/// CPython: _PyCoro_GetAwaitableIter
fn iterator(awaitable: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    if send::is_generator(&awaitable) {
        let flags = awaitable.getattr("gi_code")?.getattr("co_flags")?.extract::<c_int>()?;
        if flags & face::CO_ITERABLE_COROUTINE != 0 {
            return Ok(awaitable);
        }
    }
    let Some(iterator) = send::await_iterator(&awaitable) else {
        return Err(PyTypeError::new_err(cannot_be_awaited(&awaitable)?));
    };
    let iterator = iterator?;
    if send::is_exact_coroutine(&iterator) {
        return Err(PyTypeError::new_err("__await__() returned a coroutine"));
    }
    // SAFETY: reads the type of a live object.
    if unsafe { ffi::PyIter_Check(iterator.as_ptr()) } == 0 {
        let kind = iterator.get_type().name()?;
        let text = format!("__await__() returned non-iterator of type '{kind}'");
        return Err(PyTypeError::new_err(text));
    }
    Ok(iterator)
}

fn cannot_be_awaited(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let kind = object.get_type().name()?;
    Ok(if cfg!(Py_3_14) {
        format!("'{kind}' object can't be awaited")
    } else {
        format!("object {kind} can't be used in 'await' expression")
    })
}

/// `iterator.send(None)`. It may be a coroutine of ours that awaits another, and so on.
pub fn step<'py>(iterator: &Bound<'py, PyAny>) -> Sent<'py> {
    match recursion::enter(iterator.py()) {
        Ok(_level) => send::send_none(iterator),
        Err(error) => Sent::Raised(error),
    }
}

/// `iterator.throw(exception)`, as `await` passes it on. CPython: _gen_throw
pub fn throw<'py>(iterator: &Bound<'py, PyAny>, exception: PyErr) -> Sent<'py> {
    let py = iterator.py();
    let _level = match recursion::enter(py) {
        Ok(level) => level,
        Err(error) => return Sent::Raised(error),
    };
    if exception.is_instance_of::<PyGeneratorExit>(py) {
        let close = iterator.getattr_opt(intern!(py, "close"));
        return match close.and_then(|close| close.map(|close| close.call0()).transpose()) {
            Ok(_) => Sent::Raised(exception),
            Err(error) => Sent::Raised(error),
        };
    }
    match iterator.hasattr(intern!(py, "throw")) {
        Ok(true) => {
            let value = exception.into_value(py).into_bound(py).into_any();
            send::throw(iterator, intern!(py, "throw"), &value)
        }
        Ok(false) => Sent::Raised(exception),
        Err(error) => Sent::Raised(error),
    }
}
