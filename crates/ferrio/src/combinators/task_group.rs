//! `TaskGroup`. CPython: asyncio.taskgroups.TaskGroup
//!
//! State: new -> entered -> exiting; `aborting` once its tasks were cancelled.
//! Fields: as stock's attributes of the same names. `callback` is the done-callback of its tasks.
//! Invariant: `tasks` is a dict from `__init__` on, whose keys are the tasks in order; `errors` a list, or None once they were raised.

mod exiting;
mod members;

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyDict, PyList};
use pyo3::{PyTypeInfo, ffi, intern};

pub use members::create;

use super::callback::{self, Callback, Kind};
use super::{any_future, any_task};
use crate::errors;
use crate::names;

static TASK_GROUP: Class<TaskGroup> = Class::new();

/// `asyncio.TaskGroup`.
#[derive(Debug)]
pub struct TaskGroup;

/// The native part of a group. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct TaskGroupState {
    event_loop: Slot,
    parent_task: Slot,
    tasks: Slot,
    errors: Slot,
    base_error: Slot,
    on_completed: Slot,
    callback: Slot,
    /// The last CancelledError that came while the group waited and had been cancelled by [`cancel`].
    pending: Slot,
    entered: Cell<bool>,
    exiting: Cell<bool>,
    aborting: Cell<bool>,
    parent_cancel_requested: Cell<bool>,
    /// `_cancel_on_enter`: [`cancel`] came before the group was entered.
    cancel_on_enter: Cell<bool>,
    /// The group ends because of [`cancel`]; set together with `aborting`.
    cancelled: Cell<bool>,
}

// SAFETY: empty slots and false are all-zero.
unsafe impl State for TaskGroupState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
    }
}

impl TaskGroupState {
    fn slots(&self) -> [&Slot; 8] {
        [
            &self.event_loop,
            &self.parent_task,
            &self.tasks,
            &self.errors,
            &self.base_error,
            &self.on_completed,
            &self.callback,
            &self.pending,
        ]
    }

    /// `_tasks`, in the order in which they came: that in which they are cancelled.
    fn tasks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Ok(self.tasks.get_or_none(py).cast_into::<PyDict>()?)
    }

    /// Whether `_errors` holds any.
    fn has_errors(&self, py: Python<'_>) -> PyResult<bool> {
        self.errors.get(py).map_or(Ok(false), |errors| errors.is_truthy())
    }

    fn add_error(&self, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let errors = self.errors.get_or_none(error.py());
        match errors.cast::<PyList>() {
            Ok(errors) => errors.append(error),
            Err(_) => errors.call_method1(intern!(error.py(), "append"), (error,)).map(drop),
        }
    }

    /// Keeps the first error that ends a program.
    fn note_base_error(&self, error: &Bound<'_, PyAny>) {
        let is_base =
            error.is_instance_of::<PySystemExit>() || error.is_instance_of::<PyKeyboardInterrupt>();
        if is_base && !is_something(&self.base_error, error.py()) {
            self.base_error.set(error.clone());
        }
    }
}

/// Whether a slot holds an object other than None.
fn is_something(slot: &Slot, py: Python<'_>) -> bool {
    slot.get(py).is_some_and(|object| !object.is_none())
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for TaskGroup {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        TASK_GROUP.type_ptr()
    }
}

impl DerefToPyAny for TaskGroup {}

impl NativeClass for TaskGroup {
    type State = TaskGroupState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &TASK_GROUP
    }
}

static TASK_DONE: Kind = Kind {
    qualified_name: "TaskGroup._on_task_done",
    inside: None,
    takes: 1,
    run: |this: &Bound<'_, Callback>, task| {
        let group = this.state().owner.get_or_none(this.py()).cast_into::<TaskGroup>()?;
        on_task_done(&group, task)
    },
};

/// The callback of the group's tasks, the same one for all of them.
#[inline]
fn done_callback<'py>(this: &Bound<'py, TaskGroup>) -> PyResult<Bound<'py, Callback>> {
    let state = this.state();
    if let Some(callback) = state.callback.get(this.py()) {
        return Ok(callback.cast_into::<Callback>()?);
    }
    let callback = callback::new(this.py(), &TASK_DONE)?;
    callback.state().owner.set(this.clone());
    state.callback.set(callback.clone());
    Ok(callback)
}

/// `_on_task_done`.
fn on_task_done<'py>(this: &Bound<'py, TaskGroup>, task: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    #[cfg(Py_3_14)]
    super::discard_awaiting(task, &state.parent_task)?;
    let tasks = state.tasks(py)?;
    if tasks.contains(task)? {
        tasks.del_item(task)?;
    }
    if tasks.is_empty()
        && let Some(waiter) = state.on_completed.get(py).filter(|waiter| !waiter.is_none())
    {
        any_task::release(&waiter, names::boolean(py, true))?;
    }
    match failure(task)? {
        Some(error) => on_error(this, task, &error),
        None => Ok(()),
    }
}

/// The exception of a task that was not cancelled.
#[inline]
fn failure<'py>(task: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if any_future::is_cancelled(task)? { Ok(None) } else { any_future::exception(task) }
}

#[cold]
fn on_error<'py>(
    this: &Bound<'py, TaskGroup>,
    task: &Bound<'py, PyAny>,
    error: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    state.add_error(error)?;
    state.note_base_error(error);
    let parent = state.parent_task.get_or_none(py);
    if parent.call_method0(intern!(py, "done"))?.is_truthy()? {
        return report_late(this, task, error, &parent);
    }
    if state.aborting.get() || state.parent_cancel_requested.get() {
        return Ok(());
    }
    abort(this)?;
    state.parent_cancel_requested.set(true);
    any_task::cancel(&parent)
}

fn report_late<'py>(
    this: &Bound<'py, TaskGroup>,
    task: &Bound<'py, PyAny>,
    error: &Bound<'py, PyAny>,
    parent: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let report = PyDict::new(py);
    let task_repr = task.repr()?;
    let text = format!(
        "Task {task_repr} has errored out but its parent task {parent} is already completed"
    );
    report.set_item("message", text)?;
    report.set_item("exception", error)?;
    report.set_item("task", task)?;
    let event_loop = this.state().event_loop.get_or_none(py);
    event_loop.call_method1(intern!(py, "call_exception_handler"), (report,)).map(drop)
}

/// `cancel()`, as 3.15 has it: the group ends early, without an exception of its own.
/// CPython: TaskGroup.cancel
fn cancel(this: &Bound<'_, TaskGroup>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if !state.entered.get() {
        state.cancel_on_enter.set(true);
        return Ok(());
    }
    if (state.exiting.get() && state.tasks(py)?.is_empty()) || state.aborting.get() {
        return Ok(());
    }
    abort(this)?;
    state.cancelled.set(true);
    let parent = state.parent_task.get_or_none(py);
    if parent.is_none() || state.parent_cancel_requested.replace(true) {
        return Ok(());
    }
    any_task::cancel(&parent)
}

/// `_abort()`, through Python where a subclass may have replaced it.
fn abort(this: &Bound<'_, TaskGroup>) -> PyResult<()> {
    if TASK_GROUP.is_plain(this) {
        return cancel_tasks(this);
    }
    this.as_any().call_method0(intern!(this.py(), "_abort")).map(drop)
}

/// CPython: TaskGroup._abort
fn cancel_tasks(this: &Bound<'_, TaskGroup>) -> PyResult<()> {
    let py = this.py();
    this.state().aborting.set(true);
    for task in this.state().tasks(py)?.keys() {
        if !any_future::is_done(&task)? {
            any_task::cancel(&task)?;
        }
    }
    Ok(())
}

/// Whether an error is a cancellation.
fn is_cancellation(error: &PyErr, py: Python<'_>) -> PyResult<bool> {
    errors::is_cancelled_error(py, error)
}
