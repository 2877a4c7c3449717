//! What the classes of asyncio's locks and queues share: the loop that an object belongs to, and the
//! futures by which tasks wait for it. CPython: asyncio.mixins._LoopBoundMixin

use ferrio_capi::Slot;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::deque::Deque;
use crate::futures::future::Status;
use crate::futures::{AsFuture, methods as futures};
use crate::running;

/// `_get_loop()`: the running loop, to which `this` belongs from the first time on; `bound` is its
/// `_loop`.
///
/// # Errors
/// RuntimeError when it belongs to another.
#[inline]
pub fn get_loop<'py, T>(this: &Bound<'py, T>, bound: &Slot) -> PyResult<Bound<'py, PyAny>> {
    let running = running::get_or_none(this.py())?;
    if bound.is(&running) {
        return Ok(running);
    }
    if bound.get(this.py()).is_some_and(|bound| !bound.is_none()) {
        let text = format!("{} is bound to a different event loop", this.as_any().repr()?);
        return Err(PyRuntimeError::new_err(text));
    }
    bound.set(running.clone());
    Ok(running)
}

/// A future of the running loop, for a task that begins to wait.
#[inline]
pub fn create_waiter<'py, T>(this: &Bound<'py, T>, bound: &Slot) -> PyResult<Bound<'py, PyAny>> {
    futures::create_for(&get_loop(this, bound)?)
}

/// Where a future of ours stands.
#[inline]
pub fn status(waiter: &Bound<'_, PyAny>) -> Option<Status> {
    futures::as_exact(waiter).map(|future| future.as_future().state.status())
}

/// `waiter.done()`.
#[inline]
pub fn is_done(waiter: &Bound<'_, PyAny>) -> PyResult<bool> {
    match futures::as_exact(waiter) {
        Some(future) => Ok(!future.as_future().state.is_pending()),
        None => waiter.call_method0(intern!(waiter.py(), "done"))?.is_truthy(),
    }
}

/// `waiter.cancelled()`.
#[inline]
pub fn is_cancelled(waiter: &Bound<'_, PyAny>) -> PyResult<bool> {
    match futures::as_exact(waiter) {
        Some(future) => Ok(future.as_future().state.status() == Status::Cancelled),
        None => waiter.call_method0(intern!(waiter.py(), "cancelled"))?.is_truthy(),
    }
}

/// `waiter.set_result(value)`.
#[inline]
pub fn wake<'py>(waiter: &Bound<'py, PyAny>, value: Bound<'py, PyAny>) -> PyResult<()> {
    match futures::as_exact(waiter) {
        Some(future) => future.as_future().set_result(value),
        None => waiter.call_method1(intern!(waiter.py(), "set_result"), (value,)).map(drop),
    }
}

/// The repr of a lock: `object`'s, the state, and how many wait.
pub fn describe<'py>(
    this: &Bound<'py, PyAny>,
    state: &str,
    waiters: &Deque,
) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let plain = py.get_type::<PyAny>().getattr(intern!(py, "__repr__"))?.call1((this,))?;
    let plain = plain.extract::<String>()?;
    let plain = plain.trim_start_matches('<').trim_end_matches('>');
    let text = match waiters.len(py)? {
        0 => format!("<{plain} [{state}]>"),
        waiting => format!("<{plain} [{state}, waiters:{waiting}]>"),
    };
    Ok(PyString::new(py, &text).into_any())
}
