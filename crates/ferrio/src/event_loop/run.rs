//! One turn of the loop, and the running of what is ready: decide, poll, queue events, queue due
//! timers, run exactly what was queued when running began. docs/loop.md draws it.

use std::sync::atomic::Ordering;

use ferrio_capi::{call as capi_call, context, runtime};
use ferrio_core::turn::{self, Poll};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::report::{
    report, report_act, report_callback, report_handle, report_step, report_timeout,
};
use super::{call, debug, overrides, poll};
use crate::combinators::callback;
use crate::combinators::timeout;
use crate::futures::{AsFuture, methods as futures};
use crate::handles::{self, AnyHandle, Timed};
use crate::loop_state::{EventLoop, Item, get, set};
use crate::names;
use crate::tasks::step::{self, Resume};
use crate::tasks::{Task, current, sleep};

/// What `time.get_clock_info("monotonic")` gives on Linux, in seconds.
const CLOCK_RESOLUTION: f64 = 1e-9;

/// Turns until `stop()` was called.
pub fn until_stopped(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let outcome = turns_until_stopped(slf);
    outcome.and(current::settle(slf))
}

fn turns_until_stopped(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    overrides::refresh(slf)?;
    // Inside of a callback of this loop: what that has written must not wait for its end.
    slf.get().run_before_poll(slf.py());
    loop {
        if get(&slf.get().run_once_overridden) {
            current::settle(slf)?;
            slf.call_method0(intern!(slf.py(), "_run_once"))?;
            slf.get().run_before_poll(slf.py());
        } else {
            turn_among_others(slf)?;
        }
        if get(&slf.get().stopping) {
            return Ok(());
        }
    }
}

/// One turn, for Python. CPython: BaseEventLoop._run_once
pub fn turn(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let outcome = turn_among_others(slf);
    outcome.and(current::settle(slf))
}

/// One turn. A task may linger (`tasks::current`) from the turn before, and into the next.
fn turn_among_others(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    overrides::refresh(slf)?;
    let py = slf.py();
    let native = slf.get();
    native.begin_turn();
    let next_when = {
        let mut timers = native.timers.borrow_mut(py);
        timers.begin_turn();
        timers.next_when()
    };
    let busy = get(&native.stopping) || !native.ready.borrow_mut(py).is_empty();
    let decision = match next_when {
        _ if busy => decide_busy(slf),
        Some(when) => {
            let now = call::now(slf)?;
            refuse_nan(when - now)?;
            turn::decide_idle(when, now)
        }
        None => Poll::Forever,
    };
    if decision != Poll::Skip {
        current::settle(slf)?;
        poll::run(slf, decision)?;
    }
    if next_when.is_some() {
        queue_due_timers(slf, call::now(slf)? + CLOCK_RESOLUTION);
    }
    let outcome = run_batch(slf);
    native.run_before_poll(py);
    outcome
}

/// Since 3.13 a NaN timeout reaches the selector, which rounds it up to an integer.
/// CPython: BaseEventLoop._run_once, EpollSelector.select
fn refuse_nan(timeout: f64) -> PyResult<()> {
    if cfg!(Py_3_13) && timeout.is_nan() {
        return Err(PyValueError::new_err("cannot convert float NaN to integer"));
    }
    Ok(())
}

/// A poll that could find nothing is skipped: nothing but the loop's own wake-up is watched, and no
/// signal arrives through it. With a user's descriptor every turn polls, as stock does, because the
/// order of events and callbacks shows it.
#[inline]
fn decide_busy(slf: &Bound<'_, EventLoop>) -> Poll {
    let native = slf.get();
    let watched = native.interests.borrow_mut(slf.py()).len() as u64;
    let quiet = watched <= native.internal_fds.load(Ordering::Relaxed)
        && !get(&native.handles_signals)
        && !get(&native.selector_replaced);
    let skipped = native.skipped_turns.load(Ordering::Relaxed);
    native.skipped_turns.store(skipped + 1, Ordering::Relaxed);
    turn::decide_busy(quiet, skipped)
}

fn queue_due_timers(slf: &Bound<'_, EventLoop>, end_time: f64) {
    let native = slf.get();
    let mut timers = native.timers.borrow_mut(slf.py());
    let mut ready = native.ready.borrow_mut(slf.py());
    while let Some(due) = timers.pop_due(end_time) {
        ready.push(Item::Due(due));
    }
}

/// Runs exactly the items that are queued now; what they queue waits for the next turn.
fn run_batch(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let py = slf.py();
    let native = slf.get();
    let count = native.ready.borrow_mut(py).len();
    let outer = get(&native.in_batch);
    set(&native.in_batch, true);
    let mut outcome = Ok(());
    for _ in 0..count {
        let Some(item) = next_item(py, native) else {
            break;
        };
        outcome = if get(&native.debug) { debug::run_item(slf, item) } else { run_item(slf, item) };
        if native.takes_after_item() {
            outcome = outcome.and(flush_after_item(slf));
        }
        if outcome.is_err() {
            break;
        }
    }
    set(&native.in_batch, outer);
    handles::snapshot::forget_unused(py, &native.snapshot);
    if outcome.is_ok() && next_turn_begins_natively(py, native) {
        return Ok(());
    }
    outcome.and(current::settle(slf))
}

/// Has transports send what they gathered while an item ran.
fn flush_after_item(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let settled = current::settle(slf);
    slf.get().run_before_poll(slf.py());
    settled
}

/// Whether no Python code runs between this batch and the poll of the next turn, or its first item when
/// it skips the poll: then a task may linger until that.
#[inline]
fn next_turn_begins_natively(py: Python<'_>, native: &EventLoop) -> bool {
    !get(&native.debug)
        && !get(&native.stopping)
        && native.timers.borrow_mut(py).next_when().is_none()
        && native.before_poll.borrow_mut(py).is_empty()
}

/// The next item; one that comes soon after it is fetched from memory meanwhile.
#[inline]
fn next_item(py: Python<'_>, native: &EventLoop) -> Option<Item> {
    const AHEAD: usize = 4;
    let mut ready = native.ready.borrow_mut(py);
    let item = ready.pop();
    if let Some(later) = ready.peek(AHEAD) {
        runtime::prefetch(later.target());
        if let Some(Item::Handle(handle) | Item::Due(handle)) = ready.peek(AHEAD / 2) {
            handles::prefetch_context(handle);
        }
    }
    item
}

/// Runs one item. Only what leaves the loop comes back as an error; the rest is reported.
#[inline]
pub fn run_item(slf: &Bound<'_, EventLoop>, item: Item) -> PyResult<()> {
    let py = slf.py();
    match item {
        Item::Step(task) => run_step(slf, task.into_bound(py), Resume::Next),
        Item::Wakeup { task, future } => {
            run_step(slf, task.into_bound(py), Resume::Woken(future.into_bound(py)))
        }
        Item::Throw { task, exception } => {
            run_step(slf, task.into_bound(py), Resume::Throw(exception.into_bound(py)))
        }
        Item::Handle(handle) => {
            current::settle(slf)?;
            run_and_rest(slf, handle.into_bound(py))
        }
        Item::Callback { callback, future, context } => {
            current::settle(slf)?;
            let (callback, future) = (callback.into_bound(py), future.into_bound(py));
            let context = context.into_bound(py);
            let called = context::run_in(&context, || call_back(&callback, &future));
            match called.and_then(|result| result) {
                Ok(()) => Ok(()),
                Err(error) => report_callback(slf, error, &callback, &future, context),
            }
        }
        Item::Act { object, context, act } => {
            current::settle(slf)?;
            let (object, context) = (object.into_bound(py), context.into_bound(py));
            let called = context::run_in(&context, || (act.run)(&object, &context));
            match called.and_then(|result| result) {
                Ok(()) => Ok(()),
                Err(error) => report_act(slf, error, act, &object, context),
            }
        }
        Item::Due(timer) => run_timer(slf, timer.into_bound(py)),
    }
}

/// `callback(*args)`.
#[inline]
fn call_with<'py>(callback: &Bound<'py, PyAny>, args: &Bound<'py, PyTuple>) -> PyResult<()> {
    capi_call::call_tuple(callback, args).map(drop)
}

/// `callback(future)`.
#[inline]
fn call_back<'py>(callback: &Bound<'py, PyAny>, future: &Bound<'py, PyAny>) -> PyResult<()> {
    match callback::as_callback(callback) {
        Some(native) => callback::run(native, future),
        None => capi_call::call_one(callback, future).map(drop),
    }
}

/// Runs what the heap held: a TimerHandle or a native sleep.
#[inline]
fn run_timer<'py>(slf: &Bound<'py, EventLoop>, timer: Bound<'py, PyAny>) -> PyResult<()> {
    if sleep::as_sleep(&timer).is_some() {
        return sleep::awaken(&timer).or_else(|error| report(slf, error, &timer, None));
    }
    if let Some(timeout) = timeout::as_timeout(&timer) {
        current::settle(slf)?;
        let Some(context) = timeout::take_due(timeout)? else { return Ok(()) };
        let called = context::run_in(&context, || timeout::expire(timeout));
        return called
            .and_then(|result| result)
            .or_else(|error| report_timeout(slf, error, timeout, context));
    }
    if let Some(handle) = handles::as_timer_handle(&timer) {
        handle.leave_heap();
    }
    current::settle(slf)?;
    run_and_rest(slf, timer)
}

/// Runs a handle that was queued; it rests afterwards.
#[inline]
fn run_and_rest<'py>(slf: &Bound<'py, EventLoop>, handle: Bound<'py, PyAny>) -> PyResult<()> {
    let outcome = run_handle(slf, &handle);
    handles::resting::rest(handle);
    outcome
}

#[inline]
fn run_step<'py>(
    slf: &Bound<'py, EventLoop>,
    task: Bound<'py, PyAny>,
    resume: Resume<'py>,
) -> PyResult<()> {
    // SAFETY: only native tasks are queued as steps (`tasks::step::schedule`, `futures::schedule`).
    let task = unsafe { task.cast_into_unchecked::<Task>() };
    step::run(&task, resume).or_else(|error| report_step(slf, error, &task))
}

/// Runs a handle of any kind. CPython: Handle._run
pub fn run_handle<'py>(slf: &Bound<'py, EventLoop>, handle: &Bound<'py, PyAny>) -> PyResult<()> {
    if let Some(native) = handles::as_handle(handle) {
        return run_native_handle(slf, native, handle);
    }
    if let Some(native) = handles::as_timer_handle(handle) {
        return run_native_handle(slf, native, handle);
    }
    #[cfg(Py_3_14)]
    if let Some(native) = handles::thread_safe::cast(handle) {
        return handles::thread_safe::calling(native, || run_native_handle(slf, native, handle));
    }
    let py = slf.py();
    if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
        return Ok(());
    }
    handle.call_method0(intern!(py, "_run")).map(drop)
}

#[inline]
fn run_native_handle<'py, H: AnyHandle<'py>>(
    slf: &Bound<'py, EventLoop>,
    handle: &H,
    object: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = slf.py();
    if handle.is_cancelled() {
        return Ok(());
    }
    handle.track_if_shared();
    if let Some(future) = futures::held_in(handle.args(), py) {
        let outcome = future.as_future().set_result_unless_cancelled(names::none(py));
        return outcome.or_else(|error| report_handle(slf, error, object));
    }
    let Some(call) = handle.take_call(py) else { return Ok(()) };
    let called = match call.args.cast::<PyTuple>() {
        Ok(args) => handle.run_in_context(&call.context, || call_with(&call.callback, args)),
        Err(_) => {
            let args = py.get_type::<PyTuple>().call1((&call.args,))?.cast_into::<PyTuple>()?;
            handle.run_in_context(&call.context, || call_with(&call.callback, &args))
        }
    };
    match called {
        Ok(()) => Ok(()),
        Err(error) => {
            handle.put_back(&call);
            report(slf, error, object, Some((&call.callback, &call.args)))
        }
    }
}
