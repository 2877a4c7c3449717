//! `shield`. CPython: asyncio.tasks.shield

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, context};
use pyo3::prelude::*;

use super::callback::{self, Callback, Kind};
use super::ensure_future::{create_task, is_coroutine, running_loop};
use super::{any_future, any_task};
use crate::futures::methods as futures;
use crate::names;
#[cfg(Py_3_14)]
use crate::tasks::current;
use crate::tasks::wrapper;

static SHIELD: Signature<1> =
    Signature { format: c"O:shield", names: [c"arg"], positional: 1, required: 1 };

fn shield<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [argument] = SHIELD.parse(&arguments)?;
    match argument.map(native_inner).transpose()?.flatten() {
        Some(inner) => shield_natively(inner),
        None => {
            let (positional, keywords) = arguments.to_objects()?;
            names::SHIELD.get(arguments.py())?.call(positional, Some(&keywords))
        }
    }
}

/// What is to be shielded, if it is a future of ours on the running loop, or comes to a task there.
fn native_inner<'py>(argument: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(event_loop) = running_loop(argument.py())? else { return Ok(None) };
    if let Some(future) = wrapper::exact_future(argument) {
        let own = future.state.event_loop.as_ptr() == event_loop.as_ptr();
        return Ok(own.then(|| argument.clone()));
    }
    if is_coroutine(argument) {
        return create_task(&event_loop, argument).map(Some);
    }
    Ok(None)
}

fn shield_natively(inner: Bound<'_, PyAny>) -> Object<'_> {
    let py = inner.py();
    if any_future::is_done(&inner)? {
        return Ok(inner);
    }
    let event_loop = any_future::get_loop(&inner)?;
    let outer = futures::create_for(&event_loop)?;
    let inner_done = callback::new(py, &INNER_DONE)?;
    inner_done.state().owner.set(outer.clone());
    #[cfg(Py_3_14)]
    if let Some(task) = current::task_of(&event_loop)? {
        inner_done.state().first.set(show_awaiting(&inner, task)?);
    }
    let context = context::copy_current(py)?;
    any_future::add_callback(&inner, &inner_done, &context)?;
    let outer_done = callback::new(py, &OUTER_DONE)?;
    outer_done.state().owner.set(inner);
    outer_done.state().first.set(inner_done);
    any_future::add_callback(&outer, &outer_done, &context)?;
    Ok(outer)
}

/// Since 3.14 the inner future shows who awaits it, until it is done.
#[cfg(Py_3_14)]
fn show_awaiting<'py>(
    inner: &Bound<'py, PyAny>,
    task: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, Callback>> {
    let clear = callback::new(inner.py(), &CLEAR_AWAITED_BY)?;
    clear.state().owner.set(task);
    super::add_awaiting(inner, &clear.state().owner)?;
    any_future::add_callback(inner, &clear, &context::copy_current(inner.py())?)?;
    Ok(clear)
}

#[cfg(Py_3_14)]
static CLEAR_AWAITED_BY: Kind = Kind {
    qualified_name: "shield.<locals>._clear_awaited_by_callback",
    inside: Some(&names::SHIELD),
    takes: 1,
    run: |this: &Bound<'_, Callback>, inner| super::discard_awaiting(inner, &this.state().owner),
};

/// `first` is the callback that clears who awaits it, if there is one.
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
    let outer = this.state().owner.get_or_none(this.py());
    if any_future::is_cancelled(&outer)? {
        if cfg!(not(Py_3_14)) && !any_future::is_cancelled(inner)? {
            // Its exception counts as seen.
            any_future::exception(inner)?;
        }
        return Ok(());
    }
    if any_future::is_cancelled(inner)? {
        return any_task::cancel(&outer);
    }
    match any_future::exception(inner)? {
        Some(error) => any_future::set_exception(&outer, &error),
        None => any_future::set_result(&outer, any_future::result(inner)?),
    }
}

/// The outer future is done; if what was shielded is not, nobody waits for that any more.
fn outer_done<'py>(this: &Bound<'py, Callback>, _outer: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let inner = this.state().owner.get_or_none(py);
    if any_future::is_done(&inner)? {
        return Ok(());
    }
    let callback = this.state().first.get_or_none(py).cast_into::<Callback>()?;
    any_future::remove_callback(&inner, callback.as_any())?;
    #[cfg(Py_3_14)]
    if let Some(clear) = callback.state().first.get(py) {
        any_future::remove_callback(&inner, &clear)?;
        super::discard_awaiting(&inner, &clear.cast_into::<Callback>()?.state().owner)?;
    }
    Ok(())
}

/// `ferrio.shield`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::SHIELD.get(py)?, shield)
}
