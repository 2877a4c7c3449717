//! Eager start (3.12): the first step runs inside the call that makes the task.

use ferrio_capi::{StateOf, context};
use pyo3::intern;
use pyo3::prelude::*;

use super::task::{self, Task};
use super::{current, fields, registry, step};
use crate::errors;
use crate::futures::AsFuture;
use crate::loop_state::get;
use crate::names;
#[cfg(not(Py_3_14))]
use crate::names::{REGISTER_EAGER_TASK, UNREGISTER_EAGER_TASK};

/// Runs the first step now when the loop is running, else queues it.
pub fn start(task: &Bound<'_, Task>) -> PyResult<()> {
    let py = task.py();
    let future = task.as_future().state;
    let event_loop = future.event_loop.get(py).ok_or_else(errors::uninitialized)?;
    let runs = match future.native_loop(py) {
        Some(native) if !get(&native.get().is_running_overridden) => {
            native.get().running_thread().is_some()
        }
        _ => event_loop.call_method0(intern!(py, "is_running"))?.is_truthy()?,
    };
    if runs { run_first_step(task, &event_loop) } else { task::schedule_first_step(task) }
}

// CPython: task_eager_start
fn run_first_step<'py>(task: &Bound<'py, Task>, event_loop: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = task.py();
    let previous = current::swap(event_loop, task.as_any())?;
    let outcome = register_and_step(task);
    let swapped = current::swap(event_loop, &previous);
    if task.as_future().state.is_pending() {
        registry::insert(task)?;
    } else {
        registry::remove(py, task.as_ptr(), task.state());
        fields::coro(task).set(names::none(py));
    }
    outcome.and(swapped.map(drop))
}

#[cfg(not(Py_3_14))]
fn register_and_step(task: &Bound<'_, Task>) -> PyResult<()> {
    let py = task.py();
    REGISTER_EAGER_TASK.get(py)?.call1((task,))?;
    let outcome = step(task);
    UNREGISTER_EAGER_TASK.get(py)?.call1((task,))?;
    outcome
}

/// Since 3.14 `_asyncio` keeps one list for both kinds of tasks.
#[cfg(Py_3_14)]
fn register_and_step(task: &Bound<'_, Task>) -> PyResult<()> {
    registry::insert(task)?;
    step(task)
}

fn step(task: &Bound<'_, Task>) -> PyResult<()> {
    let py = task.py();
    let context = fields::context(task).get(py).unwrap_or_else(|| names::none(py));
    context::run_fallible_in(&context, || step::resume_coroutine(task, None))
}
