//! `Semaphore`. CPython: asyncio.locks.Semaphore
//!
//! What 3.13 changed: a cancelled waiter that was not woken gives nothing back, and each way out of
//! `acquire` wakes as many waiters as there is room for, not one.

use std::ffi::c_int;

use ferrio_capi::method::{InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, State, StateOf, Visit};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi, intern};

use super::bounded_semaphore;
use super::context::{self, Acquired};
use super::count::Count;
use super::waiters::{self, Waited, Waiters};
use super::waiting;
use crate::coroutine::{self, Coroutine, Kind, Progress};
use crate::errors;
use crate::names::{self, boolean, none};

static SEMAPHORE: Class<Semaphore> = Class::new();

/// `asyncio.Semaphore`.
#[derive(Debug)]
pub struct Semaphore;

/// The native part of a semaphore. All-zero is one of value 0 that nobody waits for.
#[derive(Debug)]
pub struct SemaphoreState {
    pub waiters: Waiters,
    pub value: Count,
}

// SAFETY: no waiters and 0 are all-zero.
unsafe impl State for SemaphoreState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.waiters.traverse(visit)?;
        self.value.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.waiters.clear(py);
        self.value.clear(py);
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Semaphore {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        SEMAPHORE.type_ptr()
    }
}

impl DerefToPyAny for Semaphore {}

impl NativeClass for Semaphore {
    type State = SemaphoreState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &SEMAPHORE
    }
}

impl Waited for Semaphore {
    const QUEUE_FROM_THE_START: bool = false;

    fn waiters(state: &SemaphoreState) -> &Waiters {
        &state.waiters
    }

    #[inline]
    fn is_plain(this: &Bound<'_, Self>) -> bool {
        SEMAPHORE.is_plain(this) || bounded_semaphore::is_plain(this)
    }
}

static INIT: Signature<1> =
    Signature { format: c"|O:Semaphore", names: [c"value"], positional: 1, required: 0 };

fn init<'py>(this: &Bound<'py, Semaphore>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [value] = INIT.parse_init(&arguments)?;
    start(this, value.as_ref())
}

/// `Semaphore.__init__` with the value decided, which is 1 where none was given.
pub fn start<'py>(this: &Bound<'py, Semaphore>, value: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if let Some(value) = value {
        if value.lt(0)? {
            return Err(PyValueError::new_err("Semaphore initial value must be >= 0"));
        }
        state.value.set(value);
    } else {
        state.value.clear(py);
        state.value.add(py, 1)?;
    }
    state.waiters.queue.clear(py);
    Ok(())
}

/// `self.locked()`.
#[inline]
fn is_locked(this: &Bound<'_, Semaphore>) -> PyResult<bool> {
    if Semaphore::is_plain(this) {
        return is_locked_natively(this);
    }
    this.as_any().call_method0(intern!(this.py(), "locked"))?.is_truthy()
}

#[inline]
fn is_locked_natively(this: &Bound<'_, Semaphore>) -> PyResult<bool> {
    let (py, state) = (this.py(), this.state());
    Ok(state.value.is(py, 0)? || !state.waiters.all_cancelled(py)?)
}

/// `self._wake_up_next()`.
#[inline]
fn wake_up_next(this: &Bound<'_, Semaphore>) -> PyResult<bool> {
    if Semaphore::is_plain(this) {
        return wake_up_next_natively(this);
    }
    this.as_any().call_method0(intern!(this.py(), "_wake_up_next"))?.is_truthy()
}

/// CPython: Semaphore._wake_up_next
#[inline]
fn wake_up_next_natively(this: &Bound<'_, Semaphore>) -> PyResult<bool> {
    let (py, state) = (this.py(), this.state());
    let Some(waiter) = state.waiters.first_pending(py)? else {
        return Ok(false);
    };
    state.value.add(py, -1)?;
    waiting::wake(&waiter, boolean(py, true))?;
    Ok(true)
}

static ACQUIRE: Kind = Kind {
    name: "acquire",
    qualified_name: "Semaphore.acquire",
    start: begin_to_acquire,
    resume: acquire_after_waiting,
};

fn begin_to_acquire<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let semaphore = coroutine::owner::<Semaphore>(this)?;
    if !is_locked(&semaphore)? {
        semaphore.state().value.add(py, -1)?;
        return Ok(Progress::Return(boolean(py, true)));
    }
    waiters::wait(this, &semaphore)
}

fn acquire_after_waiting<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let semaphore = coroutine::owner::<Semaphore>(this)?;
    let failed = outcome.err();
    let waiter = waiters::leave(this, &semaphore)?;
    let passed_on = pass_on(&semaphore, waiter.as_ref(), failed.as_ref());
    match failed {
        Some(error) => Err(errors::after_handling(py, error, passed_on)),
        None => passed_on.map(|()| Progress::Return(boolean(py, true))),
    }
}

/// Wakes as many others as may go on now.
fn pass_on(
    this: &Bound<'_, Semaphore>,
    waiter: Option<&Bound<'_, PyAny>>,
    failed: Option<&PyErr>,
) -> PyResult<()> {
    let py = this.py();
    if let (Some(error), Some(waiter)) = (failed, waiter)
        && errors::is_cancelled_error(py, error)?
    {
        give_back(this, waiter)?;
    }
    let value = &this.state().value;
    if cfg!(Py_3_13) {
        while value.exceeds(py, 0)? && wake_up_next(this)? {}
    } else if failed.is_none() && value.exceeds(py, 0)? {
        wake_up_next(this)?;
    }
    Ok(())
}

/// A waiter was cancelled, in the same turn perhaps in which it was woken: then its place is free again.
fn give_back(this: &Bound<'_, Semaphore>, waiter: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = this.py();
    if waiting::is_cancelled(waiter)? || (cfg!(Py_3_13) && !waiting::is_done(waiter)?) {
        return Ok(());
    }
    this.state().value.add(py, 1)?;
    if !cfg!(Py_3_13) {
        wake_up_next(this)?;
    }
    Ok(())
}

static ENTER: Kind = context::enter::<Semaphore>();
static EXIT: Kind = context::exit::<Semaphore>();

impl Acquired for Semaphore {
    const ENTER: &'static Kind = &ENTER;
    const EXIT: &'static Kind = &EXIT;
    const ACQUIRE: &'static Kind = &ACQUIRE;

    #[inline]
    fn release(this: &Bound<'_, Self>) -> PyResult<()> {
        if bounded_semaphore::is_plain(this) {
            return bounded_semaphore::release(this);
        }
        release(this)
    }
}

/// `Semaphore.release`.
#[inline]
pub fn release(this: &Bound<'_, Semaphore>) -> PyResult<()> {
    this.state().value.add(this.py(), 1)?;
    wake_up_next(this).map(drop)
}

fn locked<'py>(this: &Bound<'py, Semaphore>) -> Object<'py> {
    Ok(boolean(this.py(), is_locked_natively(this)?))
}

fn wake_next<'py>(this: &Bound<'py, Semaphore>) -> Object<'py> {
    let woken = wake_up_next_natively(this)?;
    Ok(if cfg!(Py_3_13) { boolean(this.py(), woken) } else { none(this.py()) })
}

fn value<'py>(this: &Bound<'py, Semaphore>) -> Object<'py> {
    this.state().value.get(this.py())
}

fn set_value(this: &Bound<'_, Semaphore>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().value.set(value.ok_or_else(errors::cannot_be_deleted)?);
    Ok(())
}

fn repr<'py>(this: &Bound<'py, Semaphore>) -> Object<'py> {
    if is_locked(this)? {
        return waiters::describe(this, "locked");
    }
    let value = this.state().value.get(this.py())?.str()?;
    waiters::describe(this, &format!("unlocked, value:{value}"))
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = context::members::<Semaphore>(Members::default());
    let members = waiters::members::<Semaphore>(members)
        .init::<Semaphore, _>(init)
        .instance_dict()
        .noargs::<Semaphore, _>(c"locked", locked, c"Return True if acquire() would wait.")
        .noargs::<Semaphore, _>(c"_wake_up_next", wake_next, c"Wake the first waiter.")
        .get_set::<Semaphore, _, _>(c"_value", value, set_value)
        .unary_slot::<Semaphore, _>(ffi::Py_tp_repr, repr)
        .doc(c"Semaphore(value=1)\n--\n\nA counter that tasks wait for when it is 0; see asyncio.Semaphore.");
    let stock = names::SEMAPHORE.class(py)?;
    SEMAPHORE.create_instead_of(py, c"asyncio.locks.Semaphore", stock, members.into_slots())?;
    context::bind_cheaply::<Semaphore>(
        py,
        context::enter_any::<Semaphore>,
        context::exit_any::<Semaphore>,
    )
}
