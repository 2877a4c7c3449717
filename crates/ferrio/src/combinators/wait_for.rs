//! `wait_for`: from 3.12 on a timeout around an await (`with_timeout`), before that a task of its own
//! (`with_task`). CPython: asyncio.tasks.wait_for
//!
//! Fields of the coroutine: `owner` is what is awaited; `first` the delay; `number` is [`PASSED_ON`]
//! when the outcome of what it awaits is its own.

#[cfg(not(Py_3_12))]
mod with_task;
#[cfg(Py_3_12)]
mod with_timeout;

use ferrio_capi::StateOf;
use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use pyo3::prelude::*;
use pyo3::types::PyFloat;

#[cfg(not(Py_3_12))]
use with_task as form;
#[cfg(Py_3_12)]
use with_timeout as form;

use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::names::{self, none};

static WAIT_FOR: Signature<2> =
    Signature { format: c"OO:wait_for", names: [c"fut", c"timeout"], positional: 2, required: 2 };

fn wait_for<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [awaited, delay] = WAIT_FOR.parse(&arguments)?;
    let awaited = awaited.map_or_else(|| none(arguments.py()), Clone::clone);
    let this = coroutine::new(&awaited, &KIND)?;
    this.state().first.replace(arguments.py(), delay.cloned());
    Ok(this.into_any())
}

static KIND: Kind = Kind { name: "wait_for", qualified_name: "wait_for", start: begin, resume };

const PASSED_ON: i64 = -1;

fn begin<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let awaited = this.state().owner.get_or_none(py);
    let delay = this.state().first.get_or_none(py);
    if is_over(&delay)? {
        this.state().number.set(PASSED_ON);
        return awaiting(names::WAIT_FOR.get(py)?.call1((awaited, delay))?);
    }
    if cfg!(not(Py_3_12)) && delay.is_none() {
        this.state().number.set(PASSED_ON);
        return awaiting(awaited);
    }
    form::begin(this, awaited, &delay)
}

/// `timeout is not None and timeout <= 0`.
#[inline]
fn is_over(delay: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(delay) = delay.cast_exact::<PyFloat>() {
        return Ok(delay.value() <= 0.0);
    }
    if delay.is_none() { Ok(false) } else { delay.le(0) }
}

fn resume<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    if this.state().number.get() == PASSED_ON {
        return outcome.map(Progress::Return);
    }
    form::go_on(this, outcome)
}

/// `ferrio.wait_for`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::WAIT_FOR.get(py)?, wait_for)
}
