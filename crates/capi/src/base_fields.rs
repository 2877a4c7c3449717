//! Fields of a base class's private C structure, found by looking for an object that is known to be
//! there. Reference: Doc/c-api/structures.rst (an instance is `__basicsize__` bytes).

use pyo3::ffi;
use pyo3::prelude::*;

use crate::Slot;

/// Where, in bytes from the start of `object`, its structure holds a reference to `wanted`; None when
/// it does not, or more than once.
///
/// # Safety
/// The structure consists of pointer-sized words (pointers, or integers that fill such words).
#[must_use]
pub unsafe fn find(object: &Bound<'_, PyAny>, wanted: &Bound<'_, PyAny>) -> Option<usize> {
    let word = size_of::<usize>();
    // SAFETY: reads the type of a live object.
    let size = unsafe { (*ffi::Py_TYPE(object.as_ptr())).tp_basicsize };
    let words = usize::try_from(size).ok()? / word;
    let first = size_of::<ffi::PyObject>() / word;
    let mut found = (first..words).filter(|index| {
        // SAFETY: within the instance, and the caller promises that words can be read there.
        let held = unsafe { object.as_ptr().cast::<usize>().add(*index).read() };
        held == wanted.as_ptr() as usize
    });
    let index = found.next()?;
    found.next().is_none().then_some(index * word)
}

/// The field at `offset`.
///
/// # Safety
/// `object` is alive for `'a` and an instance of the class that `find` looked at, or of a subclass;
/// the field holds an owned reference or null, and nobody else writes it.
#[inline]
#[must_use]
pub unsafe fn at<'a>(object: *mut ffi::PyObject, offset: usize) -> &'a Slot {
    // SAFETY: the caller's promise; `Slot` is one possibly null pointer.
    unsafe { &*object.cast::<u8>().add(offset).cast::<Slot>() }
}
