//! `Timeout`. CPython: asyncio.timeouts.Timeout
//!
//! On a loop of ours it needs no handle: the loop's heap points at the timeout itself. A handle is
//! made when somebody looks at `_timeout_handler`.
//!
//! State: Created -> Active -> Expiring -> Expired, or Active -> Finished.
//! Fields: `armed` says that the heap of `event_loop` holds the timeout under `key`; never together
//! with `handler`. `context` is that of the arming, or a snapshot of it. `stale` counts the entries that the heap had given
//! to the loop already when they were cancelled: that many times the loop comes for nothing.

mod members;

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::{
    Class, NativeClass, Ref, Slot, State, StateOf, Visit, call as capi_call, handled,
};
use ferrio_core::timers::TimerKey;
use ferrio_core::turn;
use pyo3::exceptions::{PyAssertionError, PyBaseExceptionGroup, PyRuntimeError, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyFloat, PyInt, PyType};
use pyo3::{PyTypeInfo, ffi, intern};

pub use members::{create, timeout_at_function, timeout_function};

use super::any_task;
use crate::handles::snapshot;
use crate::loop_state::{EventLoop, as_native};
use crate::names;
use crate::running;

static TIMEOUT: Class<Timeout> = Class::new();

/// `asyncio.Timeout`.
#[derive(Debug)]
pub struct Timeout;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    Created = 0,
    Active,
    Expiring,
    Expired,
    Finished,
}

/// The native part of a timeout. All-zero is one without deadline that was not entered.
#[derive(Debug)]
pub struct TimeoutState {
    when: Slot,
    task: Slot,
    handler: Slot,
    event_loop: Slot,
    context: Slot,
    key: Cell<TimerKey>,
    cancelling: Cell<i64>,
    stale: Cell<u32>,
    armed: Cell<bool>,
    phase: Cell<Phase>,
}

// SAFETY: empty slots, zeroes, false and `Phase::Created` are all-zero.
unsafe impl State for TimeoutState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
    }
}

impl TimeoutState {
    fn slots(&self) -> [&Slot; 5] {
        [&self.when, &self.task, &self.handler, &self.event_loop, &self.context]
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Timeout {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        TIMEOUT.type_ptr()
    }
}

impl DerefToPyAny for Timeout {}

impl NativeClass for Timeout {
    type State = TimeoutState;
    const KEPT: usize = 256;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &TIMEOUT
    }
}

/// `object` as a timeout that may be in a loop's heap.
#[inline]
pub fn as_timeout<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Timeout>> {
    TIMEOUT.cast_exact(object)
}

/// A timeout at this time of its loop.
#[inline]
fn new<'py>(py: Python<'py>, when: Bound<'py, PyAny>) -> PyResult<Bound<'py, Timeout>> {
    let this = TIMEOUT.alloc(py)?;
    this.state().when.set(when);
    Ok(this)
}

/// `timeout(delay)`.
///
/// # Errors
/// RuntimeError when no loop runs; what `+` raises.
#[inline]
pub fn after<'py>(delay: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Timeout>> {
    let py = delay.py();
    let event_loop = running::get(py)?;
    if delay.is_none() {
        return new(py, delay.clone());
    }
    let when = match (as_native(&event_loop), plain_number(delay)) {
        (Some(native), Some(delay)) if EventLoop::times_natively(native) => {
            PyFloat::new(py, turn::monotonic() + delay).into_any()
        }
        _ => event_loop.call_method0(intern!(py, "time"))?.add(delay)?,
    };
    new(py, when)
}

/// A number that adds to the clock, and compares with it, as a double does.
#[inline]
fn plain_number(number: &Bound<'_, PyAny>) -> Option<f64> {
    if let Ok(number) = number.cast_exact::<PyFloat>() {
        return Some(number.value());
    }
    number.cast_exact::<PyInt>().ok()?.extract().ok()
}

/// `__aenter__`.
///
/// # Errors
/// RuntimeError when it was entered before, or no task runs.
#[inline]
pub fn enter(this: &Bound<'_, Timeout>) -> PyResult<()> {
    let state = this.state();
    if state.phase.get() != Phase::Created {
        return Err(PyRuntimeError::new_err("Timeout has already been entered"));
    }
    let py = this.py();
    let event_loop = running::get(py)?;
    let Some(task) = crate::tasks::current::task_of(&event_loop)? else {
        return Err(PyRuntimeError::new_err("Timeout should be used inside a task"));
    };
    state.phase.set(Phase::Active);
    state.cancelling.set(any_task::cancelling(&task)?);
    state.task.set(task);
    let when = state.when.get_or_none(py);
    if TIMEOUT.is_plain(this) {
        return arm(this, &when, Some(event_loop));
    }
    this.as_any().call_method1(intern!(py, "reschedule"), (when,)).map(drop)
}

/// `reschedule`, after the check of the state.
fn arm<'py>(
    this: &Bound<'py, Timeout>,
    when: &Bound<'py, PyAny>,
    event_loop: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = this.py();
    disarm(this)?;
    if when.is_none() {
        return Ok(());
    }
    let event_loop = event_loop.map_or_else(|| running::get(py), Ok)?;
    if let (Some(native), Some(deadline)) = (as_native(&event_loop), plain_number(when))
        && EventLoop::times_natively(native)
        && native.get().takes_items()
        && TIMEOUT.is_plain(this)
        && deadline > turn::monotonic()
    {
        let context = snapshot::of_current(py, &native.get().snapshot)?;
        enter_heap(this, native, deadline, context);
        return Ok(());
    }
    let on_timeout = this.as_any().getattr(intern!(py, "_on_timeout"))?;
    let now = event_loop.call_method0(intern!(py, "time"))?;
    let handler = if when.le(now)? {
        event_loop.call_method1(intern!(py, "call_soon"), (on_timeout,))?
    } else {
        event_loop.call_method1(intern!(py, "call_at"), (when, on_timeout))?
    };
    this.state().handler.set(handler);
    Ok(())
}

#[inline]
fn enter_heap<'py>(
    this: &Bound<'py, Timeout>,
    event_loop: &Bound<'py, EventLoop>,
    deadline: f64,
    context: Bound<'py, PyAny>,
) {
    let state = this.state();
    state.context.set(context);
    state.event_loop.set(event_loop.clone());
    let payload = Ref::new(this.as_any().clone());
    state.key.set(event_loop.get().push_timer(this.py(), deadline, payload));
    state.armed.set(true);
}

/// Cancels what was armed.
#[inline]
fn disarm(this: &Bound<'_, Timeout>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if leave_heap(this).is_some() {
        return Ok(());
    }
    match state.handler.take(py) {
        Some(handler) => handler.call_method0(intern!(py, "cancel")).map(drop),
        None => Ok(()),
    }
}

/// Takes the timeout out of the heap; its loop and context, if it was there.
#[inline]
fn leave_heap<'py>(
    this: &Bound<'py, Timeout>,
) -> Option<(Bound<'py, EventLoop>, Bound<'py, PyAny>)> {
    let state = this.state();
    if !state.armed.replace(false) {
        return None;
    }
    let event_loop = state.event_loop.take(this.py())?;
    let native = as_native(&event_loop)?.clone();
    if !native.get().cancel_timer(state.key.get(), this) {
        state.stale.set(state.stale.get() + 1);
    }
    Some((native, state.context.take(this.py())?))
}

/// `_timeout_handler`: from now on there is a handle.
fn handler<'py>(this: &Bound<'py, Timeout>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let state = this.state();
    if let Some((event_loop, context)) = leave_heap(this) {
        let on_timeout = this.as_any().getattr(intern!(py, "_on_timeout"))?;
        let when = state.when.get_or_none(py);
        let handler = capi_call::call_method_with_keyword(
            event_loop.as_any(),
            intern!(py, "call_at"),
            &[&when, &on_timeout],
            &snapshot::context_of(context)?,
            names::context_keyword(py),
        )?;
        state.handler.set(handler);
    }
    Ok(state.handler.get_or_none(py))
}

/// Has a handle made of a timeout in the heap, because somebody looks at it.
///
/// # Errors
/// What `call_at` raises.
pub fn show_handle(timeout: &Bound<'_, Timeout>) -> PyResult<()> {
    handler(timeout).map(drop)
}

/// The loop comes to a timeout that the heap gave out: the context to expire in, None when that was
/// cancelled meanwhile.
///
/// # Errors
/// MemoryError.
pub fn take_due<'py>(this: &Bound<'py, Timeout>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let state = this.state();
    if state.stale.get() > 0 {
        state.stale.set(state.stale.get() - 1);
        return Ok(None);
    }
    state.armed.set(false);
    drop(state.event_loop.take(this.py()));
    state.context.take(this.py()).map(snapshot::context_of).transpose()
}

/// `_on_timeout`.
///
/// # Errors
/// AssertionError when it is not active; what `cancel` of a foreign task raises.
pub fn expire(this: &Bound<'_, Timeout>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if state.phase.get() != Phase::Active {
        return Err(PyAssertionError::new_err(()));
    }
    any_task::cancel(&state.task.get_or_none(py))?;
    state.phase.set(Phase::Expiring);
    drop(state.handler.take(py));
    Ok(())
}

/// What ended the block: the class and the exception, as `__aexit__` gets them.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a, 'py> {
    pub class: &'a Bound<'py, PyAny>,
    pub exception: &'a Bound<'py, PyAny>,
}

/// `__aexit__`.
///
/// # Errors
/// TimeoutError, in the place of the CancelledError that this timeout caused.
#[inline]
pub fn exit(this: &Bound<'_, Timeout>, ending: Option<Ending<'_, '_>>) -> PyResult<()> {
    let phase = this.state().phase.get();
    if phase != Phase::Active && phase != Phase::Expiring {
        return Err(PyAssertionError::new_err(()));
    }
    disarm(this)?;
    if phase == Phase::Expiring {
        return expired(this, ending);
    }
    this.state().phase.set(Phase::Finished);
    Ok(())
}

#[cold]
fn expired(this: &Bound<'_, Timeout>, ending: Option<Ending<'_, '_>>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    state.phase.set(Phase::Expired);
    let left = any_task::uncancel(&state.task.get_or_none(py))?;
    let Some(Ending { class, exception }) = ending.filter(|_| left <= state.cancelling.get())
    else {
        return Ok(());
    };
    let cancelled = names::CANCELLED_ERROR.class(py)?;
    let is_cancellation = match class.cast::<PyType>() {
        Ok(class) if cfg!(Py_3_13) => class.is_subclass(cancelled)?,
        _ => class.is(cancelled),
    };
    if is_cancellation {
        let error = PyTimeoutError::type_object(py).call0()?;
        return Err(handled::raise_from(&error, exception));
    }
    if cfg!(Py_3_13) && !exception.is_none() {
        name_the_timeout(exception)?;
    }
    Ok(())
}

/// Puts a TimeoutError into the chains of what came out of the CancelledError.
/// CPython: Timeout._insert_timeout_error, since 3.13
fn name_the_timeout(exception: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = exception.py();
    let insert = names::TIMEOUT.get(py)?.getattr("_insert_timeout_error")?;
    insert.call1((exception,))?;
    if exception.is_instance_of::<PyBaseExceptionGroup>()
        && exception.is_instance(&py.import("builtins")?.getattr("ExceptionGroup")?)?
    {
        for part in exception.getattr("exceptions")?.try_iter()? {
            insert.call1((part?,))?;
        }
    }
    Ok(())
}
