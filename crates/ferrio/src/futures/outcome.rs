//! How a future gets its outcome, hands it out, and wakes those who wait for it.

use ferrio_capi::{Ref, context, handled};
use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;

use super::callbacks::{self, Waiter};
use super::future::{NativeFuture, Status};
use crate::errors;
use crate::loop_state::{self, Item};
use crate::names::{self, owned};

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

    /// One step of an `await`: None while the future is pending, which is then to be yielded, else what
    /// `result()` gives or raises. CPython: FutureIter_am_send
    #[inline]
    pub fn outcome_or_block(self) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.state.is_pending() {
            return self.result().map(Some);
        }
        if self.state.blocking.replace(true) {
            return Err(PyRuntimeError::new_err("await wasn't used with future"));
        }
        Ok(None)
    }

    /// What `result()` gives or raises. CPython: future_get_result
    pub fn result(self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py();
        match self.state.status() {
            Status::Result => {
                self.state.log_traceback.set(false);
                Ok(self.state.value.get_or_none(py))
            }
            Status::Exception => Err(handled::raise(py, &self.retrieve_exception()?)),
            Status::Cancelled => Err(handled::raise(py, &self.state.make_cancelled_error(py)?)),
            Status::Pending if self.state.event_loop.is_set() => {
                Err(errors::invalid_state(py, "Result is not set."))
            }
            Status::Pending => Err(errors::invalid_state(py, "Future object is not initialized.")),
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
                        Waiter::Task(task) => Item::Wakeup { task: Ref::new(task), future },
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
        let event_loop = self.state.event_loop.get(py).ok_or_else(errors::uninitialized)?;
        let (callback, context) = match waiter {
            Waiter::Function(callback, context) => (callback, context),
            Waiter::Task(task) => {
                let context = task.call_method0(pyo3::intern!(py, "get_context"))?;
                (callbacks::wakeup_callable(&task)?, context)
            }
        };
        loop_state::call_soon(&event_loop, &callback, &[self.object], &context)
            .map_err(|error| hold_in_traceback(error, &callback))
    }
}

/// The error of a `call_soon` without a frame, with one in its traceback that holds the callback, as stock's
/// does: a task that nothing else holds must not end in the middle of what is done about the error.
#[cold]
fn hold_in_traceback(error: PyErr, callback: &Bound<'_, PyAny>) -> PyErr {
    let py = callback.py();
    let error = error.into_value(py).into_bound(py);
    let raised = py
        .import("ferrio._frames")
        .and_then(|frames| frames.call_method1("raise_holding", (&error, callback)));
    match raised {
        Err(raised) if raised.value(py).is(&error) => raised,
        // At the interpreter's end there is no such module any more.
        _ => PyErr::from_value(error.into_any()),
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
