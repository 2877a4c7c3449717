//! The Python face of a native coroutine.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Next, Object};
use pyo3::exceptions::{PyGeneratorExit, PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{COROUTINE, Coroutine, Phase, end, next, throw};
use crate::futures::iterator;
use crate::names::{self, boolean, none};
use crate::tasks::origin;

fn send_value<'py>(this: &Bound<'py, Coroutine>, value: &Bound<'py, PyAny>) -> Object<'py> {
    if this.state().phase.get() == Phase::Created && !value.is_none() {
        let text = "can't send non-None value to a just-started coroutine";
        return Err(PyTypeError::new_err(text));
    }
    next(this).and_then(handed_out)
}

fn throw_value<'py>(this: &Bound<'py, Coroutine>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let exception = PyErr::from_value(iterator::thrown(&arguments)?);
    // A loop that is not ours calls this with no frame of PyO3's below: PyO3 would then put off the
    // release of every error that is dropped here, until it is entered some time.
    Python::attach(|_| throw(this, exception)).and_then(handed_out)
}

fn handed_out(next: Next<'_>) -> Object<'_> {
    match next {
        Next::Yield(item) => Ok(item),
        Next::Return(value) => Err(PyStopIteration::new_err((value.unbind(),))),
    }
}

/// CPython: gen_close
fn close<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    let py = this.py();
    match this.state().phase.get() {
        Phase::Created => end(this),
        Phase::Done => {}
        Phase::Waiting | Phase::Running => match throw(this, PyGeneratorExit::new_err(())) {
            Ok(Next::Yield(_)) => {
                return Err(PyRuntimeError::new_err("coroutine ignored GeneratorExit"));
            }
            Ok(Next::Return(_)) => {}
            Err(error) if error.is_instance_of::<PyGeneratorExit>(py) => {}
            Err(error) => return Err(error),
        },
    }
    Ok(none(py))
}

fn itself<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    Ok(this.as_any().clone())
}

fn name<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    let name = this.state().kind.get().map_or("", |kind| kind.name);
    Ok(PyString::new(this.py(), name).into_any())
}

fn qualified_name<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    let name = this.state().kind.get().map_or("", |kind| kind.qualified_name);
    Ok(PyString::new(this.py(), name).into_any())
}

fn repr<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    let name = qualified_name(this)?;
    let text = format!("<coroutine object {name} at {:#x}>", this.as_ptr() as usize);
    Ok(PyString::new(this.py(), &text).into_any())
}

fn cr_await<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    origin::cr_await(this.py(), &this.state().awaited)
}

/// Native code has no frame; asyncio's call graph passes over it.
fn cr_frame<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    Ok(none(this.py()))
}

fn cr_origin<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    origin::cr_origin(this.py(), &this.state().awaited)
}

fn cr_running<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().phase.get() == Phase::Running))
}

fn cr_suspended<'py>(this: &Bound<'py, Coroutine>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().phase.get() == Phase::Waiting))
}

/// CPython: _PyGen_Finalize
fn finalize(this: &Bound<'_, Coroutine>) -> PyResult<()> {
    let py = this.py();
    if this.state().phase.get() != Phase::Created {
        return close(this).map(drop);
    }
    let warned = names::WARN_UNAWAITED_COROUTINE.get(py)?.call1((this,));
    end(this);
    warned.map(drop)
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .iternext::<Coroutine, _>(next)
        .unary_slot::<Coroutine, _>(ffi::Py_tp_iter, itself)
        .unary_slot::<Coroutine, _>(ffi::Py_am_await, itself)
        .unary_slot::<Coroutine, _>(ffi::Py_tp_repr, repr)
        .one::<Coroutine, _>(c"send", send_value, c"Resume the coroutine.")
        .keywords::<Coroutine, _>(c"throw", throw_value, c"Raise an exception in the coroutine.")
        .noargs::<Coroutine, _>(c"close", close, c"End the coroutine.")
        .get::<Coroutine, _>(c"__name__", name)
        .get::<Coroutine, _>(c"__qualname__", qualified_name)
        .get::<Coroutine, _>(c"cr_await", cr_await)
        .get::<Coroutine, _>(c"cr_frame", cr_frame)
        .get::<Coroutine, _>(c"cr_origin", cr_origin)
        .get::<Coroutine, _>(c"cr_running", cr_running)
        .get::<Coroutine, _>(c"cr_suspended", cr_suspended)
        .finalize::<Coroutine, _>(finalize)
        .doc(c"The coroutine of a native method of asyncio's.");
    COROUTINE.create(py, c"ferrio.Coroutine", &py.get_type::<PyAny>(), members.into_slots())
}
