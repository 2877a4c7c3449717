//! `Lock`. CPython: asyncio.locks.Lock

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

use super::context::{self, Acquired};
use super::waiting;
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::deque::Deque;
use crate::errors;
use crate::names::{self, boolean};

static LOCK: Class<Lock> = Class::new();

/// `asyncio.Lock`.
#[derive(Debug)]
pub struct Lock;

/// The native part of a lock. All-zero is an unlocked one that nobody waits for.
#[derive(Debug)]
pub struct LockState {
    /// `_loop`.
    event_loop: Slot,
    waiters: Deque,
    locked: Cell<bool>,
}

// SAFETY: empty slots, an empty queue and false are all-zero.
unsafe impl State for LockState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.event_loop)?;
        self.waiters.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.waiters.clear(py);
        drop(self.event_loop.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Lock {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        LOCK.type_ptr()
    }
}

impl DerefToPyAny for Lock {}

impl NativeClass for Lock {
    type State = LockState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &LOCK
    }
}

static INIT: Signature<0> = Signature { format: c":Lock", names: [], positional: 0, required: 0 };

fn init<'py>(this: &Bound<'py, Lock>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [] = INIT.parse_init(&arguments)?;
    this.state().waiters.clear(this.py());
    this.state().locked.set(false);
    Ok(())
}

static ACQUIRE: Kind = Kind {
    name: "acquire",
    qualified_name: "Lock.acquire",
    start: begin_to_acquire,
    resume: acquire_after_waiting,
};

fn begin_to_acquire<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let lock = coroutine::owner::<Lock>(this)?;
    let state = lock.state();
    if !state.locked.get() && nobody_waits(py, state)? {
        state.locked.set(true);
        return Ok(Progress::Return(boolean(py, true)));
    }
    let waiter = waiting::create_waiter(&lock, &state.event_loop)?;
    state.waiters.push_back(waiter.clone())?;
    this.state().first.set(waiter.clone());
    awaiting(waiter)
}

/// Whether each waiter was cancelled.
fn nobody_waits(py: Python<'_>, state: &LockState) -> PyResult<bool> {
    let mut place = 0;
    while let Some(waiter) = state.waiters.get(py, place)? {
        if !waiting::is_cancelled(&waiter)? {
            return Ok(false);
        }
        place += 1;
    }
    Ok(true)
}

fn acquire_after_waiting<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let lock = coroutine::owner::<Lock>(this)?;
    let state = lock.state();
    if let Some(waiter) = this.state().first.take(py) {
        state.waiters.remove(&waiter)?;
    }
    match outcome {
        Ok(_) => {
            state.locked.set(true);
            Ok(Progress::Return(boolean(py, true)))
        }
        Err(error) => {
            if errors::is_cancelled_error(py, &error)? && !state.locked.get() {
                wake_up_first(py, state)?;
            }
            Err(error)
        }
    }
}

/// CPython: Lock._wake_up_first
fn wake_up_first(py: Python<'_>, state: &LockState) -> PyResult<()> {
    match state.waiters.get(py, 0)? {
        Some(waiter) if !waiting::is_done(&waiter)? => waiting::wake(&waiter, boolean(py, true)),
        _ => Ok(()),
    }
}

static ENTER: Kind = context::enter::<Lock>();
static EXIT: Kind = context::exit::<Lock>();

impl Acquired for Lock {
    const ENTER: &'static Kind = &ENTER;
    const EXIT: &'static Kind = &EXIT;
    const ACQUIRE: &'static Kind = &ACQUIRE;

    fn release(this: &Bound<'_, Self>) -> PyResult<()> {
        if !this.state().locked.replace(false) {
            return Err(PyRuntimeError::new_err("Lock is not acquired."));
        }
        wake_up_first(this.py(), this.state())
    }
}

fn locked<'py>(this: &Bound<'py, Lock>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().locked.get()))
}

fn set_locked(this: &Bound<'_, Lock>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let value = value.ok_or_else(errors::cannot_be_deleted)?;
    this.state().locked.set(value.is_truthy()?);
    Ok(())
}

fn waiters<'py>(this: &Bound<'py, Lock>) -> Object<'py> {
    this.state().waiters.show_if_used(this.py())
}

fn set_waiters(this: &Bound<'_, Lock>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().waiters.set(value.ok_or_else(errors::cannot_be_deleted)?);
    Ok(())
}

fn event_loop<'py>(this: &Bound<'py, Lock>) -> Object<'py> {
    Ok(this.state().event_loop.get_or_none(this.py()))
}

fn set_event_loop(this: &Bound<'_, Lock>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().event_loop.set(value.ok_or_else(errors::cannot_be_deleted)?.clone());
    Ok(())
}

fn repr<'py>(this: &Bound<'py, Lock>) -> Object<'py> {
    let state = if this.state().locked.get() { "locked" } else { "unlocked" };
    waiting::describe(this.as_any(), state, &this.state().waiters)
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = context::members::<Lock>(Members::default())
        .init::<Lock, _>(init)
        .instance_dict()
        .noargs::<Lock, _>(c"locked", locked, c"Return True if the lock is acquired.")
        .get_set::<Lock, _, _>(c"_locked", locked, set_locked)
        .get_set::<Lock, _, _>(c"_waiters", waiters, set_waiters)
        .get_set::<Lock, _, _>(c"_loop", event_loop, set_event_loop)
        .unary_slot::<Lock, _>(ffi::Py_tp_repr, repr)
        .doc(c"A mutual exclusion lock for tasks; see asyncio.Lock.");
    let stock = names::LOCK.class(py)?;
    LOCK.create_instead_of(py, c"asyncio.locks.Lock", stock, members.into_slots())
}
