//! The generator that `as_completed` gives before 3.13: it begins when it is asked for the first time.
//!
//! State: new (`given` is set) -> begun; then `stock` is set, or `left` says how many are to come.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Next, Object};
use ferrio_capi::send::{Sent, send_none};
use pyo3::exceptions::{PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{ffi, intern};

use super::{AS_COMPLETED, AsCompleted, expire, fill, natively, waiting};
use crate::futures::iterator;
use crate::names::{self, none};

pub(super) const HANDLE_TIMEOUT: &str = "_on_timeout";
pub(super) const HANDLE_COMPLETION: &str = "as_completed.<locals>._on_completion";
pub(super) const WAIT_FOR_ONE: &str = "as_completed.<locals>._wait_for_one";

/// The generator; whether it can do the work shows when it begins.
pub(super) fn begin<'py>(
    given: &Bound<'py, PyAny>,
    timeout: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, AsCompleted>>> {
    let this = AS_COMPLETED.alloc(given.py())?;
    this.state().given.set(given.clone());
    this.state().timeout.set(timeout.clone());
    Ok(Some(this))
}

fn next<'py>(this: &Bound<'py, AsCompleted>) -> PyResult<Next<'py>> {
    let py = this.py();
    let state = this.state();
    if let Some(given) = state.given.take(py) {
        enter(this, &given)?;
    }
    if let Some(stock) = state.stock.get(py) {
        return match send_none(&stock) {
            Sent::Yielded(coroutine) => Ok(Next::Yield(coroutine)),
            Sent::Returned(value) => Ok(Next::Return(value)),
            Sent::Raised(error) => Err(error),
        };
    }
    if !state.take_one() {
        return Ok(Next::Return(none(py)));
    }
    waiting(this, true).map(Next::Yield)
}

fn enter<'py>(this: &Bound<'py, AsCompleted>, given: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let timeout = this.state().timeout.take(py).unwrap_or_else(|| none(py));
    if let Some((event_loop, given)) = natively(given)? {
        return fill(this, &event_loop, &given, &timeout);
    }
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "timeout"), timeout)?;
    let stock = names::AS_COMPLETED.get(py)?.call((given,), Some(&keywords))?;
    this.state().stock.set(stock);
    Ok(())
}

fn send<'py>(this: &Bound<'py, AsCompleted>, value: &Bound<'py, PyAny>) -> Object<'py> {
    if this.state().given.is_set() && !value.is_none() {
        let text = "can't send non-None value to a just-started generator";
        return Err(PyTypeError::new_err(text));
    }
    match next(this)? {
        Next::Yield(coroutine) => Ok(coroutine),
        Next::Return(_) => Err(PyStopIteration::new_err(())),
    }
}

/// Hands nothing out any more. What was handed out goes on, so the work does.
fn close<'py>(this: &Bound<'py, AsCompleted>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    state.left.set(0);
    drop(state.given.take(py));
    drop(state.stock.take(py));
    Ok(none(py))
}

fn throw<'py>(this: &Bound<'py, AsCompleted>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let exception = iterator::thrown(&arguments)?;
    close(this)?;
    Err(PyErr::from_value(exception))
}

fn itself<'py>(this: &Bound<'py, AsCompleted>) -> Object<'py> {
    Ok(this.as_any().clone())
}

fn name<'py>(this: &Bound<'py, AsCompleted>) -> Object<'py> {
    Ok(PyString::new(this.py(), "as_completed").into_any())
}

fn repr<'py>(this: &Bound<'py, AsCompleted>) -> Object<'py> {
    let text = format!("<generator object as_completed at {:#x}>", this.as_ptr() as usize);
    Ok(PyString::new(this.py(), &text).into_any())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .instance_dict()
        .iternext::<AsCompleted, _>(next)
        .unary_slot::<AsCompleted, _>(ffi::Py_tp_iter, itself)
        .unary_slot::<AsCompleted, _>(ffi::Py_tp_repr, repr)
        .one::<AsCompleted, _>(c"send", send, c"Resume the generator; the value is ignored.")
        .keywords::<AsCompleted, _>(c"throw", throw, c"Raise an exception in the generator.")
        .noargs::<AsCompleted, _>(c"close", close, c"End the generator.")
        .noargs::<AsCompleted, _>(c"_on_timeout", expire, c"The time is over.")
        .get::<AsCompleted, _>(c"__name__", name)
        .get::<AsCompleted, _>(c"__qualname__", name)
        .doc(c"Futures as they complete; see asyncio.as_completed.");
    let base = py.get_type::<PyAny>();
    AS_COMPLETED.create(py, c"ferrio.AsCompleted", &base, members.into_slots())
}
