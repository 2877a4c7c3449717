//! Driving coroutines and generators without StopIteration. Reference: Include/abstract.h
//! (PyIter_Send), PEP 492.

use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use crate::{GilCell, Ref, observers, stop_iteration};

/// What a coroutine did when it was resumed.
#[derive(Debug)]
#[must_use]
pub enum Sent<'py> {
    /// It suspended and handed out this object.
    Yielded(Bound<'py, PyAny>),
    /// It returned this value.
    Returned(Bound<'py, PyAny>),
    /// It raised.
    Raised(PyErr),
}

/// What one step of an iterator gave.
#[derive(Debug)]
#[must_use]
pub enum Next<'py> {
    /// An item.
    Yield(Bound<'py, PyAny>),
    /// The end, with the value that `await` evaluates to.
    Return(Bound<'py, PyAny>),
}

/// `coro.send(None)`.
#[inline]
pub fn send_none<'py>(coro: &Bound<'py, PyAny>) -> Sent<'py> {
    let py = coro.py();
    let mut result: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: attached; `result` receives a new reference unless the call reports an error.
    match unsafe { ffi::PyIter_Send(coro.as_ptr(), ffi::Py_None(), &raw mut result) } {
        ffi::PySendResult::PYGEN_NEXT => {
            // SAFETY: PYGEN_NEXT: `result` is the owned yielded object.
            Sent::Yielded(unsafe { Bound::from_owned_ptr(py, result) })
        }
        ffi::PySendResult::PYGEN_RETURN => {
            // SAFETY: PYGEN_RETURN: `result` is the owned return value.
            Sent::Returned(unsafe { Bound::from_owned_ptr(py, result) })
        }
        ffi::PySendResult::PYGEN_ERROR => Sent::Raised(PyErr::fetch(py)),
    }
}

/// What `await` asks an object for; None when it cannot be awaited.
pub fn await_iterator<'py>(object: &Bound<'py, PyAny>) -> Option<PyResult<Bound<'py, PyAny>>> {
    // SAFETY: attached; reads the slots of a live object's type and calls one with the object, as the
    // instruction GET_AWAITABLE does.
    unsafe {
        let slots = (*ffi::Py_TYPE(object.as_ptr())).tp_as_async.as_ref()?;
        let iterator = slots.am_await?(object.as_ptr());
        Some(Bound::from_owned_ptr_or_err(object.py(), iterator))
    }
}

/// `coro.throw(exception)`; `throw` is the interned method name.
pub fn throw<'py>(
    coro: &Bound<'py, PyAny>,
    throw: &Bound<'py, PyString>,
    exception: &Bound<'py, PyAny>,
) -> Sent<'py> {
    let py = coro.py();
    match coro.call_method1(throw, (exception,)) {
        Ok(yielded) => Sent::Yielded(yielded),
        Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
            match error.value(py).getattr(pyo3::intern!(py, "value")) {
                Ok(value) => Sent::Returned(value),
                Err(error) => Sent::Raised(error),
            }
        }
        Err(error) => Sent::Raised(error),
    }
}

/// Whether `object` is a coroutine made by `async def`.
#[inline]
#[must_use]
pub fn is_exact_coroutine(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: reads the type of a live object.
    unsafe { ffi::PyCoro_CheckExact(object.as_ptr()) != 0 }
}

/// Whether `object` is a generator.
#[must_use]
pub fn is_generator(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: reads the type of a live object.
    unsafe { ffi::PyGen_CheckExact(object.as_ptr()) != 0 }
}

/// Ends an iteration with `value`: returns null with the StopIteration that stands for it, or null
/// with nothing set for None, which the interpreter reads as "returned None" (genobject.c).
#[inline]
#[must_use]
pub fn stop_iteration(value: Bound<'_, PyAny>) -> *mut ffi::PyObject {
    if value.is_none() {
        return std::ptr::null_mut();
    }
    let py = value.py();
    let made = match value.cast_exact::<PyBool>() {
        // That is the interpreter's own already.
        Ok(value) => with_bool(value),
        Err(_) if observers::are_observed(py) => new_stop_iteration(&value),
        Err(_) => stop_iteration::new(value),
    };
    match made {
        Ok(exception) => raise(exception),
        Err(error) => error.restore(py),
    }
    std::ptr::null_mut()
}

/// Leaves a StopIteration set in the interpreter.
#[inline]
fn raise(exception: Bound<'_, PyAny>) {
    // SAFETY: attached; a live exception and its class, whose references go to the interpreter.
    unsafe {
        #[cfg(Py_3_12)]
        ffi::PyErr_SetRaisedException(exception.into_ptr());
        #[cfg(not(Py_3_12))]
        {
            let class = exception.get_type().into_ptr();
            ffi::PyErr_Restore(class, exception.into_ptr(), std::ptr::null_mut());
        }
    }
}

/// The interpreter's own `StopIteration(value)`, for a call of `__next__`.
///
/// # Errors
/// MemoryError.
pub(crate) fn new_stop_iteration<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // A tuple or an exception as the value of an error would be taken apart, so the instance is built.
    value.py().get_type::<PyStopIteration>().call1((value,))
}

/// The last `StopIteration(False)` and `StopIteration(True)`. `await` takes the value and drops the
/// instance, which can then be used again.
static KEPT: GilCell<[Option<Ref>; 2]> = GilCell::new([None, None]);

#[inline]
fn with_bool<'py>(value: &Bound<'py, PyBool>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let place = usize::from(value.is_true());
    let last = KEPT.borrow_mut(py)[place].take().map(|kept| kept.into_bound(py));
    let exception = match last {
        Some(last) if is_as_new(&last) => last,
        _ => new_stop_iteration(value.as_any())?,
    };
    let before = KEPT.borrow_mut(py)[place].replace(Ref::new(exception.clone()));
    drop(before);
    Ok(exception)
}

/// Whether nobody else has the exception and nobody left anything in it.
#[inline]
fn is_as_new(exception: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live StopIteration, which only this function's caller refers to if the count is 1.
    unsafe {
        let fields = &*exception.as_ptr().cast::<ffi::PyStopIterationObject>();
        ffi::Py_REFCNT(exception.as_ptr()) == 1
            && fields.traceback.is_null()
            && fields.context.is_null()
            && fields.cause.is_null()
            && fields.dict.is_null()
            && fields.notes.is_null()
    }
}
