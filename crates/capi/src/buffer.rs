//! Memory of Python objects as bytes: reading what `write()` is given, filling what a protocol or a
//! new `bytes` offers. Reference: Include/pybuffer.h, Include/bytesobject.h.

use std::mem::MaybeUninit;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The contiguous memory of an object that supports the buffer protocol, held until it is dropped.
/// It lives where drops happen attached, like [`crate::Ref`].
pub struct Buffer(Box<ffi::Py_buffer>);

impl std::fmt::Debug for Buffer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Buffer({} bytes)", self.len())
    }
}

impl Buffer {
    /// The memory of `object`, to be read.
    ///
    /// # Errors
    /// TypeError when it has none, BufferError when it is not contiguous.
    pub fn readable(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut view = Box::new(MaybeUninit::<ffi::Py_buffer>::zeroed());
        // SAFETY: a live object; the view is filled unless an error is set.
        unsafe {
            let flags = ffi::PyBUF_SIMPLE;
            if ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) < 0 {
                return Err(PyErr::fetch(object.py()));
            }
            Ok(Self(view.assume_init()))
        }
    }

    /// Bytes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len as usize
    }

    /// Whether it holds no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nobody may change it through this object.
    #[must_use]
    pub fn is_readonly(&self) -> bool {
        self.0.readonly != 0
    }

    /// The bytes, for as long as nothing else runs: a system call under the GIL.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        if self.is_empty() {
            return &[];
        }
        // SAFETY: the exporter keeps `len` bytes at `buf` until the release. Who else holds the object
        // may change them, but only while it runs, which a caller attached all along excludes.
        unsafe { std::slice::from_raw_parts(self.0.buf.cast(), self.len()) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, released once; the type's rule says that the thread is
        // attached.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.0) }
    }
}

/// A view that is released when it is dropped.
struct Held<'a>(&'a mut ffi::Py_buffer);

impl<'a> Held<'a> {
    fn get(
        object: &Bound<'_, PyAny>,
        view: &'a mut MaybeUninit<ffi::Py_buffer>,
        flags: std::ffi::c_int,
    ) -> PyResult<Self> {
        // SAFETY: a live object; the view is filled unless an error is set, and stays where it is.
        unsafe {
            if ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) < 0 {
                return Err(PyErr::fetch(object.py()));
            }
            Ok(Self(view.assume_init_mut()))
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, released once, attached.
        unsafe { ffi::PyBuffer_Release(std::ptr::from_mut(self.0)) }
    }
}

/// Lets `fill` have the memory of `object`, to be filled. It is released at once, because its owner
/// must not find it in use.
///
/// # Errors
/// TypeError when there is none, BufferError when it is read-only or not contiguous.
pub fn fill<R>(object: &Bound<'_, PyAny>, fill: impl FnOnce(&mut [u8]) -> R) -> PyResult<R> {
    let mut view = MaybeUninit::zeroed();
    let held = Held::get(object, &mut view, ffi::PyBUF_WRITABLE)?;
    if held.0.len == 0 {
        return Ok(fill(&mut []));
    }
    // SAFETY: the exporter keeps `len` writable bytes at `buf` until the release, and nobody else runs
    // while `fill`, a system call, is under way.
    let space =
        unsafe { std::slice::from_raw_parts_mut(held.0.buf.cast::<u8>(), held.0.len as usize) };
    Ok(fill(space))
}

/// Lets `fill` have the memory of `object`, to be filled, by its start and length. Python code may run and
/// see it meanwhile; the memory stays where it is until `fill` returns.
///
/// # Errors
/// As [`fill`].
pub fn fill_shared<R>(
    object: &Bound<'_, PyAny>,
    fill: impl FnOnce(*mut u8, usize) -> R,
) -> PyResult<R> {
    let mut view = MaybeUninit::zeroed();
    let held = Held::get(object, &mut view, ffi::PyBUF_WRITABLE)?;
    Ok(fill(held.0.buf.cast::<u8>(), held.0.len as usize))
}

/// Lets `read` have the memory of `object`, which is released at once.
///
/// # Errors
/// TypeError when there is none, BufferError when it is not contiguous.
pub fn read<R>(object: &Bound<'_, PyAny>, read: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
    let mut view = MaybeUninit::zeroed();
    let held = Held::get(object, &mut view, ffi::PyBUF_SIMPLE)?;
    if held.0.len == 0 {
        return Ok(read(&[]));
    }
    // SAFETY: the exporter keeps `len` bytes at `buf` until the release, and nobody else runs while
    // `read`, a system call, is under way.
    Ok(read(unsafe { std::slice::from_raw_parts(held.0.buf.cast::<u8>(), held.0.len as usize) }))
}

/// A bytes object that nobody else has seen yet, to be filled in place.
#[derive(Debug)]
pub struct NewBytes<'py>(Bound<'py, PyBytes>);

impl<'py> NewBytes<'py> {
    /// `len` bytes, whose content is undefined until it is filled.
    ///
    /// # Errors
    /// MemoryError.
    pub fn new(py: Python<'py>, len: usize) -> PyResult<Self> {
        let size = len.try_into().unwrap_or(ffi::Py_ssize_t::MAX);
        // SAFETY: null asks for uninitialised contents; the object is ours alone.
        unsafe {
            let made = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
            Ok(Self(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked()))
        }
    }

    /// The memory to fill.
    #[must_use]
    pub fn space(&mut self) -> &mut [MaybeUninit<u8>] {
        let len = self.0.as_bytes().len();
        // SAFETY: the object is ours alone and has room for `len` bytes.
        unsafe {
            let start = ffi::PyBytes_AsString(self.0.as_ptr());
            std::slice::from_raw_parts_mut(start.cast(), len)
        }
    }

    /// The object, cut to its first `filled` bytes.
    ///
    /// # Safety
    /// So many bytes of [`NewBytes::space`] have been written.
    ///
    /// # Errors
    /// MemoryError.
    pub unsafe fn finish(self, filled: usize) -> PyResult<Bound<'py, PyAny>> {
        if filled == self.0.as_bytes().len() {
            return Ok(self.0.into_any());
        }
        // SAFETY: nobody else has seen the object; the caller's promise.
        unsafe { cut(self.0.into_any(), filled) }
    }
}

/// A bytes object cut to its first `len` bytes.
///
/// # Safety
/// The only reference to an exact bytes object that nobody has seen, of which so many bytes have been
/// written.
///
/// # Errors
/// MemoryError.
pub(crate) unsafe fn cut(bytes: Bound<'_, PyAny>, len: usize) -> PyResult<Bound<'_, PyAny>> {
    unsafe extern "C" {
        fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> i32;
    }
    let py = bytes.py();
    let mut object = bytes.into_ptr();
    // SAFETY: the caller's promise; on failure the object is released and the pointer is null.
    unsafe {
        if _PyBytes_Resize(&raw mut object, len as ffi::Py_ssize_t) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(Bound::from_owned_ptr(py, object))
    }
}

/// A reference to a bytes object, which gives its content. It lives where [`crate::Ref`] may.
#[derive(Debug)]
pub struct BytesRef(crate::Ref);

impl BytesRef {
    /// Takes over the reference.
    #[must_use]
    pub fn new(bytes: Bound<'_, PyBytes>) -> Self {
        Self(crate::Ref::new(bytes))
    }

    /// The object.
    #[must_use]
    pub fn reference(&self) -> &crate::Ref {
        &self.0
    }
}

impl AsRef<[u8]> for BytesRef {
    fn as_ref(&self) -> &[u8] {
        let object = self.0.as_ptr();
        // SAFETY: a live bytes object, whose content never changes.
        unsafe {
            let start = ffi::PyBytes_AsString(object);
            std::slice::from_raw_parts(start.cast(), ffi::PyBytes_Size(object) as usize)
        }
    }
}
