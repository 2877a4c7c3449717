//! `as_completed`: futures as they complete. What it gives is an iterator from 3.13 on (`iterator`), a
//! generator before (`generator`); both hand out what comes through a queue.
//! CPython: asyncio.tasks.as_completed, asyncio.tasks._AsCompletedIterator
//!
//! Fields: `todo` is a dict whose keys are the futures that are not done; `done` the queue of those
//! that are, with None for each that the timeout left over.

#[cfg(not(Py_3_13))]
mod generator;
#[cfg(Py_3_13)]
mod iterator;

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, context};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyDict, PyList, PySet, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

#[cfg(not(Py_3_13))]
use generator as face;
#[cfg(Py_3_13)]
use iterator as face;

pub use face::create;

use super::any_future;
use super::callback::{self, Callback, Kind as CallbackKind};
use super::ensure_future::{create_task, is_coroutine, running_loop};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::loop_state::EventLoop;
use crate::names::{self, none};
use crate::queues::{self, Queue};
use crate::tasks::wrapper;

static AS_COMPLETED: Class<AsCompleted> = Class::new();

/// What `as_completed()` gives.
#[derive(Debug)]
pub struct AsCompleted;

/// Its native part. All-zero is one that has come to its end.
#[derive(Debug)]
pub struct AsCompletedState {
    todo: Slot,
    done: Slot,
    callback: Slot,
    timer: Slot,
    /// Since 3.14: the task that called.
    waiter: Slot,
    /// Before 3.13: the arguments, until it begins.
    #[cfg(not(Py_3_13))]
    given: Slot,
    #[cfg(not(Py_3_13))]
    timeout: Slot,
    /// Before 3.13: stock's generator, when that does the work.
    #[cfg(not(Py_3_13))]
    stock: Slot,
    /// `_todo_left`: how many are to be handed out still.
    left: Cell<usize>,
}

// SAFETY: empty slots and zero are all-zero.
unsafe impl State for AsCompletedState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        self.slots().for_each(|slot| drop(slot.take(py)));
    }
}

impl AsCompletedState {
    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let slots = [&self.todo, &self.done, &self.callback, &self.timer, &self.waiter];
        #[cfg(Py_3_13)]
        let of_version = [];
        #[cfg(not(Py_3_13))]
        let of_version = [&self.given, &self.timeout, &self.stock];
        slots.into_iter().chain(of_version)
    }

    fn todo<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Ok(self.todo.get_or_none(py).cast_into::<PyDict>()?)
    }

    fn done<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Queue>> {
        Ok(self.done.get_or_none(py).cast_into::<Queue>()?)
    }

    /// Takes one of those that are to be handed out; false when there is none.
    fn take_one(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for AsCompleted {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        AS_COMPLETED.type_ptr()
    }
}

impl DerefToPyAny for AsCompleted {}

impl NativeClass for AsCompleted {
    type State = AsCompletedState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &AS_COMPLETED
    }
}

static ARGUMENTS: Signature<2> = Signature {
    format: c"O|$O:as_completed",
    names: [c"fs", c"timeout"],
    positional: 1,
    required: 1,
};

fn as_completed<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    if let [Some(given), timeout] = ARGUMENTS.parse(&arguments)?
        && is_plain_collection(given)
        && let Some(this) = face::begin(given, &timeout.map_or_else(|| none(py), Clone::clone))?
    {
        return Ok(this.into_any());
    }
    let (positional, keywords) = arguments.to_objects()?;
    names::AS_COMPLETED.get(py)?.call(positional, Some(&keywords))
}

/// A collection that is certainly no awaitable, and that can be gone through twice.
fn is_plain_collection(given: &Bound<'_, PyAny>) -> bool {
    given.is_exact_instance_of::<PyList>()
        || given.is_exact_instance_of::<PyTuple>()
        || given.is_exact_instance_of::<PySet>()
}

/// The running loop, and what was given as the keys of a dict, if all of it are coroutines and futures
/// of ours. Stock keeps it in a set, whose order is that of addresses; the order given is one of those
/// that stock may take, and always the same one.
fn natively<'py>(
    given: &Bound<'py, PyAny>,
) -> PyResult<Option<(Bound<'py, EventLoop>, Bound<'py, PyDict>)>> {
    let py = given.py();
    let Some(event_loop) = running_loop(py)? else { return Ok(None) };
    let set = PyDict::new(py);
    for object in given.try_iter()? {
        let object = object?;
        let native = match wrapper::exact_future(&object) {
            Some(future) => future.state.event_loop.as_ptr() == event_loop.as_ptr(),
            None => is_coroutine(&object),
        };
        if !native {
            return Ok(None);
        }
        set.set_item(object, none(py))?;
    }
    Ok(Some((event_loop, set)))
}

/// Begins the work. CPython: _AsCompletedIterator.__init__
fn fill<'py>(
    this: &Bound<'py, AsCompleted>,
    event_loop: &Bound<'py, EventLoop>,
    given: &Bound<'py, PyDict>,
    timeout: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    state.done.set(queues::new(py)?);
    #[cfg(Py_3_14)]
    state.waiter.replace(py, super::awaiting_task(py)?);
    let todo = PyDict::new(py);
    for object in given.keys() {
        if wrapper::exact_future(&object).is_some() {
            todo.set_item(object, none(py))?;
        } else {
            todo.set_item(create_task(event_loop, &object)?, none(py))?;
        }
    }
    let callback = callback::new(py, &COMPLETED)?;
    callback.state().owner.set(this.clone());
    let context = context::copy_current(py)?;
    for future in todo.keys() {
        any_future::add_callback(&future, &callback, &context)?;
        #[cfg(Py_3_14)]
        super::add_awaiting(&future, &state.waiter)?;
    }
    if !timeout.is_none() && !todo.is_empty() {
        let expire = this.as_any().getattr(face::HANDLE_TIMEOUT)?;
        let timer = event_loop.call_method1(intern!(py, "call_later"), (timeout, expire))?;
        state.timer.set(timer);
    }
    state.left.set(todo.len());
    state.callback.set(callback);
    state.todo.set(todo);
    Ok(())
}

static COMPLETED: CallbackKind = CallbackKind {
    qualified_name: face::HANDLE_COMPLETION,
    inside: if cfg!(Py_3_13) { None } else { Some(&names::AS_COMPLETED) },
    takes: 1,
    run: |this: &Bound<'_, Callback>, future| {
        let owner = this.state().owner.get_or_none(this.py());
        complete(&owner.cast_into::<AsCompleted>()?, future)
    },
};

/// CPython: _AsCompletedIterator._handle_completion
fn complete<'py>(this: &Bound<'py, AsCompleted>, future: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let todo = state.todo(py)?;
    if todo.is_empty() {
        return Ok(());
    }
    if todo.contains(future)? {
        todo.del_item(future)?;
    }
    #[cfg(Py_3_14)]
    super::discard_awaiting(future, &state.waiter)?;
    queues::put_now(&state.done(py)?, future.clone())?;
    if !todo.is_empty() {
        return Ok(());
    }
    drop(state.callback.take(py));
    match state.timer.take(py) {
        Some(timer) => timer.call_method0(intern!(py, "cancel")).map(drop),
        None => Ok(()),
    }
}

/// What is left will raise TimeoutError. CPython: _AsCompletedIterator._handle_timeout
fn expire<'py>(this: &Bound<'py, AsCompleted>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    let (todo, done) = (state.todo(py)?, state.done(py)?);
    let callback = state.callback.take(py);
    for future in todo.keys() {
        if let Some(callback) = &callback {
            any_future::remove_callback(&future, callback)?;
        }
        #[cfg(Py_3_14)]
        super::discard_awaiting(&future, &state.waiter)?;
        queues::put_now(&done, none(py))?;
    }
    todo.clear();
    Ok(none(py))
}

static WAIT_FOR_ONE: Kind = Kind {
    name: "_wait_for_one",
    qualified_name: face::WAIT_FOR_ONE,
    start: wait_for_one,
    resume: one_came,
};

/// In `number`: the result of the future is asked for, not the future itself.
const RESOLVE: i64 = 1;

/// The coroutine `_wait_for_one(resolve)`.
fn waiting<'py>(this: &Bound<'py, AsCompleted>, resolve: bool) -> Object<'py> {
    let coroutine = coroutine::new(this, &WAIT_FOR_ONE)?;
    coroutine.state().number.set(if resolve { RESOLVE } else { 0 });
    Ok(coroutine.into_any())
}

fn wait_for_one<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let done = coroutine::owner::<AsCompleted>(this)?.state().done(this.py())?;
    match queues::get_at_once(&done)? {
        Some(future) => one_came(this, Ok(future)),
        None => awaiting(queues::get(&done)?),
    }
}

fn one_came<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let future = match outcome {
        Ok(future) => future,
        Err(error) => {
            if cfg!(Py_3_14) {
                let owner = coroutine::owner::<AsCompleted>(this)?;
                owner.state().left.set(owner.state().left.get() + 1);
            }
            return Err(error);
        }
    };
    if future.is_none() {
        return Err(PyTimeoutError::new_err(()));
    }
    if this.state().number.get() == RESOLVE {
        return any_future::result(&future).map(Progress::Return);
    }
    Ok(Progress::Return(future))
}

/// `ferrio.as_completed`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::AS_COMPLETED.get(py)?, as_completed)
}
