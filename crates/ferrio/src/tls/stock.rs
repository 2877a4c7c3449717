//! What asyncio's own TLS does on the Python that runs, where releases of one version differ: it is looked
//! up in its classes, once.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::names;

/// Whether `is_closing()` is true as well when the transport below is closing.
pub fn asks_the_transport_below(py: Python<'_>) -> PyResult<bool> {
    static ANSWER: PyOnceLock<bool> = PyOnceLock::new();
    let ask = || names::SSL_PROTOCOL.get(py)?.hasattr(intern!(py, "_is_transport_closing"));
    ANSWER.get_or_try_init(py, ask).copied()
}

/// Whether `ssl_shutdown_timeout` limits the closing of the transport below too, which may have much to send.
pub fn limits_the_last_writes(py: Python<'_>) -> PyResult<bool> {
    static ANSWER: PyOnceLock<bool> = PyOnceLock::new();
    let ask = || {
        let method = names::SSL_PROTOCOL.get(py)?.getattr(intern!(py, "_on_shutdown_complete"))?;
        method.getattr("__code__")?.getattr("co_names")?.contains("call_later")
    };
    ANSWER.get_or_try_init(py, ask).copied()
}
