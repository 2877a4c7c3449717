//! Whether somebody observes the exceptions that are raised: `pdb` and `pydevd` pass over a StopIteration
//! of exactly the interpreter's own class. It is asked at each one, so it may cost no call of Python.
//! Reference: Include/cpython/monitoring.h, Include/cpython/pystate.h

use pyo3::prelude::*;

#[cfg(Py_3_13)]
use events as implementation;
#[cfg(not(Py_3_13))]
use trace as implementation;

/// Whether raised exceptions are observed by `sys.settrace` or by `sys.monitoring`.
#[inline]
pub(crate) fn are_observed(py: Python<'_>) -> bool {
    implementation::are_observed(py)
}

#[cfg(all(Py_3_12, not(Py_3_13)))]
pub use trace::note_monitors;

/// `sys.monitoring` says for which events a tool has asked, `sys.settrace` among them.
#[cfg(Py_3_13)]
mod events {
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

    use pyo3::ffi;
    use pyo3::prelude::*;

    /// The number of RAISE, which moved when 3.14 told apart the two branches.
    const RAISE: u8 = if cfg!(Py_3_14) { 11 } else { 10 };

    /// The two bytes of a `PyMonitoringState`, and the version of the tools that they are of.
    static STATE: AtomicU16 = AtomicU16::new(0);
    static VERSION: AtomicU64 = AtomicU64::new(0);

    unsafe extern "C" {
        fn PyMonitoring_EnterScope(
            states: *mut u8,
            version: *mut u64,
            events: *const u8,
            length: ffi::Py_ssize_t,
        ) -> c_int;
    }

    #[inline]
    pub fn are_observed(_: Python<'_>) -> bool {
        // SAFETY: attached, so nobody else writes the two; one event, and room for its state. It fills in
        // the state when the version is another one, raises nothing, and leaves nothing to be exited.
        unsafe {
            PyMonitoring_EnterScope(STATE.as_ptr().cast(), VERSION.as_ptr(), &RAISE, 1);
        }
        let [active, _] = STATE.load(Ordering::Relaxed).to_ne_bytes();
        active != 0
    }
}

/// The thread's trace function, and on 3.12 a debugger among the tools of `sys.monitoring`.
#[cfg(not(Py_3_13))]
mod trace {
    use std::ffi::{c_int, c_void};
    #[cfg(Py_3_12)]
    use std::sync::atomic::{AtomicBool, Ordering};

    use pyo3::ffi;
    use pyo3::prelude::*;

    /// How a thread state begins on 3.11 and 3.12, as CPython's header publishes it.
    #[repr(C)]
    struct ThreadState {
        links: [*mut c_void; 3],
        counters: [c_int; 7],
        frame: *mut c_void,
        profile_function: *mut c_void,
        trace_function: *mut c_void,
    }

    #[cfg(Py_3_12)]
    static MONITORED: AtomicBool = AtomicBool::new(false);

    #[inline]
    pub fn are_observed(_: Python<'_>) -> bool {
        #[cfg(Py_3_12)]
        if MONITORED.load(Ordering::Relaxed) {
            return true;
        }
        // SAFETY: attached, so there is a thread state; it begins as above on these versions.
        unsafe { !(*ffi::PyThreadState_Get().cast::<ThreadState>()).trace_function.is_null() }
    }

    /// Says whether a debugger monitors the interpreter. It may be told late: what is seen until then is
    /// a StopIteration too many.
    #[cfg(Py_3_12)]
    pub fn note_monitors(observed: bool) {
        MONITORED.store(observed, Ordering::Relaxed);
    }
}
