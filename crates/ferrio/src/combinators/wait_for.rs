//! `wait_for`, from 3.12 on: a timeout around an await. CPython: asyncio.tasks.wait_for
//!
//! Fields of the coroutine: `owner` is what is awaited; `first` the delay, then the Timeout; `number`
//! is [`LEFT_TO_STOCK`] when stock's coroutine is awaited.

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, handled};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use super::timeout::{self, Ending, Timeout};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::names::{self, none};

static WAIT_FOR: Signature<2> =
    Signature { format: c"OO:wait_for", names: [c"fut", c"timeout"], positional: 2, required: 2 };

fn wait_for<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    if cfg!(not(Py_3_12)) {
        // 3.11 makes a task of the coroutine, which is another thing altogether.
        let (positional, keywords) = arguments.to_objects()?;
        return names::WAIT_FOR.get(arguments.py())?.call(positional, Some(&keywords));
    }
    let [awaited, delay] = WAIT_FOR.parse(&arguments)?;
    let awaited = awaited.map_or_else(|| none(arguments.py()), Clone::clone);
    let this = coroutine::new(&awaited, &KIND)?;
    this.state().first.replace(arguments.py(), delay.cloned());
    Ok(this.into_any())
}

static KIND: Kind =
    Kind { name: "wait_for", qualified_name: "wait_for", start: begin, resume: go_on };

const LEFT_TO_STOCK: i64 = 1;

fn begin<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let awaited = this.state().owner.get_or_none(py);
    let delay = this.state().first.get_or_none(py);
    if is_over(&delay)? {
        this.state().number.set(LEFT_TO_STOCK);
        return awaiting(names::WAIT_FOR.get(py)?.call1((awaited, delay))?);
    }
    let timeout = timeout::after(&delay)?;
    timeout::enter(&timeout)?;
    this.state().first.set(timeout);
    awaiting(awaited).or_else(|error| go_on(this, Err(error)))
}

/// `timeout is not None and timeout <= 0`.
#[inline]
fn is_over(delay: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(delay) = delay.cast_exact::<PyFloat>() {
        return Ok(delay.value() <= 0.0);
    }
    if delay.is_none() { Ok(false) } else { delay.le(0) }
}

fn go_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    if this.state().number.get() == LEFT_TO_STOCK {
        return outcome.map(Progress::Return);
    }
    let timeout = this.state().first.get_or_none(py).cast_into::<Timeout>()?;
    match outcome {
        Ok(value) => {
            timeout::exit(&timeout, None)?;
            Ok(Progress::Return(value))
        }
        Err(error) => {
            let exception = error.value(py).as_any();
            let class = exception.get_type().into_any();
            let ending = Ending { class: &class, exception };
            handled::while_handling(exception, || timeout::exit(&timeout, Some(ending)))?;
            Err(error)
        }
    }
}

/// `ferrio.wait_for`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::WAIT_FOR.get(py)?, wait_for)
}
