//! What lies in stock's own part of a Task, ours as well: the coroutine and the context. `_asyncio`'s
//! methods return them without looking (`asyncio.Task.get_coro(task)`, called unbound), and greenback
//! puts another coroutine there. From 3.14 on also what debuggers of other processes read: the name, and
//! the link in `_asyncio`'s list of live tasks.
//!
//! Where they lie is found by looking for known objects in stock Tasks, once, because the layout is
//! private. Without them the extension cannot be imported.

#[cfg(Py_3_14)]
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrio_capi::{Slot, base_fields};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use super::task::Task;
use crate::names;

/// The coroutine, the context and, from 3.14 on, the name.
const FIELDS: usize = if cfg!(Py_3_14) { 3 } else { 2 };

/// Bytes from a Task's start to the fields.
static OFFSETS: [AtomicUsize; FIELDS] = [const { AtomicUsize::new(0) }; FIELDS];

/// Bytes from a Task's start to its link in `_asyncio`'s list.
#[cfg(Py_3_14)]
static LINK: AtomicUsize = AtomicUsize::new(0);

#[inline]
fn field<'a>(task: *mut ffi::PyObject, index: usize) -> &'a Slot {
    // SAFETY: `locate` found the offset in an instance of Task's base class, which has an owned
    // reference there, as stock's methods keep it.
    unsafe { base_fields::at(task, OFFSETS[index].load(Ordering::Relaxed)) }
}

/// The coroutine. None before `__init__`, and the object None, as stock says then, once an eager task
/// has ended.
#[inline]
pub fn coro<'a>(task: &'a Bound<'_, Task>) -> &'a Slot {
    field(task.as_ptr(), 0)
}

/// The context. None before `__init__`.
#[inline]
pub fn context<'a>(task: &'a Bound<'_, Task>) -> &'a Slot {
    field(task.as_ptr(), 1)
}

/// The name.
#[cfg(Py_3_14)]
#[inline]
pub fn name<'a>(task: &'a Bound<'_, Task>) -> &'a Slot {
    field(task.as_ptr(), 2)
}

/// All of them, of an instance that may be about to be freed.
#[inline]
pub fn all<'a>(task: *mut ffi::PyObject) -> [&'a Slot; FIELDS] {
    std::array::from_fn(|index| field(task, index))
}

/// Takes a task off `_asyncio`'s list, if it is on it. It may be about to be freed.
#[cfg(Py_3_14)]
#[inline]
pub fn unlink(task: *mut ffi::PyObject) {
    // SAFETY: `locate` found the link in the base class; `_asyncio` changes the list attached only.
    unsafe { base_fields::unlink(task, LINK.load(Ordering::Relaxed)) };
}

/// What follows the task in `_asyncio`'s list: the list's head when it was listed last. Null when it is
/// not listed.
#[cfg(Py_3_14)]
#[inline]
pub fn next_in_list(task: *mut ffi::PyObject) -> *mut c_void {
    // SAFETY: as in `unlink`.
    unsafe { base_fields::next_link(task, LINK.load(Ordering::Relaxed)) }
}

/// Puts an unlisted task at the end of the list.
///
/// # Safety
/// `head` is the head of `_asyncio`'s list of a thread that is alive.
#[cfg(Py_3_14)]
#[inline]
pub unsafe fn link_last(task: *mut ffi::PyObject, head: *mut c_void) {
    // SAFETY: as in `unlink`, and the caller's promise.
    unsafe { base_fields::link_before(task, LINK.load(Ordering::Relaxed), head) };
}

/// Looks for the fields in stock Tasks that are made for the purpose and never run.
pub fn locate(py: Python<'_>) -> PyResult<()> {
    // All that a new task asks of its loop: whether it debugs (bool() is False), and a call_soon that
    // takes any arguments (a format without fields does).
    let event_loop = py.import("types")?.getattr("SimpleNamespace")?.call0()?;
    event_loop.setattr("get_debug", py.get_type::<PyBool>())?;
    event_loop.setattr("call_soon", PyString::new(py, "").getattr("format")?)?;
    let context = ferrio_capi::context::copy_current(py)?;
    let coro = py.import("asyncio")?.getattr("sleep")?.call1((0,))?;
    let name = PyString::new(py, "found").into_any();
    let arguments = PyDict::new(py);
    arguments.set_item("loop", &event_loop)?;
    arguments.set_item("context", &context)?;
    arguments.set_item("name", &name)?;
    let make = || {
        let task = names::STOCK_TASK.get(py)?.call((&coro,), Some(&arguments))?;
        task.setattr("_log_destroy_pending", false)?;
        PyResult::Ok(task)
    };
    let task = make()?;
    for (offset, wanted) in OFFSETS.iter().zip([&coro, &context, &name]) {
        // SAFETY: the base part of an instance is `__basicsize__` bytes of pointers and integers.
        let found = unsafe { base_fields::find(&task, wanted) };
        offset.store(found.ok_or_else(strange_layout)?, Ordering::Relaxed);
    }
    #[cfg(Py_3_14)]
    locate_shared(&task, &make()?, &event_loop)?;
    coro.call_method0("close").map(drop)
}

fn strange_layout() -> PyErr {
    PyRuntimeError::new_err("_asyncio.Task is not laid out as expected")
}

/// Looks for what `_asyncio` and debuggers use as well, in two stock Tasks made one after the other.
#[cfg(Py_3_14)]
fn locate_shared(
    task: &Bound<'_, PyAny>,
    next_task: &Bound<'_, PyAny>,
    event_loop: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = task.py();
    // SAFETY: as in `locate`.
    let link = unsafe { base_fields::find_link(task, next_task) };
    let link = link.ok_or_else(strange_layout)?;
    LINK.store(link, Ordering::Relaxed);
    let arguments = PyDict::new(py);
    arguments.set_item("loop", event_loop)?;
    let make_future = || names::STOCK_FUTURE.get(py)?.call((), Some(&arguments));
    crate::futures::awaited_by::locate(task, [&make_future()?, &make_future()?])
}
