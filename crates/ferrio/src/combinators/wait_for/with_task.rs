//! `wait_for` before 3.12: it waits for a future of its own, which the task that it makes, or the timer,
//! ends.
//!
//! State, in the coroutine's `number`: [`WAITING`] -> [`EXPIRED`] | [`CANCELLED`] while the task is being
//! cancelled.
//! Fields of the coroutine: `owner` is the task or future; `first` the Callback on it, then the
//! CancelledError that is to be raised again; `second` the timer.

use ferrio_capi::{StateOf, context, handled};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTypeInfo, intern};

use crate::combinators::callback::{self, Callback, Kind};
use crate::combinators::ensure_future::{create_task, is_coroutine, running_loop};
use crate::combinators::{any_future, any_task};
use crate::coroutine::{Coroutine, Progress, awaiting};
use crate::errors;
use crate::futures::methods as futures;
use crate::names;
use crate::running;
use crate::tasks::wrapper;

const WAITING: i64 = 0;
const EXPIRED: i64 = 1;
const CANCELLED: i64 = 2;

/// Begins.
pub(super) fn begin<'py>(
    this: &Bound<'py, Coroutine>,
    awaited: Bound<'py, PyAny>,
    delay: &Bound<'py, PyAny>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let event_loop = running::get(py)?;
    let waiter = futures::create_for(&event_loop)?;
    let arguments = (delay, names::RELEASE_WAITER.get(py)?, &waiter);
    let timer = event_loop.call_method1(intern!(py, "call_later"), arguments)?;
    let release = callback::new(py, &RELEASE)?;
    release.state().owner.set(waiter.clone());
    let future = ensure_future(awaited, &event_loop)?;
    any_future::add_callback(&future, &release, &context::copy_current(py)?)?;
    let state = this.state();
    state.number.set(WAITING);
    state.owner.set(future);
    state.first.set(release);
    state.second.set(timer);
    awaiting(waiter)
}

fn ensure_future<'py>(
    awaited: Bound<'py, PyAny>,
    event_loop: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = awaited.py();
    if let Some(native) = wrapper::exact_future(&awaited)
        && native.state.event_loop.as_ptr() == event_loop.as_ptr()
    {
        return Ok(awaited);
    }
    if is_coroutine(&awaited)
        && let Some(native) = running_loop(py)?
    {
        return create_task(&native, &awaited);
    }
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "loop"), event_loop)?;
    names::ENSURE_FUTURE.get(py)?.call((awaited,), Some(&keywords))
}

/// What stock makes by `functools.partial` of `_release_waiter`, which is also what the timer calls.
static RELEASE: Kind = Kind {
    qualified_name: "_release_waiter",
    inside: Some(&names::RELEASE_WAITER),
    takes: 1,
    run: |this: &Bound<'_, Callback>, _| {
        any_task::release(&this.state().owner.get_or_none(this.py()), names::none(this.py()))
    },
};

/// What was awaited, the waiter or the end of the task that was cancelled, has ended.
pub(super) fn go_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let future = this.state().owner.get_or_none(py);
    let progress = match this.state().number.get() {
        EXPIRED => outcome.and_then(|_| result_after_timeout(&future)).map(Progress::Return),
        CANCELLED => raise_again(this, outcome),
        _ => after_waiting(this, &future, outcome),
    };
    if matches!(progress, Ok(Progress::Return(_)) | Err(_))
        && let Some(timer) = this.state().second.take(py)
    {
        timer.call_method0(intern!(py, "cancel"))?;
    }
    progress
}

fn after_waiting<'py>(
    this: &Bound<'py, Coroutine>,
    future: &Bound<'py, PyAny>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    match outcome {
        Ok(_) if any_future::is_done(future)? => any_future::result(future).map(Progress::Return),
        Ok(_) => cancel_and_wait(this, future, EXPIRED),
        Err(error) if !errors::is_cancelled_error(py, &error)? => Err(error),
        Err(error) => {
            let cancellation = error.value(py).as_any().clone();
            handled::while_handling(&cancellation, || {
                if any_future::is_done(future)? {
                    return any_future::result(future).map(Progress::Return);
                }
                let progress = cancel_and_wait(this, future, CANCELLED)?;
                this.state().first.set(cancellation.clone());
                Ok(progress)
            })
        }
    }
}

fn cancel_and_wait<'py>(
    this: &Bound<'py, Coroutine>,
    future: &Bound<'py, PyAny>,
    why: i64,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    if let Some(release) = this.state().first.take(py) {
        any_future::remove_callback(future, &release)?;
    }
    this.state().number.set(why);
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "loop"), running::get(py)?)?;
    awaiting(names::CANCEL_AND_WAIT.get(py)?.call((future,), Some(&keywords))?)
}

/// The task has ended after all, or by being cancelled.
fn result_after_timeout<'py>(future: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = future.py();
    any_future::result(future).map_err(|error| match errors::is_cancelled_error(py, &error) {
        Ok(true) => match PyTimeoutError::type_object(py).call0() {
            Ok(timeout) => {
                let cause = error.value(py).as_any();
                handled::while_handling(cause, || handled::raise_from(&timeout, cause))
            }
            Err(error) => error,
        },
        Ok(false) => error,
        Err(error) => error,
    })
}

/// `wait_for` itself was cancelled, and the task has ended.
fn raise_again<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let cancellation = PyErr::from_value(this.state().first.get_or_none(py));
    Err(errors::after_handling(py, cancellation, outcome.map(drop)))
}
