//! `create_future`, and `create_task` with and without a task factory.

use ferrio_capi::method::{Arguments, Object};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{PyTypeInfo, intern};

use super::debug;
use super::lifecycle::inherited;
use crate::futures::methods as futures;
use crate::loop_state::{EventLoop, get};
use crate::tasks::Task;
use crate::tasks::task::{self, Parts};

/// `create_future`.
#[inline]
pub fn create_future<'py>(slf: &Bound<'py, EventLoop>) -> Object<'py> {
    let future = futures::new(slf)?.into_any();
    if get(&slf.get().debug) {
        debug::add_creating_frame(slf, &future)?;
    }
    Ok(future)
}

/// `create_task(coro, *, name=None, context=None, **kwargs)`. With a task factory, or keywords that
/// this Python's own loop does not know, the inherited method decides (and words the error).
#[inline]
pub fn create_task<'py>(
    slf: &Bound<'py, EventLoop>,
    arguments: &Arguments<'_, 'py>,
) -> Object<'py> {
    let py = slf.py();
    let native = slf.get();
    native.check_closed()?;
    let default = native.task_factory.borrow_mut(py).is_none();
    if default && let Some(parts) = Parts::of_plain_call(arguments) {
        return Ok(task::spawn(slf, parts)?.into_any());
    }
    let (positional, keywords) = arguments.to_objects()?;
    if default && positional.len() == 1 && passes_keywords_on(slf)? {
        keywords.set_item(intern!(py, "loop"), slf)?;
        return Task::type_object(py).call(positional, Some(&keywords));
    }
    inherited(slf)?.call_method(intern!(py, "create_task"), positional, Some(&keywords))
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
