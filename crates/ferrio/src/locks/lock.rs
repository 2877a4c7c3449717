//! `Lock`. CPython: asyncio.locks.Lock

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, State, StateOf, Visit};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi, intern};

use super::context::{self, Acquired};
use super::waiters::{self, Waited, Waiters};
use crate::coroutine::{self, Coroutine, Kind, Progress};
use crate::errors;
use crate::names::{self, boolean, none};

static LOCK: Class<Lock> = Class::new();

/// `asyncio.Lock`.
#[derive(Debug)]
pub struct Lock;

/// The native part of a lock. All-zero is an unlocked one that nobody waits for.
#[derive(Debug)]
pub struct LockState {
    waiters: Waiters,
    locked: Cell<bool>,
}

// SAFETY: no waiters and false are all-zero.
unsafe impl State for LockState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.waiters.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.waiters.clear(py);
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

impl Waited for Lock {
    const QUEUE_FROM_THE_START: bool = false;

    fn waiters(state: &LockState) -> &Waiters {
        &state.waiters
    }
}

static INIT: Signature<0> = Signature { format: c":Lock", names: [], positional: 0, required: 0 };

fn init<'py>(this: &Bound<'py, Lock>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [] = INIT.parse_init(&arguments)?;
    this.state().waiters.queue.clear(this.py());
    this.state().locked.set(false);
    Ok(())
}

static ACQUIRE: Kind = Kind {
    name: "acquire",
    qualified_name: "Lock.acquire",
    start: begin_to_acquire,
    resume: acquire_after_waiting,
};

/// `object` as a lock when it is exactly one.
#[inline]
pub fn as_exact<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Lock>> {
    LOCK.cast_exact(object)
}

/// `locked()`.
#[inline]
pub fn is_locked(this: &Bound<'_, Lock>) -> bool {
    this.state().locked.get()
}

fn begin_to_acquire<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let lock = coroutine::owner::<Lock>(this)?;
    if try_acquire(&lock)? {
        return Ok(Progress::Return(boolean(this.py(), true)));
    }
    waiters::wait(this, &lock)
}

/// Acquires the lock if it is free and nobody comes first.
#[inline]
pub fn try_acquire(this: &Bound<'_, Lock>) -> PyResult<bool> {
    let state = this.state();
    let free = !state.locked.get() && state.waiters.all_cancelled(this.py())?;
    if free {
        state.locked.set(true);
    }
    Ok(free)
}

fn acquire_after_waiting<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let lock = coroutine::owner::<Lock>(this)?;
    let state = lock.state();
    waiters::leave(this, &lock)?;
    match outcome {
        Ok(_) => {
            state.locked.set(true);
            Ok(Progress::Return(boolean(py, true)))
        }
        Err(error) => {
            if errors::is_cancelled_error(py, &error)? && !state.locked.get() {
                return Err(errors::after_handling(py, error, wake_up_first(&lock)));
            }
            Err(error)
        }
    }
}

/// `self._wake_up_first()`.
fn wake_up_first(this: &Bound<'_, Lock>) -> PyResult<()> {
    if Lock::is_plain(this) {
        return waiters::wake_up_first(this.py(), &this.state().waiters);
    }
    this.as_any().call_method0(intern!(this.py(), "_wake_up_first")).map(drop)
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
        wake_up_first(this)
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

fn wake_first<'py>(this: &Bound<'py, Lock>) -> Object<'py> {
    waiters::wake_up_first(this.py(), &this.state().waiters)?;
    Ok(none(this.py()))
}

fn repr<'py>(this: &Bound<'py, Lock>) -> Object<'py> {
    waiters::describe(this, if this.state().locked.get() { "locked" } else { "unlocked" })
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = waiters::members::<Lock>(context::members::<Lock>(Members::default()))
        .init::<Lock, _>(init)
        .instance_dict()
        .noargs::<Lock, _>(c"locked", locked, c"Return True if the lock is acquired.")
        .get_set::<Lock, _, _>(c"_locked", locked, set_locked)
        .noargs::<Lock, _>(c"_wake_up_first", wake_first, c"Wake the first waiter.")
        .unary_slot::<Lock, _>(ffi::Py_tp_repr, repr)
        .doc(c"Lock()\n--\n\nA mutual exclusion lock for tasks; see asyncio.Lock.");
    let stock = names::LOCK.class(py)?;
    LOCK.create_instead_of(py, c"asyncio.locks.Lock", stock, members.into_slots())?;
    context::bind_cheaply::<Lock>(py, context::enter_any::<Lock>, context::exit_any::<Lock>)
}
