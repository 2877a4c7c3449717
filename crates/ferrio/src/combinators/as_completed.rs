//! `as_completed`, from 3.13 on: an iterator, for `for` and for `async for`.
//! CPython: asyncio.tasks._AsCompletedIterator
//!
//! Fields: `todo` is the set of futures that are not done; `done` those that are and were not fetched,
//! in order, with None for each that the timeout left over; `getters` the futures by which tasks wait
//! for one of them, as those of stock's queue.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Members, Next, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, context};
use pyo3::exceptions::{PyStopAsyncIteration, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyDict, PyList, PySet, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

use super::any_task;
use super::callback::{self, Callback, Kind as CallbackKind};
use super::ensure_future::{create_task, is_coroutine, running_loop};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::deque::Deque;
use crate::errors;
use crate::futures::AsFuture;
use crate::futures::future::Status;
use crate::futures::methods as futures;
use crate::loop_state::EventLoop;
use crate::names::{self, none};
use crate::tasks::wrapper;

static ITERATOR: Class<AsCompletedIterator> = Class::new();

/// What `as_completed()` gives.
#[derive(Debug)]
pub struct AsCompletedIterator;

/// The native part of an iterator. All-zero is one that has come to its end.
#[derive(Debug)]
pub struct IteratorState {
    event_loop: Slot,
    todo: Slot,
    callback: Slot,
    timer: Slot,
    /// Since 3.14: the task that made the iterator.
    waiter: Slot,
    done: Deque,
    getters: Deque,
    /// `_todo_left`: how many are to be handed out still.
    left: Cell<usize>,
}

// SAFETY: empty slots, empty queues and zero are all-zero.
unsafe impl State for IteratorState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))?;
        self.done.traverse(visit)?;
        self.getters.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
        self.done.clear(py);
        self.getters.clear(py);
    }
}

impl IteratorState {
    fn slots(&self) -> [&Slot; 5] {
        [&self.event_loop, &self.todo, &self.callback, &self.timer, &self.waiter]
    }

    fn todo<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Ok(self.todo.get_or_none(py).cast_into::<PyDict>()?)
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for AsCompletedIterator {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        ITERATOR.type_ptr()
    }
}

impl DerefToPyAny for AsCompletedIterator {}

impl NativeClass for AsCompletedIterator {
    type State = IteratorState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &ITERATOR
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
    let [given, timeout] = ARGUMENTS.parse(&arguments)?;
    let given = given.map_or_else(|| none(py), Clone::clone);
    let timeout = timeout.map_or_else(|| none(py), Clone::clone);
    if cfg!(not(Py_3_13)) || !is_plain_collection(&given) {
        let (positional, keywords) = arguments.to_objects()?;
        return names::AS_COMPLETED.get(py)?.call(positional, Some(&keywords));
    }
    let given = ordered_set(&given)?;
    match running_loop(py)? {
        Some(event_loop) if are_native(&event_loop, &given)? => {
            make(&event_loop, &given, &timeout).map(Bound::into_any)
        }
        _ => {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "timeout"), timeout)?;
            names::AS_COMPLETED.get(py)?.call((given.keys(),), Some(&keywords))
        }
    }
}

/// A collection that is certainly no awaitable, and that can be gone through twice.
fn is_plain_collection(given: &Bound<'_, PyAny>) -> bool {
    given.is_exact_instance_of::<PyList>()
        || given.is_exact_instance_of::<PyTuple>()
        || given.is_exact_instance_of::<PySet>()
}

/// What stock keeps in sets, whose order is that of addresses, is the keys of a dict here: one of the
/// orders that stock may take, and always the same one.
fn ordered_set<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let set = PyDict::new(given.py());
    for object in given.try_iter()? {
        set.set_item(object?, none(given.py()))?;
    }
    Ok(set)
}

fn are_native(event_loop: &Bound<'_, EventLoop>, given: &Bound<'_, PyDict>) -> PyResult<bool> {
    for object in given.keys() {
        let native = match wrapper::exact_future(&object) {
            Some(future) => future.state.event_loop.as_ptr() == event_loop.as_ptr(),
            None => is_coroutine(&object),
        };
        if !native {
            return Ok(false);
        }
    }
    Ok(true)
}

fn make<'py>(
    event_loop: &Bound<'py, EventLoop>,
    given: &Bound<'py, PyDict>,
    timeout: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, AsCompletedIterator>> {
    let py = event_loop.py();
    let this = ITERATOR.alloc(py)?;
    let state = this.state();
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
    #[cfg(Py_3_14)]
    state.waiter.replace(py, super::awaiting_task(py)?);
    let context = context::copy_current(py)?;
    for future in todo.keys() {
        if let Some(native) = wrapper::exact_future(&future) {
            native.add_callback(callback.as_any(), context.clone())?;
        }
        #[cfg(Py_3_14)]
        super::add_awaiting(&future, &state.waiter)?;
    }
    state.left.set(todo.len());
    state.event_loop.set(event_loop.clone());
    state.callback.set(callback);
    let is_empty = todo.is_empty();
    state.todo.set(todo);
    if !timeout.is_none() && !is_empty {
        let expire = this.as_any().getattr(intern!(py, "_handle_timeout"))?;
        let timer = event_loop.call_method1(intern!(py, "call_later"), (timeout, expire))?;
        state.timer.set(timer);
    }
    Ok(this)
}

static COMPLETED: CallbackKind = CallbackKind {
    qualified_name: "_AsCompletedIterator._handle_completion",
    inside: None,
    takes: 1,
    run: |this: &Bound<'_, Callback>, future| {
        let owner = this.state().owner.get_or_none(this.py());
        complete(&owner.cast_into::<AsCompletedIterator>()?, future)
    },
};

/// `_handle_completion`.
fn complete<'py>(
    this: &Bound<'py, AsCompletedIterator>,
    future: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let todo = state.todo(py)?;
    if todo.is_empty() {
        return Ok(());
    }
    #[cfg(Py_3_14)]
    super::discard_awaiting(future, &state.waiter)?;
    if todo.contains(future)? {
        todo.del_item(future)?;
    }
    put(state, future.clone())?;
    if !todo.is_empty() {
        return Ok(());
    }
    drop(state.callback.take(py));
    match state.timer.take(py) {
        Some(timer) => timer.call_method0(intern!(py, "cancel")).map(drop),
        None => Ok(()),
    }
}

/// `_handle_timeout`: what is left will raise TimeoutError.
fn expire<'py>(this: &Bound<'py, AsCompletedIterator>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    let todo = state.todo(py)?;
    let callback = state.callback.take(py);
    for future in todo.keys() {
        #[cfg(Py_3_14)]
        super::discard_awaiting(&future, &state.waiter)?;
        if let (Some(native), Some(callback)) = (wrapper::exact_future(&future), &callback) {
            native.state.callbacks.remove(callback)?;
        }
        put(state, none(py))?;
    }
    todo.clear();
    Ok(none(py))
}

/// `put_nowait` of stock's queue.
fn put(state: &IteratorState, item: Bound<'_, PyAny>) -> PyResult<()> {
    let py = item.py();
    state.done.push_back(item)?;
    wake_next(py, state)
}

/// CPython: Queue._wakeup_next
fn wake_next(py: Python<'_>, state: &IteratorState) -> PyResult<()> {
    while let Some(getter) = state.getters.pop_front(py)? {
        if let Some(getter) = futures::as_exact(&getter).filter(|one| is_pending(one)) {
            return getter.as_future().set_result(none(py));
        }
    }
    Ok(())
}

#[inline]
fn is_pending(future: &Bound<'_, futures::Future>) -> bool {
    future.as_future().state.is_pending()
}

static FETCH: Kind = Kind {
    name: "__anext__",
    qualified_name: "_AsCompletedIterator.__anext__",
    start: fetch,
    resume: fetch_after_waiting,
};

static RESOLVE: Kind = Kind {
    name: "_wait_for_one",
    qualified_name: "_AsCompletedIterator._wait_for_one",
    start: fetch,
    resume: fetch_after_waiting,
};

/// In `number`: the future is asked for, not its result. The iterator is advanced when the coroutine
/// begins.
const FUTURE_ITSELF: i64 = 1;

fn fetch<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let iterator = coroutine::owner::<AsCompletedIterator>(this)?;
    let state = iterator.state();
    if this.state().number.get() == FUTURE_ITSELF {
        if state.left.get() == 0 {
            return Err(PyStopAsyncIteration::new_err(()));
        }
        state.left.set(state.left.get() - 1);
    }
    fetch_or_wait(py, this, state)
}

fn fetch_or_wait<'py>(
    py: Python<'py>,
    this: &Bound<'py, Coroutine>,
    state: &IteratorState,
) -> PyResult<Progress<'py>> {
    let Some(item) = state.done.pop_front(py)? else {
        let waiter = futures::create_for(&any_task::running_loop(py)?)?;
        state.getters.push_back(waiter.clone())?;
        this.state().first.set(waiter.clone());
        return awaiting(waiter);
    };
    if item.is_none() {
        return Err(PyTimeoutError::new_err(()));
    }
    if this.state().number.get() == FUTURE_ITSELF {
        return Ok(Progress::Return(item));
    }
    match wrapper::exact_future(&item) {
        Some(native) => native.result().map(Progress::Return),
        None => item.call_method0(intern!(py, "result")).map(Progress::Return),
    }
}

fn fetch_after_waiting<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let iterator = coroutine::owner::<AsCompletedIterator>(this)?;
    let state = iterator.state();
    let getter = this.state().first.take(py);
    let Err(error) = outcome else { return fetch_or_wait(py, this, state) };
    let given_up = getter.map_or(Ok(()), |getter| give_up(py, state, &getter));
    if cfg!(Py_3_14) {
        state.left.set(state.left.get() + 1);
    }
    Err(errors::after_handling(py, error, given_up))
}

/// A task stops to wait. CPython: Queue.get
fn give_up(py: Python<'_>, state: &IteratorState, getter: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(native) = futures::as_exact(getter) else { return Ok(()) };
    native.as_future().cancel(None)?;
    state.getters.remove(getter)?;
    if state.done.len(py)? > 0 && native.as_future().state.status() != Status::Cancelled {
        wake_next(py, state)?;
    }
    Ok(())
}

fn anext<'py>(this: &Bound<'py, AsCompletedIterator>) -> Object<'py> {
    let coroutine = coroutine::new(this, &FETCH)?;
    coroutine.state().number.set(FUTURE_ITSELF);
    Ok(coroutine.into_any())
}

fn next<'py>(this: &Bound<'py, AsCompletedIterator>) -> PyResult<Next<'py>> {
    let left = &this.state().left;
    if left.get() == 0 {
        return Ok(Next::Return(none(this.py())));
    }
    left.set(left.get() - 1);
    coroutine::new(this, &RESOLVE).map(|coroutine| Next::Yield(coroutine.into_any()))
}

fn itself<'py>(this: &Bound<'py, AsCompletedIterator>) -> Object<'py> {
    Ok(this.as_any().clone())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .instance_dict()
        .iternext::<AsCompletedIterator, _>(next)
        .unary_slot::<AsCompletedIterator, _>(ffi::Py_tp_iter, itself)
        .unary_slot::<AsCompletedIterator, _>(ffi::Py_am_aiter, itself)
        .unary_slot::<AsCompletedIterator, _>(ffi::Py_am_anext, anext)
        .noargs::<AsCompletedIterator, _>(c"_handle_timeout", expire, c"The time is over.")
        .doc(c"Futures as they complete; see asyncio.as_completed.");
    let base = py.get_type::<PyAny>();
    ITERATOR.create(py, c"asyncio.tasks._AsCompletedIterator", &base, members.into_slots())
}

/// `ferrio.as_completed`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::AS_COMPLETED.get(py)?, as_completed)
}
