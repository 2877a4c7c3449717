//! A future of a loop and one of `concurrent.futures`, chained so that the outcome of one becomes that
//! of the other and a cancellation goes back: `wrap_future`, and what `run_coroutine_threadsafe` gives.
//! CPython: asyncio.futures.wrap_future, asyncio.futures._chain_future
//!
//! Fields of the callbacks: `owner` is the other future.
//! Safety: what a concurrent future calls runs in any thread, and touches the loop's future only
//! through `call_soon_threadsafe`.

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, context};
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{PyTypeInfo, intern};

use super::callback::{self, Callback, Kind};
use crate::futures::future::{AsFuture, NativeFuture, Status};
use crate::futures::{Future, methods as futures};
use crate::loop_state::{EventLoop, as_native, get};
use crate::names;
use crate::running;
use crate::tasks::wrapper;

static WRAP_FUTURE: Signature<2> = Signature {
    format: c"O|$O:wrap_future",
    names: [c"future", c"loop"],
    positional: 1,
    required: 1,
};

fn wrap_future<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    let [future, event_loop] = WRAP_FUTURE.parse(&arguments)?;
    if let Some(future) = future {
        if wrapper::exact_future(future).is_some() {
            return Ok(future.clone());
        }
        if is_concurrent(future)?
            && let Some(event_loop) = loop_to_use(py, event_loop)?
        {
            return wrap_natively(future, &event_loop);
        }
    }
    let (positional, keywords) = arguments.to_objects()?;
    names::WRAP_FUTURE.get(py)?.call(positional, Some(&keywords))
}

/// Whether it is a `concurrent.futures.Future` that asyncio does not take for one of its own.
fn is_concurrent(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = future.py();
    Ok(future.is_instance(names::CONCURRENT_FUTURE.get(py)?)?
        && !future.get_type().hasattr(intern!(py, "_asyncio_future_blocking"))?)
}

/// The loop that is named, or runs, if it is one of ours that wants no tracebacks.
fn loop_to_use<'py>(
    py: Python<'py>,
    given: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, EventLoop>>> {
    let event_loop = match given.filter(|given| !given.is_none()) {
        Some(given) => given.clone(),
        None => running::get_or_none(py)?,
    };
    Ok(as_native(&event_loop).filter(|native| native.get().takes_items()).cloned())
}

fn wrap_natively<'py>(
    source: &Bound<'py, PyAny>,
    event_loop: &Bound<'py, EventLoop>,
) -> Object<'py> {
    let py = source.py();
    let future = futures::create_for(event_loop.as_any())?;
    let Some(destination) = futures::as_exact(&future) else {
        names::CHAIN_FUTURE.get(py)?.call1((source, &future))?;
        return Ok(future);
    };
    let cancel = callback::new(py, &CANCEL_CONCURRENT)?;
    cancel.state().owner.set(source.clone());
    destination.as_future().add_callback(cancel.as_any(), context::copy_current(py)?)?;
    let send = callback::new(py, &SEND_TO_LOOP)?;
    send.state().owner.set(future.clone());
    source.call_method1(intern!(py, "add_done_callback"), (send,))?;
    Ok(future)
}

static CANCEL_CONCURRENT: Kind = Kind {
    qualified_name: "_chain_future.<locals>._call_check_cancel",
    inside: Some(&names::CHAIN_FUTURE),
    takes: 1,
    run: cancel_concurrent,
};

/// The loop's future is done: if it was cancelled, so is what it stands for.
fn cancel_concurrent<'py>(this: &Bound<'py, Callback>, future: &Bound<'py, PyAny>) -> PyResult<()> {
    if native(future)?.state.status() != Status::Cancelled {
        return Ok(());
    }
    let source = this.state().owner.get_or_none(this.py());
    source.call_method0(intern!(this.py(), "cancel")).map(drop)
}

static SEND_TO_LOOP: Kind = Kind {
    qualified_name: "_chain_future.<locals>._call_set_state",
    inside: Some(&names::CHAIN_FUTURE),
    takes: 1,
    run: send_to_loop,
};

/// The concurrent future is done, in any thread.
fn send_to_loop<'py>(this: &Bound<'py, Callback>, source: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let destination = this.state().owner.get_or_none(py).cast_into::<Future>()?;
    let event_loop = destination.as_future().state.native_loop(py).ok_or_else(not_native)?;
    if get(&event_loop.get().closed) {
        return Ok(());
    }
    if is_running_here(event_loop.as_any())? {
        return copy_to_loop(destination.as_any(), source);
    }
    let copy = callback::new(py, &COPY_TO_LOOP)?;
    copy.state().owner.set(source.clone());
    let threadsafe = intern!(py, "call_soon_threadsafe");
    event_loop.call_method1(threadsafe, (copy, destination, source)).map(drop)
}

static COPY_TO_LOOP: Kind = Kind {
    qualified_name: "_chain_future.<locals>._set_state",
    inside: Some(&names::CHAIN_FUTURE),
    takes: 2,
    run: |this: &Bound<'_, Callback>, destination| {
        copy_to_loop(destination, &this.state().owner.get_or_none(this.py()))
    },
};

/// CPython: asyncio.futures._copy_future_state
fn copy_to_loop<'py>(destination: &Bound<'py, PyAny>, source: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = destination.py();
    let future = native(destination)?;
    match future.state.status() {
        Status::Cancelled => return Ok(()),
        Status::Pending => {}
        // Somebody else has given it an outcome: stock's own words for that.
        _ => return names::COPY_FUTURE_STATE.get(py)?.call1((source, destination)).map(drop),
    }
    if source.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
        return future.cancel(None).map(drop);
    }
    let exception = source.call_method0(intern!(py, "exception"))?;
    if exception.is_none() {
        return future.set_result(source.call_method0(intern!(py, "result"))?);
    }
    future.set_exception(&converted(exception)?)
}

/// An exception as asyncio has it: those of `concurrent.futures` become asyncio's own.
fn converted(exception: Bound<'_, PyAny>) -> Object<'_> {
    let py = exception.py();
    let class = exception.get_type();
    if class.is(names::CONCURRENT_CANCELLED_ERROR.get(py)?)
        || class.is(names::CONCURRENT_INVALID_STATE_ERROR.get(py)?)
        || class.is(PyTimeoutError::type_object(py))
    {
        return names::CONVERT_FUTURE_EXC.get(py)?.call1((exception,));
    }
    Ok(exception)
}

/// Has the outcome of a task or future of ours become that of a concurrent future.
///
/// # Errors
/// What `add_done_callback` raises.
pub fn to_concurrent<'py>(
    source: NativeFuture<'_, 'py>,
    concurrent: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = concurrent.py();
    let cancel = callback::new(py, &CANCEL_ON_LOOP)?;
    cancel.state().owner.set(source.object.clone());
    concurrent.call_method1(intern!(py, "add_done_callback"), (cancel,))?;
    let give = callback::new(py, &GIVE_TO_CONCURRENT)?;
    give.state().owner.set(concurrent.clone());
    source.add_callback(give.as_any(), context::copy_current(py)?)
}

static CANCEL_ON_LOOP: Kind = Kind {
    qualified_name: "_chain_future.<locals>._call_check_cancel",
    inside: Some(&names::CHAIN_FUTURE),
    takes: 1,
    run: cancel_on_loop,
};

/// The concurrent future is done, in any thread: if it was cancelled, so is the task.
fn cancel_on_loop<'py>(
    this: &Bound<'py, Callback>,
    concurrent: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    if !concurrent.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
        return Ok(());
    }
    let source = this.state().owner.get_or_none(py);
    let event_loop = native(&source)?.state.event_loop.get_or_none(py);
    let cancel = source.getattr(intern!(py, "cancel"))?;
    if is_running_here(&event_loop)? {
        return cancel.call0().map(drop);
    }
    event_loop.call_method1(intern!(py, "call_soon_threadsafe"), (cancel,)).map(drop)
}

static GIVE_TO_CONCURRENT: Kind = Kind {
    qualified_name: "_chain_future.<locals>._call_set_state",
    inside: Some(&names::CHAIN_FUTURE),
    takes: 1,
    run: give_to_concurrent,
};

/// CPython: asyncio.futures._set_concurrent_future_state
fn give_to_concurrent<'py>(
    this: &Bound<'py, Callback>,
    source: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let concurrent = this.state().owner.get_or_none(py);
    let future = native(source)?;
    if future.state.status() == Status::Cancelled {
        concurrent.call_method0(intern!(py, "cancel"))?;
    }
    if !concurrent.call_method0(intern!(py, "set_running_or_notify_cancel"))?.is_truthy()? {
        return Ok(());
    }
    if let Some(exception) = future.state.value(py, Status::Exception) {
        future.state.log_traceback.set(false);
        let exception = converted(exception)?;
        return concurrent.call_method1(intern!(py, "set_exception"), (exception,)).map(drop);
    }
    let result = future.result()?;
    concurrent.call_method1(intern!(py, "set_result"), (result,)).map(drop)
}

/// Whether the loop runs in this thread and the running Python's `_chain_future` then acts at once. It
/// does so since 3.14.
fn is_running_here(event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
    static ASKED_FOR: PyOnceLock<bool> = PyOnceLock::new();
    let py = event_loop.py();
    let asked = ASKED_FOR.get_or_try_init(py, || asks_for_running_loop(py))?;
    Ok(*asked && running::get_or_none(py)?.is(event_loop))
}

/// Later releases of one minor version may differ, so its code is looked at.
fn asks_for_running_loop(py: Python<'_>) -> PyResult<bool> {
    let code = names::CHAIN_FUTURE.get(py)?.getattr("__code__")?;
    for constant in code.getattr("co_consts")?.try_iter()? {
        if let Some(used) = constant?.getattr_opt("co_names")?
            && used.contains("_get_running_loop")?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn native<'a, 'py>(future: &'a Bound<'py, PyAny>) -> PyResult<NativeFuture<'a, 'py>> {
    wrapper::exact_future(future).ok_or_else(not_native)
}

#[cold]
fn not_native() -> PyErr {
    PyRuntimeError::new_err("a chained future is no native one")
}

/// `ferrio.wrap_future`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::WRAP_FUTURE.get(py)?, wrap_future)
}
