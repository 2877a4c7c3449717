//! The Python face of a native coroutine.

use ferrio_capi::method::Next;
use ferrio_capi::{Slot, StateOf};
use pyo3::exceptions::{PyGeneratorExit, PyRuntimeError};
use pyo3::prelude::*;

use super::{Coroutine, Phase, end, next, throw};
use crate::errors;
use crate::names;
use crate::tasks::face::{self, Face, Stage};

impl Face for Coroutine {
    fn name(this: &Bound<'_, Self>) -> &'static str {
        this.state().kind.get().map_or("", |kind| kind.name)
    }

    fn qualified_name(this: &Bound<'_, Self>) -> &'static str {
        this.state().kind.get().map_or("", |kind| kind.qualified_name)
    }

    fn stage(this: &Bound<'_, Self>) -> Stage {
        match this.state().phase.get() {
            Phase::Created => Stage::Created,
            Phase::Running => Stage::Running,
            Phase::Waiting => Stage::Suspended,
            Phase::Done => Stage::Closed,
        }
    }

    fn awaited<'a>(this: &'a Bound<'_, Self>) -> &'a Slot {
        &this.state().awaited
    }

    #[inline]
    fn next<'py>(this: &Bound<'py, Self>) -> PyResult<Next<'py>> {
        next(this)
    }

    fn throw<'py>(this: &Bound<'py, Self>, error: PyErr) -> PyResult<Next<'py>> {
        throw(this, error)
    }

    /// CPython: gen_close
    fn close(this: &Bound<'_, Self>) -> PyResult<()> {
        let py = this.py();
        match this.state().phase.get() {
            Phase::Created => end(this),
            Phase::Done => {}
            Phase::Waiting | Phase::Running => {
                // Made here and not when it is looked at, for which see `errors::settled`.
                let exit = py.get_type::<PyGeneratorExit>().call0()?;
                let thrown = throw(this, PyErr::from_value(exit));
                match thrown.map_err(|error| errors::settled(py, error)) {
                    Ok(Next::Yield(_)) => {
                        return Err(PyRuntimeError::new_err("coroutine ignored GeneratorExit"));
                    }
                    Ok(Next::Return(_)) => {}
                    Err(error) if error.is_instance_of::<PyGeneratorExit>(py) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// CPython: _PyGen_Finalize
fn finalize(this: &Bound<'_, Coroutine>) -> PyResult<()> {
    let py = this.py();
    this.state().is_finalized.set(true);
    if this.state().phase.get() != Phase::Created {
        return Coroutine::close(this);
    }
    let warned = names::WARN_UNAWAITED_COROUTINE.get(py)?.call1((this,));
    end(this);
    warned.map(drop)
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = face::members::<Coroutine>()
        .finalize::<Coroutine, _>(finalize)
        .doc(c"The coroutine of a native method of asyncio's.");
    face::create::<Coroutine>(py, c"ferrio.Coroutine", members)
}
