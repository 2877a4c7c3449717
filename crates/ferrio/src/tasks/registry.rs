//! The live tasks, for `asyncio.all_tasks()`. Tasks of our loops stand in the loop's own list, which
//! costs a store; those of foreign loops are registered with `_asyncio` as stock's are. From 3.14 on
//! `_asyncio` has a cheap list of its own, which debuggers read, so all are registered there.

use ferrio_capi::StateOf;
use pyo3::prelude::*;

use super::task::Task;
use crate::names;

pub use list::remove;

/// Lists a task that has just been scheduled.
#[inline]
pub fn insert(task: &Bound<'_, Task>) -> PyResult<()> {
    if list::insert(task) {
        return Ok(());
    }
    remove(task.py(), task.as_ptr(), task.state());
    names::REGISTER_TASK.get(task.py())?.call1((task,))?;
    list::note_end(task);
    Ok(())
}

/// Before 3.14: the loops' own lists.
#[cfg(not(Py_3_14))]
mod list {
    use ferrio_capi::StateOf;
    use pyo3::ffi;
    use pyo3::prelude::*;

    use crate::futures::{AsFuture, FutureClass};
    use crate::tasks::task::{Task, TaskState};

    /// Whether the task's loop has a list.
    #[inline]
    pub(super) fn insert(task: &Bound<'_, Task>) -> bool {
        let py = task.py();
        let Some(native) = task.as_future().state.native_loop(py) else {
            return false;
        };
        let state = task.state();
        if state.place.get() == 0 {
            // SAFETY: `Task::clear_base` removes the task before its state or memory goes.
            let place = unsafe { native.get().tasks.borrow_mut(py).insert(task.as_any()) };
            state.place.set(place + 1);
        }
        true
    }

    /// `_asyncio` knows no list of a loop of ours.
    pub(super) fn note_end(_task: &Bound<'_, Task>) {}

    /// Takes a task off the list, if it is on it.
    #[inline]
    pub fn remove(py: Python<'_>, _task: *mut ffi::PyObject, state: &TaskState) {
        let place = state.place.replace(0);
        if place == 0 {
            return;
        }
        if let Some(native) = Task::future(state).native_loop(py) {
            native.get().tasks.borrow_mut(py).remove(place - 1);
        }
    }
}

/// Since 3.14: `_asyncio`'s list, linked through the tasks, one for each thread. `_asyncio` is asked to
/// put the first task of a run there, which shows where the list is.
#[cfg(Py_3_14)]
mod list {
    use std::sync::atomic::Ordering;

    use ferrio_capi::runtime;
    use pyo3::ffi;
    use pyo3::prelude::*;

    use crate::futures::AsFuture;
    use crate::tasks::fields;
    use crate::tasks::task::{Task, TaskState};

    /// Whether the thread's list is known.
    #[inline]
    pub(super) fn insert(task: &Bound<'_, Task>) -> bool {
        let Some(native) = task.as_future().state.native_loop(task.py()) else {
            return false;
        };
        let native = native.get();
        let head = native.task_list.load(Ordering::Relaxed);
        if head.is_null() || native.running_thread() != Some(runtime::thread_ident()) {
            return false;
        }
        if fields::next_in_list(task.as_ptr()).is_null() {
            // SAFETY: the head was found in this run of the loop by this thread, which is alive.
            unsafe { fields::link_last(task.as_ptr(), head) };
        }
        true
    }

    /// Remembers the list at whose end `_asyncio` has just put a task.
    pub(super) fn note_end(task: &Bound<'_, Task>) {
        if let Some(native) = task.as_future().state.native_loop(task.py())
            && native.get().running_thread() == Some(runtime::thread_ident())
        {
            let head = fields::next_in_list(task.as_ptr());
            native.get().task_list.store(head, Ordering::Relaxed);
        }
    }

    /// Takes a task off the list, if it is on it.
    #[inline]
    pub fn remove(_py: Python<'_>, task: *mut ffi::PyObject, _state: &TaskState) {
        fields::unlink(task);
    }
}
