//! Bytes objects that were handed out and that nobody has any more, to be filled again. The C library takes and
//! returns blocks of more than a kilobyte the long way: 0.19 µs of the 6 an echo of 1 KiB takes.
//! Reference: Include/cpython/bytesobject.h; _PyBytes_Resize changes an object under the same condition.

use std::collections::VecDeque;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::Ref;

/// Objects of fewer bytes come from CPython's own free lists, which are as fast.
const SMALLEST: usize = 480;

/// What is larger is not kept in memory for a chance.
const LARGEST: usize = 32 * 1024;

/// How many objects are waited for that somebody still has, of at most so many bytes: those of as many
/// connections whose tasks hold what they last read.
const MOST_LENT: usize = 256;
const LARGEST_LENT: usize = 4 * 1024;

/// The objects. They live where drops happen attached, like [`Ref`].
#[derive(Debug, Default)]
pub struct SpareBytes {
    /// Invariant: an exact bytes object, and the only reference to it.
    spare: Option<Ref>,
    /// Exact bytes objects that others had when they came back, the oldest first.
    lent: VecDeque<Ref>,
}

impl SpareBytes {
    /// A bytes object with this content.
    #[inline]
    pub fn copy<'py>(&mut self, py: Python<'py>, content: &[u8]) -> Bound<'py, PyBytes> {
        match self.spare.take_if(|spare| fits(spare, content.len())) {
            // SAFETY: the invariant, and that it has room, as was just asked.
            Some(spare) => unsafe { filled(spare.into_bound(py), content) },
            None => self.copy_into_returned(py, content),
        }
    }

    /// [`SpareBytes::copy`] into the oldest of the lent objects, if nobody else has it by now.
    fn copy_into_returned<'py>(&mut self, py: Python<'py>, content: &[u8]) -> Bound<'py, PyBytes> {
        if self.lent.front().is_none_or(|oldest| oldest.is_shared(py)) {
            return PyBytes::new(py, content);
        }
        match self.lent.pop_front() {
            // SAFETY: an exact bytes object, the only reference to it, and that it has room.
            Some(oldest) if fits(&oldest, content.len()) => unsafe {
                filled(oldest.into_bound(py), content)
            },
            _ => PyBytes::new(py, content),
        }
    }

    /// Takes an object back that was handed out, unless somebody else has it. The one before is
    /// released, which runs no Python code.
    #[inline]
    pub fn take_back(&mut self, object: Bound<'_, PyAny>) {
        let py = object.py();
        if let Ok(bytes) = object.cast_into_exact::<PyBytes>()
            && (SMALLEST..=LARGEST).contains(&bytes.as_bytes().len())
        {
            let len = bytes.as_bytes().len();
            let returned = Ref::new(bytes);
            if !returned.is_shared(py) {
                self.spare = Some(returned);
            } else if len <= LARGEST_LENT {
                if self.lent.len() == MOST_LENT {
                    drop(self.lent.pop_front());
                }
                self.lent.push_back(returned);
            }
        }
    }
}

/// Whether so many bytes have room, and take half of it at least.
fn fits(spare: &Ref, len: usize) -> bool {
    // SAFETY: the invariant of `SpareBytes`: a live bytes object.
    let room = unsafe { ffi::Py_SIZE(spare.as_ptr()) } as usize;
    len <= room && len >= room / 2 && len >= SMALLEST
}

/// The object with another content, cut to its length, and without the hash of the one before.
///
/// # Safety
/// The only reference to an exact bytes object with room for the content.
unsafe fn filled<'py>(object: Bound<'py, PyAny>, content: &[u8]) -> Bound<'py, PyBytes> {
    let raw = object.as_ptr().cast::<ffi::PyBytesObject>();
    // SAFETY: the caller's promise: nobody else can see the object change. The byte after the content is
    // the terminating zero, for which an object has room beside its length.
    unsafe {
        let start = (&raw mut (*raw).ob_sval).cast::<u8>();
        start.copy_from_nonoverlapping(content.as_ptr(), content.len());
        start.add(content.len()).write(0);
        (*raw).ob_base.ob_size = content.len() as ffi::Py_ssize_t;
        forget_hash(raw);
        object.cast_into_unchecked()
    }
}

/// # Safety
/// As for [`filled`].
#[expect(
    deprecated,
    reason = "CPython deprecates the field for everybody but itself; it reads it up to 3.15"
)]
unsafe fn forget_hash(bytes: *mut ffi::PyBytesObject) {
    // SAFETY: the caller's promise.
    unsafe { (*bytes).ob_shash = -1 };
}
