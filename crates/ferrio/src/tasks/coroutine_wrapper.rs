//! What a native coroutine's `__await__()` gives to who calls it: an iterator, which the coroutine itself is
//! not. `await` asks the coroutine itself. CPython: PyCoroWrapper_Type in Objects/genobject.c

use std::ffi::c_int;

use ferrio_capi::method::{Arguments, Members, Next, Object};
use ferrio_capi::send::{Sent, send_none};
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi, intern};

use crate::futures::iterator;

static WRAPPER: Class<CoroutineWrapper> = Class::new();

/// An iterator over a coroutine.
#[derive(Debug)]
pub struct CoroutineWrapper;

/// The native part of a wrapper. All-zero is one of no coroutine.
#[derive(Debug)]
pub struct WrapperState {
    coroutine: Slot,
}

// SAFETY: an empty slot is all-zero.
unsafe impl State for WrapperState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.coroutine)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.coroutine.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for CoroutineWrapper {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        WRAPPER.type_ptr()
    }
}

impl DerefToPyAny for CoroutineWrapper {}

impl NativeClass for CoroutineWrapper {
    type State = WrapperState;
    const KEPT: usize = 16;

    fn class() -> &'static Class<Self> {
        &WRAPPER
    }
}

type This<'a, 'py> = &'a Bound<'py, CoroutineWrapper>;

/// `coroutine.__await__()`.
pub fn new<'py>(coroutine: &Bound<'py, PyAny>) -> Object<'py> {
    let this = WRAPPER.alloc(coroutine.py())?;
    this.state().coroutine.set(coroutine.clone());
    Ok(this.into_any())
}

fn next<'py>(this: This<'_, 'py>) -> PyResult<Next<'py>> {
    match send_none(&this.state().coroutine.get_or_none(this.py())) {
        Sent::Yielded(item) => Ok(Next::Yield(item)),
        Sent::Returned(value) => Ok(Next::Return(value)),
        Sent::Raised(error) => Err(error),
    }
}

fn send<'py>(this: This<'_, 'py>, value: &Bound<'py, PyAny>) -> Object<'py> {
    let coroutine = this.state().coroutine.get_or_none(this.py());
    coroutine.call_method1(intern!(this.py(), "send"), (value,))
}

fn throw<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let coroutine = this.state().coroutine.get_or_none(this.py());
    coroutine.call_method1(intern!(this.py(), "throw"), (iterator::thrown(&arguments)?,))
}

fn close<'py>(this: This<'_, 'py>) -> Object<'py> {
    let coroutine = this.state().coroutine.get_or_none(this.py());
    coroutine.call_method0(intern!(this.py(), "close"))
}

fn itself<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.as_any().clone())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .iternext::<CoroutineWrapper, _>(next)
        .unary_slot::<CoroutineWrapper, _>(ffi::Py_tp_iter, itself)
        .one::<CoroutineWrapper, _>(c"send(value, /)", send, c"Resume the coroutine.")
        .keywords::<CoroutineWrapper, _>(c"throw", throw, c"Raise an exception in the coroutine.")
        .noargs::<CoroutineWrapper, _>(c"close", close, c"End the coroutine.")
        .doc(c"A wrapper object implementing __await__ for coroutines.");
    WRAPPER.create(py, c"ferrio.coroutine_wrapper", &py.get_type::<PyAny>(), members.into_slots())
}
