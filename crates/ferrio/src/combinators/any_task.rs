//! What combinators ask of the running loop and of its task, which may be one of ours or any other.

use ferrio_capi::StateOf;
use pyo3::intern;
use pyo3::prelude::*;

use crate::tasks::{methods, task, wrapper};

/// `task.cancelling()`.
#[inline]
pub fn cancelling(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    match task::as_exact(object) {
        Some(task) => Ok(task.state().cancel_requests.get().into()),
        None => object.call_method0(intern!(object.py(), "cancelling"))?.extract(),
    }
}

/// `task.uncancel()`.
pub fn uncancel(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    match task::as_exact(object) {
        Some(task) => Ok(methods::uncancel_task(task).into()),
        None => object.call_method0(intern!(object.py(), "uncancel"))?.extract(),
    }
}

/// `task.cancel()`.
pub fn cancel(object: &Bound<'_, PyAny>) -> PyResult<()> {
    match task::as_exact(object) {
        Some(_) => methods::cancel_awaited(object, None).map(drop),
        None => object.call_method0(intern!(object.py(), "cancel")).map(drop),
    }
}

/// `if not waiter.done(): waiter.set_result(value)`.
pub fn release<'py>(waiter: &Bound<'py, PyAny>, value: Bound<'py, PyAny>) -> PyResult<()> {
    let py = waiter.py();
    if let Some(future) = wrapper::exact_future(waiter) {
        return if future.state.is_pending() { future.set_result(value) } else { Ok(()) };
    }
    if waiter.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    waiter.call_method1(intern!(py, "set_result"), (value,)).map(drop)
}
