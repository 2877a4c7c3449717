//! The exceptions of queues.

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::names;

/// `asyncio.QueueShutDown`; a class of our own where asyncio has none.
///
/// # Errors
/// What the import, or the making of the class, raises.
pub fn shut_down_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    #[cfg(Py_3_13)]
    return names::QUEUE_SHUT_DOWN.class(py);
    #[cfg(not(Py_3_13))]
    {
        use pyo3::exceptions::PyException;
        use pyo3::sync::PyOnceLock;

        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let make = || {
            let doc = c"Raised when putting on to or getting from a shut-down Queue.";
            let base = py.get_type::<PyException>();
            PyErr::new_type(py, c"ferrio.QueueShutDown", Some(doc), Some(&base), None)
        };
        CLASS.get_or_try_init(py, make).map(|class| class.bind(py))
    }
}

/// `raise QueueShutDown`.
#[cold]
pub fn shut_down(py: Python<'_>) -> PyErr {
    of_class(shut_down_class(py))
}

/// `raise QueueEmpty`.
#[cold]
pub fn empty(py: Python<'_>) -> PyErr {
    of_class(names::QUEUE_IS_EMPTY.class(py))
}

/// `raise QueueFull`.
#[cold]
pub fn full(py: Python<'_>) -> PyErr {
    of_class(names::QUEUE_IS_FULL.class(py))
}

fn of_class(class: PyResult<&Bound<'_, PyType>>) -> PyErr {
    class.map_or_else(|error| error, |class| PyErr::from_type(class.clone(), ()))
}
