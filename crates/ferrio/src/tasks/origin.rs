//! Where a native coroutine was made, which debug mode shows when nobody awaits it. The place is kept in
//! the slot of what the coroutine awaits, which is empty until it begins.
//! CPython: compute_cr_origin in Objects/genobject.c

use std::sync::atomic::{AtomicBool, Ordering};

use ferrio_capi::Slot;
use ferrio_capi::method::Object;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::names::{self, none};

/// Whether a loop of ours has ever run in debug mode, which turns tracking on.
static TRACKED: AtomicBool = AtomicBool::new(false);

/// A loop runs in debug mode.
pub fn track() {
    TRACKED.store(true, Ordering::Relaxed);
}

/// Keeps the place where a coroutine is being made, if places are tracked at the moment.
///
/// # Errors
/// MemoryError.
#[inline]
pub fn record(py: Python<'_>, awaited: &Slot) -> PyResult<()> {
    if TRACKED.load(Ordering::Relaxed) { keep(py, awaited) } else { Ok(()) }
}

#[cold]
fn keep(py: Python<'_>, awaited: &Slot) -> PyResult<()> {
    let depth: usize = names::GET_ORIGIN_TRACKING_DEPTH.get(py)?.call0()?.extract()?;
    if depth == 0 {
        return Ok(());
    }
    let mut places = Vec::new();
    // ValueError where no Python code runs: there is no place then.
    let mut frame = names::GET_FRAME.get(py)?.call0().unwrap_or_else(|_| none(py));
    while places.len() < depth && !frame.is_none() {
        let code = frame.getattr(intern!(py, "f_code"))?;
        let file = code.getattr(intern!(py, "co_filename"))?;
        let line = frame.getattr(intern!(py, "f_lineno"))?;
        places.push((file, line, code.getattr(intern!(py, "co_name"))?));
        frame = frame.getattr(intern!(py, "f_back"))?;
    }
    awaited.set(PyTuple::new(py, places)?);
    Ok(())
}

/// `cr_origin`.
///
/// # Errors
/// None; what a getter returns.
pub fn cr_origin<'py>(py: Python<'py>, awaited: &Slot) -> Object<'py> {
    Ok(awaited.get(py).filter(is_origin).unwrap_or_else(|| none(py)))
}

/// `cr_await`.
///
/// # Errors
/// None; what a getter returns.
pub fn cr_await<'py>(py: Python<'py>, awaited: &Slot) -> Object<'py> {
    Ok(awaited.get(py).filter(|held| !is_origin(held)).unwrap_or_else(|| none(py)))
}

/// No tuple can be awaited.
fn is_origin(held: &Bound<'_, PyAny>) -> bool {
    held.is_exact_instance_of::<PyTuple>()
}
