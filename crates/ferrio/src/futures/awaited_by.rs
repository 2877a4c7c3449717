//! Who awaits a future, from CPython 3.14 on: in stock's own field, where `_asyncio_awaited_by`,
//! `asyncio.capture_call_graph()` and debuggers of other processes look. `_asyncio` itself writes
//! there too (`future_add_to_awaited_by`), also into futures of ours.
//!
//! State: nobody | one waiter | a set of waiters, as a flag byte says.
//! Fields: where they lie is found by looking into stock's objects, once, because the layout is
//! private. Without it the extension cannot be imported, for it could not own what stock writes.

use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrio_capi::{Slot, Visit, base_fields};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::names;

/// Bytes from a future's start to stock's field of waiters.
static WAITERS: AtomicUsize = AtomicUsize::new(0);
/// Bytes to the flag that makes them a set.
static IS_SET: AtomicUsize = AtomicUsize::new(0);
/// Bytes to the flag by which a debugger tells a task from a future.
static IS_TASK: AtomicUsize = AtomicUsize::new(0);

fn waiters<'a>(future: *mut ffi::PyObject) -> &'a Slot {
    // SAFETY: `locate` found the offset in an instance of `_asyncio.Future`, the base of all of ours;
    // the field owns what it holds, whoever wrote it.
    unsafe { base_fields::at(future, WAITERS.load(Ordering::Relaxed)) }
}

/// Notes that `task` awaits `future`. CPython: future_awaited_by_add
#[inline]
pub fn add(future: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
    let waiters = waiters(future.as_ptr());
    if !waiters.is_set() {
        waiters.set(task.clone());
        return Ok(());
    }
    names::ADD_TO_AWAITED_BY.get(future.py())?.call1((future, task)).map(drop)
}

/// Notes that it does so no more. CPython: future_awaited_by_discard
#[inline]
pub fn discard(future: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
    let waiters = waiters(future.as_ptr());
    if waiters.is(task) {
        drop(waiters.take(future.py()));
        return Ok(());
    }
    if !waiters.is_set() {
        return Ok(());
    }
    names::DISCARD_FROM_AWAITED_BY.get(future.py())?.call1((future, task)).map(drop)
}

/// Shows the waiters to the collector.
pub fn traverse(future: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
    visit.slot(waiters(future))
}

/// Forgets the waiters.
#[inline]
pub fn clear(future: *mut ffi::PyObject, py: Python<'_>) {
    drop(waiters(future).take(py));
    // SAFETY: `locate` found the flag in the same structure.
    unsafe { base_fields::set_byte(future, IS_SET.load(Ordering::Relaxed), 0) };
}

/// Marks a task as one.
#[inline]
pub fn mark_task(task: *mut ffi::PyObject) {
    // SAFETY: as in `clear`.
    unsafe { base_fields::set_byte(task, IS_TASK.load(Ordering::Relaxed), 1) };
}

/// Looks for the fields in a stock task and two stock futures, none of which anybody waits for.
pub fn locate(task: &Bound<'_, PyAny>, [future, other]: [&Bound<'_, PyAny>; 2]) -> PyResult<()> {
    let py = task.py();
    let size = future.get_type().getattr("__basicsize__")?.extract::<usize>()?;
    // SAFETY: a stock future and task begin with the same `size` bytes of plain C fields.
    let bytes = |object: &Bound<'_, PyAny>| unsafe { base_fields::bytes(object, size) };
    let add = names::ADD_TO_AWAITED_BY.get(py)?;
    let (plain, of_task) = (bytes(future), bytes(task));
    add.call1((future, other))?;
    // SAFETY: the fields of a future are words, or smaller ones that fill words.
    let field = unsafe { base_fields::find(future, other) };
    add.call1((future, task))?;
    let with_set = bytes(future);
    let became_one = |before: &[u8], after: &[u8]| {
        let in_field = |at: usize| field.is_some_and(|field| (field..field + 8).contains(&at));
        let mut found = (size_of::<ffi::PyObject>()..size)
            .filter(|&at| (before[at], after[at]) == (0, 1) && !in_field(at));
        found.next().filter(|_| found.next().is_none())
    };
    let is_set = became_one(&plain, &with_set);
    let is_task = is_set.and_then(|flag| {
        let word = flag / 8 * 8..flag / 8 * 8 + 8;
        let mut found = word.filter(|&at| (plain[at], of_task[at]) == (0, 1));
        found.next().filter(|_| found.next().is_none())
    });
    let (Some(field), Some(is_set), Some(is_task)) = (field, is_set, is_task) else {
        return Err(PyRuntimeError::new_err("_asyncio keeps awaited_by where it is not expected"));
    };
    WAITERS.store(field, Ordering::Relaxed);
    IS_SET.store(is_set, Ordering::Relaxed);
    IS_TASK.store(is_task, Ordering::Relaxed);
    names::DISCARD_FROM_AWAITED_BY.get(py)?.call1((future, other))?;
    names::DISCARD_FROM_AWAITED_BY.get(py)?.call1((future, task)).map(drop)
}
