//! `TaskGroup.__aexit__`: waits for the tasks, then raises what is to be raised.
//!
//! Fields of the coroutine: `owner` is the group; `first` the exception of the block; `second` the
//! CancelledError that is to be passed on; `number` what the block ended with ([`ENDED_BY_ERROR`]).

use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, handled};
use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyAssertionError, PyBaseExceptionGroup};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::{TaskGroup, abort, is_cancellation, is_something};
use crate::combinators::any_task;
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::futures::methods as futures;
use crate::names::{self, boolean, none};

static EXIT: Kind =
    Kind { name: "__aexit__", qualified_name: "TaskGroup.__aexit__", start: begin, resume: go_on };

/// In `number`: the block ended with an exception.
const ENDED_BY_ERROR: i64 = 1;
/// The same, and it was a CancelledError.
const ENDED_BY_CANCELLATION: i64 = 2;

static ARGUMENTS: Signature<3> = Signature {
    format: c"OOO:__aexit__",
    names: [c"et", c"exc", c"tb"],
    positional: 3,
    required: 3,
};

/// `__aexit__`.
pub fn aexit<'py>(this: &Bound<'py, TaskGroup>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let [class, exception, _] = ARGUMENTS.parse(&arguments)?;
    let coroutine = coroutine::new(this, &EXIT)?;
    if let Some(class) = class.filter(|class| !class.is_none()) {
        let kind =
            if ends_by_cancellation(py, class)? { ENDED_BY_CANCELLATION } else { ENDED_BY_ERROR };
        coroutine.state().number.set(kind);
    }
    coroutine.state().first.replace(py, exception.cloned());
    Ok(coroutine.into_any())
}

fn ends_by_cancellation(py: Python<'_>, class: &Bound<'_, PyAny>) -> PyResult<bool> {
    let cancelled = names::CANCELLED_ERROR.class(py)?;
    if cfg!(Py_3_13) {
        return class.cast::<PyType>()?.is_subclass(cancelled);
    }
    Ok(class.is(cancelled))
}

fn begin<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let group = coroutine::owner::<TaskGroup>(this)?;
    let state = group.state();
    state.exiting.set(true);
    let exception = this.state().first.get_or_none(py);
    if !exception.is_none() {
        state.note_base_error(&exception);
    }
    if this.state().number.get() == ENDED_BY_CANCELLATION {
        this.state().second.set(exception);
    }
    if !takes_back_at_the_end(&group) {
        take_the_request_back(this, &group)?;
    }
    if this.state().number.get() != 0 && !state.aborting.get() {
        abort(&group)?;
    }
    wait(this, &group)
}

/// Before 3.13 a request that an error caused is taken back before the group waits.
fn takes_back_at_the_end(group: &Bound<'_, TaskGroup>) -> bool {
    cfg!(Py_3_13) || group.state().cancelled.get()
}

/// The group's own request to cancel the parent ends; if no other is left, nothing is passed on.
fn take_the_request_back(
    this: &Bound<'_, Coroutine>,
    group: &Bound<'_, TaskGroup>,
) -> PyResult<()> {
    let py = this.py();
    let state = group.state();
    if !state.parent_cancel_requested.get() {
        return Ok(());
    }
    if any_task::uncancel(&state.parent_task.get_or_none(py))? == 0 {
        drop(this.state().second.take(py));
    } else if !this.state().second.is_set() {
        this.state().second.replace(py, state.pending.take(py));
    }
    Ok(())
}

/// Waits while there are tasks.
fn wait<'py>(
    this: &Bound<'py, Coroutine>,
    group: &Bound<'py, TaskGroup>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let state = group.state();
    if state.tasks(py)?.is_empty() {
        return end(this, group);
    }
    let waiter = match state.on_completed.get(py).filter(|waiter| !waiter.is_none()) {
        Some(waiter) => waiter,
        None => {
            let waiter = futures::create_for(&state.event_loop.get_or_none(py))?;
            state.on_completed.set(waiter.clone());
            waiter
        }
    };
    awaiting(waiter)
}

fn go_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let group = coroutine::owner::<TaskGroup>(this)?;
    let state = group.state();
    if let Err(error) = outcome {
        if !is_cancellation(&error, py)? {
            return Err(left(&group, error));
        }
        let exception = error.into_value(py).into_bound(py).into_any();
        if state.cancelled.get() {
            state.pending.set(exception);
        } else if !state.aborting.get() {
            this.state().second.set(exception.clone());
            handled::while_handling(&exception, || abort(&group))?;
        }
    }
    drop(state.on_completed.take(py));
    wait(this, &group)
}

/// All tasks are done. CPython: the end of TaskGroup.__aexit__
fn end<'py>(
    this: &Bound<'py, Coroutine>,
    group: &Bound<'py, TaskGroup>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    drop(group.state().callback.take(py));
    let outcome = outcome(this, group);
    drop(group.state().pending.take(py));
    match outcome {
        Ok(()) => {
            // What `cancel` did to the block is over. Otherwise stock returns None.
            let over = group.state().cancelled.get();
            forget(group);
            Ok(Progress::Return(if over { boolean(py, true) } else { none(py) }))
        }
        Err(error) => Err(left(group, error)),
    }
}

fn outcome(this: &Bound<'_, Coroutine>, group: &Bound<'_, TaskGroup>) -> PyResult<()> {
    let py = this.py();
    let state = group.state();
    if !state.tasks(py)?.is_empty() {
        return Err(PyAssertionError::new_err(()));
    }
    if is_something(&state.base_error, py) {
        return Err(handled::raise(py, &state.base_error.get_or_none(py)));
    }
    if takes_back_at_the_end(group) {
        take_the_request_back(this, group)?;
    }
    if let Some(cancellation) = this.state().second.get(py).filter(|error| !error.is_none())
        && !state.has_errors(py)?
    {
        return Err(handled::raise(py, &cancellation));
    }
    if this.state().number.get() == ENDED_BY_ERROR {
        state.add_error(&this.state().first.get_or_none(py))?;
    }
    if state.has_errors(py)? { Err(gather_errors(group)?) } else { Ok(()) }
}

#[cold]
fn gather_errors(group: &Bound<'_, TaskGroup>) -> PyResult<PyErr> {
    let py = group.py();
    let state = group.state();
    let parent = state.parent_task.get_or_none(py);
    if cfg!(Py_3_13) && any_task::cancelling(&parent)? != 0 {
        // A request from outside stays one, and is seen again.
        any_task::uncancel(&parent)?;
        any_task::cancel(&parent)?;
    }
    let errors = state.errors.get_or_none(py);
    let class = PyBaseExceptionGroup::type_object(py);
    let made = class.call1(("unhandled errors in a TaskGroup", errors));
    drop(state.errors.take(py));
    Ok(handled::raise_from(&made?, &none(py)))
}

/// Since 3.14: what the group holds of the past goes, since exceptions make cycles.
fn forget(group: &Bound<'_, TaskGroup>) {
    if cfg!(Py_3_14) {
        let state = group.state();
        for slot in [&state.parent_task, &state.errors, &state.base_error] {
            drop(slot.take(group.py()));
        }
    }
}

fn left(group: &Bound<'_, TaskGroup>, error: PyErr) -> PyErr {
    forget(group);
    error
}
