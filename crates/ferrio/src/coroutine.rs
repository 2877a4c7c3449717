//! What asyncio writes as `async def`, as one native object: `lock.acquire()`, `queue.get()` and the
//! like. asyncio takes it for a coroutine (`collections.abc.Coroutine`). A [`Kind`] says what it does:
//! how it begins, and how it goes on with the outcome of what it awaited.
//!
//! State: Created -> Running, then Running <-> Waiting until Done.
//! Fields: `owner`, `first`, `second` and `number` belong to the kind; they are set until Done.
//! `awaited` is set while Waiting: a Future of ours, or the iterator of another awaitable.
//! Invariant: while Running a resumption is refused, so a kind's functions are never re-entered.
//! Shutdown: one that was never awaited warns. One that is closed or freed while it waits is ended as
//! a coroutine is: GeneratorExit is raised where it waits.

mod awaitable;
mod members;

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::Next;
use ferrio_capi::send::Sent;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

pub use awaitable::awaiting;
pub use members::create;

use crate::errors;
use crate::futures::{AsFuture, Future, methods as futures};
use crate::tasks::face::reused;
use crate::tasks::origin;

static COROUTINE: Class<Coroutine> = Class::new();

/// A native coroutine.
#[derive(Debug)]
pub struct Coroutine;

/// What a coroutine does.
#[derive(Debug)]
pub struct Kind {
    /// The `__name__` of stock's function.
    pub name: &'static str,
    /// Its `__qualname__`.
    pub qualified_name: &'static str,
    /// Begins.
    pub start: for<'py> fn(&Bound<'py, Coroutine>) -> PyResult<Progress<'py>>,
    /// Goes on with the outcome of what was awaited, or with what was thrown.
    pub resume:
        for<'py> fn(&Bound<'py, Coroutine>, PyResult<Bound<'py, PyAny>>) -> PyResult<Progress<'py>>,
}

/// How far a coroutine came.
#[derive(Debug)]
pub enum Progress<'py> {
    /// It returned.
    Return(Bound<'py, PyAny>),
    /// It awaits a Future of ours.
    Future(Bound<'py, Future>),
    /// It awaits another awaitable; this is its iterator.
    Iterator(Bound<'py, PyAny>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    Created = 0,
    Running,
    Waiting,
    Done,
}

/// The native part of a coroutine. All-zero is one without kind, which nothing can be done with.
#[derive(Debug)]
pub struct CoroutineState {
    kind: Cell<Option<&'static Kind>>,
    /// The object whose method it is.
    pub owner: Slot,
    pub first: Slot,
    pub second: Slot,
    pub number: Cell<i64>,
    awaited: Slot,
    phase: Cell<Phase>,
    is_finalized: Cell<bool>,
}

// SAFETY: `None`, empty slots, zero, `Phase::Created` and false are all-zero.
unsafe impl State for CoroutineState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        for slot in self.slots() {
            drop(slot.take(py));
        }
    }
}

impl CoroutineState {
    fn slots(&self) -> [&Slot; 4] {
        [&self.awaited, &self.owner, &self.first, &self.second]
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Coroutine {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        COROUTINE.type_ptr()
    }
}

impl DerefToPyAny for Coroutine {}

impl NativeClass for Coroutine {
    type State = CoroutineState;
    const KEPT: usize = 256;

    fn class() -> &'static Class<Self> {
        &COROUTINE
    }

    fn may_nest(state: &CoroutineState) -> bool {
        state.phase.get() != Phase::Done
    }

    fn needs_finalizer(state: &CoroutineState) -> bool {
        state.phase.get() != Phase::Done
    }

    #[inline]
    unsafe fn is_finalized(_: *mut ffi::PyObject, state: &CoroutineState) -> bool {
        state.is_finalized.get()
    }
}

/// A coroutine of `kind`, a method of `owner`.
#[inline]
pub fn new<'py, T>(owner: &Bound<'py, T>, kind: &'static Kind) -> PyResult<Bound<'py, Coroutine>> {
    let this = COROUTINE.alloc(owner.py())?;
    this.state().kind.set(Some(kind));
    this.state().owner.set(owner.as_any().clone());
    origin::record(owner.py(), &this.state().awaited)?;
    Ok(this)
}

/// The object whose method a coroutine is.
///
/// # Errors
/// RuntimeError when it is over.
#[inline]
pub fn owner<'py, C: NativeClass>(this: &Bound<'py, Coroutine>) -> PyResult<Bound<'py, C>> {
    let owner = this.state().owner.get(this.py()).ok_or_else(reused)?;
    Ok(owner.cast_into::<C>()?)
}

/// The `resume` of a kind that never waits.
///
/// # Errors
/// The outcome's.
pub fn never_resumed<'py>(
    _: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    outcome.map(Progress::Return)
}

/// `object` as a coroutine of ours.
#[inline]
pub fn as_coroutine<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Coroutine>> {
    COROUTINE.cast_exact(object)
}

/// `send(None)`.
#[inline]
fn next<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Next<'py>> {
    let state = this.state();
    let phase = state.phase.replace(Phase::Running);
    let (Some(kind), false) = (state.kind.get(), phase == Phase::Done) else {
        state.phase.set(Phase::Done);
        return Err(reused());
    };
    match phase {
        // Most need not wait; for these the loop of `advance` is a way too far (109 instructions with the
        // arguments of `put`, 6 % of an item that goes through a queue).
        Phase::Created => match (kind.start)(this) {
            Ok(Progress::Return(value)) => {
                end(this);
                Ok(Next::Return(value))
            }
            progress => advance(this, kind, progress),
        },
        Phase::Waiting => wake(this, kind),
        Phase::Running | Phase::Done => Err(PyValueError::new_err("coroutine already executing")),
    }
}

/// What is awaited may have an outcome now.
#[inline]
fn wake<'py>(this: &Bound<'py, Coroutine>, kind: &'static Kind) -> PyResult<Next<'py>> {
    let awaited = this.state().awaited.take(this.py()).ok_or_else(reused)?;
    let Some(future) = futures::as_exact(&awaited).map(AsFuture::as_future) else {
        let sent = awaitable::step(&awaited);
        return go_on(this, kind, awaited, sent);
    };
    let outcome = match future.outcome_or_block() {
        Ok(Some(result)) => Ok(result),
        Ok(None) => {
            this.state().awaited.set(awaited.clone());
            this.state().phase.set(Phase::Waiting);
            return Ok(Next::Yield(awaited));
        }
        Err(error) => Err(error),
    };
    advance(this, kind, (kind.resume)(this, outcome))
}

/// `throw(exception)`.
fn throw<'py>(this: &Bound<'py, Coroutine>, exception: PyErr) -> PyResult<Next<'py>> {
    let state = this.state();
    let (Some(kind), phase) = (state.kind.get(), state.phase.replace(Phase::Running)) else {
        return Err(reused());
    };
    match phase {
        Phase::Created => advance(this, kind, Err(exception)),
        Phase::Waiting => throw_into(this, kind, exception),
        Phase::Running => Err(PyValueError::new_err("coroutine already executing")),
        Phase::Done => {
            state.phase.set(Phase::Done);
            Err(reused())
        }
    }
}

fn throw_into<'py>(
    this: &Bound<'py, Coroutine>,
    kind: &'static Kind,
    exception: PyErr,
) -> PyResult<Next<'py>> {
    let awaited = this.state().awaited.take(this.py()).ok_or_else(reused)?;
    if futures::as_exact(&awaited).is_some() {
        return advance(this, kind, (kind.resume)(this, Err(exception)));
    }
    let sent = awaitable::throw(&awaited, exception);
    go_on(this, kind, awaited, sent)
}

/// Goes on after a step of the iterator of what is awaited.
fn go_on<'py>(
    this: &Bound<'py, Coroutine>,
    kind: &'static Kind,
    iterator: Bound<'py, PyAny>,
    sent: Sent<'py>,
) -> PyResult<Next<'py>> {
    match outcome_or_wait(this, iterator, sent) {
        Ok(outcome) => advance(this, kind, (kind.resume)(this, outcome)),
        Err(waiting) => Ok(waiting),
    }
}

/// The outcome of what is awaited; while it has none, what the coroutine yields, as the error.
fn outcome_or_wait<'py>(
    this: &Bound<'py, Coroutine>,
    iterator: Bound<'py, PyAny>,
    sent: Sent<'py>,
) -> Result<PyResult<Bound<'py, PyAny>>, Next<'py>> {
    match sent {
        Sent::Returned(value) => Ok(Ok(value)),
        Sent::Raised(error) => Ok(Err(error)),
        Sent::Yielded(item) => {
            this.state().awaited.set(iterator);
            this.state().phase.set(Phase::Waiting);
            Err(Next::Yield(item))
        }
    }
}

/// Goes on until the coroutine has to wait or is over. What is awaited may be ready any number of times.
#[inline]
fn advance<'py>(
    this: &Bound<'py, Coroutine>,
    kind: &'static Kind,
    mut progress: PyResult<Progress<'py>>,
) -> PyResult<Next<'py>> {
    let state = this.state();
    loop {
        let outcome = match progress {
            Ok(Progress::Return(value)) => {
                end(this);
                return Ok(Next::Return(value));
            }
            Ok(Progress::Future(future)) if future.as_future().state.is_pending() => {
                future.as_future().state.blocking.set(true);
                state.awaited.set(future.clone());
                state.phase.set(Phase::Waiting);
                return Ok(Next::Yield(future.into_any()));
            }
            Ok(Progress::Future(future)) => future.as_future().result(),
            Ok(Progress::Iterator(iterator)) => {
                let sent = awaitable::step(&iterator);
                match outcome_or_wait(this, iterator, sent) {
                    Ok(outcome) => outcome,
                    Err(waiting) => return Ok(waiting),
                }
            }
            Err(error) => {
                end(this);
                return Err(no_stop_iteration(this.py(), error));
            }
        };
        progress = (kind.resume)(this, outcome);
    }
}

/// The coroutine is over.
#[inline]
fn end(this: &Bound<'_, Coroutine>) {
    this.state().phase.set(Phase::Done);
    this.state().clear(this.py());
}

/// CPython: gen_send_ex2, which lets no StopIteration out of a coroutine (PEP 479)
fn no_stop_iteration(py: Python<'_>, error: PyErr) -> PyErr {
    let error = errors::settled(py, error);
    if !error.is_instance_of::<PyStopIteration>(py) {
        return error;
    }
    let replacement = PyRuntimeError::new_err("coroutine raised StopIteration");
    let context = error.value(py).clone();
    replacement.set_cause(py, Some(error));
    let set = replacement.value(py).setattr(pyo3::intern!(py, "__context__"), context);
    set.err().unwrap_or(replacement)
}
