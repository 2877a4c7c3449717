//! The futures by which tasks wait for a queue: `_getters` and `_putters`.

use ferrio_capi::StateOf;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use super::order::{Order, plain_order};
use super::queue::Queue;
use crate::coroutine::{self, Coroutine, Progress, awaiting};
use crate::deque::Deque;
use crate::errors;
use crate::futures::{AsFuture, methods as futures};
use crate::locks::waiting;
use crate::names::none;

/// Which tasks wait, and for what.
pub trait Side {
    /// The whole work on a plain queue; None when the task has to wait or the queue was shut down.
    ///
    /// # Errors
    /// Those of the container.
    fn at_once<'py>(
        this: &Bound<'py, Coroutine>,
        queue: &Bound<'py, Queue>,
        order: Order,
    ) -> PyResult<Option<Bound<'py, PyAny>>>;

    /// Their futures.
    fn waiters<'a>(queue: &'a Bound<'_, Queue>) -> &'a Deque;

    /// Whether they have to wait.
    ///
    /// # Errors
    /// Those of a method that somebody replaced.
    fn is_blocked(queue: &Bound<'_, Queue>) -> PyResult<bool>;

    /// What they do when they need not wait.
    ///
    /// # Errors
    /// Those of stock's.
    fn finish<'py>(
        this: &Bound<'py, Coroutine>,
        queue: &Bound<'py, Queue>,
    ) -> PyResult<Bound<'py, PyAny>>;

    /// Whether the queue was shut down so that nobody may begin to wait.
    ///
    /// # Errors
    /// Those of a method that somebody replaced.
    fn is_refused(queue: &Bound<'_, Queue>) -> PyResult<bool>;
}

/// The `start` of `get` and `put`.
pub fn start<'py, S: Side>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let queue = coroutine::owner::<Queue>(this)?;
    if let Some(order) = plain_order(&queue)
        && let Some(value) = S::at_once(this, &queue, order)?
    {
        return Ok(Progress::Return(value));
    }
    go_on::<S>(this, &queue)
}

fn go_on<'py, S: Side>(
    this: &Bound<'py, Coroutine>,
    queue: &Bound<'py, Queue>,
) -> PyResult<Progress<'py>> {
    if !S::is_blocked(queue)? {
        return S::finish(this, queue).map(Progress::Return);
    }
    if S::is_refused(queue)? {
        return Err(super::exceptions::shut_down(queue.py()));
    }
    let waiter = create(queue)?;
    S::waiters(queue).push_back(waiter.clone())?;
    this.state().second.set(waiter.clone());
    awaiting(waiter)
}

/// The `resume` of `get` and `put`.
pub fn resume<'py, S: Side>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let queue = coroutine::owner::<Queue>(this)?;
    let waiter = this.state().second.take(this.py());
    match (outcome, waiter) {
        (Ok(_), _) => go_on::<S>(this, &queue),
        (Err(error), None) => Err(error),
        (Err(error), Some(waiter)) => {
            Err(errors::after_handling(this.py(), error, give_up::<S>(&queue, &waiter)))
        }
    }
}

/// What stock's `except` clause does: takes the future out, and passes a wake-up on that it cannot use.
fn give_up<'py, S: Side>(queue: &Bound<'py, Queue>, waiter: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = queue.py();
    match futures::as_exact(waiter) {
        Some(future) => drop(future.as_future().cancel(None)?),
        None => drop(waiter.call_method0(intern!(py, "cancel"))?),
    }
    match S::waiters(queue).remove(waiter) {
        Err(error) if !error.is_instance_of::<PyValueError>(py) => return Err(error),
        _ => {}
    }
    if !S::is_blocked(queue)? && !waiting::is_cancelled(waiter)? {
        wake_up_next(queue, S::waiters(queue))?;
    }
    Ok(())
}

/// `self._get_loop().create_future()`.
#[inline]
fn create<'py>(queue: &Bound<'py, Queue>) -> PyResult<Bound<'py, PyAny>> {
    if plain_order(queue).is_some() {
        return waiting::create_waiter(queue, &queue.state().event_loop);
    }
    let py = queue.py();
    let event_loop = queue.as_any().call_method0(intern!(py, "_get_loop"))?;
    event_loop.call_method0(intern!(py, "create_future"))
}

/// `self._wakeup_next(waiters)`.
#[inline]
pub fn wake_up_next(queue: &Bound<'_, Queue>, waiters: &Deque) -> PyResult<()> {
    let py = queue.py();
    if plain_order(queue).is_none() {
        let waiters = waiters.show(py)?;
        return queue.as_any().call_method1(intern!(py, "_wakeup_next"), (waiters,)).map(drop);
    }
    wake_up_next_plainly(py, waiters)
}

/// [`wake_up_next`] for a plain queue.
#[inline]
pub fn wake_up_next_plainly(py: Python<'_>, waiters: &Deque) -> PyResult<()> {
    if waiters.is_idle() { Ok(()) } else { wake_up_one(py, waiters) }
}

fn wake_up_one(py: Python<'_>, waiters: &Deque) -> PyResult<()> {
    while let Some(waiter) = waiters.pop_front(py)? {
        if !waiting::is_done(&waiter)? {
            return waiting::wake(&waiter, none(py));
        }
    }
    Ok(())
}

/// `_wakeup_next`, on whatever somebody calls it with. CPython: Queue._wakeup_next
pub fn wake_up_next_of(waiters: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = waiters.py();
    while waiters.is_truthy()? {
        let waiter = waiters.call_method0(intern!(py, "popleft"))?;
        if !waiting::is_done(&waiter)? {
            return waiting::wake(&waiter, none(py));
        }
    }
    Ok(())
}

/// Wakes everyone.
pub fn wake_up_all(py: Python<'_>, waiters: &Deque) -> PyResult<()> {
    while let Some(waiter) = waiters.pop_front(py)? {
        if !waiting::is_done(&waiter)? {
            waiting::wake(&waiter, none(py))?;
        }
    }
    Ok(())
}
