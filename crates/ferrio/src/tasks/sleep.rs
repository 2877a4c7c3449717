//! `ferrio.sleep`: the coroutine of `asyncio.sleep` as one native object. On a loop of ours it needs
//! no handle: the loop's heap points at the sleep itself, which resolves the future it waits on.
//!
//! State: Created -> Yielded (delay <= 0) | Waiting -> Done.
//! Fields: `extra` is the delay while Created, then, on a foreign loop, the TimerHandle. `key` means
//! something only while Waiting on a loop of ours.
//! Shutdown: a sleep that was never awaited warns, as a coroutine does.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Next, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, tracking};
use ferrio_core::timers::TimerKey;
use ferrio_core::turn;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyFloat, PyInt, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

use crate::futures::{AsFuture, methods as future_methods};
use crate::loop_state::{self, EventLoop};
use crate::names::{self, none, owned};
use crate::running;
use crate::tasks::face::{self, Face, Stage};
use crate::tasks::origin;

static SLEEP: Class<Sleep> = Class::new();

/// The awaitable that `ferrio.sleep()` gives.
#[derive(Debug)]
pub struct Sleep;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    Created = 0,
    Yielded,
    Waiting,
    Done,
}

/// The native part of a sleep. All-zero is a sleep without delay that nobody awaited.
#[derive(Debug)]
pub struct SleepState {
    result: Slot,
    extra: Slot,
    future: Slot,
    key: Cell<TimerKey>,
    phase: Cell<Phase>,
    is_finalized: Cell<bool>,
}

// SAFETY: empty slots, a key of zeroes, `Phase::Created` and false are all-zero.
unsafe impl State for SleepState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        [&self.result, &self.extra, &self.future].into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.result.take(py));
        drop(self.extra.take(py));
        drop(self.future.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Sleep {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        SLEEP.type_ptr()
    }
}

impl DerefToPyAny for Sleep {}

impl NativeClass for Sleep {
    type State = SleepState;
    /// One that refers to nothing but a number is in no cycle: `sleep(0)` is told to nobody.
    const TRACKED: bool = false;
    const KEPT: usize = 256;

    fn class() -> &'static Class<Self> {
        &SLEEP
    }

    fn needs_finalizer(state: &SleepState) -> bool {
        state.phase.get() == Phase::Created
    }

    #[inline]
    unsafe fn is_finalized(_: *mut ffi::PyObject, state: &SleepState) -> bool {
        state.is_finalized.get()
    }
}

static SLEEP_ARGUMENTS: Signature<2> =
    Signature { format: c"O|O:sleep", names: [c"delay", c"result"], positional: 2, required: 1 };

/// `sleep(delay, result=None)`. ValueError for NaN, where the running Python raises it, comes when it
/// is awaited.
fn sleep<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [delay, result] = SLEEP_ARGUMENTS.parse(&arguments)?;
    let py = arguments.py();
    let this = SLEEP.alloc(py)?;
    if !delay.is_none_or(is_number) || !result.is_none_or(|result| result.is_none()) {
        tracking::track(&this);
    }
    this.state().extra.replace(py, delay.cloned());
    this.state().result.replace(py, result.cloned());
    origin::record(py, &this.state().future)?;
    Ok(this.into_any())
}

fn is_number(delay: &Bound<'_, PyAny>) -> bool {
    delay.is_exact_instance_of::<PyInt>() || delay.is_exact_instance_of::<PyFloat>()
}

/// `sleep(0)`.
pub fn zero(py: Python<'_>) -> Object<'_> {
    let this = SLEEP.alloc(py)?;
    this.state().extra.set(0_i32.into_pyobject(py)?);
    Ok(this.into_any())
}

/// `ferrio.sleep`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::SLEEP.get(py)?, sleep)
}

fn next<'py>(this: &Bound<'py, Sleep>) -> PyResult<Next<'py>> {
    let py = this.py();
    let state = this.state();
    match state.phase.get() {
        Phase::Created => start(this),
        Phase::Yielded => {
            state.phase.set(Phase::Done);
            Ok(Next::Return(state.result.take(py).unwrap_or_else(|| none(py))))
        }
        Phase::Waiting => wake(this),
        Phase::Done => Err(face::reused()),
    }
}

fn start<'py>(this: &Bound<'py, Sleep>) -> PyResult<Next<'py>> {
    let py = this.py();
    let state = this.state();
    state.phase.set(Phase::Done);
    let delay = state.extra.take(py).unwrap_or_else(|| none(py));
    if is_zero_or_less(&delay)? {
        state.phase.set(Phase::Yielded);
        return Ok(Next::Yield(none(py)));
    }
    if cfg!(Py_3_13) && delay.extract::<f64>().is_ok_and(f64::is_nan) {
        return Err(PyValueError::new_err("Invalid delay: NaN (not a number)"));
    }
    let event_loop = running::get(py)?;
    match loop_state::as_native(&event_loop) {
        Some(native)
            if native.get().takes_items()
                && EventLoop::times_natively(native)
                && !loop_state::get(&native.get().create_future_overridden) =>
        {
            wait_natively(this, native, &delay)
        }
        _ => wait_through_python(this, &event_loop, &delay),
    }
}

fn is_zero_or_less(delay: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(delay) = delay.cast_exact::<PyFloat>() {
        return Ok(delay.value() <= 0.0);
    }
    let zero = 0_i32.into_pyobject(delay.py())?;
    // CPython has one object for it, which most calls name.
    if delay.is(&zero) { Ok(true) } else { delay.le(zero) }
}

fn wait_natively<'py>(
    this: &Bound<'py, Sleep>,
    event_loop: &Bound<'py, EventLoop>,
    delay: &Bound<'py, PyAny>,
) -> PyResult<Next<'py>> {
    let state = this.state();
    let when = turn::monotonic() + delay.extract::<f64>()?;
    let future = future_methods::new(event_loop)?;
    let key = event_loop.get().push_timer(this.py(), when, owned(this.as_any()));
    state.key.set(key);
    future.as_future().state.blocking.set(true);
    state.future.set(future.clone());
    tracking::track(this);
    state.phase.set(Phase::Waiting);
    Ok(Next::Yield(future.into_any()))
}

// CPython: asyncio.tasks.sleep
fn wait_through_python<'py>(
    this: &Bound<'py, Sleep>,
    event_loop: &Bound<'py, PyAny>,
    delay: &Bound<'py, PyAny>,
) -> PyResult<Next<'py>> {
    let py = this.py();
    let state = this.state();
    let future = event_loop.call_method0(intern!(py, "create_future"))?;
    let callback = names::SET_RESULT_UNLESS_CANCELLED.get(py)?;
    let arguments = (delay, callback, &future, state.result.get_or_none(py));
    let handle = event_loop.call_method1(intern!(py, "call_later"), arguments)?;
    state.extra.set(handle);
    future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
    state.future.set(future.clone());
    tracking::track(this);
    state.phase.set(Phase::Waiting);
    Ok(Next::Yield(future))
}

fn wake<'py>(this: &Bound<'py, Sleep>) -> PyResult<Next<'py>> {
    let py = this.py();
    let future = this.state().future.get_or_none(py);
    let outcome = match future_methods::as_exact(&future) {
        Some(future) => future.as_future().outcome_or_block(),
        None => foreign_outcome(&future),
    };
    if let Ok(None) = outcome {
        return Ok(Next::Yield(future));
    }
    end(this)?;
    outcome.map(|result| Next::Return(result.unwrap_or_else(|| none(py))))
}

/// `AsFuture::outcome_or_block` of a future of any kind.
fn foreign_outcome<'py>(future: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = future.py();
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return future.call_method0(intern!(py, "result")).map(Some);
    }
    let blocking = intern!(py, "_asyncio_future_blocking");
    if future.getattr(blocking)?.is_truthy()? {
        return Err(PyRuntimeError::new_err("await wasn't used with future"));
    }
    future.setattr(blocking, true)?;
    Ok(None)
}

/// Ends the sleep: its timer, if any, is cancelled.
fn end(this: &Bound<'_, Sleep>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let waiting = state.phase.replace(Phase::Done) == Phase::Waiting;
    let future = state.future.take(py);
    let handle = state.extra.take(py);
    drop(state.result.take(py));
    if !waiting {
        return Ok(());
    }
    if let Some(handle) = handle {
        return handle.call_method0(intern!(py, "cancel")).map(drop);
    }
    if let Some(future) = future
        && let Ok(future) = future.cast::<crate::futures::Future>()
        && let Some(native) = future.as_future().state.native_loop(py)
    {
        native.get().cancel_timer(state.key.get(), this);
    }
    Ok(())
}

/// The timer has fired.
pub fn awaken(sleep: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = sleep.py();
    let sleep = sleep.cast::<Sleep>()?;
    let Some(future) = sleep.state().future.get(py) else {
        return Ok(());
    };
    let future = future.cast::<crate::futures::Future>()?.as_future();
    future.set_result_unless_cancelled(sleep.state().result.get_or_none(py))
}

/// `object` as a sleep.
pub fn as_sleep<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Sleep>> {
    SLEEP.cast_exact(object)
}

impl Face for Sleep {
    fn name(_: &Bound<'_, Self>) -> &'static str {
        "sleep"
    }

    fn qualified_name(_: &Bound<'_, Self>) -> &'static str {
        "sleep"
    }

    fn stage(this: &Bound<'_, Self>) -> Stage {
        match this.state().phase.get() {
            Phase::Created => Stage::Created,
            Phase::Yielded | Phase::Waiting => Stage::Suspended,
            Phase::Done => Stage::Closed,
        }
    }

    fn awaited<'a>(this: &'a Bound<'_, Self>) -> &'a Slot {
        &this.state().future
    }

    #[inline]
    fn next<'py>(this: &Bound<'py, Self>) -> PyResult<Next<'py>> {
        next(this)
    }

    fn close(this: &Bound<'_, Self>) -> PyResult<()> {
        end(this)
    }
}

fn finalize(this: &Bound<'_, Sleep>) -> PyResult<()> {
    let py = this.py();
    this.state().is_finalized.set(true);
    if this.state().phase.replace(Phase::Done) != Phase::Created {
        return Ok(());
    }
    names::WARN_UNAWAITED_COROUTINE.get(py)?.call1((this,)).map(drop)
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = face::members::<Sleep>()
        .finalize::<Sleep, _>(finalize)
        .doc(c"The coroutine of ferrio.sleep().");
    face::create::<Sleep>(py, c"ferrio.sleep", members)
}

/// What stock's timer callback would be called with: the future and the result.
pub fn awaken_arguments<'py>(sleep: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let py = sleep.py();
    let state = sleep.cast::<Sleep>()?.state();
    PyTuple::new(py, [state.future.get_or_none(py), state.result.get_or_none(py)])
}
