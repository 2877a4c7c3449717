//! Facts about the running interpreter and thread. Reference: Include/pythread.h,
//! Include/pylifecycle.h.

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use pyo3::ffi;
use pyo3::prelude::*;

/// `threading.get_ident()`.
#[inline]
#[must_use]
pub fn thread_ident() -> u64 {
    // SAFETY: callable from any thread.
    unsafe { ffi::PyThread_get_thread_ident() }
}

/// Whether Python code runs on this thread, so that there is a stack to show.
#[must_use]
pub fn has_frame(_py: Python<'_>) -> bool {
    // SAFETY: attached; gives a borrowed reference, or null.
    !unsafe { ffi::PyEval_GetFrame() }.is_null()
}

/// Whether the interpreter is shutting down (`sys.is_finalizing()`).
#[must_use]
pub fn is_finalizing(_py: Python<'_>) -> bool {
    has_begun_to_end()
}

/// [`is_finalizing`], for a thread that is not attached.
pub(crate) fn has_begun_to_end() -> bool {
    #[cfg(Py_3_13)]
    // SAFETY: no preconditions.
    return unsafe { ffi::Py_IsFinalizing() } != 0;
    #[cfg(not(Py_3_13))]
    // SAFETY: exported by CPython before 3.13 for this purpose; no preconditions.
    return unsafe { _Py_IsFinalizing() } != 0;
}

#[cfg(not(Py_3_13))]
unsafe extern "C" {
    fn _Py_IsFinalizing() -> std::ffi::c_int;
}

/// A descriptor that Python code named, for the length of a system call.
#[must_use]
pub fn borrow_fd(fd: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: the value is used only as a number in system calls, which answer EBADF for one that is not
    // open; -1 is the only value `BorrowedFd` cannot hold, and negatives are refused.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Asks the processor to load what lies at an object's beginning, because it is needed soon.
#[inline]
pub fn prefetch(object: *mut ffi::PyObject) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address has no effect that a program can observe.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(object.cast());
        _mm_prefetch::<_MM_HINT_T0>(object.cast::<i8>().wrapping_add(64));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = object;
}

/// Runs `body` with the GIL given up, so that other threads run Python meanwhile.
///
/// # Safety
/// `body` touches no Python object, and drops none.
pub unsafe fn without_gil<R>(_py: Python<'_>, body: impl FnOnce() -> R) -> R {
    struct Reattach(*mut ffi::PyThreadState);
    impl Drop for Reattach {
        fn drop(&mut self) {
            // SAFETY: the state that PyEval_SaveThread gave to this very thread.
            unsafe { ffi::PyEval_RestoreThread(self.0) }
        }
    }
    // SAFETY: the token proves that the thread is attached.
    let reattach = Reattach(unsafe { ffi::PyEval_SaveThread() });
    let result = body();
    drop(reattach);
    result
}

/// Lets a thread that waits for the GIL have it, and this processor too.
pub fn yield_gil(py: Python<'_>) {
    // SAFETY: the system call touches no Python object.
    unsafe { without_gil(py, rustix::thread::sched_yield) }
}

/// A new reference to the object at an address.
///
/// # Safety
/// A live object lies there.
pub unsafe fn object_at(py: Python<'_>, address: usize) -> Bound<'_, PyAny> {
    // SAFETY: the caller's promise.
    unsafe { Bound::from_borrowed_ptr(py, std::ptr::with_exposed_provenance_mut(address)) }
}

/// Takes over a descriptor; it is closed when the result is dropped.
///
/// # Safety
/// It is open, and nobody else will close it.
#[must_use]
pub unsafe fn owned_fd(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller's promise.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
