//! The two fields of stock's own part of a Task that its C methods return without looking: the
//! coroutine and the context. They are filled in ours too, so that `asyncio.Task.get_coro(task)`, called
//! unbound, gives what `task.get_coro()` gives instead of reading a null pointer.
//!
//! Where they lie is found by looking for known objects in a stock Task, once, because the layout is
//! private. Where they are not found nothing is filled in.

use std::sync::OnceLock;

use ferrio_capi::{Slot, base_fields};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use super::task::Task;
use crate::names;

/// Bytes from a Task's start to stock's coroutine and context.
static OFFSETS: OnceLock<[Option<usize>; 2]> = OnceLock::new();

/// The fields of an instance.
#[inline]
pub fn fields<'a>(task: *mut ffi::PyObject) -> [Option<&'a Slot>; 2] {
    let offsets = OFFSETS.get().copied().unwrap_or_default();
    // SAFETY: `locate` found the offsets in an instance of Task's base class, each holding an owned
    // reference there; in ours nobody else writes them.
    offsets.map(|offset| offset.map(|offset| unsafe { base_fields::at(task, offset) }))
}

/// Fills the fields of a task.
#[inline]
pub fn fill<'py>(task: &Bound<'py, Task>, coro: &Bound<'py, PyAny>, context: &Bound<'py, PyAny>) {
    for (field, value) in fields(task.as_ptr()).into_iter().zip([coro, context]) {
        if let Some(field) = field {
            field.set(value.clone());
        }
    }
}

/// Empties the coroutine's field, as stock does when an eager task has ended.
#[cfg(Py_3_12)]
pub fn forget_coro(task: &Bound<'_, Task>) {
    if let [Some(coro), _] = fields(task.as_ptr()) {
        coro.set(names::none(task.py()));
    }
}

/// Looks for the fields in a stock Task that is made for the purpose and never runs.
pub fn locate(py: Python<'_>) -> PyResult<()> {
    // All that a new task asks of its loop: whether it debugs (bool() is False), and a call_soon that
    // takes any arguments (a format without fields does).
    let event_loop = py.import("types")?.getattr("SimpleNamespace")?.call0()?;
    event_loop.setattr("get_debug", py.get_type::<PyBool>())?;
    event_loop.setattr("call_soon", PyString::new(py, "").getattr("format")?)?;
    let context = ferrio_capi::context::copy_current(py)?;
    let coro = py.import("asyncio")?.getattr("sleep")?.call1((0,))?;
    let arguments = PyDict::new(py);
    arguments.set_item("loop", event_loop)?;
    arguments.set_item("context", &context)?;
    let task = names::STOCK_TASK.get(py)?.call((&coro,), Some(&arguments))?;
    task.setattr("_log_destroy_pending", false)?;
    // SAFETY: the base part of an instance is `__basicsize__` bytes of pointers and integers.
    let offsets = [&coro, &context].map(|wanted| unsafe { base_fields::find(&task, wanted) });
    let _ = OFFSETS.set(offsets);
    coro.call_method0("close").map(drop)
}
