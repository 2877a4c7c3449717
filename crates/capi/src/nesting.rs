//! Freeing objects that hold one another in a long chain without using up the stack: from a certain depth
//! on they wait until the ones above are freed. CPython: Py_TRASHCAN_BEGIN, and since 3.14 _Py_Dealloc,
//! which does it for all objects.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::{GilCell, Ref};

/// How many objects may be in the middle of being freed. A finalizer may run Python code in each.
const MOST: usize = 50;

/// How many are. The GIL orders the changes; a thread that takes it in a finalizer counts on.
static DEPTH: AtomicUsize = AtomicUsize::new(0);

/// Those that wait.
static WAITING: GilCell<Vec<Ref>> = GilCell::new(Vec::new());

/// Frees an object by `free`, now or soon.
///
/// # Safety
/// Attached; `free` is tp_dealloc's work for the object, whose reference count has just become zero.
pub(crate) unsafe fn free(
    py: Python<'_>,
    object: *mut ffi::PyObject,
    free: unsafe fn(*mut ffi::PyObject),
) {
    let depth = DEPTH.load(Ordering::Relaxed);
    if depth >= MOST {
        // SAFETY: nothing of the object is gone yet, so it is whole with one reference, ours.
        let waiting = unsafe {
            ffi::Py_INCREF(object);
            Ref::new(Bound::from_owned_ptr(py, object))
        };
        WAITING.borrow_mut(py).push(waiting);
        return;
    }
    DEPTH.store(depth + 1, Ordering::Relaxed);
    // SAFETY: the caller's promise.
    unsafe { free(object) };
    // Another thread may have begun in the meantime, and not ended.
    let depth = DEPTH.load(Ordering::Relaxed) - 1;
    DEPTH.store(depth, Ordering::Relaxed);
    if depth == 0 {
        while let Some(next) = take_waiting(py) {
            drop(next);
        }
    }
}

/// A statement of its own, so that nothing is borrowed while the object is freed.
fn take_waiting(py: Python<'_>) -> Option<Ref> {
    WAITING.borrow_mut(py).pop()
}
