//! `wait_for` from 3.12 on.
//!
//! Fields of the coroutine: `first` is the Timeout.

use ferrio_capi::{StateOf, handled};
use pyo3::prelude::*;

use crate::combinators::timeout::{self, Ending, Timeout};
use crate::coroutine::{Coroutine, Progress, awaiting};

/// Begins.
pub(super) fn begin<'py>(
    this: &Bound<'py, Coroutine>,
    awaited: Bound<'py, PyAny>,
    delay: &Bound<'py, PyAny>,
) -> PyResult<Progress<'py>> {
    let timeout = timeout::after(delay)?;
    timeout::enter(&timeout)?;
    this.state().first.set(timeout);
    awaiting(awaited).or_else(|error| go_on(this, Err(error)))
}

/// What was awaited has ended.
pub(super) fn go_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let timeout = this.state().first.get_or_none(this.py()).cast_into::<Timeout>()?;
    match outcome {
        Ok(value) => {
            timeout::exit(&timeout, None)?;
            Ok(Progress::Return(value))
        }
        Err(error) => {
            let exception = error.value(this.py()).as_any();
            let class = exception.get_type().into_any();
            let ending = Ending { class: &class, exception };
            handled::while_handling(exception, || timeout::exit(&timeout, Some(ending)))?;
            Err(error)
        }
    }
}
