//! The tasks that wait for one object: the loop that they belong to, and a queue of their futures,
//! which Python sees as `_loop` and `_waiters`. CPython: asyncio.mixins._LoopBoundMixin
//!
//! Invariant: while a coroutine of the object waits, its `first` is its future in the queue.

use std::ffi::c_int;

use ferrio_capi::method::{Members, Object};
use ferrio_capi::{NativeClass, Slot, StateOf, Visit};
use pyo3::intern;
use pyo3::prelude::*;

use super::waiting;
use crate::coroutine::{Coroutine, Progress, awaiting};
use crate::deque::Deque;
use crate::errors;
use crate::futures::future::Status;
use crate::names::boolean;

/// The loop and the queue. All-zero is an object of no loop that nobody waits for.
#[derive(Debug)]
pub struct Waiters {
    event_loop: Slot,
    pub queue: Deque,
}

/// A class whose objects tasks wait for.
pub trait Waited: NativeClass {
    /// Whether stock makes the queue with the object. Else `_waiters` is None until somebody waits.
    const QUEUE_FROM_THE_START: bool;

    /// The waiters of an object.
    fn waiters(state: &Self::State) -> &Waiters;

    /// Whether no Python code can have replaced a method of `this`.
    #[inline]
    fn is_plain(this: &Bound<'_, Self>) -> bool {
        Self::class().is_plain(this)
    }
}

impl Waiters {
    /// Reports everything to the collector.
    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.event_loop)?;
        self.queue.traverse(visit)
    }

    /// Forgets the waiters and the loop.
    pub fn clear(&self, py: Python<'_>) {
        self.queue.clear(py);
        drop(self.event_loop.take(py));
    }

    /// Whether each waiter was cancelled.
    #[inline]
    pub fn all_cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        let native = self.queue.first_where(py, |waiter| waiting::status(waiter).map(is_open));
        if let Some(open) = native {
            return Ok(open.is_none());
        }
        let mut all = true;
        self.queue.visit(py, |waiter| {
            all = waiting::is_cancelled(waiter)?;
            Ok(all)
        })?;
        Ok(all)
    }

    /// The first waiter that nobody woke or cancelled.
    #[inline]
    pub fn first_pending<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let native = self.queue.first_where(py, |waiter| waiting::status(waiter).map(is_pending));
        if let Some(found) = native {
            return Ok(found);
        }
        let mut found = None;
        self.queue.visit(py, |waiter| {
            if !waiting::is_done(waiter)? {
                found = Some(waiter.clone());
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }
}

#[inline]
fn is_open(status: Status) -> bool {
    status != Status::Cancelled
}

#[inline]
fn is_pending(status: Status) -> bool {
    status == Status::Pending
}

/// Queues a new future for the coroutine, a method of `this`, and awaits it.
#[inline]
pub fn wait<'py, C: Waited>(
    coroutine: &Bound<'py, Coroutine>,
    this: &Bound<'py, C>,
) -> PyResult<Progress<'py>> {
    let waiter = create_waiter(this)?;
    enqueue(coroutine, this, &waiter)?;
    awaiting(waiter)
}

/// `self._get_loop().create_future()`.
#[inline]
pub fn create_waiter<'py, C: Waited>(this: &Bound<'py, C>) -> Object<'py> {
    if C::is_plain(this) {
        return waiting::create_waiter(this, &C::waiters(this.state()).event_loop);
    }
    let event_loop = this.as_any().call_method0(intern!(this.py(), "_get_loop"))?;
    event_loop.call_method0(intern!(this.py(), "create_future"))
}

/// Queues the coroutine's future.
#[inline]
pub fn enqueue<'py, C: Waited>(
    coroutine: &Bound<'py, Coroutine>,
    this: &Bound<'py, C>,
    waiter: &Bound<'py, PyAny>,
) -> PyResult<()> {
    C::waiters(this.state()).queue.push_back(waiter.clone())?;
    coroutine.state().first.set(waiter.clone());
    Ok(())
}

/// Takes the coroutine's future out of the queue; this is it, or None when the coroutine never waited.
///
/// # Errors
/// ValueError when Python code took it out of the deque that it was shown.
#[inline]
pub fn leave<'py, C: Waited>(
    coroutine: &Bound<'py, Coroutine>,
    this: &Bound<'py, C>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(waiter) = coroutine.state().first.take(this.py()) else {
        return Ok(None);
    };
    C::waiters(this.state()).queue.remove(&waiter)?;
    Ok(Some(waiter))
}

/// The repr: `object`'s, the state, and how many wait.
pub fn describe<'py, C: Waited>(this: &Bound<'py, C>, state: &str) -> Object<'py> {
    waiting::describe(this.as_any(), state, &C::waiters(this.state()).queue)
}

fn queue<'py, C: Waited>(this: &Bound<'py, C>) -> Object<'py> {
    let queue = &C::waiters(this.state()).queue;
    if C::QUEUE_FROM_THE_START { queue.show(this.py()) } else { queue.show_if_used(this.py()) }
}

fn set_queue<C: Waited>(this: &Bound<'_, C>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    C::waiters(this.state()).queue.set(value.ok_or_else(errors::cannot_be_deleted)?);
    Ok(())
}

fn event_loop<'py, C: Waited>(this: &Bound<'py, C>) -> Object<'py> {
    Ok(C::waiters(this.state()).event_loop.get_or_none(this.py()))
}

fn set_event_loop<C: Waited>(
    this: &Bound<'_, C>,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let value = value.ok_or_else(errors::cannot_be_deleted)?;
    C::waiters(this.state()).event_loop.set(value.clone());
    Ok(())
}

fn get_loop<'py, C: Waited>(this: &Bound<'py, C>) -> Object<'py> {
    waiting::get_loop(this, &C::waiters(this.state()).event_loop)
}

/// Wakes the first waiter, unless it has been woken. CPython: Lock._wake_up_first
#[inline]
pub fn wake_up_first(py: Python<'_>, waiters: &Waiters) -> PyResult<()> {
    match waiters.queue.get(py, 0)? {
        Some(waiter) if !waiting::is_done(&waiter)? => waiting::wake(&waiter, boolean(py, true)),
        _ => Ok(()),
    }
}

/// Adds the attributes to the class.
pub fn members<C: Waited>(members: Members) -> Members {
    members
        .noargs::<C, _>(c"_get_loop", get_loop::<C>, c"The running loop, to which it then belongs.")
        .get_set::<C, _, _>(c"_waiters", queue::<C>, set_queue::<C>)
        .get_set::<C, _, _>(c"_loop", event_loop::<C>, set_event_loop::<C>)
}
