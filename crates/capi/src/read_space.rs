//! Room for a read whose length is not known before. It is a bytes object that nobody has seen: filled
//! by half it is handed out as it is, else its beginning is copied and it serves again.
//! Reference: Include/bytesobject.h.

use std::mem::MaybeUninit;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::Ref;
use crate::buffer::cut;

/// The room. It lives where drops happen attached, like [`Ref`].
#[derive(Debug)]
pub struct ReadSpace {
    /// Invariant: an exact bytes object of `len` bytes, and the only reference to it.
    bytes: Ref,
    len: usize,
}

impl ReadSpace {
    /// Room for `len` bytes.
    ///
    /// # Errors
    /// MemoryError.
    pub fn new(py: Python<'_>, len: usize) -> PyResult<Self> {
        let size = len.try_into().unwrap_or(ffi::Py_ssize_t::MAX);
        // SAFETY: null asks for uninitialised contents; the reference is new, or null with an error.
        let bytes = unsafe {
            let made = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
            Bound::<PyAny>::from_owned_ptr_or_err(py, made)?
        };
        Ok(Self { bytes: Ref::new(bytes), len })
    }

    /// How much fits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The memory to fill.
    #[must_use]
    pub fn memory(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the invariant, and a borrow of `self` for as long as the memory is used.
        unsafe {
            let start = ffi::PyBytes_AsString(self.bytes.as_ptr());
            std::slice::from_raw_parts_mut(start.cast(), self.len)
        }
    }

    /// The first `filled` bytes as an object, and the room where it is still there.
    ///
    /// # Safety
    /// So many bytes of [`ReadSpace::memory`] have been written.
    ///
    /// # Errors
    /// MemoryError.
    pub unsafe fn finish(
        self,
        py: Python<'_>,
        filled: usize,
    ) -> PyResult<(Bound<'_, PyAny>, Option<Self>)> {
        if filled > self.len / 2 {
            // SAFETY: the caller's promise.
            return Ok((unsafe { self.cut(py, filled) }?, None));
        }
        // SAFETY: the caller's promise, for the first `filled` bytes of live memory.
        let copy = unsafe {
            let start = ffi::PyBytes_AsString(self.bytes.as_ptr());
            PyBytes::new(py, std::slice::from_raw_parts(start.cast(), filled))
        };
        Ok((copy.into_any(), Some(self)))
    }

    /// # Safety
    /// As for [`ReadSpace::finish`].
    unsafe fn cut(self, py: Python<'_>, filled: usize) -> PyResult<Bound<'_, PyAny>> {
        let whole = self.len == filled;
        let object = self.bytes.into_bound(py);
        if whole {
            return Ok(object);
        }
        // SAFETY: the invariant and the caller's promise.
        unsafe { cut(object, filled) }
    }
}
