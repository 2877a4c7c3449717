//! Signal handlers. The inherited methods do the work (a wake-up descriptor that the loop reads); the
//! loop has to know that they are in use, because it must then not skip a poll.

use ferrio_capi::method::Object;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::lifecycle::inherited;
use crate::loop_state::{EventLoop, set};

/// `add_signal_handler`.
pub fn add<'py>(
    slf: &Bound<'py, EventLoop>,
    signal: Bound<'py, PyAny>,
    callback: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
) -> PyResult<()> {
    let py = slf.py();
    let mut all = vec![signal, callback];
    all.extend(args.iter());
    let arguments = PyTuple::new(py, all)?;
    inherited(slf)?.call_method1(intern!(py, "add_signal_handler"), arguments)?;
    set(&slf.get().handles_signals, true);
    Ok(())
}

/// `remove_signal_handler`.
pub fn remove<'py>(slf: &Bound<'py, EventLoop>, signal: Bound<'py, PyAny>) -> Object<'py> {
    let py = slf.py();
    let removed = inherited(slf)?.call_method1(intern!(py, "remove_signal_handler"), (signal,))?;
    let left = !slf.getattr(intern!(py, "_signal_handlers"))?.is_empty()?;
    set(&slf.get().handles_signals, left);
    Ok(removed)
}
