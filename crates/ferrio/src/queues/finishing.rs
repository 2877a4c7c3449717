//! `task_done`, `join` and `shutdown`: the end of the work that a queue hands out.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use super::queue::Queue;
use super::{getting, order, waiters};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::names::{self, none};

/// `self._finished.clear()`.
#[inline]
pub fn tell_unfinished(queue: &Bound<'_, Queue>) -> PyResult<()> {
    let (py, state) = (queue.py(), queue.state());
    state.all_finished.set(false);
    match state.finished.get(py) {
        None => Ok(()),
        Some(event) => event.call_method0(intern!(py, "clear")).map(drop),
    }
}

/// `self._finished.set()`.
fn tell_finished(queue: &Bound<'_, Queue>) -> PyResult<()> {
    let (py, state) = (queue.py(), queue.state());
    state.all_finished.set(true);
    match state.finished.get(py) {
        None => Ok(()),
        Some(event) => event.call_method0(intern!(py, "set")).map(drop),
    }
}

/// `self._finished`, an Event that is made when somebody looks at it or waits for it.
pub fn finished<'py>(queue: &Bound<'py, Queue>) -> Object<'py> {
    let (py, state) = (queue.py(), queue.state());
    if let Some(event) = state.finished.get(py) {
        return Ok(event);
    }
    let event = names::LOCKS.attribute(intern!(py, "Event"))?.call0()?;
    if state.all_finished.get() {
        event.call_method0(intern!(py, "set"))?;
    }
    state.finished.set(event.clone());
    Ok(event)
}

fn task_done<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    let unfinished = this.state().unfinished.get();
    if unfinished <= 0 {
        return Err(PyValueError::new_err("task_done() called too many times"));
    }
    this.state().unfinished.set(unfinished - 1);
    if unfinished == 1 {
        tell_finished(this)?;
    }
    Ok(none(this.py()))
}

static JOIN_KIND: Kind =
    Kind { name: "join", qualified_name: "Queue.join", start: begin_to_join, resume: joined };

fn begin_to_join<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let queue = coroutine::owner::<Queue>(this)?;
    if queue.state().unfinished.get() <= 0 {
        return Ok(Progress::Return(none(this.py())));
    }
    awaiting(finished(&queue)?.call_method0(intern!(this.py(), "wait"))?)
}

fn joined<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    outcome.map(|_| Progress::Return(none(this.py())))
}

fn join<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    coroutine::new(this, &JOIN_KIND).map(Bound::into_any)
}

static SHUTDOWN: Signature<1> =
    Signature { format: c"|O:shutdown", names: [c"immediate"], positional: 1, required: 0 };

/// CPython: Queue.shutdown
fn shutdown<'py>(this: &Bound<'py, Queue>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [immediate] = SHUTDOWN.parse(&arguments)?;
    let (py, state) = (this.py(), this.state());
    state.shut_down.set(true);
    if immediate.map_or(Ok(false), |immediate| immediate.is_truthy())? {
        while !getting::is_empty(this)? {
            drop(order::get(this)?);
            let unfinished = state.unfinished.get();
            state.unfinished.set(if unfinished > 0 { unfinished - 1 } else { unfinished });
        }
        if state.unfinished.get() == 0 {
            tell_finished(this)?;
        }
    }
    waiters::wake_up_all(py, &state.getters)?;
    waiters::wake_up_all(py, &state.putters)?;
    Ok(none(py))
}

pub fn members(members: Members) -> Members {
    members
        .noargs::<Queue, _>(c"task_done", task_done, c"Say that an item's work is complete.")
        .noargs::<Queue, _>(c"join", join, c"Wait until the work of all items is complete.")
        .keywords::<Queue, _>(
            c"shutdown(immediate=False)",
            shutdown,
            c"Have puts, and gets, raise QueueShutDown.",
        )
}
