//! The live tasks, for `asyncio.all_tasks()`. Tasks of our loops stand in the loop's own list, which
//! costs a store; those of foreign loops are registered with `_asyncio` as stock's are. From 3.14 on
//! `_asyncio` has a cheap list of its own, which debuggers read, so all are registered there.

use ferrio_capi::StateOf;
use pyo3::prelude::*;

use super::task::{Task, TaskState};
use crate::futures::{AsFuture, FutureClass};
use crate::names;

/// Lists a task that has just been scheduled.
#[inline]
pub fn insert(task: &Bound<'_, Task>) -> PyResult<()> {
    let py = task.py();
    if !cfg!(Py_3_14)
        && let Some(native) = task.as_future().state.native_loop(py)
    {
        let state = task.state();
        if state.place.get() == 0 {
            // SAFETY: `Task::before_free` and tp_clear remove the task.
            let place = unsafe { native.get().tasks.borrow_mut(py).insert(task.as_any()) };
            state.place.set(place + 1);
        }
        return Ok(());
    }
    names::REGISTER_TASK.get(py)?.call1((task,))?;
    #[cfg(Py_3_14)]
    task.state().place.set(1);
    Ok(())
}

/// Takes a task off the list, if it is on it.
#[inline]
pub fn remove(py: Python<'_>, state: &TaskState) {
    let place = state.place.replace(0);
    if place == 0 {
        return;
    }
    #[cfg(not(Py_3_14))]
    if let Some(native) = Task::future(state).native_loop(py) {
        native.get().tasks.borrow_mut(py).remove(place - 1);
    }
}
