//! `Condition.wait` and `wait_for`.
//!
//! State of a wait, in `number`: it sleeps until it is notified, then it acquires the lock again,
//! whatever woke it. `first` is its future in the queue while it sleeps. `second` is the exception that will be raised once the lock is acquired: what ended the sleep, or,
//! with [`CANCELLED`], the last cancellation since.

use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, handled};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::{Condition, native_lock, wake_up_to};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::errors;
use crate::locks::context::Acquired;
use crate::locks::count::Count;
use crate::locks::lock::{self, Lock};
use crate::locks::waiters::{self, Waited};
use crate::names::{self, boolean};

/// It waits to be notified.
const SLEEPS: i64 = 1;
/// It awaits what `self.acquire()` gave.
const ACQUIRES: i64 = 2;
/// The same, and it was cancelled since.
const CANCELLED: i64 = 3;

static WAIT: Kind = Kind { name: "wait", qualified_name: "Condition.wait", start: begin, resume };

static WAIT_FOR: Kind = Kind {
    name: "wait_for",
    qualified_name: "Condition.wait_for",
    start: check,
    resume: check_again,
};

static PREDICATE: Signature<1> =
    Signature { format: c"O:wait_for", names: [c"predicate"], positional: 1, required: 1 };

pub(super) fn wait<'py>(this: &Bound<'py, Condition>) -> Object<'py> {
    coroutine::new(this, &WAIT).map(Bound::into_any)
}

pub(super) fn wait_for<'py>(
    this: &Bound<'py, Condition>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let [predicate] = PREDICATE.parse(&arguments)?;
    let waiting = coroutine::new(this, &WAIT_FOR)?;
    waiting.state().first.replace(this.py(), predicate.cloned());
    Ok(waiting.into_any())
}

fn check<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let condition = coroutine::owner::<Condition>(this)?;
    let result = this.state().first.get_or_none(py).call0()?;
    if result.is_truthy()? {
        return Ok(Progress::Return(result));
    }
    if Condition::is_plain(&condition) {
        return awaiting(wait(&condition)?);
    }
    awaiting(condition.as_any().call_method0(intern!(py, "wait"))?)
}

fn check_again<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    outcome?;
    check(this)
}

fn begin<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let condition = coroutine::owner::<Condition>(this)?;
    if !super::is_locked(&condition)? {
        return Err(PyRuntimeError::new_err("cannot wait on un-acquired lock"));
    }
    // Before 3.13 the lock is released first, and acquired again when there is no future to be had.
    let waiter = if cfg!(Py_3_13) {
        let waiter = waiters::create_waiter(&condition)?;
        Condition::release(&condition)?;
        Ok(waiter)
    } else {
        Condition::release(&condition)?;
        waiters::create_waiter(&condition)
    };
    let asleep = waiter.and_then(|waiter| {
        waiters::enqueue(this, &condition, &waiter)?;
        this.state().number.set(SLEEPS);
        awaiting(waiter)
    });
    asleep.or_else(|error| wake(this, &condition, Some(error)))
}

fn resume<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let condition = coroutine::owner::<Condition>(this)?;
    match this.state().number.get() {
        SLEEPS => wake(this, &condition, outcome.err()),
        _ => go_on(this, &condition, outcome.map(drop)),
    }
}

/// The sleep is over.
fn wake<'py>(
    this: &Bound<'py, Coroutine>,
    condition: &Bound<'py, Condition>,
    failed: Option<PyErr>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let failed = waiters::leave(this, condition).err().or(failed);
    let exception = failed.map(|error| error.into_value(py).into_bound(py).into_any());
    this.state().second.replace(py, exception);
    this.state().number.set(ACQUIRES);
    acquire(this, condition)
}

/// Acquires the lock. A cancellation is kept until that is done.
fn acquire<'py>(
    this: &Bound<'py, Coroutine>,
    condition: &Bound<'py, Condition>,
) -> PyResult<Progress<'py>> {
    match begin_to_acquire(condition) {
        Ok(Some(waiting)) => Ok(waiting),
        Ok(None) => finish(this, condition, None),
        Err(error) => go_on(this, condition, Err(error)),
    }
}

/// None when the lock is acquired.
fn begin_to_acquire<'py>(condition: &Bound<'py, Condition>) -> PyResult<Option<Progress<'py>>> {
    let acquiring = match native_lock(condition) {
        Some(lock) if lock::try_acquire(&lock)? => return Ok(None),
        Some(lock) => coroutine::new(&lock, Lock::ACQUIRE)?.into_any(),
        None => condition.as_any().call_method0(intern!(condition.py(), "acquire"))?,
    };
    awaiting(acquiring).map(Some)
}

/// The lock is acquired, or that failed.
fn go_on<'py>(
    this: &Bound<'py, Coroutine>,
    condition: &Bound<'py, Condition>,
    acquired: PyResult<()>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let Err(error) = acquired else {
        return finish(this, condition, None);
    };
    if !errors::is_cancelled_error(py, &error)? {
        return finish(this, condition, Some(error));
    }
    keep_cancellation(this, error)?;
    acquire(this, condition)
}

/// The exception that ended the sleep becomes the context of a cancellation. Before 3.13 a new
/// CancelledError is raised in the end.
fn keep_cancellation(this: &Bound<'_, Coroutine>, error: PyErr) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let again = state.number.replace(CANCELLED) == CANCELLED;
    let error = if cfg!(Py_3_13) {
        error
    } else if again {
        return Ok(());
    } else {
        PyErr::from_value(names::CANCELLED_ERROR.get(py)?.call0()?)
    };
    let error = error.into_value(py).into_bound(py).into_any();
    let context = match state.second.get(py) {
        Some(last) if again => last.getattr(intern!(py, "__context__"))?,
        earlier => earlier.unwrap_or_else(|| names::none(py)),
    };
    if !context.is(&error) {
        error.setattr(intern!(py, "__context__"), context)?;
    }
    state.second.set(error);
    Ok(())
}

/// The error of `raise cancellation`. What the caller is handling becomes its context, unless the sleep ended
/// with an exception, which is then what is being handled.
fn raise_kept(cancellation: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let py = cancellation.py();
    if cancellation.getattr(intern!(py, "__context__"))?.is_none() {
        return Ok(handled::raise(py, cancellation));
    }
    Ok(PyErr::from_value(cancellation.clone()))
}

/// The wait ends; `failed` is why the lock could not be acquired.
fn finish<'py>(
    this: &Bound<'py, Coroutine>,
    condition: &Bound<'py, Condition>,
    failed: Option<PyErr>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let cancelled = this.state().number.get() == CANCELLED;
    let error = match (failed, this.state().second.take(py)) {
        (None, None) => return Ok(Progress::Return(boolean(py, true))),
        (None, Some(cancellation)) if cancelled => raise_kept(&cancellation)?,
        (None, Some(earlier)) => PyErr::from_value(earlier),
        (Some(error), Some(earlier)) if !cancelled => {
            error.value(py).setattr(intern!(py, "__context__"), earlier)?;
            error
        }
        (Some(error), _) => error,
    };
    // A notification may have been meant for this task: another one gets it.
    let passed_on = match cfg!(Py_3_13) {
        true if Condition::is_plain(condition) => wake_up_to(condition, &Count::new(1)),
        true => condition.as_any().call_method1(intern!(py, "_notify"), (1,)).map(drop),
        false => Ok(()),
    };
    Err(errors::after_handling(py, error, passed_on))
}
