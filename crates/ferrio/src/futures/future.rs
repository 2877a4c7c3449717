//! The state of a Future (and, first in its own state, of a Task); `outcome` holds what changes it.
//!
//! State: Pending -> Result | Exception | Cancelled, once; only `__init__` goes back to Pending.
//! Fields: `value` is the result or the exception, as `status` says. `rare` holds what most futures
//! never have.
//! Invariant: callbacks exist only while Pending. `native` is set only when `event_loop` holds an
//! EventLoop of ours, and the slot then changes only in `__init__` and in tp_clear.
//! Shutdown: tp_finalize reports an exception that nobody retrieved.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::{NativeClass, Slot, StateOf, Visit, ending_thread, runtime};
use pyo3::prelude::*;

use super::callbacks::Callbacks;
use crate::errors;
use crate::loop_state::{self, EventLoop};
use crate::names;

pub use super::methods::Future;

/// Where a future stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Status {
    Pending = 0,
    Cancelled,
    Result,
    Exception,
}

/// The native part of a Future. All-zero is a future whose `__init__` did not run.
pub struct FutureState {
    pub event_loop: Slot,
    pub(super) value: Slot,
    pub callbacks: Callbacks,
    pub(super) rare: Cell<Option<Box<Rare>>>,
    pub(super) status: Cell<Status>,
    /// `_asyncio_future_blocking`: set when awaited, cleared by the task that receives the future.
    pub blocking: Cell<bool>,
    /// `_log_traceback`: an exception is set that nobody has looked at.
    pub log_traceback: Cell<bool>,
    /// `event_loop` is an EventLoop of ours.
    native: Cell<bool>,
    /// Task: `_log_destroy_pending` inverted, so that zero means the default.
    pub silent_destroy: Cell<bool>,
    /// Task: `_must_cancel`.
    pub must_cancel: Cell<bool>,
}

/// What most futures never have.
pub(super) struct Rare {
    source_traceback: Slot,
    cancel_message: Slot,
    /// The CancelledError that ended a task, kept to be raised once with its traceback.
    cancelled_exception: Slot,
    /// The exception's traceback as it was when it was set.
    pub(super) traceback: Slot,
}

/// A native class that begins with a [`FutureState`].
pub trait FutureClass: NativeClass {
    /// The future's part of the state.
    fn future(state: &Self::State) -> &FutureState;
}

/// Access to the future's part behind a reference.
pub trait AsFuture<'py> {
    /// The object with its state.
    fn as_future(&self) -> NativeFuture<'_, 'py>;
}

impl<'py, C: FutureClass> AsFuture<'py> for Bound<'py, C> {
    #[inline]
    fn as_future(&self) -> NativeFuture<'_, 'py> {
        NativeFuture { object: self.as_any(), state: C::future(self.state()) }
    }
}

/// A Future or Task of ours, subclasses included.
#[derive(Clone, Copy)]
pub struct NativeFuture<'a, 'py> {
    pub object: &'a Bound<'py, PyAny>,
    pub state: &'a FutureState,
}

impl FutureState {
    #[inline]
    pub fn status(&self) -> Status {
        self.status.get()
    }

    #[inline]
    pub fn is_pending(&self) -> bool {
        self.status.get() == Status::Pending
    }

    /// `__init__`, with the loop decided. CPython: future_init
    #[inline]
    pub fn reset<'py>(&self, py: Python<'py>, event_loop: Bound<'py, PyAny>) -> PyResult<()> {
        if self.event_loop.is_set() {
            self.clear(py);
        }
        self.status.set(Status::Pending);
        self.log_traceback.set(false);
        self.blocking.set(false);
        let native = loop_state::as_native(&event_loop).map(|native| native.get());
        self.native.set(native.is_some());
        let debug = match native {
            Some(native) => loop_state::get(&native.debug),
            None => loop_state::is_debug(&event_loop)?,
        };
        self.event_loop.set(event_loop);
        if debug && !runtime::is_finalizing(py) {
            ending_thread::stop_at_exit();
            let stack = names::TRACEBACK_EXTRACT_STACK.get(py)?.call0()?;
            self.rare(|rare| rare.source_traceback.set(stack));
        }
        Ok(())
    }

    /// [`FutureState::reset`] for a fresh object on a loop of ours outside of debug mode.
    #[inline]
    pub fn begin(&self, event_loop: &Bound<'_, EventLoop>) {
        self.native.set(true);
        self.event_loop.set(event_loop.as_any().clone());
    }

    /// The loop when it is ours.
    #[inline]
    pub fn native_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, EventLoop>> {
        if !self.native.get() {
            return None;
        }
        // SAFETY: the invariant of `native`.
        self.event_loop.get(py).map(|event_loop| unsafe { event_loop.cast_into_unchecked() })
    }

    /// # Errors
    /// RuntimeError when `__init__` did not run.
    pub fn ensure_alive(&self) -> PyResult<()> {
        if self.event_loop.is_set() { Ok(()) } else { Err(errors::uninitialized()) }
    }

    pub(super) fn rare<R>(&self, use_it: impl FnOnce(&Rare) -> R) -> R {
        let rare = self.rare.take().unwrap_or_else(|| Box::new(Rare::empty()));
        let result = use_it(&rare);
        self.rare.set(Some(rare));
        result
    }

    /// Reads a rare field; None when the future has none of them.
    fn rare_field<'py>(
        &self,
        py: Python<'py>,
        field: impl FnOnce(&Rare) -> &Slot,
    ) -> Option<Bound<'py, PyAny>> {
        let rare = self.rare.take()?;
        let value = field(&rare).get(py);
        self.rare.set(Some(rare));
        value
    }

    pub fn source_traceback<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.rare_field(py, |rare| &rare.source_traceback)
    }

    pub fn cancel_message<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.rare_field(py, |rare| &rare.cancel_message)
    }

    /// Stores `_cancel_message`; the old one is dropped last, because that may run Python code.
    pub fn set_cancel_message(&self, py: Python<'_>, message: Option<Bound<'_, PyAny>>) {
        if message.is_none() && self.cancel_message(py).is_none() {
            return;
        }
        let old = self.rare(|rare| {
            let old = rare.cancel_message.take(py);
            rare.cancel_message.replace(py, message);
            old
        });
        drop(old);
    }

    pub fn keep_cancelled_exception(&self, exception: Bound<'_, PyAny>) {
        let py = exception.py();
        let old = self.rare(|rare| {
            let old = rare.cancelled_exception.take(py);
            rare.cancelled_exception.set(exception);
            old
        });
        drop(old);
    }

    fn take_cancelled_exception<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let rare = self.rare.take()?;
        let exception = rare.cancelled_exception.take(py);
        self.rare.set(Some(rare));
        exception
    }

    /// The CancelledError to raise. CPython: create_cancelled_error
    pub fn make_cancelled_error<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(exception) = self.take_cancelled_exception(py) {
            return Ok(exception);
        }
        let class = names::CANCELLED_ERROR.get(py)?;
        match self.cancel_message(py) {
            Some(message) if !message.is_none() => class.call1((message,)),
            _ => class.call0(),
        }
    }

    /// The result or exception, without marking it as seen.
    pub fn value<'py>(&self, py: Python<'py>, wanted: Status) -> Option<Bound<'py, PyAny>> {
        if self.status.get() == wanted { self.value.get(py) } else { None }
    }

    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.event_loop)?;
        visit.slot(&self.value)?;
        self.callbacks.traverse(visit)?;
        let Some(rare) = self.rare.take() else {
            return Ok(());
        };
        let outcome = rare.slots().into_iter().try_for_each(|slot| visit.slot(slot));
        self.rare.set(Some(rare));
        outcome
    }

    pub fn clear(&self, py: Python<'_>) {
        self.native.set(false);
        self.callbacks.clear(py);
        drop(self.value.take(py));
        drop(self.rare.take());
        drop(self.event_loop.take(py));
    }
}

impl Rare {
    fn empty() -> Self {
        Self {
            source_traceback: Slot::empty(),
            cancel_message: Slot::empty(),
            cancelled_exception: Slot::empty(),
            traceback: Slot::empty(),
        }
    }

    fn slots(&self) -> [&Slot; 4] {
        [&self.source_traceback, &self.cancel_message, &self.cancelled_exception, &self.traceback]
    }
}
