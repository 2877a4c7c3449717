//! `to_thread`. CPython: asyncio.threads.to_thread
//!
//! Fields of the coroutine: `owner` is the function, `first` the tuple of its positional arguments,
//! `second` the dict of the others, where there are any.

use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::{StateOf, context};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::names::{self, none};
use crate::running;

fn to_thread<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    let Some(function) = arguments.value(0).filter(|_| arguments.positional_len() > 0) else {
        // Stock has the words for it.
        let (positional, keywords) = arguments.to_objects()?;
        return names::TO_THREAD.get(py)?.call(positional, Some(&keywords));
    };
    let this = coroutine::new(function, &KIND)?;
    if arguments.names().is_some() {
        let (_, keywords) = arguments.to_objects()?;
        this.state().second.set(keywords);
    }
    this.state().first.set(arguments.rest(1)?);
    Ok(this.into_any())
}

static KIND: Kind = Kind {
    name: "to_thread",
    qualified_name: "to_thread",
    start: begin,
    resume: coroutine::never_resumed,
};

fn begin<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let state = this.state();
    let event_loop = running::get(py)?;
    let run = context::copy_current(py)?.getattr(intern!(py, "run"))?;
    let mut parts = vec![run, state.owner.get_or_none(py)];
    parts.extend(state.first.get_or_none(py).cast_into::<PyTuple>()?.iter());
    let keywords = state.second.get(py).map(Bound::cast_into::<PyDict>).transpose()?;
    let call = names::PARTIAL.get(py)?.call(PyTuple::new(py, parts)?, keywords.as_ref())?;
    let run_in_executor = intern!(py, "run_in_executor");
    awaiting(event_loop.call_method1(run_in_executor, (none(py), call))?)
}

/// `ferrio.to_thread`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::TO_THREAD.get(py)?, to_thread)
}
