//! The loop that runs in this thread, as `_asyncio` knows it; where it knows none, as the function says
//! that a program has put into `asyncio.events` in its place. trio-asyncio does so.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::names;

/// `asyncio._get_running_loop()`: None when none runs.
///
/// # Errors
/// What a replaced function raises.
#[inline]
pub fn get_or_none(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let running = names::GET_RUNNING_LOOP.get(py)?.call0()?;
    if running.is_none() { ask_replaced(py) } else { Ok(running) }
}

/// `asyncio.get_running_loop()`.
///
/// # Errors
/// RuntimeError when none runs.
#[inline]
pub fn get(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let running = get_or_none(py)?;
    if running.is_none() {
        return Err(PyRuntimeError::new_err("no running event loop"));
    }
    Ok(running)
}

#[cold]
fn ask_replaced(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let events = names::EVENTS.get(py)?;
    let function = events.getattr(intern!(py, "_get_running_loop"))?;
    if function.is(names::GET_RUNNING_LOOP.get(py)?) {
        return Ok(names::none(py));
    }
    function.call0()
}
