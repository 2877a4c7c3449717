//! Bytes that come in pieces, as a bytes object that nobody has seen yet: when all of it is wanted at
//! once it is handed out as it is. Reference: Include/bytesobject.h.

use std::mem::MaybeUninit;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::Ref;
use crate::buffer::cut;

/// The bytes. It lives where drops happen attached, like [`Ref`].
///
/// Invariant: `bytes` is an exact bytes object of `capacity` bytes and the only reference to it;
/// `start <= end <= capacity`; the bytes from `start` to `end` have been written.
#[derive(Debug)]
pub struct ByteBuilder {
    bytes: Ref,
    capacity: usize,
    start: usize,
    end: usize,
}

impl ByteBuilder {
    /// No bytes, with room for `capacity`.
    ///
    /// # Errors
    /// MemoryError.
    pub fn with_capacity(py: Python<'_>, capacity: usize) -> PyResult<Self> {
        let size = capacity.try_into().unwrap_or(ffi::Py_ssize_t::MAX);
        // SAFETY: null asks for uninitialised contents; the reference is new, or null with an error.
        let bytes = unsafe {
            let made = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
            Bound::<PyAny>::from_owned_ptr_or_err(py, made)?
        };
        Ok(Self { bytes: Ref::new(bytes), capacity, start: 0, end: 0 })
    }

    fn memory(&self) -> *mut u8 {
        // SAFETY: a live bytes object.
        unsafe { ffi::PyBytes_AsString(self.bytes.as_ptr()).cast() }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the invariant; nobody writes while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.memory().add(self.start), self.len()) }
    }

    /// Room after the bytes, to be filled.
    #[must_use]
    pub fn space(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the invariant, and an exclusive borrow.
        unsafe {
            let free = self.memory().add(self.end);
            std::slice::from_raw_parts_mut(free.cast(), self.capacity - self.end)
        }
    }

    /// The first `count` bytes of [`ByteBuilder::space`] belong to it.
    ///
    /// # Safety
    /// They have been written.
    pub unsafe fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.capacity - self.end);
        self.end += count;
    }

    /// Appends `data`. What was there stays when this fails.
    ///
    /// # Errors
    /// MemoryError.
    pub fn extend(&mut self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        if self.capacity - self.end < data.len() {
            self.grow(py, data.len())?;
        }
        // SAFETY: there is room for so many bytes, in an object that nobody else knows.
        unsafe {
            let free = self.memory().add(self.end);
            std::ptr::copy_nonoverlapping(data.as_ptr(), free, data.len());
            self.advance(data.len());
        }
        Ok(())
    }

    /// Makes room for `more` bytes at least.
    ///
    /// # Errors
    /// MemoryError.
    pub fn reserve(&mut self, py: Python<'_>, more: usize) -> PyResult<()> {
        if self.capacity - self.end < more { self.grow(py, more) } else { Ok(()) }
    }

    #[cold]
    fn grow(&mut self, py: Python<'_>, more: usize) -> PyResult<()> {
        let needed = self.len().saturating_add(more);
        let mut larger = Self::with_capacity(py, needed.max(self.len().saturating_mul(2)))?;
        larger.extend(py, self.as_slice())?;
        *self = larger;
        Ok(())
    }

    /// Drops the first `count` bytes.
    pub fn skip(&mut self, count: usize) {
        self.start += count.min(self.len());
    }

    /// All bytes as an object: this one when they begin where it begins.
    ///
    /// # Errors
    /// MemoryError.
    pub fn finish(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        if self.start > 0 {
            return Ok(PyBytes::new(py, self.as_slice()).into_any());
        }
        let (len, capacity) = (self.end, self.capacity);
        let object = self.bytes.into_bound(py);
        if len == capacity {
            return Ok(object);
        }
        // SAFETY: the invariant.
        unsafe { cut(object, len) }
    }
}
