//! Debug mode (handles with stacks, slow callbacks, checks) and the views of the queues that tools
//! read.

use ferrio_capi::{Ref, ending_thread, runtime};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{PyTypeInfo, intern};

use super::lifecycle::inherited;
use super::{call, run};
use crate::combinators::timeout;
#[cfg(Py_3_14)]
use crate::handles::thread_safe::{self, ThreadSafeHandle};
use crate::handles::{self, Handle, Parts, Timed, TimerHandle};
use crate::loop_state::{EventLoop, Item, get, set};
use crate::names;
use crate::tasks::{Task, origin, sleep, wrapper};

/// `set_debug`.
pub fn set_debug(slf: &Bound<'_, EventLoop>, enabled: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slf.py();
    set(&slf.get().debug, enabled.is_truthy()?);
    if get(&slf.get().debug) {
        origin::track();
    }
    if slf.get().running_thread().is_some() {
        let track = slf.getattr(intern!(py, "_set_coroutine_origin_tracking"))?;
        slf.call_method1(intern!(py, "call_soon_threadsafe"), (track, enabled))?;
    }
    Ok(())
}

/// A Handle made by asyncio's own `__init__`, which records the caller's stack. A thread that runs no
/// Python code has none to record, and asyncio would refuse it.
#[cold]
pub fn traced_handle<'py>(py: Python<'py>, parts: Parts<'_, 'py>) -> PyResult<Bound<'py, Handle>> {
    ending_thread::stop_at_exit();
    if !runtime::has_frame(py) {
        return handles::new_handle(py, parts);
    }
    let arguments = (parts.callback, parts.args, parts.event_loop, parts.context);
    Ok(Handle::type_object(py).call1(arguments)?.cast_into()?)
}

/// The same for the handle of `call_soon_threadsafe`, whose stack ends with the caller too.
#[cfg(Py_3_14)]
#[cold]
pub fn traced_thread_safe_handle<'py>(
    py: Python<'py>,
    parts: Parts<'_, 'py>,
) -> PyResult<Bound<'py, ThreadSafeHandle>> {
    if !runtime::has_frame(py) {
        return thread_safe::new_handle(py, parts);
    }
    let arguments = (parts.callback, parts.args, parts.event_loop, parts.context);
    let handle = ThreadSafeHandle::type_object(py).call1(arguments)?;
    handle.getattr(intern!(py, "_source_traceback"))?.call_method0(intern!(py, "pop"))?;
    Ok(handle.cast_into()?)
}

/// The same for a TimerHandle.
#[cold]
pub fn traced_timer_handle<'py>(
    py: Python<'py>,
    when: f64,
    given: Option<Bound<'py, PyAny>>,
    parts: Parts<'_, 'py>,
) -> PyResult<Bound<'py, TimerHandle>> {
    if !runtime::has_frame(py) {
        return handles::new_timer_handle(py, when, given, parts);
    }
    let when = match given {
        Some(given) => given,
        None => when.into_pyobject(py)?.into_any(),
    };
    let arguments = (when, parts.callback, parts.args, parts.event_loop, parts.context);
    Ok(TimerHandle::type_object(py).call1(arguments)?.cast_into()?)
}

/// Ends a future's stack with the frame of asyncio's own `create_future`, which programs see as the
/// place where the future was created.
#[cold]
pub fn add_creating_frame(slf: &Bound<'_, EventLoop>, future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slf.py();
    let stack = future.getattr(intern!(py, "_source_traceback"))?;
    let method = inherited(slf)?.getattr(intern!(py, "create_future"))?;
    let code = method.getattr_opt("__code__")?;
    let (Some(code), false) = (code, stack.is_none()) else {
        return Ok(());
    };
    let lines = code.call_method0("co_lines")?.try_iter()?;
    let lines = lines.map(|range| range?.get_item(2)?.extract::<Option<u32>>());
    let last = lines.collect::<PyResult<Vec<_>>>()?.into_iter().flatten().max();
    let arguments = (code.getattr("co_filename")?, last, code.getattr("co_name")?);
    stack.call_method1("append", (names::FRAME_SUMMARY.get(py)?.call1(arguments)?,)).map(drop)
}

/// CPython: BaseEventLoop._check_callback
pub fn check_callback(callback: &Bound<'_, PyAny>, method: &str) -> PyResult<()> {
    let py = callback.py();
    if names::IS_COROUTINE.get(py)?.call1((callback,))?.is_truthy()?
        || names::IS_COROUTINE_FUNCTION.get(py)?.call1((callback,))?.is_truthy()?
    {
        return Err(PyTypeError::new_err(format!("coroutines cannot be used with {method}()")));
    }
    if !callback.is_callable() {
        let text =
            format!("a callable object was expected by {method}(), got {}", callback.repr()?);
        return Err(PyTypeError::new_err(text));
    }
    Ok(())
}

/// The repr of a handle that is being cancelled, while its callback is still known: "cancelled" is
/// part of it. CPython: Handle.cancel sets the flag before it takes the repr.
pub fn cancelled_repr<'py>(handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    handle.setattr(intern!(handle.py(), "_cancelled"), true)?;
    Ok(handle.repr()?.into_any())
}

/// How a callback is named in messages. CPython: format_helpers._format_callback_source
pub fn format_callback(
    slf: &Bound<'_, EventLoop>,
    callback: &Bound<'_, PyAny>,
    args: &Bound<'_, PyAny>,
) -> PyResult<String> {
    let py = slf.py();
    let function = names::FORMAT_CALLBACK_SOURCE.get(py)?;
    let keywords = PyDict::new(py);
    if cfg!(Py_3_13) {
        keywords.set_item("debug", get(&slf.get().debug))?;
    }
    Ok(function.call((callback, args), Some(&keywords))?.to_string())
}

/// Runs one item of debug mode: as a handle, timed. CPython: BaseEventLoop._run_once
pub fn run_item(slf: &Bound<'_, EventLoop>, item: Item) -> PyResult<()> {
    let py = slf.py();
    let handle = handle_of(slf, item)?;
    if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
        return Ok(());
    }
    crate::tasks::current::settle(slf)?;
    slf.setattr(intern!(py, "_current_handle"), &handle)?;
    let start = call::now(slf)?;
    let outcome = run::run_handle(slf, &handle);
    let reported = outcome.and_then(|()| report_slow(slf, &handle, call::now(slf)? - start));
    slf.setattr(intern!(py, "_current_handle"), py.None())?;
    reported
}

fn report_slow(slf: &Bound<'_, EventLoop>, handle: &Bound<'_, PyAny>, took: f64) -> PyResult<()> {
    let py = slf.py();
    let limit: f64 = slf.getattr(intern!(py, "slow_callback_duration"))?.extract()?;
    if took < limit {
        return Ok(());
    }
    let text = names::FORMAT_HANDLE.get(py)?.call1((handle,))?;
    let arguments = ("Executing %s took %.3f seconds", text, took);
    let logger = names::BASE_EVENTS.get(py)?.getattr("logger")?;
    logger.call_method1("warning", arguments).map(drop)
}

/// An item as the handle that stock would have queued.
pub fn handle_of<'py>(slf: &Bound<'py, EventLoop>, item: Item) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let (callback, args, context) = match item {
        Item::Handle(handle) => return Ok(handle.into_bound(py)),
        Item::Due(timer) => {
            let timer = timer.into_bound(py);
            if let Some(timeout) = timeout::as_timeout(&timer) {
                return handle_of_timeout(slf, timeout);
            }
            if sleep::as_sleep(&timer).is_none() {
                if let Some(handle) = handles::as_timer_handle(&timer) {
                    handle.leave_heap();
                }
                return Ok(timer);
            }
            let callback = names::SET_RESULT_UNLESS_CANCELLED.get(py)?.clone();
            let args = sleep::awaken_arguments(&timer)?;
            (callback, args, ferrio_capi::context::copy_current(py)?)
        }
        Item::Step(task) => step_parts(task, None, py)?,
        Item::Throw { task, exception } => step_parts(task, Some(exception.into_bound(py)), py)?,
        Item::Wakeup { task, future } => {
            let task = task.into_bound(py);
            let context = task.call_method0(intern!(py, "get_context"))?;
            (wrapper::wakeup_callable(&task)?, PyTuple::new(py, [future.into_bound(py)])?, context)
        }
        Item::Act { object, context, act } => {
            let (callback, args) = (act.parts)(&object.into_bound(py))?;
            (callback, args, context.into_bound(py))
        }
        Item::Callback { callback, future, context } => {
            let args = PyTuple::new(py, [future.into_bound(py)])?;
            (callback.into_bound(py), args, context.into_bound(py))
        }
    };
    let parts =
        Parts { callback: &callback, args, event_loop: slf.as_any(), context: Some(context) };
    Ok(handles::new_handle(py, parts)?.into_any())
}

/// The handle of a timeout that is due: one that was cancelled, where the timeout was.
fn handle_of_timeout<'py>(
    slf: &Bound<'py, EventLoop>,
    timeout: &Bound<'py, timeout::Timeout>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let context = timeout::take_due(timeout)?;
    let cancelled = context.is_none();
    let callback = timeout.as_any().getattr(intern!(py, "_on_timeout"))?;
    let args = PyTuple::empty(py);
    let parts = Parts { callback: &callback, args, event_loop: slf.as_any(), context };
    let handle = handles::new_handle(py, parts)?.into_any();
    if cancelled {
        handle.call_method0(intern!(py, "cancel"))?;
    }
    Ok(handle)
}

type StepParts<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>, Bound<'py, PyAny>);

fn step_parts<'py>(
    task: Ref,
    exception: Option<Bound<'py, PyAny>>,
    py: Python<'py>,
) -> PyResult<StepParts<'py>> {
    let task = task.into_bound(py).cast_into::<Task>()?;
    let context = task.call_method0(intern!(py, "get_context"))?;
    Ok((wrapper::step_callable(&task, exception)?, PyTuple::empty(py), context))
}

/// `_ready`: the queue as a list of handles.
pub fn ready_handles<'py>(slf: &Bound<'py, EventLoop>) -> PyResult<Bound<'py, PyList>> {
    let py = slf.py();
    let items: Vec<Item> =
        slf.get().ready.borrow_mut(py).iter().map(|item| item.duplicate(py)).collect();
    let list = PyList::empty(py);
    for item in items {
        list.append(handle_of(slf, item)?)?;
    }
    Ok(list)
}

/// `_scheduled`: a list of the TimerHandles in the heap, by deadline, which makes it a heap; sleeps
/// have none.
pub fn scheduled_handles<'py>(slf: &Bound<'py, EventLoop>) -> PyResult<Bound<'py, PyList>> {
    let py = slf.py();
    let all = || -> Vec<Bound<'py, PyAny>> {
        slf.get().timers.borrow_mut(py).iter().map(|(_, timer)| timer.bind(py)).collect()
    };
    if !get(&slf.get().closed) {
        all().iter().filter_map(timeout::as_timeout).try_for_each(timeout::show_handle)?;
    }
    let mut timers = all();
    timers.retain(|timer| handles::as_timer_handle(timer).is_some());
    let when = |timer: &Bound<'py, PyAny>| handles::as_timer_handle(timer).map_or(0.0, Timed::when);
    timers.sort_by(|one, other| when(one).total_cmp(&when(other)));
    PyList::new(py, timers)
}

/// The setter of a queue: `BaseEventLoop.__init__` assigns empty ones, which we have already.
pub fn refuse_queue(name: &str, queue: &Bound<'_, PyAny>) -> PyResult<()> {
    if queue.len()? == 0 {
        return Ok(());
    }
    Err(PyAttributeError::new_err(format!(
        "{name} is a view of a native queue: use call_soon() or call_at()"
    )))
}
