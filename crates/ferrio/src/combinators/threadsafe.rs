//! `run_coroutine_threadsafe`. CPython: asyncio.tasks.run_coroutine_threadsafe
//!
//! Fields of the callback: `owner` is the coroutine, `first` the concurrent future, `second` the loop.

use ferrio_capi::StateOf;
use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::callback::{self, Callback, Kind};
use super::chain;
use super::ensure_future::{create_task, is_coroutine};
use crate::errors;
use crate::loop_state::{as_native, get};
use crate::names;
use crate::tasks::wrapper;

static ARGUMENTS: Signature<2> = Signature {
    format: c"OO:run_coroutine_threadsafe",
    names: [c"coro", c"loop"],
    positional: 2,
    required: 2,
};

fn run_coroutine_threadsafe<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    if let [Some(coro), Some(event_loop)] = ARGUMENTS.parse(&arguments)?
        && is_coroutine(coro)
        && as_native(event_loop).is_some_and(|native| !get(&native.get().debug))
    {
        let concurrent = names::CONCURRENT_FUTURE.get(py)?.call0()?;
        let callback = callback::new(py, &BEGIN)?;
        callback.state().owner.set(coro.clone());
        callback.state().first.set(concurrent.clone());
        callback.state().second.set(event_loop.clone());
        event_loop.call_method1(intern!(py, "call_soon_threadsafe"), (callback,))?;
        return Ok(concurrent);
    }
    let (positional, keywords) = arguments.to_objects()?;
    names::RUN_COROUTINE_THREADSAFE.get(py)?.call(positional, Some(&keywords))
}

static BEGIN: Kind = Kind {
    qualified_name: "run_coroutine_threadsafe.<locals>.callback",
    inside: Some(&names::RUN_COROUTINE_THREADSAFE),
    takes: 0,
    run: begin,
};

/// The loop begins the coroutine.
fn begin(this: &Bound<'_, Callback>, _: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = this.py();
    let concurrent = this.state().first.get_or_none(py);
    match spawn(this, &concurrent) {
        Err(error) if !errors::leaves_the_loop(py, &error) => {
            let told = tell(&concurrent, &error);
            Err(errors::after_handling(py, error, told))
        }
        outcome => outcome,
    }
}

/// Makes the task and chains it.
fn spawn<'py>(this: &Bound<'py, Callback>, concurrent: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let coro = this.state().owner.get_or_none(py);
    let event_loop = this.state().second.get_or_none(py);
    let task = match as_native(&event_loop).filter(|native| native.get().makes_tasks(py)) {
        Some(native) => create_task(native, &coro)?.into_any(),
        None => {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "loop"), event_loop)?;
            names::ENSURE_FUTURE.get(py)?.call((coro,), Some(&keywords))?
        }
    };
    match wrapper::exact_future(&task) {
        Some(native) => chain::to_concurrent(native, concurrent),
        None => names::CHAIN_FUTURE.get(py)?.call1((task, concurrent)).map(drop),
    }
}

/// There is no task: who waits for the concurrent future learns why.
fn tell(concurrent: &Bound<'_, PyAny>, error: &PyErr) -> PyResult<()> {
    let py = concurrent.py();
    if concurrent.call_method0(intern!(py, "set_running_or_notify_cancel"))?.is_truthy()? {
        concurrent.call_method1(intern!(py, "set_exception"), (error.value(py),))?;
    }
    Ok(())
}

/// `ferrio.run_coroutine_threadsafe`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::RUN_COROUTINE_THREADSAFE.get(py)?, run_coroutine_threadsafe)
}
