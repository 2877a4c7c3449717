//! Who knows an object: the garbage collector, other owners. Reference: Doc/c-api/gcsupport.rst.

use pyo3::ffi;
use pyo3::prelude::*;

use crate::native_class::NativeClass;

/// Shows an instance to the garbage collector from now on.
#[inline]
pub fn track<C: NativeClass>(object: &Bound<'_, C>) {
    if !is_tracked(object) {
        // SAFETY: a live GC object; it must not be tracked twice.
        unsafe { ffi::PyObject_GC_Track(object.as_ptr().cast()) };
    }
}

/// [`track`], when the caller's reference is not the only one.
#[inline]
pub fn track_if_shared<C: NativeClass>(object: &Bound<'_, C>) {
    if is_shared(object) {
        track(object);
    }
}

/// Whether the collector knows the object.
#[inline]
#[must_use]
pub fn is_tracked<T>(object: &Bound<'_, T>) -> bool {
    // SAFETY: a live object; CPython asks whether its class takes part in collection.
    unsafe { ffi::PyObject_GC_IsTracked(object.as_ptr()) != 0 }
}

/// Whether the caller's reference is not the only one.
#[inline]
#[must_use]
pub fn is_shared<T>(object: &Bound<'_, T>) -> bool {
    // SAFETY: reads the count of a live object.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) > 1 }
}
