//! `create_future`, and `create_task` with and without a task factory.

use ferrio_capi::method::{Arguments, Object};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use pyo3::{PyTypeInfo, intern};

use super::debug;
use super::lifecycle::inherited;
use crate::futures::methods as futures;
use crate::loop_state::{EventLoop, get};
#[cfg(Py_3_12)]
use crate::names;
use crate::tasks::Task;
#[cfg(Py_3_12)]
use crate::tasks::name;
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

/// `create_task(coro, *, name=None, context=None, **kwargs)`. With keywords that this Python's own loop
/// does not know the inherited method decides (and words the error).
#[inline]
pub fn create_task<'py>(
    slf: &Bound<'py, EventLoop>,
    arguments: &Arguments<'_, 'py>,
) -> Object<'py> {
    let py = slf.py();
    let native = slf.get();
    native.check_closed()?;
    let factory = native.task_factory.borrow_mut(py).as_ref().map(|factory| factory.bind(py));
    let default = factory.is_none();
    if let Some(parts) = Parts::of_plain_call(arguments) {
        match &factory {
            None => return Ok(task::spawn(slf, parts)?.into_any()),
            // The inherited method is part of where a task was made.
            Some(_) if get(&native.debug) => {}
            #[cfg(Py_3_12)]
            Some(factory) if is_eager(factory)? => {
                return spawn_eagerly(slf, parts);
            }
            Some(factory) if calls_factory_plainly(slf, &parts)? => {
                return call_factory(slf, factory, &parts, arguments);
            }
            Some(_) => {}
        }
    }
    let (positional, keywords) = arguments.to_objects()?;
    if default && positional.len() == 1 && passes_keywords_on(slf)? {
        keywords.set_item(intern!(py, "loop"), slf)?;
        return Task::type_object(py).call(positional, Some(&keywords));
    }
    inherited(slf)?.call_method(intern!(py, "create_task"), positional, Some(&keywords))
}

/// Whether a task factory is `asyncio.eager_task_factory`.
#[cfg(Py_3_12)]
fn is_eager(factory: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(factory.is(names::EAGER_TASK_FACTORY.get(factory.py())?))
}

/// A task of that factory's. Before 3.14 it gets its name when its first step is over; on 3.13 the name
/// "None" where none is given, as on stock.
#[cfg(Py_3_12)]
fn spawn_eagerly<'py>(slf: &Bound<'py, EventLoop>, mut parts: Parts<'py>) -> Object<'py> {
    parts.eager = Some(parts.eager.unwrap_or(true));
    let later = if cfg!(Py_3_14) { None } else { parts.name.take() };
    let later = later.unwrap_or_else(|| names::none(slf.py()));
    let task = task::spawn(slf, parts)?;
    if !later.is_none() || cfg!(all(Py_3_13, not(Py_3_14))) {
        name::set(&task, &later)?;
    }
    Ok(task.into_any())
}

/// Whether this Python's `create_task` does with a task factory what [`call_factory`] does. Before 3.13
/// the words of a warning about a task without `set_name` are the inherited method's.
fn calls_factory_plainly(slf: &Bound<'_, EventLoop>, parts: &Parts<'_>) -> PyResult<bool> {
    Ok(if cfg!(Py_3_14) {
        true
    } else if cfg!(Py_3_13) {
        !passes_keywords_on(slf)?
    } else {
        parts.name.as_ref().is_none_or(|name| name.is_none())
    })
}

/// CPython: BaseEventLoop.create_task
fn call_factory<'py>(
    slf: &Bound<'py, EventLoop>,
    factory: &Bound<'py, PyAny>,
    parts: &Parts<'py>,
    arguments: &Arguments<'_, 'py>,
) -> Object<'py> {
    let py = slf.py();
    if cfg!(Py_3_14) {
        let (_, keywords) = arguments.to_objects()?;
        return factory.call((slf, &parts.coro), Some(&keywords));
    }
    let task = match parts.context.as_ref().filter(|context| !context.is_none()) {
        None => factory.call1((slf, &parts.coro))?,
        Some(context) => {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "context"), context)?;
            factory.call((slf, &parts.coro), Some(&keywords))?
        }
    };
    if cfg!(Py_3_13) {
        task.call_method1(intern!(py, "set_name"), (&parts.name,))?;
    }
    Ok(task)
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
