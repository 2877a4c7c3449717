//! What a native coroutine shows: the methods, the attributes and the repr of one of Python's.
//! CPython: PyCoro_Type in Objects/genobject.c

use std::ffi::{CStr, c_int};

use ferrio_capi::method::{Arguments, Members, Next, Object};
use ferrio_capi::{NativeClass, Slot, runtime};
use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{ffi, intern};

use super::{coroutine_wrapper, origin};
use crate::futures::iterator;
use crate::names::{self, boolean, none};

/// How far a coroutine came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Created,
    Running,
    Suspended,
    Closed,
}

/// A native coroutine.
pub trait Face: NativeClass {
    /// `__name__`.
    fn name(this: &Bound<'_, Self>) -> &'static str;

    /// `__qualname__`.
    fn qualified_name(this: &Bound<'_, Self>) -> &'static str;

    /// How far it came.
    fn stage(this: &Bound<'_, Self>) -> Stage;

    /// Holds what it awaits, and where it was made before it begins ([`origin`]).
    fn awaited<'a>(this: &'a Bound<'_, Self>) -> &'a Slot;

    /// Runs it until it awaits or returns.
    ///
    /// # Errors
    /// What it raises.
    fn next<'py>(this: &Bound<'py, Self>) -> PyResult<Next<'py>>;

    /// Raises an exception where it awaits, which ends one that catches none.
    ///
    /// # Errors
    /// What it raises.
    fn throw<'py>(this: &Bound<'py, Self>, error: PyErr) -> PyResult<Next<'py>> {
        if Self::stage(this) == Stage::Closed {
            return Err(reused());
        }
        Self::close(this)?;
        Err(error)
    }

    /// Ends it.
    ///
    /// # Errors
    /// What it raises.
    fn close(this: &Bound<'_, Self>) -> PyResult<()>;
}

fn send<'py, C: Face>(this: &Bound<'py, C>, value: &Bound<'py, PyAny>) -> Object<'py> {
    if C::stage(this) == Stage::Created && !value.is_none() {
        let text = "can't send non-None value to a just-started coroutine";
        return Err(PyTypeError::new_err(text));
    }
    C::next(this).and_then(handed_out)
}

fn throw<'py, C: Face>(this: &Bound<'py, C>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let error = PyErr::from_value(iterator::thrown(&arguments)?);
    if runtime::is_finalizing(this.py()) {
        return C::throw(this, error).and_then(handed_out);
    }
    // A loop that is not ours calls this with no frame of PyO3's below: PyO3 would then put off the
    // release of every error that is dropped here, until it is entered some time.
    Python::attach(|_| C::throw(this, error)).and_then(handed_out)
}

/// What `send` and `throw` give: what was yielded, or StopIteration with what was returned.
///
/// # Errors
/// That StopIteration.
pub fn handed_out(next: Next<'_>) -> Object<'_> {
    match next {
        Next::Yield(item) => Ok(item),
        Next::Return(value) => Err(PyStopIteration::new_err((value.unbind(),))),
    }
}

fn close<'py, C: Face>(this: &Bound<'py, C>) -> Object<'py> {
    C::close(this)?;
    Ok(none(this.py()))
}

/// `__await__`. CPython: the instruction GET_AWAITABLE
fn awaited<'py, C: Face>(this: &Bound<'py, C>) -> Object<'py> {
    if C::stage(this) == Stage::Suspended {
        Err(awaited_already())
    } else {
        Ok(this.as_any().clone())
    }
}

/// Checks that nobody awaits a coroutine of Python's, as one of ours does when it is awaited.
///
/// # Errors
/// RuntimeError when somebody does.
pub fn check_unawaited(coroutine: &Bound<'_, PyAny>) -> PyResult<()> {
    let awaits = coroutine.getattr(intern!(coroutine.py(), "cr_await"))?;
    if awaits.is_none() { Ok(()) } else { Err(awaited_already()) }
}

/// The error of a coroutine that is over and is resumed.
#[cold]
pub fn reused() -> PyErr {
    PyRuntimeError::new_err("cannot reuse already awaited coroutine")
}

#[cold]
fn awaited_already() -> PyErr {
    PyRuntimeError::new_err("coroutine is being awaited already")
}

/// A generator of this flag is a coroutine (`types.coroutine`). Reference: Include/cpython/code.h
pub const CO_ITERABLE_COROUTINE: c_int = 0x100;

/// tp_iter, which `yield from` asks in what `types.coroutine` has made of a generator. Nothing else can
/// iterate over a coroutine. CPython: the instruction GET_YIELD_FROM_ITER
fn iterated<'py, C: Face>(this: &Bound<'py, C>) -> Object<'py> {
    let py = this.py();
    if let Ok(frame) = names::GET_FRAME.get(py)?.call0() {
        let code = frame.getattr(intern!(py, "f_code"))?;
        let flags: c_int = code.getattr(intern!(py, "co_flags"))?.extract()?;
        if flags & CO_ITERABLE_COROUTINE != 0 {
            return awaited(this);
        }
    }
    Err(PyTypeError::new_err("'coroutine' object is not iterable"))
}

/// `__await__`, called by a program.
fn wrapped<'py, C: Face>(this: &Bound<'py, C>) -> Object<'py> {
    coroutine_wrapper::new(this.as_any())
}

/// Makes the type, called `name`, of `members`. It shows no `__iter__` and no `__next__`, as Python's
/// coroutines have none, and an `__await__` that gives an iterator.
///
/// # Errors
/// What CPython raises.
pub fn create<C: Face>(py: Python<'_>, name: &'static CStr, members: Members) -> PyResult<()> {
    C::class().create(py, name, &py.get_type::<PyAny>(), members.into_slots())?;
    C::class().hide(py, c"__iter__")?;
    C::class().hide(py, c"__next__")?;
    Members::default()
        .noargs::<C, _>(c"__await__", wrapped::<C>, c"Return an iterator to be used in await.")
        .show::<C>(py)
}

fn repr<'py, C: Face>(this: &Bound<'py, C>) -> Object<'py> {
    let name = C::qualified_name(this);
    let text = format!("<coroutine object {name} at {:#x}>", this.as_ptr() as usize);
    Ok(PyString::new(this.py(), &text).into_any())
}

/// The members of a native coroutine's class. To `isinstance`, and so to `inspect.iscoroutine`, its
/// instances are Python's coroutines.
pub fn members<C: Face>() -> Members {
    Members::default()
        .iternext::<C, _>(C::next)
        .unary_slot::<C, _>(ffi::Py_tp_iter, iterated::<C>)
        .unary_slot::<C, _>(ffi::Py_am_await, awaited::<C>)
        .unary_slot::<C, _>(ffi::Py_tp_repr, repr::<C>)
        .one::<C, _>(c"send(value, /)", send::<C>, c"Resume the coroutine.")
        .keywords::<C, _>(c"throw", throw::<C>, c"Raise an exception in the coroutine.")
        .noargs::<C, _>(c"close", close::<C>, c"End the coroutine.")
        .get::<C, _>(c"__class__", |this| Ok(names::COROUTINE_TYPE.get(this.py())?.clone()))
        .get::<C, _>(c"__name__", |this| Ok(text(this, C::name(this))))
        .get::<C, _>(c"__qualname__", |this| Ok(text(this, C::qualified_name(this))))
        .get::<C, _>(c"cr_await", |this| origin::cr_await(this.py(), C::awaited(this)))
        .get::<C, _>(c"cr_code", code::<C>)
        .get::<C, _>(c"cr_frame", frame::<C>)
        .get::<C, _>(c"cr_origin", |this| origin::cr_origin(this.py(), C::awaited(this)))
        .get::<C, _>(c"cr_running", |this| Ok(is(this, Stage::Running)))
        .get::<C, _>(c"cr_suspended", |this| Ok(is(this, Stage::Suspended)))
}

/// `cr_code`.
fn code<'py, C: Face>(this: &Bound<'py, C>) -> Object<'py> {
    names::CODE_OF_COROUTINE.get(this.py())?.call1((C::qualified_name(this),))
}

/// `cr_frame`, made when somebody asks.
fn frame<'py, C: Face>(this: &Bound<'py, C>) -> Object<'py> {
    let begun = match C::stage(this) {
        Stage::Closed => return Ok(none(this.py())),
        stage => stage != Stage::Created,
    };
    names::FRAME_OF_COROUTINE.get(this.py())?.call1((this, begun))
}

fn text<'py, C: Face>(this: &Bound<'py, C>, text: &str) -> Bound<'py, PyAny> {
    PyString::new(this.py(), text).into_any()
}

fn is<'py, C: Face>(this: &Bound<'py, C>, stage: Stage) -> Bound<'py, PyAny> {
    boolean(this.py(), C::stage(this) == stage)
}
