//! Telling loops of ours from others.

use pyo3::PyTypeInfo;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::EventLoop;

/// `ferrio.EventLoop`, which nearly every loop is an instance of: known by its address, without a walk
/// through the bases of its class.
static USUAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Keeps the class that most loops are going to have.
///
/// # Errors
/// TypeError when it does not derive from the native one.
pub fn remember_class(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    if !class.is_subclass(&EventLoop::type_object(py))? {
        return Err(PyTypeError::new_err("not a class of native loops"));
    }
    // The first import counts.
    let _ = USUAL.set(py, class.clone().unbind());
    Ok(())
}

#[inline]
fn is_native(object: &Bound<'_, PyAny>) -> bool {
    let class = object.get_type_ptr().cast();
    USUAL.get(object.py()).is_some_and(|usual| usual.as_ptr() == class)
        || object.is_instance_of::<EventLoop>()
}

/// `object` as a loop of ours, subclasses included.
#[inline]
pub fn as_native<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, EventLoop>> {
    // SAFETY: an instance of the native class, or of one that `remember_class` has found to derive from it: no
    // assignment to `__bases__` takes away the base that gives instances their layout.
    is_native(object).then(|| unsafe { object.cast_unchecked() })
}

/// The same of an owned reference.
#[inline]
pub fn into_native(object: Bound<'_, PyAny>) -> Option<Bound<'_, EventLoop>> {
    // SAFETY: as in `as_native`.
    is_native(&object).then(|| unsafe { object.cast_into_unchecked() })
}
