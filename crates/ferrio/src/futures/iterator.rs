//! What `await future` iterates over. CPython: FutureIter

use std::ffi::c_int;

use ferrio_capi::method::{Arguments, Members, Next, Object};
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::PyAny as Any;
use pyo3::exceptions::{PyDeprecationWarning, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

use super::future::{AsFuture, FutureClass};
use crate::names;

static ITERATOR: Class<FutureIter> = Class::new();

/// The iterator of one await.
#[derive(Debug)]
pub struct FutureIter;

/// The awaited future, until the await is over, and how to reach its state.
#[derive(Debug)]
pub struct FutureIterState {
    future: Slot,
    /// The step function of the future's class; set with `future`.
    step: std::cell::Cell<Option<Step>>,
}

type Step = for<'py> fn(&Bound<'py, Any>) -> PyResult<Option<Bound<'py, Any>>>;

// SAFETY: an empty slot and no function are all-zero.
unsafe impl State for FutureIterState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.future)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.future.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for FutureIter {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        ITERATOR.type_ptr()
    }
}

impl DerefToPyAny for FutureIter {}

impl NativeClass for FutureIter {
    type State = FutureIterState;
    const KEPT: usize = 256;

    fn class() -> &'static Class<Self> {
        &ITERATOR
    }
}

/// `__await__` and `__iter__` of a future class.
pub fn new<'py, C: FutureClass>(future: &Bound<'py, C>) -> Object<'py> {
    future.as_future().state.ensure_alive()?;
    let iterator = ITERATOR.alloc(future.py())?;
    iterator.state().future.set(future.as_any().clone());
    iterator.state().step.set(Some(step::<C>));
    Ok(iterator.into_any())
}

/// One step: None while the future is pending (it is then to be yielded), else its result.
fn step<'py, C: FutureClass>(future: &Bound<'py, Any>) -> PyResult<Option<Bound<'py, Any>>> {
    // SAFETY: `new::<C>` stored this function together with an instance of C.
    unsafe { future.cast_unchecked::<C>() }.as_future().outcome_or_block()
}

fn next<'py>(this: &Bound<'py, FutureIter>) -> PyResult<Next<'py>> {
    let py = this.py();
    let (Some(future), Some(step)) = (this.state().future.get(py), this.state().step.get()) else {
        return Ok(Next::Return(names::none(py)));
    };
    match step(&future) {
        Ok(None) => Ok(Next::Yield(future)),
        Ok(Some(result)) => {
            drop(this.state().future.take(py));
            Ok(Next::Return(result))
        }
        Err(error) => {
            drop(this.state().future.take(py));
            Err(error)
        }
    }
}

fn send<'py>(this: &Bound<'py, FutureIter>, _value: &Bound<'py, Any>) -> Object<'py> {
    this.as_any().call_method0("__next__")
}

fn iter<'py>(this: &Bound<'py, FutureIter>) -> Object<'py> {
    Ok(this.as_any().clone())
}

fn close<'py>(this: &Bound<'py, FutureIter>) -> Object<'py> {
    drop(this.state().future.take(this.py()));
    Ok(names::none(this.py()))
}

fn throw<'py>(this: &Bound<'py, FutureIter>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let text = "exceptions must be classes deriving BaseException or instances of such a class";
    let exception = thrown_or(&arguments, |_| PyTypeError::new_err(text))?;
    drop(this.state().future.take(this.py()));
    Err(PyErr::from_value(exception))
}

/// The exception that `throw(type_or_value, value=None, traceback=None)` of a generator or coroutine
/// means.
pub fn thrown<'py>(arguments: &Arguments<'_, 'py>) -> PyResult<Bound<'py, Any>> {
    thrown_or(arguments, |kind| {
        let class = kind.get_type();
        let name = class.name().map_or_else(|_| "object".into(), |name| name.to_string());
        let text = "exceptions must be classes or instances deriving from BaseException";
        PyTypeError::new_err(format!("{text}, not {name}"))
    })
}

/// The same, with the error of what is no exception.
fn thrown_or<'py>(
    arguments: &Arguments<'_, 'py>,
    refusal: impl FnOnce(&Bound<'py, Any>) -> PyErr,
) -> PyResult<Bound<'py, Any>> {
    let py = arguments.py();
    let kind = first_thrown(arguments)?;
    let (value, traceback) = (arguments.value(1), arguments.value(2));
    if cfg!(Py_3_12) && (value.is_some() || traceback.is_some()) {
        let text = c"the (type, exc, tb) signature of throw() is deprecated, use the single-arg \
                     signature instead.";
        PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), text, 1)?;
    }
    let value = value.filter(|value| !value.is_none());
    let traceback = traceback.filter(|traceback| !traceback.is_none());
    if traceback.is_some_and(|traceback| !traceback.is_instance_of::<pyo3::types::PyTraceback>()) {
        return Err(PyTypeError::new_err("throw() third argument must be a traceback"));
    }
    let exception = if let Ok(class) = kind.cast::<pyo3::types::PyType>()
        && class.is_subclass_of::<pyo3::exceptions::PyBaseException>()?
    {
        match value {
            None => class.call0()?,
            Some(value) if value.is_instance(class)? => value.clone(),
            Some(value) => class.call1((value,))?,
        }
    } else if kind.is_instance_of::<pyo3::exceptions::PyBaseException>() {
        if value.is_some() {
            let text = "instance exception may not have a separate value";
            return Err(PyTypeError::new_err(text));
        }
        kind.clone()
    } else {
        return Err(refusal(kind));
    };
    if let Some(traceback) = traceback {
        exception.setattr("__traceback__", traceback)?;
    }
    Ok(exception)
}

/// The first of one to three arguments by position.
fn first_thrown<'a, 'py>(arguments: &Arguments<'a, 'py>) -> PyResult<&'a Bound<'py, Any>> {
    if arguments.names().is_some() {
        return Err(PyTypeError::new_err("throw() takes no keyword arguments"));
    }
    match (arguments.value(0), arguments.positional_len()) {
        (Some(first), 1..=3) => Ok(first),
        (None, _) => Err(PyTypeError::new_err("throw expected at least 1 argument, got 0")),
        (_, given) => {
            let text = format!("throw expected at most 3 arguments, got {given}");
            Err(PyTypeError::new_err(text))
        }
    }
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .iternext::<FutureIter, _>(next)
        .unary_slot::<FutureIter, _>(ffi::Py_tp_iter, iter)
        .one::<FutureIter, _>(c"send", send, c"Resume the await; the value is ignored.")
        .keywords::<FutureIter, _>(c"throw", throw, c"Raise an exception at the await.")
        .noargs::<FutureIter, _>(c"close", close, c"End the await.");
    ITERATOR.create(py, c"ferrio.FutureIter", &py.get_type::<Any>(), members.into_slots())
}
