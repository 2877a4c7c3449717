//! The state of a Future (and, first in its own state, of a Task) and what changes it.
//!
//! State: Pending -> Result | Exception | Cancelled, once; only `__init__` goes back to Pending.
//! Fields: `value` is the result or the exception, as `status` says. `rare` holds what most futures
//! never have.
//! Invariant: callbacks exist only while Pending. `native` is set only when `event_loop` holds an
//! EventLoop of ours, and the slot then changes only in `__init__` and in tp_clear.
//! Shutdown: tp_finalize reports an exception that nobody retrieved.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::{NativeClass, Ref, Slot, StateOf, Visit, context, runtime};
use pyo3::exceptions::{PyBaseException, PyTypeError};
use pyo3::prelude::*;

use super::callbacks::{self, Callbacks, Waiter};
use crate::errors;
use crate::loop_state::{self, EventLoop, Item};
use crate::names::{self, owned};

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
    value: Slot,
    pub callbacks: Callbacks,
    rare: Cell<Option<Box<Rare>>>,
    status: Cell<Status>,
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
struct Rare {
    source_traceback: Slot,
    cancel_message: Slot,
    /// The CancelledError that ended a task, kept to be raised once with its traceback.
    cancelled_exception: Slot,
    /// The exception's traceback as it was when it was set.
    traceback: Slot,
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
        NativeFuture {
            object: self.as_any(),
            state: C::future(self.state()),
        }
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
        self.event_loop
            .get(py)
            .map(|event_loop| unsafe { event_loop.cast_into_unchecked() })
    }

    /// # Errors
    /// RuntimeError when `__init__` did not run.
    pub fn ensure_alive(&self) -> PyResult<()> {
        if self.event_loop.is_set() {
            Ok(())
        } else {
            Err(errors::uninitialized())
        }
    }

    fn rare<R>(&self, use_it: impl FnOnce(&Rare) -> R) -> R {
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
        if self.status.get() == wanted {
            self.value.get(py)
        } else {
            None
        }
    }

    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.event_loop)?;
        visit.slot(&self.value)?;
        self.callbacks.traverse(visit)?;
        let Some(rare) = self.rare.take() else {
            return Ok(());
        };
        let outcome = rare
            .slots()
            .into_iter()
            .try_for_each(|slot| visit.slot(slot));
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
        [
            &self.source_traceback,
            &self.cancel_message,
            &self.cancelled_exception,
            &self.traceback,
        ]
    }
}

impl<'py> NativeFuture<'_, 'py> {
    #[inline]
    fn py(self) -> Python<'py> {
        self.object.py()
    }

    /// Finishes with a result and wakes everyone. The caller checked that the future is pending.
    #[inline]
    pub fn finish(self, result: Bound<'py, PyAny>) -> PyResult<()> {
        self.state.value.set(result);
        self.state.status.set(Status::Result);
        self.schedule_callbacks()
    }

    /// `set_result`. CPython: future_set_result
    pub fn set_result(self, result: Bound<'py, PyAny>) -> PyResult<()> {
        self.state.ensure_alive()?;
        if !self.state.is_pending() {
            return Err(errors::invalid_state(self.py(), "invalid state"));
        }
        self.finish(result)
    }

    /// CPython: futures._set_result_unless_cancelled
    pub fn set_result_unless_cancelled(self, result: Bound<'py, PyAny>) -> PyResult<()> {
        if self.state.status() == Status::Cancelled {
            return Ok(());
        }
        self.set_result(result)
    }

    /// `set_exception`. CPython: future_set_exception
    pub fn set_exception(self, exception: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = self.py();
        self.state.ensure_alive()?;
        let invalid = || errors::invalid_state(py, "invalid state");
        if !self.state.is_pending() {
            return Err(invalid());
        }
        let exception = if is_exception_class(exception) {
            let exception = exception.call0()?;
            if !self.state.is_pending() {
                return Err(invalid());
            }
            exception
        } else {
            exception.clone()
        };
        if !exception.is_instance_of::<PyBaseException>() {
            return Err(PyTypeError::new_err("invalid exception object"));
        }
        let exception = if exception.is_instance_of::<pyo3::exceptions::PyStopIteration>() {
            stock_answer_to_stop_iteration(&exception)?
        } else {
            exception
        };
        self.fail(exception)
    }

    /// Finishes with an exception instance and wakes everyone. The caller checked that the future is
    /// pending.
    pub fn fail(self, exception: Bound<'py, PyAny>) -> PyResult<()> {
        let py = self.py();
        let traceback = exception.getattr(pyo3::intern!(py, "__traceback__"))?;
        if !traceback.is_none() {
            self.state.rare(|rare| rare.traceback.set(traceback));
        }
        self.state.value.set(exception);
        self.state.status.set(Status::Exception);
        self.schedule_callbacks()?;
        self.state.log_traceback.set(true);
        Ok(())
    }

    /// `Future.cancel`, also the end of a task that was cancelled. CPython: future_cancel
    pub fn cancel(self, message: Option<Bound<'py, PyAny>>) -> PyResult<bool> {
        self.state.log_traceback.set(false);
        if !self.state.is_pending() {
            return Ok(false);
        }
        self.state.status.set(Status::Cancelled);
        self.state.set_cancel_message(self.py(), message);
        self.schedule_callbacks()?;
        Ok(true)
    }

    /// What `result()` gives or raises. CPython: future_get_result
    pub fn result(self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py();
        match self.state.status() {
            Status::Result => {
                self.state.log_traceback.set(false);
                Ok(self.state.value.get_or_none(py))
            }
            Status::Exception => Err(PyErr::from_value(self.retrieve_exception()?)),
            Status::Cancelled => Err(PyErr::from_value(self.state.make_cancelled_error(py)?)),
            Status::Pending if self.state.event_loop.is_set() => {
                Err(errors::invalid_state(py, "Result is not set."))
            }
            Status::Pending => Err(errors::invalid_state(
                py,
                "Future object is not initialized.",
            )),
        }
    }

    /// The exception, marked as seen and with the traceback that it had when it was set.
    fn retrieve_exception(self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py();
        self.state.log_traceback.set(false);
        let exception = self.state.value.get_or_none(py);
        let traceback = match self.state.rare.take() {
            Some(rare) => {
                let traceback = rare.traceback.take(py);
                self.state.rare.set(Some(rare));
                traceback
            }
            None => None,
        };
        exception.setattr(
            pyo3::intern!(py, "__traceback__"),
            traceback.unwrap_or_else(|| names::none(py)),
        )?;
        Ok(exception)
    }

    /// How a waiting task learns of the outcome: None when it is a result, else the exception.
    #[inline]
    pub fn outcome(self) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.state.status() {
            Status::Result => {
                self.state.log_traceback.set(false);
                Ok(None)
            }
            Status::Exception => self.retrieve_exception().map(Some),
            Status::Cancelled => self.state.make_cancelled_error(self.py()).map(Some),
            Status::Pending => Err(errors::invalid_state(self.py(), "Result is not set.")),
        }
    }

    /// `add_done_callback` with the context decided.
    pub fn add_callback(
        self,
        callback: &Bound<'py, PyAny>,
        context: Bound<'py, PyAny>,
    ) -> PyResult<()> {
        if self.state.is_pending() {
            self.state.callbacks.push(callback.clone(), Some(context));
            return Ok(());
        }
        self.schedule(Waiter::Function(callback.clone(), context))
    }

    /// Lets a native task wait.
    #[inline]
    pub fn add_task(self, task: &Bound<'py, PyAny>) -> PyResult<()> {
        if self.state.is_pending() {
            self.state.callbacks.push(task.clone(), None);
            return Ok(());
        }
        self.schedule(Waiter::Task(task.clone()))
    }

    #[inline]
    fn schedule_callbacks(self) -> PyResult<()> {
        if self.state.callbacks.is_empty() {
            return Ok(());
        }
        let (first, rest) = self.state.callbacks.take_all(self.py());
        for waiter in first.into_iter().chain(rest) {
            self.schedule(waiter)?;
        }
        Ok(())
    }

    /// Queues one waiter: as an item when the loop takes those, else through `loop.call_soon`.
    #[inline]
    fn schedule(self, waiter: Waiter<'py>) -> PyResult<()> {
        let py = self.py();
        if let Some(native) = self.state.native_loop(py) {
            let native = native.get();
            if native.takes_items() {
                let future = owned(self.object);
                native.push(
                    py,
                    match waiter {
                        Waiter::Task(task) => Item::Wakeup {
                            task: Ref::new(task),
                            future,
                        },
                        Waiter::Function(callback, context) => Item::Callback {
                            callback: Ref::new(callback),
                            future,
                            // CPython: call_soon(context=None) copies the current one.
                            context: Ref::new(if context.is_none() {
                                context::copy_current(py)?
                            } else {
                                context
                            }),
                        },
                    },
                );
                return Ok(());
            }
        }
        self.schedule_through_python(waiter)
    }

    #[cold]
    fn schedule_through_python(self, waiter: Waiter<'py>) -> PyResult<()> {
        let py = self.py();
        let event_loop = self
            .state
            .event_loop
            .get(py)
            .ok_or_else(errors::uninitialized)?;
        let (callback, context) = match waiter {
            Waiter::Function(callback, context) => (callback, context),
            Waiter::Task(task) => {
                let context = task.call_method0(pyo3::intern!(py, "get_context"))?;
                (callbacks::wakeup_callable(&task)?, context)
            }
        };
        loop_state::call_soon(&event_loop, &callback, &[self.object], &context)
    }
}

fn is_exception_class(object: &Bound<'_, PyAny>) -> bool {
    object
        .cast::<pyo3::types::PyType>()
        .is_ok_and(|class| class.is_subclass_of::<PyBaseException>().unwrap_or(false))
}

/// Versions differ in what a StopIteration becomes (a TypeError, or a RuntimeError that wraps it), so
/// the interpreter's own Future is asked.
#[cold]
fn stock_answer_to_stop_iteration<'py>(
    exception: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = exception.py();
    let simple = py.import("types")?.getattr("SimpleNamespace")?.call0()?;
    simple.setattr("get_debug", py.get_type::<pyo3::types::PyBool>())?;
    let keywords = pyo3::types::PyDict::new(py);
    keywords.set_item("loop", simple)?;
    let future = names::STOCK_FUTURE.get(py)?.call((), Some(&keywords))?;
    future.call_method1("set_exception", (exception,))?;
    future.setattr("_log_traceback", false)?;
    future.getattr("_exception")
}
