//! The handle of `call_soon_threadsafe` from CPython 3.14 on: a native subclass of asyncio's private
//! class. Asking whether it is cancelled, or cancelling it, from another thread than the one that is
//! calling its callback waits until the callback has returned. Stock has a lock in each handle for
//! that; here only who has to wait makes something to wait on.
//!
//! State: idle | being called by a thread. The GIL orders the changes.
//! Fields: those of Handle, and stock's `_lock`, which is set only by stock's own `__init__`.
//! Collection: as for Handle.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{Members, Object};
use ferrio_capi::slots::Member;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, runtime, tracking};
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi, intern};

use super::{AnyHandle, Handle, KEPT, Parts, resting};
use crate::names::{self, boolean, none};

static LOCK: Member = Member::new(c"_lock");

static THREAD_SAFE_HANDLE: Class<ThreadSafeHandle> = Class::new();

/// A callback that another thread asked for.
#[derive(Debug)]
pub struct ThreadSafeHandle;

/// What it adds to its slots.
#[derive(Debug)]
pub struct ThreadSafeHandleState {
    /// The thread that is calling the callback, 0 when none is.
    caller: Cell<u64>,
    /// A `threading.Event` that is set when the callback returns; made by the first who waits.
    returned: Slot,
}

// SAFETY: zero is no thread, and an empty slot is all-zero.
unsafe impl State for ThreadSafeHandleState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.returned)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.returned.take(py));
    }
}

// SAFETY: the type object is the one that `create` made; instances are recognised by it.
unsafe impl PyTypeInfo for ThreadSafeHandle {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        THREAD_SAFE_HANDLE.type_ptr()
    }
}

impl DerefToPyAny for ThreadSafeHandle {}

impl NativeClass for ThreadSafeHandle {
    type State = ThreadSafeHandleState;
    const TRACKED: bool = false;
    const KEPT: usize = KEPT;

    fn class() -> &'static Class<Self> {
        &THREAD_SAFE_HANDLE
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        Handle::traverse_base(object, visit)?;
        visit.slot(lock_of(object))
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        Handle::clear_base(object, py);
        drop(lock_of(object).take(py));
    }
}

impl<'py> AnyHandle<'py> for Bound<'py, ThreadSafeHandle> {
    fn address(&self) -> *mut ffi::PyObject {
        self.as_ptr()
    }

    #[inline]
    fn track_if_shared(&self) {
        tracking::track_if_shared(self);
    }

    fn is_shared(&self) -> bool {
        tracking::is_shared(self)
    }
}

fn lock_of<'a>(handle: *mut ffi::PyObject) -> &'a Slot {
    // SAFETY: called with instances of this class only, in whose base the member was located.
    unsafe { LOCK.of(handle) }
}

/// A handle outside of debug mode (no source traceback).
pub fn new_handle<'py>(
    py: Python<'py>,
    parts: Parts<'_, 'py>,
) -> PyResult<Bound<'py, ThreadSafeHandle>> {
    let handle = match resting::thread_safe(py) {
        Some(handle) => handle,
        None => super::with_constants(THREAD_SAFE_HANDLE.alloc(py)?),
    };
    super::fill(&handle, parts)?;
    Ok(handle)
}

/// `object` as such a handle when it is exactly one.
#[inline]
pub fn cast<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, ThreadSafeHandle>> {
    THREAD_SAFE_HANDLE.cast_exact(object)
}

/// Whether a handle that is done has the native fields of a new one.
pub fn is_as_new(this: &Bound<'_, ThreadSafeHandle>) -> bool {
    let state = this.state();
    state.caller.get() == 0 && !state.returned.is_set() && !lock_of(this.as_ptr()).is_set()
}

/// Calls `run` as the callback of the handle; who waits for its end goes on then.
#[inline]
pub fn calling(
    this: &Bound<'_, ThreadSafeHandle>,
    run: impl FnOnce() -> PyResult<()>,
) -> PyResult<()> {
    let state = this.state();
    let outer = state.caller.replace(runtime::thread_ident());
    let outcome = run();
    state.caller.set(outer);
    match state.returned.take(this.py()) {
        None => outcome,
        Some(returned) => {
            let set = returned.call_method0(intern!(this.py(), "set"));
            outcome.and(set.map(drop))
        }
    }
}

/// Waits while another thread calls the callback.
pub fn wait_returned(this: &Bound<'_, ThreadSafeHandle>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let called_elsewhere = || ![0, runtime::thread_ident()].contains(&state.caller.get());
    while called_elsewhere() {
        let returned = match state.returned.get(py) {
            Some(returned) => returned,
            None => {
                let event = names::THREADING_EVENT.get(py)?.call0()?;
                // Making the event let other threads run.
                if !called_elsewhere() {
                    return Ok(());
                }
                if !state.returned.is_set() {
                    state.returned.set(event);
                }
                state.returned.get_or_none(py)
            }
        };
        returned.call_method0(intern!(py, "wait"))?;
    }
    Ok(())
}

fn cancelled<'py>(this: &Bound<'py, ThreadSafeHandle>) -> Object<'py> {
    wait_returned(this)?;
    Ok(boolean(this.py(), this.is_cancelled()))
}

fn get_context<'py>(this: &Bound<'py, ThreadSafeHandle>) -> Object<'py> {
    this.show_context(this.py())
}

fn set_context<'py>(
    this: &Bound<'py, ThreadSafeHandle>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    AnyHandle::context(this).replace(this.py(), value.cloned());
    Ok(())
}

/// `_run()`, when somebody else than the loop calls it. CPython: _ThreadSafeHandle._run
fn run<'py>(this: &Bound<'py, ThreadSafeHandle>) -> Object<'py> {
    let py = this.py();
    wait_returned(this)?;
    if !this.is_cancelled() {
        calling(this, || {
            names::HANDLE.get(py)?.call_method1(intern!(py, "_run"), (this,)).map(drop)
        })?;
    }
    Ok(none(py))
}

/// Makes the type. Cancelling needs the loop, so the function that does it comes from above.
pub fn create<F>(py: Python<'_>, cancel: F) -> PyResult<()>
where
    F: for<'py> Fn(&Bound<'py, ThreadSafeHandle>) -> Object<'py> + Copy,
{
    let base = names::THREAD_SAFE_HANDLE.class(py)?;
    LOCK.locate(base)?;
    let members = Members::default()
        .noargs::<ThreadSafeHandle, _>(
            c"cancel",
            cancel,
            c"Cancel the callback: it will not be called.",
        )
        .noargs::<ThreadSafeHandle, _>(
            c"cancelled",
            cancelled,
            c"Return True if the callback was cancelled.",
        )
        .get_set::<ThreadSafeHandle, _, _>(c"_context", get_context, set_context)
        .noargs::<ThreadSafeHandle, _>(c"_run", run, c"Call the callback unless it was cancelled.")
        .doc(c"Object returned by call_soon_threadsafe.");
    THREAD_SAFE_HANDLE.create(py, c"ferrio._ThreadSafeHandle", base, members.into_slots())
}
