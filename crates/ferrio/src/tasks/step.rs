//! One step of a task: resume the coroutine, then act on what it did. This is the hottest code of
//! the extension; it allocates nothing when a native task yields or awaits a native future.

use ferrio_capi::send::{self, Sent};
use ferrio_capi::{Ref, StateOf, context};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTypeInfo, intern};

#[cfg(Py_3_14)]
use super::awaiting;
use super::task::Task;
use super::{current, fields, methods, registry, wrapper};
use crate::errors;
#[cfg(Py_3_14)]
use crate::futures::awaited_by;
use crate::futures::{AsFuture, NativeFuture};
use crate::loop_state::{self, EventLoop, Item};
use crate::names::{self, owned};

/// How a coroutine is resumed.
#[derive(Debug)]
pub enum Resume<'py> {
    /// `send(None)`.
    Next,
    /// `throw(exception)`.
    Throw(Bound<'py, PyAny>),
    /// As the outcome of this future says.
    Woken(Bound<'py, PyAny>),
}

/// Runs a queued step in the task's context.
#[inline]
pub fn run(task: &Bound<'_, Task>, resume: Resume<'_>) -> PyResult<()> {
    let context = fields::context(task).get(task.py()).ok_or_else(errors::uninitialized)?;
    context::run_in(&context, || execute(task, resume))?
}

/// One step that a callable of ours takes, in the context that is current.
pub fn execute_for_python<'py>(task: &Bound<'py, Task>, resume: Resume<'py>) -> PyResult<()> {
    let outcome = execute(task, resume);
    outcome.and(current::settle_after(task))
}

/// One step, in the context that is current. CPython: task_step
pub fn execute<'py>(task: &Bound<'py, Task>, resume: Resume<'py>) -> PyResult<()> {
    let py = task.py();
    let exception = match resume {
        Resume::Next => None,
        Resume::Throw(exception) => Some(exception),
        Resume::Woken(done) => {
            #[cfg(Py_3_14)]
            awaited_by::discard(&done, task.as_any())?;
            match wrapper::exact_future(&done) {
                Some(done) => done.outcome()?,
                None => return Err(errors::invalid_state(py, "Result is not set.")),
            }
        }
    };
    let exception = exception_to_throw(task, exception)?;
    drop(task.state().waiter.take(py));
    let future = task.as_future();
    let event_loop = future.state.event_loop.get(py).ok_or_else(errors::uninitialized)?;
    let native = future.state.native_loop(py);
    let native = native.as_ref().map(Bound::get);
    current::enter(&event_loop, native, task)?;
    let outcome = resume_coroutine(task, exception);
    let finished = !future.state.is_pending();
    let left = current::leave(&event_loop, native, task, finished);
    if finished {
        registry::remove(py, task.as_ptr(), task.state());
    }
    outcome.and(left)
}

/// What is to be thrown, a pending cancellation considered.
#[inline]
fn exception_to_throw<'py>(
    task: &Bound<'py, Task>,
    exception: Option<Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = task.py();
    let state = task.as_future().state;
    if !state.is_pending() {
        let exception = exception.unwrap_or_else(|| names::none(py));
        let text = format!("_step(): already done: {} {}", task.repr()?, exception.repr()?);
        return Err(errors::invalid_state(py, &text));
    }
    if !state.must_cancel.get() {
        return Ok(exception);
    }
    state.must_cancel.set(false);
    match exception {
        Some(exception) if exception.is_instance(names::CANCELLED_ERROR.get(py)?)? => {
            Ok(Some(exception))
        }
        _ => state.make_cancelled_error(py).map(Some),
    }
}

/// Resumes the coroutine and acts on what it did. CPython: task_step_impl
#[inline]
pub(super) fn resume_coroutine<'py>(
    task: &Bound<'py, Task>,
    exception: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = task.py();
    let Some(coro) = fields::coro(task).get(py) else {
        return Err(PyRuntimeError::new_err("uninitialized Task object"));
    };
    let sent = match exception {
        None => send::send_none(&coro),
        Some(exception) => send::throw(&coro, intern!(py, "throw"), &exception),
    };
    match sent {
        Sent::Yielded(yielded) => wait_for(task, yielded),
        Sent::Returned(value) => finish(task, value),
        Sent::Raised(error) => fail(task, error),
    }
}

fn finish<'py>(task: &Bound<'py, Task>, value: Bound<'py, PyAny>) -> PyResult<()> {
    let future = task.as_future();
    if future.state.must_cancel.replace(false) {
        let message = future.state.cancel_message(task.py());
        return future.cancel(message).map(drop);
    }
    future.finish(value)
}

#[cold]
fn fail(task: &Bound<'_, Task>, error: PyErr) -> PyResult<()> {
    let py = task.py();
    let future = task.as_future();
    let error = errors::settled(py, error);
    if errors::is_cancelled_error(py, &error)? {
        let exception = error.into_value(py).into_bound(py).into_any();
        future.state.keep_cancelled_exception(exception);
        return future.cancel(None).map(drop);
    }
    let leaves = errors::leaves_the_loop(py, &error);
    let exception = error.into_value(py).into_bound(py).into_any();
    future.set_exception(&exception)?;
    if leaves { Err(PyErr::from_value(exception)) } else { Ok(()) }
}

/// Acts on what the coroutine yielded. CPython: task_step_handle_result_impl
#[inline]
fn wait_for<'py>(task: &Bound<'py, Task>, yielded: Bound<'py, PyAny>) -> PyResult<()> {
    if yielded.is_none() {
        return schedule(task, None);
    }
    match wrapper::exact_future(&yielded) {
        Some(future) => wait_for_native(task, future),
        None => wait_for_foreign(task, &yielded),
    }
}

#[inline]
fn wait_for_native<'py>(task: &Bound<'py, Task>, future: NativeFuture<'_, 'py>) -> PyResult<()> {
    let py = task.py();
    let own = task.as_future().state;
    if future.object.is(task) {
        return throw_soon(task, &self_await(task)?);
    }
    if future.state.event_loop.as_ptr() != own.event_loop.as_ptr() {
        return throw_soon(task, &different_loop(task, future.object)?);
    }
    if !future.state.blocking.replace(false) {
        return throw_soon(task, &plain_yield(task, future.object)?);
    }
    #[cfg(Py_3_14)]
    awaited_by::add(future.object, task.as_any())?;
    future.add_task(task.as_any())?;
    task.state().waiter.set(future.object.clone());
    if own.must_cancel.get() && methods::cancel_awaited(future.object, own.cancel_message(py))? {
        own.must_cancel.set(false);
    }
    Ok(())
}

#[cold]
fn wait_for_foreign<'py>(task: &Bound<'py, Task>, yielded: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = task.py();
    let name = intern!(py, "_asyncio_future_blocking");
    let blocking = yielded.getattr_opt(name)?.filter(|blocking| !blocking.is_none());
    let Some(blocking) = blocking else {
        return throw_soon(task, &bad_yield(task, yielded)?);
    };
    if yielded.is(task) {
        return throw_soon(task, &self_await(task)?);
    }
    let own = task.as_future().state;
    let event_loop = wrapper::loop_of_foreign(yielded)?;
    if event_loop.as_ptr() != own.event_loop.as_ptr() {
        return throw_soon(task, &different_loop(task, yielded)?);
    }
    if !blocking.is_truthy()? {
        return throw_soon(task, &plain_yield(task, yielded)?);
    }
    #[cfg(Py_3_14)]
    awaiting::add(yielded, task.as_any())?;
    yielded.setattr(name, false)?;
    let wakeup = wrapper::wakeup_callable(task.as_any())?;
    let context = fields::context(task).get_or_none(py);
    let add = intern!(py, "add_done_callback");
    ferrio_capi::call::call_method_with_keyword(
        yielded,
        add,
        &[&wakeup],
        &context,
        names::context_keyword(py),
    )?;
    task.state().waiter.set(yielded.clone());
    if own.must_cancel.get() && methods::cancel_awaited(yielded, own.cancel_message(py))? {
        own.must_cancel.set(false);
    }
    Ok(())
}

fn self_await(task: &Bound<'_, Task>) -> PyResult<String> {
    Ok(format!("Task cannot await on itself: {}", task.repr()?))
}

fn different_loop(task: &Bound<'_, Task>, future: &Bound<'_, PyAny>) -> PyResult<String> {
    let (task, future) = (task.repr()?, future.repr()?);
    Ok(format!("Task {task} got Future {future} attached to a different loop"))
}

fn plain_yield(task: &Bound<'_, Task>, future: &Bound<'_, PyAny>) -> PyResult<String> {
    let (task, future) = (task.repr()?, future.repr()?);
    Ok(format!("yield was used instead of yield from in task {task} with {future}"))
}

fn bad_yield(task: &Bound<'_, Task>, yielded: &Bound<'_, PyAny>) -> PyResult<String> {
    if !send::is_generator(yielded) {
        return Ok(format!("Task got bad yield: {}", yielded.repr()?));
    }
    let (task, yielded) = (task.repr()?, yielded.repr()?);
    Ok(format!("yield was used instead of yield from for generator in task {task} with {yielded}"))
}

#[cold]
fn throw_soon(task: &Bound<'_, Task>, text: &str) -> PyResult<()> {
    let exception = PyRuntimeError::type_object(task.py()).call1((text,))?;
    schedule(task, Some(exception))
}

/// Queues the next step: as an item when the loop takes those, else through `loop.call_soon`.
#[inline]
pub fn schedule<'py>(
    task: &Bound<'py, Task>,
    exception: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = task.py();
    let state = task.as_future().state;
    if let Some(native) = state.native_loop(py)
        && native.get().takes_items()
    {
        let task = owned(task.as_any());
        match exception {
            None => native.get().push(py, Item::Step(task)),
            Some(exception) => push_throw(native.get(), task, exception),
        }
        return Ok(());
    }
    schedule_through_python(task, exception)
}

#[cold]
fn push_throw(native: &EventLoop, task: Ref, exception: Bound<'_, PyAny>) {
    let py = exception.py();
    native.push(py, Item::Throw { task, exception: Ref::new(exception) });
}

#[cold]
fn schedule_through_python<'py>(
    task: &Bound<'py, Task>,
    exception: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = task.py();
    let event_loop = task.as_future().state.event_loop.get(py).ok_or_else(errors::uninitialized)?;
    let callback = wrapper::step_callable(task, exception)?;
    let context = fields::context(task).get_or_none(py);
    loop_state::call_soon(&event_loop, &callback, &[], &context)
}
