//! `create_future`, and `create_task` with and without a task factory.

use ferrio_capi::method::Object;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use pyo3::{PyTypeInfo, intern};

use super::debug;
use super::lifecycle::inherited;
use crate::futures::methods as futures;
use crate::loop_state::{EventLoop, get};
use crate::tasks::{Task, task};

/// `create_future`.
#[inline]
pub fn create_future<'py>(slf: &Bound<'py, EventLoop>) -> Object<'py> {
    let future = futures::new(slf)?.into_any();
    if get(&slf.get().debug) {
        debug::add_creating_frame(slf, &future)?;
    }
    Ok(future)
}

/// `create_task`. With a task factory, or keywords that this Python's own loop does not know, the
/// inherited method decides (and words the error).
#[inline]
pub fn create_task<'py>(
    slf: &Bound<'py, EventLoop>,
    coro: Bound<'py, PyAny>,
    name: Option<Bound<'py, PyAny>>,
    context: Option<Bound<'py, PyAny>>,
    more: Option<Bound<'py, PyDict>>,
) -> Object<'py> {
    let py = slf.py();
    let native = slf.get();
    native.check_closed()?;
    let default = native.task_factory.borrow_mut(py).is_none();
    match more {
        None if default => {
            let parts = task::Parts { coro, name, context };
            Ok(task::spawn(slf, parts)?.into_any())
        }
        Some(keywords) if default && passes_keywords_on(slf)? => {
            keywords.set_item(intern!(py, "loop"), slf)?;
            set_given(&keywords, name, context)?;
            Task::type_object(py).call((coro,), Some(&keywords))
        }
        more => {
            let keywords = more.unwrap_or_else(|| PyDict::new(py));
            set_given(&keywords, name, context)?;
            inherited(slf)?.call_method(intern!(py, "create_task"), (coro,), Some(&keywords))
        }
    }
}

fn set_given<'py>(
    keywords: &Bound<'py, PyDict>,
    name: Option<Bound<'py, PyAny>>,
    context: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = keywords.py();
    if let Some(name) = name {
        keywords.set_item(intern!(py, "name"), name)?;
    }
    if let Some(context) = context {
        keywords.set_item(intern!(py, "context"), context)?;
    }
    Ok(())
}

/// Whether this Python's `create_task` takes `**kwargs` for the task (3.13.3 and later).
fn passes_keywords_on(slf: &Bound<'_, EventLoop>) -> PyResult<bool> {
    static ANSWER: PyOnceLock<bool> = PyOnceLock::new();
    const VAR_KEYWORDS: u32 = 0x08;
    ANSWER
        .get_or_try_init(slf.py(), || {
            let function = inherited(slf)?.getattr("create_task")?;
            let flags: u32 = function.getattr("__code__")?.getattr("co_flags")?.extract()?;
            Ok(flags & VAR_KEYWORDS != 0)
        })
        .copied()
}
