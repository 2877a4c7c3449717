//! How the loop reads and writes the fields of its handles.

use ferrio_capi::{Slot, StateOf, class};
use ferrio_core::timers::TimerKey;
use pyo3::ffi;
use pyo3::prelude::*;

use super::{
    ARGS, CALLBACK, CANCELLED, CONTEXT, Handle, LOOP, REPR, SCHEDULED, SOURCE_TRACEBACK,
    TimerHandle, slot_of, snapshot,
};
use crate::names::{boolean, none};

/// What both classes share: the fields that the loop reads and writes.
pub trait AnyHandle<'py> {
    /// The object's address.
    fn address(&self) -> *mut ffi::PyObject;

    /// `_callback`.
    fn callback(&self) -> &Slot {
        slot_of(&CALLBACK, self.address())
    }

    /// `_args`.
    fn args(&self) -> &Slot {
        slot_of(&ARGS, self.address())
    }

    /// `_context`.
    fn context(&self) -> &Slot {
        slot_of(&CONTEXT, self.address())
    }

    /// `_loop`.
    fn event_loop(&self) -> &Slot {
        slot_of(&LOOP, self.address())
    }

    /// `_source_traceback`.
    fn source_traceback(&self) -> &Slot {
        slot_of(&SOURCE_TRACEBACK, self.address())
    }

    /// `_repr`.
    fn kept_repr(&self) -> &Slot {
        slot_of(&REPR, self.address())
    }

    /// Whether `_cancelled` is True.
    fn is_cancelled(&self) -> bool {
        // SAFETY: reads the address of the singleton.
        slot_of(&CANCELLED, self.address()).as_ptr() == unsafe { ffi::Py_True() }
    }

    /// Shows the handle to the collector when somebody beside the caller holds it.
    fn track_if_shared(&self);

    /// The context for what `_context` holds; kept there when somebody may look at it afterwards.
    #[inline]
    fn context_to_run_in(&self, held: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !snapshot::is_snapshot(&held) {
            return Ok(held);
        }
        let context = snapshot::context_of(held)?;
        if self.is_shared() {
            self.context().set(context.clone());
        }
        Ok(context)
    }

    /// Whether somebody beside the caller holds the handle.
    fn is_shared(&self) -> bool;

    /// Sets `_cancelled` and forgets the callback. CPython: Handle.cancel
    fn mark_cancelled(&self, py: Python<'py>) {
        slot_of(&CANCELLED, self.address()).set(boolean(py, true));
        self.callback().set(none(py));
        self.args().set(none(py));
    }
}

impl<'py> AnyHandle<'py> for Bound<'py, Handle> {
    fn address(&self) -> *mut ffi::PyObject {
        self.as_ptr()
    }

    #[inline]
    fn track_if_shared(&self) {
        class::track_if_shared(self);
    }

    #[inline]
    fn is_shared(&self) -> bool {
        class::is_shared(self)
    }
}

impl<'py> AnyHandle<'py> for Bound<'py, TimerHandle> {
    fn address(&self) -> *mut ffi::PyObject {
        self.as_ptr()
    }

    #[inline]
    fn track_if_shared(&self) {
        class::track_if_shared(self);
    }

    #[inline]
    fn is_shared(&self) -> bool {
        class::is_shared(self)
    }
}

/// What the loop does with a TimerHandle beside calling it.
pub trait Timed {
    /// The deadline in seconds of the loop's clock.
    fn when(&self) -> f64;

    /// Notes that the heap holds the handle at `key`.
    fn enter_heap(&self, key: TimerKey);

    /// Notes that the heap no longer holds it.
    fn leave_heap(&self);

    /// Where the heap holds it, if it does.
    fn key(&self) -> Option<TimerKey>;
}

impl Timed for Bound<'_, TimerHandle> {
    fn when(&self) -> f64 {
        self.state().when.get()
    }

    fn enter_heap(&self, key: TimerKey) {
        self.state().key.set(key);
        slot_of(&SCHEDULED, self.as_ptr()).set(boolean(self.py(), true));
    }

    fn leave_heap(&self) {
        slot_of(&SCHEDULED, self.as_ptr()).set(boolean(self.py(), false));
    }

    fn key(&self) -> Option<TimerKey> {
        // SAFETY: reads the address of the singleton.
        let scheduled = slot_of(&SCHEDULED, self.as_ptr()).as_ptr() == unsafe { ffi::Py_True() };
        scheduled.then(|| self.state().key.get())
    }
}
