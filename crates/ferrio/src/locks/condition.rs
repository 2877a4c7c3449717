//! `Condition`. CPython: asyncio.locks.Condition
//!
//! Stock copies three methods of its lock to each condition: `locked`, `acquire` and `release`. Here
//! they are looked up in the lock, save where it is no plain native Lock, or the condition is of a
//! subclass: then they are copied as in stock.
//! Invariant: the lock of a plain condition is a native Lock.

mod wait;

use std::ffi::c_int;

use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, dict};
use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyString};
use pyo3::{PyTypeInfo, ffi, intern};

use super::context::{self, Acquired};
use super::count::Count;
use super::lock::{self, Lock};
use super::waiters::{self, Waited, Waiters};
use super::waiting;
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::errors;
use crate::names::{self, boolean, none};

static CONDITION: Class<Condition> = Class::new();

/// `asyncio.Condition`.
#[derive(Debug)]
pub struct Condition;

/// The native part of a condition. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct ConditionState {
    waiters: Waiters,
    lock: Slot,
}

// SAFETY: no waiters and an empty slot are all-zero.
unsafe impl State for ConditionState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.waiters.traverse(visit)?;
        visit.slot(&self.lock)
    }

    fn clear(&self, py: Python<'_>) {
        self.waiters.clear(py);
        drop(self.lock.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Condition {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        CONDITION.type_ptr()
    }
}

impl DerefToPyAny for Condition {}

impl NativeClass for Condition {
    type State = ConditionState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &CONDITION
    }
}

impl Waited for Condition {
    const QUEUE_FROM_THE_START: bool = true;

    fn waiters(state: &ConditionState) -> &Waiters {
        &state.waiters
    }
}

static INIT: Signature<1> =
    Signature { format: c"|O:Condition", names: [c"lock"], positional: 1, required: 0 };

fn init<'py>(this: &Bound<'py, Condition>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [lock] = INIT.parse_init(&arguments)?;
    start(this, lock.filter(|lock| !lock.is_none()))
}

fn start<'py>(this: &Bound<'py, Condition>, lock: Option<Bound<'py, PyAny>>) -> PyResult<()> {
    let py = this.py();
    let lock = match lock {
        Some(lock) => lock,
        None => Lock::class().alloc(py)?.into_any(),
    };
    this.state().lock.set(lock.clone());
    if !(Condition::is_plain(this) && lock::as_exact(&lock).is_some_and(Lock::is_plain)) {
        for name in copied(py) {
            this.as_any().setattr(name, lock.getattr(name)?)?;
        }
    }
    this.state().waiters.queue.clear(py);
    Ok(())
}

/// The names of the methods of a lock that a condition shows as its own.
fn copied(py: Python<'_>) -> [&Bound<'_, PyString>; 3] {
    [intern!(py, "locked"), intern!(py, "acquire"), intern!(py, "release")]
}

/// The lock, when no method of the condition is replaced.
#[inline]
fn native_lock<'py>(this: &Bound<'py, Condition>) -> Option<Bound<'py, Lock>> {
    if !Condition::is_plain(this) {
        return None;
    }
    let lock = this.state().lock.get(this.py())?;
    lock::as_exact(&lock).is_some().then(|| {
        // SAFETY: `as_exact` proved the class.
        unsafe { lock.cast_into_unchecked() }
    })
}

/// `self.locked()`.
#[inline]
fn is_locked(this: &Bound<'_, Condition>) -> PyResult<bool> {
    match native_lock(this) {
        Some(lock) => Ok(lock::is_locked(&lock)),
        None => this.as_any().call_method0(intern!(this.py(), "locked"))?.is_truthy(),
    }
}

/// Wakes as many waiters as `limit` says. CPython: Condition._notify
pub fn wake_up_to(this: &Bound<'_, Condition>, limit: &Count) -> PyResult<()> {
    let py = this.py();
    let value = boolean(py, false);
    let mut woken = 0;
    this.state().waiters.queue.visit(py, |waiter| {
        if !limit.exceeds(py, woken)? {
            return Ok(false);
        }
        if !waiting::is_done(waiter)? {
            woken += 1;
            waiting::wake(waiter, value.clone())?;
        }
        Ok(true)
    })
}

static NOTIFY: Signature<1> =
    Signature { format: c"|O:notify", names: [c"n"], positional: 1, required: 0 };
static PRIVATE_NOTIFY: Signature<1> =
    Signature { format: c"O:_notify", names: [c"n"], positional: 1, required: 1 };

fn notify<'py>(this: &Bound<'py, Condition>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let [limit] = NOTIFY.parse(&arguments)?;
    if !is_locked(this)? {
        return Err(PyRuntimeError::new_err("cannot notify on un-acquired lock"));
    }
    let limit = limit.map_or_else(|| Count::new(1), Count::of);
    if cfg!(Py_3_13) && !Condition::is_plain(this) {
        return this.as_any().call_method1(intern!(py, "_notify"), (limit.get(py)?,));
    }
    wake_up_to(this, &limit)?;
    Ok(none(py))
}

fn private_notify<'py>(this: &Bound<'py, Condition>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [limit] = PRIVATE_NOTIFY.parse(&arguments)?;
    wake_up_to(this, &limit.map_or_else(|| Count::new(1), Count::of))?;
    Ok(none(this.py()))
}

fn notify_all<'py>(this: &Bound<'py, Condition>) -> Object<'py> {
    let py = this.py();
    let waiting = this.state().waiters.queue.len(py)?;
    if !Condition::is_plain(this) {
        return this.as_any().call_method1(intern!(py, "notify"), (waiting,));
    }
    if !is_locked(this)? {
        return Err(PyRuntimeError::new_err("cannot notify on un-acquired lock"));
    }
    let limit = i64::try_from(waiting).unwrap_or(i64::MAX);
    wake_up_to(this, &Count::new(limit))?;
    Ok(none(py))
}

static ENTER: Kind = context::enter::<Condition>();
static EXIT: Kind = context::exit::<Condition>();
static ACQUIRE: Kind = Kind {
    name: "acquire",
    qualified_name: "Lock.acquire",
    start: begin_to_acquire,
    resume: coroutine::never_resumed,
};

impl Acquired for Condition {
    const ENTER: &'static Kind = &ENTER;
    const EXIT: &'static Kind = &EXIT;
    const ACQUIRE: &'static Kind = &ACQUIRE;

    /// `self.release()`.
    #[inline]
    fn release(this: &Bound<'_, Self>) -> PyResult<()> {
        match native_lock(this) {
            Some(lock) => Lock::release(&lock),
            None => this.as_any().call_method0(intern!(this.py(), "release")).map(drop),
        }
    }
}

/// `await self.acquire()`.
fn begin_to_acquire<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let condition = coroutine::owner::<Condition>(this)?;
    awaiting(condition.as_any().call_method0(intern!(this.py(), "acquire"))?)
}

fn aenter<'py>(this: &Bound<'py, Condition>) -> Object<'py> {
    match native_lock(this) {
        Some(lock) => coroutine::new(&lock, Lock::ENTER),
        None => coroutine::new(this, &ENTER),
    }
    .map(Bound::into_any)
}

fn aexit<'py>(this: &Bound<'py, Condition>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    context::check_exit(&arguments)?;
    exit_any(this.as_any())
}

fn enter_any<'py>(this: &Bound<'py, PyAny>) -> Object<'py> {
    aenter(this.cast::<Condition>()?)
}

fn exit_any<'py>(this: &Bound<'py, PyAny>) -> Object<'py> {
    let this = this.cast::<Condition>()?;
    match native_lock(this) {
        Some(lock) => coroutine::new(&lock, Lock::EXIT),
        None => coroutine::new(this, &EXIT),
    }
    .map(Bound::into_any)
}

/// A method of the lock, or what was put in its place.
fn shown<'py>(this: &Bound<'py, Condition>, name: &Bound<'py, PyString>) -> Object<'py> {
    if let Some(own) = dict::of_instance(this.as_any())
        && let Some(value) = dict::get_item(&own, name.as_any())?
    {
        return Ok(value);
    }
    this.state().lock.get_or_none(this.py()).getattr(name)
}

/// Puts something in the place of a method of the lock.
fn replace<'py>(
    this: &Bound<'py, Condition>,
    name: &Bound<'py, PyString>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let own = this.as_any().getattr(intern!(this.py(), "__dict__"))?;
    match value {
        Some(value) => dict::set_item(&own, name.as_any(), value),
        None if own.contains(name)? => own.del_item(name),
        None => Err(PyAttributeError::new_err(name.clone().unbind())),
    }
}

macro_rules! shown {
    ($($get:ident, $set:ident, $name:literal;)*) => {
        $(
            fn $get<'py>(this: &Bound<'py, Condition>) -> Object<'py> {
                shown(this, intern!(this.py(), $name))
            }

            fn $set(this: &Bound<'_, Condition>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
                let value = value.cloned();
                replace(this, intern!(this.py(), $name), value.as_ref())
            }
        )*
    };
}

shown! {
    locked, set_locked, "locked";
    acquire, set_acquire, "acquire";
    release, set_release, "release";
}

fn lock<'py>(this: &Bound<'py, Condition>) -> Object<'py> {
    Ok(this.state().lock.get_or_none(this.py()))
}

/// The methods stay those of the lock before, as in stock.
fn set_lock(this: &Bound<'_, Condition>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let value = value.ok_or_else(errors::cannot_be_deleted)?;
    if this.state().lock.is_set() {
        for name in copied(this.py()) {
            replace(this, name, Some(&shown(this, name)?))?;
        }
    }
    this.state().lock.set(value.clone());
    Ok(())
}

fn repr<'py>(this: &Bound<'py, Condition>) -> Object<'py> {
    waiters::describe(this, if is_locked(this)? { "locked" } else { "unlocked" })
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = waiters::members::<Condition>(Members::default())
        .init::<Condition, _>(init)
        .instance_dict()
        .noargs::<Condition, _>(c"__aenter__", aenter, c"Acquire the lock.")
        .keywords::<Condition, _>(c"__aexit__", aexit, c"Release the lock.")
        .noargs::<Condition, _>(c"wait", wait::wait, c"Wait until notified; return True.")
        .keywords::<Condition, _>(c"wait_for(predicate)", wait::wait_for, c"Wait until a predicate is true.")
        .keywords::<Condition, _>(c"notify(n=1)", notify, c"Wake n tasks that wait, by default one.")
        .noargs::<Condition, _>(c"notify_all", notify_all, c"Wake all tasks that wait.")
        .get_set::<Condition, _, _>(c"locked", locked, set_locked)
        .get_set::<Condition, _, _>(c"acquire", acquire, set_acquire)
        .get_set::<Condition, _, _>(c"release", release, set_release)
        .get_set::<Condition, _, _>(c"_lock", lock, set_lock)
        .unary_slot::<Condition, _>(ffi::Py_tp_repr, repr)
        .doc(c"Condition(lock=None)\n--\n\nA lock over something that tasks wait for; see asyncio.Condition.");
    let members = if cfg!(Py_3_13) {
        members.keywords::<Condition, _>(c"_notify(n)", private_notify, c"Wake n tasks.")
    } else {
        members
    };
    let stock = names::CONDITION.class(py)?;
    CONDITION.create_instead_of(py, c"asyncio.locks.Condition", stock, members.into_slots())?;
    context::bind_cheaply::<Condition>(py, enter_any, exit_any)
}
