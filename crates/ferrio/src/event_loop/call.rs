//! `call_soon` and its relatives: from a callback to a handle in a queue.

use ferrio_capi::method::Object;
use ferrio_capi::{Ref, tracking};
use ferrio_core::turn;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyTuple};

use super::{debug, overrides};
use crate::futures::methods as futures;
#[cfg(Py_3_14)]
use crate::handles::thread_safe::{self, ThreadSafeHandle};
use crate::handles::{self, AnyHandle, Handle, Parts, Timed, TimerHandle};
use crate::loop_state::{self, EventLoop, Item, get};
use crate::names::{self, none};

/// What a handle holds for the context that its caller named: that, or a snapshot of the current one.
#[inline]
fn context_to_hold<'py>(
    slf: &Bound<'py, EventLoop>,
    given: Option<Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match given {
        Some(given) if !given.is_none() => Ok(Some(given)),
        _ => handles::snapshot::of_current(slf.py(), &slf.get().snapshot).map(Some),
    }
}

/// A handle for a callback of this loop; in debug mode with the stack of the caller.
#[inline]
pub fn make_handle<'py>(
    slf: &Bound<'py, EventLoop>,
    callback: &Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    context: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, Handle>> {
    let py = slf.py();
    let event_loop = slf.as_any();
    if get(&slf.get().debug) {
        return debug::traced_handle(py, Parts { callback, args, event_loop, context });
    }
    let context = context_to_hold(slf, context)?;
    let handle = handles::new_handle(py, Parts { callback, args, event_loop, context })?;
    if slf.get().running_thread().is_none() {
        tracking::track(&handle);
    }
    Ok(handle)
}

#[cfg(not(Py_3_14))]
use make_handle as make_thread_safe_handle;

/// The same for `call_soon_threadsafe`, whose handles are of another class since 3.14.
#[cfg(Py_3_14)]
#[inline]
fn make_thread_safe_handle<'py>(
    slf: &Bound<'py, EventLoop>,
    callback: &Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    context: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, ThreadSafeHandle>> {
    let py = slf.py();
    let event_loop = slf.as_any();
    if get(&slf.get().debug) {
        let parts = Parts { callback, args, event_loop, context };
        return debug::traced_thread_safe_handle(py, parts);
    }
    let context = context_to_hold(slf, context)?;
    let handle = thread_safe::new_handle(py, Parts { callback, args, event_loop, context })?;
    if slf.get().running_thread().is_none() {
        tracking::track(&handle);
    }
    Ok(handle)
}

/// `call_soon`.
#[inline]
pub fn soon<'py>(
    slf: &Bound<'py, EventLoop>,
    callback: &Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    context: Option<Bound<'py, PyAny>>,
) -> Object<'py> {
    let native = slf.get();
    native.check_closed()?;
    if get(&native.debug) {
        native.check_thread()?;
        debug::check_callback(callback, "call_soon")?;
    }
    let handle = make_handle(slf, callback, args, context)?.into_any();
    native.push(slf.py(), Item::Handle(Ref::new(handle.clone())));
    Ok(handle)
}

/// `call_soon_threadsafe`.
#[inline]
pub fn soon_threadsafe<'py>(
    slf: &Bound<'py, EventLoop>,
    callback: &Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    context: Option<Bound<'py, PyAny>>,
) -> Object<'py> {
    let py = slf.py();
    let native = slf.get();
    native.check_closed()?;
    if get(&native.debug) {
        debug::check_callback(callback, "call_soon_threadsafe")?;
    }
    let handle = make_thread_safe_handle(slf, callback, args, context)?.into_any();
    native.push(py, Item::Handle(Ref::new(handle.clone())));
    native.interrupt_sleep(py)?;
    native.give_way(py);
    Ok(handle)
}

/// The loop's clock, through `time()` when somebody replaced it.
#[inline]
pub fn now(slf: &Bound<'_, EventLoop>) -> PyResult<f64> {
    if get(&slf.get().time_overridden) {
        return slf.call_method0(intern!(slf.py(), "time"))?.extract();
    }
    Ok(turn::monotonic())
}

/// A delay that adds to the clock as a double does: a float, or an int that a double can hold.
#[inline]
fn plain_number(delay: &Bound<'_, PyAny>) -> Option<f64> {
    if let Ok(delay) = delay.cast_exact::<PyFloat>() {
        return Some(delay.value());
    }
    delay.cast_exact::<PyInt>().ok()?.extract().ok()
}

/// `call_later`.
#[inline]
pub fn later<'py>(
    slf: &Bound<'py, EventLoop>,
    delay: &Bound<'py, PyAny>,
    callback: &Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    context: Option<Bound<'py, PyAny>>,
) -> Object<'py> {
    if delay.is_none() {
        return Err(PyTypeError::new_err("delay must not be None"));
    }
    overrides::refresh(slf)?;
    let py = slf.py();
    if !get(&slf.get().time_overridden)
        && !get(&slf.get().call_at_overridden)
        && let Some(seconds) = plain_number(delay)
    {
        let when = turn::monotonic() + seconds;
        if context.is_none()
            && let Some(handle) = schedule_sleep(slf, when, callback, &args)?
        {
            return Ok(handle);
        }
        return schedule(slf, when, None, callback, args, context);
    }
    let when = slf.call_method0(intern!(py, "time"))?.add(delay)?;
    if !get(&slf.get().call_at_overridden) {
        return at(slf, &when, callback, args, context);
    }
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "context"), context)?;
    let mut all = vec![when, callback.clone()];
    all.extend(args.iter());
    slf.call_method(intern!(py, "call_at"), PyTuple::new(py, all)?, Some(&keywords))
}

/// `call_at`.
pub fn at<'py>(
    slf: &Bound<'py, EventLoop>,
    when: &Bound<'py, PyAny>,
    callback: &Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    context: Option<Bound<'py, PyAny>>,
) -> Object<'py> {
    if when.is_none() {
        return Err(PyTypeError::new_err("when cannot be None"));
    }
    let given = (!when.is_exact_instance_of::<PyFloat>()).then(|| when.clone());
    schedule(slf, deadline(when)?, given, callback, args, context)
}

/// The time as the heap orders it. A number beyond all floats comes after, or before, all of them.
fn deadline(when: &Bound<'_, PyAny>) -> PyResult<f64> {
    match when.extract::<f64>() {
        Err(error) if error.is_instance_of::<PyOverflowError>(when.py()) => {
            Ok(if when.gt(0)? { f64::INFINITY } else { f64::NEG_INFINITY })
        }
        seconds => seconds,
    }
}

#[inline]
fn schedule<'py>(
    slf: &Bound<'py, EventLoop>,
    when: f64,
    given: Option<Bound<'py, PyAny>>,
    callback: &Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    context: Option<Bound<'py, PyAny>>,
) -> Object<'py> {
    let py = slf.py();
    let native = slf.get();
    native.check_closed()?;
    let event_loop = slf.as_any();
    let handle = if get(&native.debug) {
        native.check_thread()?;
        debug::check_callback(callback, "call_at")?;
        let parts = Parts { callback, args, event_loop, context };
        debug::traced_timer_handle(py, when, given, parts)?
    } else {
        let context = context_to_hold(slf, context)?;
        let parts = Parts { callback, args, event_loop, context };
        handles::new_timer_handle(py, when, given, parts)?
    };
    Ok(enter_heap(slf, when, handle))
}

#[inline]
fn enter_heap<'py>(
    slf: &Bound<'py, EventLoop>,
    when: f64,
    handle: Bound<'py, TimerHandle>,
) -> Bound<'py, PyAny> {
    let native = slf.get();
    let key = native.push_timer(slf.py(), when, Ref::new(handle.clone()));
    handle.enter_heap(key);
    if native.running_thread().is_none() {
        tracking::track(&handle);
    }
    handle.into_any()
}

/// The timer of an `asyncio.sleep(delay)`: its callback needs neither a context nor a tuple.
#[inline]
fn schedule_sleep<'py>(
    slf: &Bound<'py, EventLoop>,
    when: f64,
    callback: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = slf.py();
    let native = slf.get();
    if args.len() != 2
        || get(&native.debug)
        || !callback.is(names::SET_RESULT_UNLESS_CANCELLED.get(py)?)
    {
        return Ok(None);
    }
    let (future, result) = (args.get_item(0)?, args.get_item(1)?);
    if futures::as_exact(&future).is_none() || !result.is_none() {
        return Ok(None);
    }
    native.check_closed()?;
    let handle = handles::new_sleep_handle(when, callback, future, slf.as_any())?;
    Ok(Some(enter_heap(slf, when, handle)))
}

/// `Handle.cancel`.
pub fn cancel_handle<'py>(handle: &Bound<'py, Handle>) -> Object<'py> {
    let py = handle.py();
    if !handle.is_cancelled() {
        keep_repr_in_debug(handle, handle.as_any())?;
        handle.mark_cancelled(py);
        tracking::track(handle);
    }
    Ok(none(py))
}

/// `cancel` of the handle of a `call_soon_threadsafe`.
#[cfg(Py_3_14)]
pub fn cancel_thread_safe<'py>(handle: &Bound<'py, ThreadSafeHandle>) -> Object<'py> {
    let py = handle.py();
    thread_safe::wait_returned(handle)?;
    if !handle.is_cancelled() {
        keep_repr_in_debug(handle, handle.as_any())?;
        handle.mark_cancelled(py);
        tracking::track(handle);
    }
    Ok(none(py))
}

/// `TimerHandle.cancel`: also takes the timer out of the heap.
pub fn cancel_timer<'py>(handle: &Bound<'py, TimerHandle>) -> Object<'py> {
    let py = handle.py();
    if handle.is_cancelled() {
        return Ok(none(py));
    }
    let event_loop = handle.event_loop().get(py);
    let native = event_loop.as_ref().and_then(loop_state::as_native);
    match native {
        Some(native) => take_out_of_heap(native, handle),
        None => {
            if let Some(event_loop) = &event_loop {
                event_loop.call_method1(intern!(py, "_timer_handle_cancelled"), (handle,))?;
            }
        }
    }
    keep_repr_in_debug(handle, handle.as_any())?;
    handle.mark_cancelled(py);
    tracking::track(handle);
    Ok(none(py))
}

fn take_out_of_heap(native: &Bound<'_, EventLoop>, handle: &Bound<'_, TimerHandle>) {
    if let Some(key) = handle.key() {
        handle.leave_heap();
        native.get().cancel_timer(key, handle);
    }
}

/// Debug mode keeps the handle's repr from before the callback is forgotten. CPython: Handle.cancel
fn keep_repr_in_debug<'py, H: AnyHandle<'py>>(
    handle: &H,
    object: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = object.py();
    let Some(event_loop) = handle.event_loop().get(py) else {
        return Ok(());
    };
    if loop_state::is_debug(&event_loop)? {
        handle.kept_repr().set(debug::cancelled_repr(object)?);
    }
    Ok(())
}

/// `_timer_handle_cancelled`, which a TimerHandle of a Python subclass calls.
pub fn timer_handle_cancelled(slf: &Bound<'_, EventLoop>, handle: &Bound<'_, PyAny>) {
    if let Ok(handle) = handle.cast::<TimerHandle>() {
        take_out_of_heap(slf, handle);
    }
}

/// `_add_callback`: queues a handle of any kind. CPython: BaseEventLoop._add_callback
pub fn add_callback(slf: &Bound<'_, EventLoop>, handle: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slf.py();
    if !handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
        slf.get().push(py, Item::Handle(Ref::new(handle.clone())));
    }
    Ok(())
}
