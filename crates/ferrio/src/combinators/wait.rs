//! `wait`. CPython: asyncio.tasks.wait, asyncio.tasks._wait
//!
//! Fields of the coroutine: until it begins, `owner`, `first` and `second` are the arguments. Then
//! `owner` is the set of futures and `first` the callback on each of them; `number` is
//! [`LEFT_TO_STOCK`] when stock's `_wait` is awaited.
//! Fields of the callback: `owner` is the future that the coroutine awaits, `second` the timer that
//! resolves it, `first` (from 3.14 on) the task that waits; `number` counts the futures that are not
//! done, `total` says which of them end the wait.

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, context};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PyTuple};

use super::any_task;
use super::callback::{self, Callback, Kind as CallbackKind};
use super::ensure_future::is_coroutine;
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::errors;
use crate::futures::future::Status;
use crate::futures::methods as futures;
use crate::loop_state::{EventLoop, as_native};
use crate::names::{self, none};
use crate::running;
use crate::tasks::wrapper;

static WAIT: Signature<3> = Signature {
    format: c"O|$OO:wait",
    names: [c"fs", c"timeout", c"return_when"],
    positional: 1,
    required: 1,
};

fn wait<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    let [given, timeout, return_when] = WAIT.parse(&arguments)?;
    let given = given.map_or_else(|| none(py), Clone::clone);
    let this = coroutine::new(&given, &KIND)?;
    this.state().first.replace(py, timeout.cloned());
    this.state().second.replace(py, return_when.cloned());
    Ok(this.into_any())
}

static KIND: Kind = Kind { name: "wait", qualified_name: "wait", start: begin, resume: go_on };

const LEFT_TO_STOCK: i64 = 1;

/// `return_when`: which futures end the wait.
const ALL_COMPLETED: usize = 0;
const FIRST_COMPLETED: usize = 1;
const FIRST_EXCEPTION: usize = 2;

fn begin<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let state = this.state();
    let given = state.owner.get_or_none(py);
    check_collection(&given)?;
    let default = || intern!(py, "ALL_COMPLETED").clone().into_any();
    let return_when = state.second.take(py).unwrap_or_else(default);
    let until = which_end_it(&return_when)?;
    let given = Given::collect(&given)?;
    let native = given.is_native()?;
    let running = running::get(py)?;
    let timeout = state.first.get_or_none(py);
    if let Some(event_loop) = as_native(&running)
        && native
        && event_loop.get().takes_items()
    {
        return begin_natively(this, event_loop, Wait { given, timeout, until });
    }
    state.number.set(LEFT_TO_STOCK);
    let given = PyList::new(py, given.in_order)?;
    awaiting(names::WAIT_ON_SET.get(py)?.call1((given, timeout, return_when, running))?)
}

fn check_collection(given: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = given.py();
    let is_plain = given.is_exact_instance_of::<PyList>()
        || given.is_exact_instance_of::<PySet>()
        || given.is_exact_instance_of::<PyTuple>()
        || given.is_exact_instance_of::<PyFrozenSet>()
        || given.is_exact_instance_of::<PyDict>();
    if !is_plain
        && (names::IS_FUTURE.get(py)?.call1((given,))?.is_truthy()?
            || names::IS_COROUTINE.get(py)?.call1((given,))?.is_truthy()?)
    {
        let text = format!("expect a list of futures, not {}", given.get_type().name()?);
        return Err(PyTypeError::new_err(text));
    }
    if !given.is_truthy()? {
        return Err(PyValueError::new_err("Set of Tasks/Futures is empty."));
    }
    Ok(())
}

fn which_end_it(return_when: &Bound<'_, PyAny>) -> PyResult<usize> {
    let py = return_when.py();
    if return_when.eq(intern!(py, "ALL_COMPLETED"))? {
        return Ok(ALL_COMPLETED);
    }
    if return_when.eq(intern!(py, "FIRST_COMPLETED"))? {
        return Ok(FIRST_COMPLETED);
    }
    if return_when.eq(intern!(py, "FIRST_EXCEPTION"))? {
        return Ok(FIRST_EXCEPTION);
    }
    let shown = py.import("builtins")?.getattr("format")?.call1((return_when,))?;
    Err(PyValueError::new_err(format!("Invalid return_when value: {shown}")))
}

/// The different objects among those that are given. Stock goes through a set, whose order is that of
/// addresses; here it is the order given, one of those that stock may take, and always the same one.
struct Given<'py> {
    set: Bound<'py, PySet>,
    in_order: Vec<Bound<'py, PyAny>>,
}

impl<'py> Given<'py> {
    fn collect(given: &Bound<'py, PyAny>) -> PyResult<Self> {
        let set = PySet::empty(given.py())?;
        let mut in_order = Vec::new();
        for object in given.try_iter()? {
            let object = object?;
            set.add(&object)?;
            if set.len() > in_order.len() {
                in_order.push(object);
            }
        }
        Ok(Self { set, in_order })
    }

    /// Whether all are futures and tasks of ours, and there are any. TypeError when one is a coroutine.
    fn is_native(&self) -> PyResult<bool> {
        let mut native = !self.in_order.is_empty();
        for future in &self.in_order {
            if let Some(found) = wrapper::exact_future(future) {
                native &= found.state.event_loop.is_set();
                continue;
            }
            native = false;
            let stock = names::IS_COROUTINE.get(future.py())?;
            if is_coroutine(future) || stock.call1((future,))?.is_truthy()? {
                let text = "Passing coroutines is forbidden, use tasks explicitly.";
                return Err(PyTypeError::new_err(text));
            }
        }
        Ok(native)
    }
}

/// What is waited for.
struct Wait<'py> {
    given: Given<'py>,
    timeout: Bound<'py, PyAny>,
    until: usize,
}

fn begin_natively<'py>(
    this: &Bound<'py, Coroutine>,
    event_loop: &Bound<'py, EventLoop>,
    wait: Wait<'py>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let waiter = futures::create_for(event_loop.as_any())?;
    let callback = callback::new(py, &COMPLETED)?;
    let state = callback.state();
    if !wait.timeout.is_none() {
        let release = callback::new(py, &RELEASE)?;
        let parts = (&wait.timeout, release, &waiter);
        state.second.set(event_loop.call_method1(intern!(py, "call_later"), parts)?);
    }
    state.owner.set(waiter.clone());
    state.number.set(wait.given.in_order.len());
    state.total.set(wait.until);
    #[cfg(Py_3_14)]
    state.first.replace(py, super::awaiting_task(py)?);
    let context = context::copy_current(py)?;
    for future in &wait.given.in_order {
        if let Some(native) = wrapper::exact_future(future) {
            native.add_callback(callback.as_any(), context.clone())?;
        }
        #[cfg(Py_3_14)]
        super::add_awaiting(future, &state.first)?;
    }
    this.state().owner.set(wait.given.set);
    this.state().first.set(callback);
    awaiting(waiter)
}

static COMPLETED: CallbackKind = CallbackKind {
    qualified_name: "_wait.<locals>._on_completion",
    inside: Some(&names::WAIT_ON_SET),
    takes: 1,
    run: completed,
};

/// One of the futures is done.
fn completed<'py>(this: &Bound<'py, Callback>, future: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let left = state.number.get().saturating_sub(1);
    state.number.set(left);
    let until = state.total.get();
    if left == 0 || until == FIRST_COMPLETED || (until == FIRST_EXCEPTION && has_failed(future)) {
        cancel_timer(this)?;
        any_task::release(&state.owner.get_or_none(py), none(py))?;
    }
    #[cfg(Py_3_14)]
    super::discard_awaiting(future, &state.first)?;
    Ok(())
}

/// Whether it has an exception, which then counts as seen.
fn has_failed(future: &Bound<'_, PyAny>) -> bool {
    let failed =
        wrapper::exact_future(future).filter(|future| future.state.status() == Status::Exception);
    if let Some(future) = failed {
        future.state.log_traceback.set(false);
    }
    failed.is_some()
}

fn cancel_timer(callback: &Bound<'_, Callback>) -> PyResult<()> {
    let py = callback.py();
    match callback.state().second.get(py) {
        Some(timer) => timer.call_method0(intern!(py, "cancel")).map(drop),
        None => Ok(()),
    }
}

static RELEASE: CallbackKind = CallbackKind {
    qualified_name: "_release_waiter",
    inside: Some(&names::RELEASE_WAITER),
    takes: 1,
    run: |this: &Bound<'_, Callback>, waiter| any_task::release(waiter, none(this.py())),
};

fn go_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let state = this.state();
    if state.number.get() == LEFT_TO_STOCK {
        return outcome.map(Progress::Return);
    }
    let given = state.owner.get_or_none(py).cast_into::<PySet>()?;
    let callback = state.first.get_or_none(py).cast_into::<Callback>()?;
    let withdrawn = withdraw(&given, &callback);
    if let Err(error) = outcome {
        return Err(errors::after_handling(py, error, withdrawn));
    }
    withdrawn?;
    let (done, pending) = part(given)?;
    Ok(Progress::Return(PyTuple::new(py, [done, pending])?.into_any()))
}

/// Nobody waits any more.
fn withdraw(given: &Bound<'_, PySet>, callback: &Bound<'_, Callback>) -> PyResult<()> {
    cancel_timer(callback)?;
    for future in given.try_iter()? {
        let future = future?;
        if let Some(native) = wrapper::exact_future(&future) {
            native.state.callbacks.remove(callback)?;
        }
        #[cfg(Py_3_14)]
        super::discard_awaiting(&future, &callback.state().first)?;
    }
    Ok(())
}

/// Those that are done, and the others.
fn part(given: Bound<'_, PySet>) -> PyResult<(Bound<'_, PySet>, Bound<'_, PySet>)> {
    let is_pending = |future: &Bound<'_, PyAny>| {
        wrapper::exact_future(future).is_some_and(|future| future.state.is_pending())
    };
    let pending = PySet::empty(given.py())?;
    for future in given.try_iter()? {
        let future = future?;
        if is_pending(&future) {
            pending.add(future)?;
        }
    }
    if pending.is_empty() {
        return Ok((given, pending));
    }
    let done = PySet::empty(given.py())?;
    for future in given.try_iter()? {
        let future = future?;
        if !is_pending(&future) {
            done.add(future)?;
        }
    }
    Ok((done, pending))
}

/// `ferrio.wait`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::WAIT.get(py)?, wait)
}
