//! `shield`. CPython: asyncio.tasks.shield

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, context};
use pyo3::prelude::*;

use super::callback::{self, Callback, Kind};
use super::ensure_future::{create_task, is_coroutine, running_loop};
use crate::futures::future::{AsFuture, Status};
use crate::futures::methods as futures;
use crate::names;
use crate::tasks::wrapper;

static SHIELD: Signature<1> =
    Signature { format: c"O:shield", names: [c"arg"], positional: 1, required: 1 };

fn shield<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    let [argument] = SHIELD.parse(&arguments)?;
    // Since 3.14 the inner future also shows who awaits it, which stock's own function keeps.
    let inner =
        if cfg!(Py_3_14) { None } else { argument.map(native_inner).transpose()?.flatten() };
    match inner {
        Some(inner) => shield_natively(inner),
        None => {
            let (positional, keywords) = arguments.to_objects()?;
            names::SHIELD.get(py)?.call(positional, Some(&keywords))
        }
    }
}

/// The future or task of ours that is to be shielded, if it comes to one on the running loop.
fn native_inner<'py>(argument: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(event_loop) = running_loop(argument.py())? else { return Ok(None) };
    if let Some(future) = wrapper::exact_future(argument) {
        let own = future.state.event_loop.as_ptr() == event_loop.as_ptr();
        return Ok(own.then(|| argument.clone()));
    }
    if is_coroutine(argument) {
        return create_task(&event_loop, argument).map(|task| Some(task.into_any()));
    }
    Ok(None)
}

fn shield_natively(inner: Bound<'_, PyAny>) -> Object<'_> {
    let py = inner.py();
    let Some(native) = wrapper::exact_future(&inner) else { return Ok(inner) };
    let event_loop = native.state.native_loop(py).filter(|_| native.state.is_pending());
    let Some(event_loop) = event_loop else { return Ok(inner) };
    let outer = futures::new(&event_loop)?;
    let context = context::copy_current(py)?;
    let inner_done = callback::new(py, &INNER_DONE)?;
    inner_done.state().owner.set(outer.clone());
    native.add_callback(inner_done.as_any(), context.clone())?;
    let outer_done = callback::new(py, &OUTER_DONE)?;
    outer_done.state().owner.set(inner.clone());
    outer_done.state().first.set(inner_done);
    outer.as_future().add_callback(outer_done.as_any(), context)?;
    Ok(outer.into_any())
}

static INNER_DONE: Kind = Kind {
    qualified_name: "shield.<locals>._inner_done_callback",
    inside: Some(&names::SHIELD),
    takes: 1,
    run: inner_done,
};

static OUTER_DONE: Kind = Kind {
    qualified_name: "shield.<locals>._outer_done_callback",
    inside: Some(&names::SHIELD),
    takes: 1,
    run: outer_done,
};

/// What was shielded is done: so is the outer future, unless it was cancelled.
fn inner_done<'py>(this: &Bound<'py, Callback>, inner: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let outer = this.state().owner.get_or_none(py);
    let (Some(outer), Some(inner)) = (futures::as_exact(&outer), wrapper::exact_future(inner))
    else {
        return Ok(());
    };
    let outer = outer.as_future();
    if outer.state.status() == Status::Cancelled {
        inner.state.log_traceback.set(false);
        return Ok(());
    }
    match inner.state.status() {
        Status::Cancelled => outer.cancel(None).map(drop),
        Status::Exception => {
            inner.state.log_traceback.set(false);
            match inner.state.value(py, Status::Exception) {
                Some(error) => outer.set_exception(&error),
                None => Ok(()),
            }
        }
        Status::Result | Status::Pending => outer.set_result(inner.result()?),
    }
}

/// The outer future is done; if what was shielded is not, nobody waits for that any more.
fn outer_done<'py>(this: &Bound<'py, Callback>, _outer: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let (inner, callback) =
        (this.state().owner.get_or_none(py), this.state().first.get_or_none(py));
    match wrapper::exact_future(&inner).filter(|inner| inner.state.is_pending()) {
        Some(inner) => inner.state.callbacks.remove(&callback).map(drop),
        None => Ok(()),
    }
}

/// `ferrio.shield`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::SHIELD.get(py)?, shield)
}
