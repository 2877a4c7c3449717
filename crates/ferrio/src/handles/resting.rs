//! Handles that have done their work and that nobody else holds, kept as they are for the next calls:
//! objects with the fields of a new one, save those that a call fills. Neither their memory nor the
//! fields that are the same in each have to be made again.
//!
//! Invariant: a handle here is referenced by nothing else, weakly neither, and unknown to the
//! collector, so no Python code can tell it from a new one.

use ferrio_capi::{GilCell, Ref, dict, tracking};
use pyo3::prelude::*;

#[cfg(Py_3_14)]
use super::thread_safe::{self, ThreadSafeHandle};
use super::{AnyHandle, Handle, TimerHandle, as_handle, as_timer_handle, is_unscheduled};

static HANDLES: GilCell<Vec<Ref>> = GilCell::new(Vec::new());
static TIMERS: GilCell<Vec<Ref>> = GilCell::new(Vec::new());
#[cfg(Py_3_14)]
static THREAD_SAFE: GilCell<Vec<Ref>> = GilCell::new(Vec::new());

/// How many are kept during a burst: measured, call_soon_threadsafe from a thread that is 50 000 calls
/// ahead of the loop costs a third less than with 256.
const MOST_KEPT: usize = 1 << 16;

/// How many stay after a while of idling.
const KEPT_WHEN_IDLE: usize = 1024;

/// A handle to be filled, if one rests.
#[inline]
pub fn handle(py: Python<'_>) -> Option<Bound<'_, Handle>> {
    // SAFETY: `rest` puts nothing else there.
    unsafe { pop(py, &HANDLES) }
}

/// A timer to be filled, if one rests.
#[inline]
pub fn timer(py: Python<'_>) -> Option<Bound<'_, TimerHandle>> {
    // SAFETY: `rest` puts nothing else there.
    unsafe { pop(py, &TIMERS) }
}

/// A handle of `call_soon_threadsafe` to be filled, if one rests.
#[cfg(Py_3_14)]
#[inline]
pub fn thread_safe(py: Python<'_>) -> Option<Bound<'_, ThreadSafeHandle>> {
    // SAFETY: `rest` puts nothing else there.
    unsafe { pop(py, &THREAD_SAFE) }
}

/// # Safety
/// All that rests there is of class `C`.
#[inline]
unsafe fn pop<'py, C>(py: Python<'py>, resting: &GilCell<Vec<Ref>>) -> Option<Bound<'py, C>> {
    let kept = resting.borrow_mut(py).pop()?;
    // SAFETY: the caller's promise.
    Some(unsafe { kept.into_bound(py).cast_into_unchecked() })
}

/// Lets go of a handle that has run. It rests when it is one of ours and nobody else knows it.
#[inline]
pub fn rest(handle: Bound<'_, PyAny>) {
    let py = handle.py();
    if !is_unknown(&handle) {
        return;
    }
    let place = if let Some(plain) = as_handle(&handle) {
        empty(py, plain, true).then_some(&HANDLES)
    } else if let Some(timer) = as_timer_handle(&handle) {
        empty(py, timer, is_unscheduled(timer)).then_some(&TIMERS)
    } else {
        place_of_other(&handle)
    };
    if let Some(place) = place {
        keep(handle, place);
    }
}

/// The place of a handle of `call_soon_threadsafe`, emptied.
#[cfg(Py_3_14)]
#[inline]
fn place_of_other(handle: &Bound<'_, PyAny>) -> Option<&'static GilCell<Vec<Ref>>> {
    let plain = thread_safe::cast(handle)?;
    empty(handle.py(), plain, thread_safe::is_as_new(plain)).then_some(&THREAD_SAFE)
}

/// Before 3.14 there is no other class.
#[cfg(not(Py_3_14))]
#[inline]
fn place_of_other(_: &Bound<'_, PyAny>) -> Option<&'static GilCell<Vec<Ref>>> {
    None
}

/// Empties a handle whose other fields are those of a new one.
#[inline]
fn empty<'py, H: AnyHandle<'py>>(py: Python<'py>, handle: &H, as_new: bool) -> bool {
    as_new && handle.is_as_new() && {
        handle.empty(py);
        true
    }
}

/// Whether no Python code can come across the handle.
#[inline]
fn is_unknown(handle: &Bound<'_, PyAny>) -> bool {
    !tracking::is_shared(handle) && !tracking::is_tracked(handle) && !dict::has_weakrefs(handle)
}

#[inline]
fn keep(handle: Bound<'_, PyAny>, resting: &GilCell<Vec<Ref>>) {
    let mut resting = resting.borrow_mut(handle.py());
    if resting.len() < MOST_KEPT {
        resting.push(Ref::new(handle));
    }
}

/// Lets go of a part of what a burst left behind. Called when there is time: thus it goes away over
/// the next idle moments, and the next burst still finds most.
#[inline]
pub fn trim(py: Python<'_>) {
    trim_one(py, &HANDLES);
    trim_one(py, &TIMERS);
    #[cfg(Py_3_14)]
    trim_one(py, &THREAD_SAFE);
}

#[inline]
fn trim_one(py: Python<'_>, resting: &GilCell<Vec<Ref>>) {
    let excess = {
        let mut resting = resting.borrow_mut(py);
        if resting.len() <= KEPT_WHEN_IDLE {
            return;
        }
        let excess = (resting.len() - KEPT_WHEN_IDLE).div_ceil(64);
        let rest = resting.len() - excess;
        resting.split_off(rest)
    };
    drop(excess);
}
