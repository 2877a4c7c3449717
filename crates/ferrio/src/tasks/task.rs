//! The state of a Task and its birth.
//!
//! State: a Task is a Future whose outcome is its coroutine's. While it is pending, exactly one of
//! these holds: its step is queued; it is executing a step; it waits for `waiter`, which will queue
//! its step.
//! Fields: `place` (before 3.14) is where the loop's list of live tasks holds the task, plus one; 0
//! when it does not.
//! Shutdown: tp_finalize reports a pending task that is destroyed.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::Arguments;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, context, send};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyBool, PyBoolMethods, PyString, PyTuple};
use pyo3::{PyTypeInfo, ffi};

use super::name::{self, Name};
use super::{fields, registry, step};
#[cfg(Py_3_14)]
use crate::futures::awaited_by;
use crate::futures::{AsFuture, FutureClass, FutureState};
use crate::loop_state::{self, EventLoop};
use crate::names;

static TASK: Class<Task> = Class::new();

/// `ferrio.Task`.
#[derive(Debug)]
pub struct Task;

/// The native part of a Task. All-zero is a task whose `__init__` did not run.
pub struct TaskState {
    future: FutureState,
    /// `_fut_waiter`: what the coroutine awaits.
    pub waiter: Slot,
    pub name: Name,
    /// `_num_cancels_requested`.
    pub cancel_requests: Cell<u32>,
    #[cfg(not(Py_3_14))]
    pub place: Cell<u32>,
}

// SAFETY: its parts promise the same, and empty slots and zeroes are their empty values.
unsafe impl State for TaskState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.future.traverse(visit)?;
        self.name.traverse(visit)?;
        visit.slot(&self.waiter)
    }

    fn clear(&self, py: Python<'_>) {
        self.future.clear(py);
        drop(self.waiter.take(py));
        self.name.clear(py);
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Task {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        TASK.type_ptr()
    }
}

impl DerefToPyAny for Task {}

impl NativeClass for Task {
    type State = TaskState;
    const KEPT: usize = 256;

    fn class() -> &'static Class<Self> {
        &TASK
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        #[cfg(Py_3_14)]
        awaited_by::traverse(object, visit)?;
        fields::all(object).into_iter().try_for_each(|field| visit.slot(field))
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        // SAFETY: the collector or tp_dealloc calls this for an instance of the class.
        registry::remove(py, object, unsafe { TASK.state_at(object) });
        #[cfg(Py_3_14)]
        awaited_by::clear(object, py);
        for field in fields::all(object) {
            drop(field.take(py));
        }
    }

    fn needs_finalizer(state: &TaskState) -> bool {
        state.future.log_traceback.get()
            || (state.future.is_pending() && !state.future.silent_destroy.get())
    }
}

impl FutureClass for Task {
    fn future(state: &TaskState) -> &FutureState {
        &state.future
    }
}

/// `object` as a Task when it is exactly one.
#[inline]
pub fn as_exact<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Task>> {
    TASK.cast_exact(object)
}

/// What a task is made of, beside its loop.
#[derive(Debug)]
pub struct Parts<'py> {
    pub coro: Bound<'py, PyAny>,
    /// The name; the next number when None.
    pub name: Option<Bound<'py, PyAny>>,
    /// The context; a copy of the current one when None.
    pub context: Option<Bound<'py, PyAny>>,
    /// Whether the first step runs at once, if the caller has said so.
    pub eager: Option<bool>,
}

impl<'py> Parts<'py> {
    /// The parts of `create_task(coro)`.
    #[inline]
    pub fn of(coro: Bound<'py, PyAny>) -> Self {
        Self { coro, name: None, context: None, eager: None }
    }

    /// The parts of a call `create_task(coro)` that names nothing but `name`, `context` and, where
    /// every `create_task` takes it, `eager_start`.
    #[inline]
    pub fn of_plain_call(arguments: &Arguments<'_, 'py>) -> Option<Self> {
        if arguments.positional_len() != 1 {
            return None;
        }
        let mut parts = Self::of(arguments.value(0)?.clone());
        if let Some(names) = arguments.names() {
            let names = names.cast_into::<PyTuple>().ok()?;
            for (index, keyword) in names.iter_borrowed().enumerate() {
                let value = arguments.value(1 + index).cloned();
                match keyword.cast::<PyString>().ok()?.to_str().ok()? {
                    "name" => parts.name = value,
                    "context" => parts.context = value,
                    "eager_start" if cfg!(Py_3_14) => {
                        parts.eager = Some(value?.cast_into::<PyBool>().ok()?.is_true());
                    }
                    _ => return None,
                }
            }
        }
        Some(parts)
    }
}

/// The task of `loop.create_task(coro)`.
pub fn spawn<'py>(
    event_loop: &Bound<'py, EventLoop>,
    parts: Parts<'py>,
) -> PyResult<Bound<'py, Task>> {
    let py = event_loop.py();
    let task = TASK.alloc(py)?;
    if loop_state::get(&event_loop.get().debug) {
        task.as_future().state.reset(py, event_loop.as_any().clone())?;
    } else {
        task.as_future().state.begin(event_loop);
    }
    let eager = parts.eager == Some(true);
    adopt(&task, parts)?;
    begin(&task, eager)?;
    Ok(task)
}

/// Gives a reset task its coroutine, context and name. CPython: _asyncio_Task___init___impl
pub fn adopt<'py>(task: &Bound<'py, Task>, parts: Parts<'py>) -> PyResult<()> {
    let py = task.py();
    let state = task.state();
    if !send::is_exact_coroutine(&parts.coro)
        && !names::IS_COROUTINE.get(py)?.call1((&parts.coro,))?.is_truthy()?
    {
        state.future.silent_destroy.set(true);
        let text = format!("a coroutine was expected, got {}", parts.coro.repr()?);
        return Err(PyTypeError::new_err(text));
    }
    let context = match parts.context {
        Some(context) if !context.is_none() => context,
        _ => context::copy_current(py)?,
    };
    #[cfg(Py_3_14)]
    awaited_by::mark_task(task.as_ptr());
    fields::context(task).set(context);
    drop(state.waiter.take(py));
    state.future.must_cancel.set(false);
    state.future.silent_destroy.set(false);
    state.cancel_requests.set(0);
    fields::coro(task).set(parts.coro);
    match parts.name {
        Some(name) if !name.is_none() => name::set(task, &name),
        _ => {
            name::reset(task);
            Ok(())
        }
    }
}

/// Runs the first step, or queues it.
///
/// # Errors
/// What queueing raises.
#[inline]
pub fn begin(task: &Bound<'_, Task>, eager: bool) -> PyResult<()> {
    #[cfg(Py_3_12)]
    if eager {
        return super::eager::start(task);
    }
    debug_assert!(!eager, "there is no eager start before 3.12");
    schedule_first_step(task)
}

/// Queues the first step and lists the task as live.
pub fn schedule_first_step(task: &Bound<'_, Task>) -> PyResult<()> {
    step::schedule(task, None)?;
    registry::insert(task)
}
