//! `ensure_future`. CPython: asyncio.tasks.ensure_future

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::send;
use ferrio_capi::signature::Signature;
use pyo3::prelude::*;

use crate::coroutine;
use crate::loop_state::{EventLoop, as_native};
use crate::names;
use crate::tasks::task::{self, Parts};
use crate::tasks::{Task, sleep, wrapper};

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
            return create_task(&native, object).map(Bound::into_any);
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

/// The running loop, if it is one of ours that makes tasks without calling Python.
#[inline]
pub fn running_loop(py: Python<'_>) -> PyResult<Option<Bound<'_, EventLoop>>> {
    let running = names::GET_RUNNING_LOOP.get(py)?.call0()?;
    let native = as_native(&running).filter(|native| native.get().makes_tasks(py));
    Ok(native.cloned())
}

/// `loop.create_task(coroutine)`.
#[inline]
pub fn create_task<'py>(
    event_loop: &Bound<'py, EventLoop>,
    coro: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, Task>> {
    task::spawn(event_loop, Parts { coro: coro.clone(), name: None, context: None })
}

/// `ferrio.ensure_future`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::ENSURE_FUTURE.get(py)?, ensure_future)
}
