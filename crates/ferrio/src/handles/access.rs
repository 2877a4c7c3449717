//! How the loop reads and writes the fields of its handles.

use ferrio_capi::{Slot, StateOf, context, tracking};
use ferrio_core::timers::TimerKey;
use pyo3::exceptions::PyAttributeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::{
    ARGS, CALLBACK, CANCELLED, CONTEXT, Handle, LOOP, REPR, SCHEDULED, SOURCE_TRACEBACK,
    TimerHandle, slot_of, snapshot,
};
use crate::names::{boolean, none};

/// What a handle has the loop do.
#[derive(Debug)]
pub struct Call<'py> {
    /// `_callback`.
    pub callback: Bound<'py, PyAny>,
    /// `_args`.
    pub args: Bound<'py, PyAny>,
    /// `_context`, or a snapshot.
    pub context: Bound<'py, PyAny>,
}

/// What all classes share: the fields that the loop reads and writes.
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

    /// What `cancelled()` returns: `_cancelled`.
    fn show_cancelled(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let cancelled = slot_of(&CANCELLED, self.address()).get(py);
        cancelled.ok_or_else(|| PyAttributeError::new_err("_cancelled"))
    }

    /// Shows the handle to the collector when somebody beside the caller holds it.
    fn track_if_shared(&self);

    /// Runs `body` in the context for what `_context` holds; kept there when somebody may look at it
    /// afterwards.
    #[inline]
    fn run_in_context<R>(
        &self,
        held: &Bound<'py, PyAny>,
        body: impl FnOnce() -> PyResult<R>,
    ) -> PyResult<R> {
        let Some(snapshot) = snapshot::cast(held) else {
            return context::run_fallible_in(held, body);
        };
        let lent = snapshot::lend(snapshot)?;
        if self.is_shared() {
            self.context().set(lent.clone());
        }
        let outcome = context::run_fallible_in(&lent, body);
        if outcome.is_err() {
            self.context().set(lent);
        } else {
            snapshot::take_back(snapshot, lent);
        }
        outcome
    }

    /// `_context` for who looks: the very context that the callback will run in.
    fn show_context(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let context = match self.context().get(py) {
            Some(held) => snapshot::context_of(held)?,
            // The timer of a sleep has none before somebody looks.
            None if self.args().is_set() => context::copy_current(py)?,
            None => return Err(PyAttributeError::new_err("_context")),
        };
        self.context().set(context.clone());
        Ok(context)
    }

    /// What there is to call: taken out of a handle that nobody else holds, who could look at it.
    #[inline]
    fn take_call(&self, py: Python<'py>) -> Option<Call<'py>> {
        let slots = [self.callback(), self.args(), self.context()];
        let parts = match self.is_shared() {
            true => slots.map(|slot| slot.get(py)),
            false => slots.map(|slot| slot.take(py)),
        };
        let [Some(callback), Some(args), Some(context)] = parts else { return None };
        Some(Call { callback, args, context })
    }

    /// Puts what was taken out back, for who is told of the handle now.
    #[cold]
    fn put_back(&self, call: &Call<'py>) {
        let slots = [self.callback(), self.args(), self.context()];
        for (slot, part) in slots.into_iter().zip([&call.callback, &call.args, &call.context]) {
            if !slot.is_set() {
                slot.set(part.clone());
            }
        }
    }

    /// Whether the fields that do not belong to the call are those of a new handle.
    #[inline]
    fn is_as_new(&self) -> bool {
        // SAFETY: reads the addresses of singletons.
        let (none, no) = unsafe { (ffi::Py_None(), ffi::Py_False()) };
        slot_of(&CANCELLED, self.address()).as_ptr() == no
            && self.kept_repr().as_ptr() == none
            && self.source_traceback().as_ptr() == none
    }

    /// Forgets the call.
    #[inline]
    fn empty(&self, py: Python<'py>) {
        for slot in [self.callback(), self.args(), self.context(), self.event_loop()] {
            drop(slot.take(py));
        }
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
        tracking::track_if_shared(self);
    }

    #[inline]
    fn is_shared(&self) -> bool {
        tracking::is_shared(self)
    }
}

impl<'py> AnyHandle<'py> for Bound<'py, TimerHandle> {
    fn address(&self) -> *mut ffi::PyObject {
        self.as_ptr()
    }

    #[inline]
    fn track_if_shared(&self) {
        tracking::track_if_shared(self);
    }

    #[inline]
    fn is_shared(&self) -> bool {
        tracking::is_shared(self)
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
