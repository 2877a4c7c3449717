//! `create_task`. CPython: asyncio.tasks.create_task

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use pyo3::prelude::*;

use super::ensure_future::{is_coroutine, running_loop};
use crate::names;
use crate::tasks::task::{self, Parts};

fn create_task<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    if let Some(parts) = Parts::of_plain_call(&arguments)
        && is_named_when_made(&parts)
        && is_coroutine(&parts.coro)
        && let Some(native) = running_loop(py)?
        && native.get().makes_tasks(py)
    {
        return task::spawn(&native, parts).map(Bound::into_any);
    }
    let (positional, keywords) = arguments.to_objects()?;
    names::CREATE_TASK.get(py)?.call(positional, Some(&keywords))
}

/// Before 3.13 a task gets its name after it was made: it has used up a number for its default one.
fn is_named_when_made(parts: &Parts<'_>) -> bool {
    cfg!(Py_3_13) || parts.name.as_ref().is_none_or(|name| name.is_none())
}

/// `ferrio.create_task`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::CREATE_TASK.get(py)?, create_task)
}
