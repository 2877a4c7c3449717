//! `ensure_future`. CPython: asyncio.tasks.ensure_future

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{call, send};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::coroutine;
use crate::errors;
use crate::loop_state::{EventLoop, as_native};
use crate::names;
use crate::running;
use crate::tasks::task::{self, Parts};
use crate::tasks::{sleep, wrapper};

static ENSURE_FUTURE: Signature<2> = Signature {
    format: c"O|$O:ensure_future",
    names: [c"coro_or_future", c"loop"],
    positional: 1,
    required: 1,
};

fn ensure_future<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    let [object, event_loop] = ENSURE_FUTURE.parse(&arguments)?;
    let event_loop = event_loop.filter(|event_loop| !event_loop.is_none());
    if let (Some(object), None) = (object, event_loop) {
        if wrapper::exact_future(object).is_some() {
            return Ok(object.clone());
        }
        if is_coroutine(object)
            && let Some(native) = running_loop(py)?
        {
            return create_task(&native, object);
        }
    }
    let (positional, keywords) = arguments.to_objects()?;
    names::ENSURE_FUTURE.get(py)?.call(positional, Some(&keywords))
}

/// Whether the object is a coroutine of the interpreter's or one of ours.
#[inline]
pub fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    send::is_exact_coroutine(object)
        || coroutine::as_coroutine(object).is_some()
        || sleep::as_sleep(object).is_some()
}

/// The running loop, if it is one of ours that is called past Python.
#[inline]
pub fn running_loop(py: Python<'_>) -> PyResult<Option<Bound<'_, EventLoop>>> {
    let running = running::get_or_none(py)?;
    Ok(as_native(&running).filter(|native| native.get().takes_items()).cloned())
}

/// `ensure_future(coroutine, loop=event_loop)`. With a task factory the task may be of any kind.
#[inline]
pub fn create_task<'py>(
    event_loop: &Bound<'py, EventLoop>,
    coro: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if event_loop.get().makes_tasks(coro.py()) {
        return task::spawn(event_loop, Parts::of(coro.clone())).map(Bound::into_any);
    }
    create_by_method(event_loop, coro)
}

fn create_by_method<'py>(
    event_loop: &Bound<'py, EventLoop>,
    coro: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = coro.py();
    let created = call::call_method(event_loop.as_any(), intern!(py, "create_task"), [coro]);
    created.map_err(|error| {
        if !error.is_instance_of::<PyRuntimeError>(py) {
            return error;
        }
        let closed = coro.call_method0(intern!(py, "close")).map(drop);
        errors::after_handling(py, error, closed)
    })
}

/// `ferrio.ensure_future`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::ENSURE_FUTURE.get(py)?, ensure_future)
}
