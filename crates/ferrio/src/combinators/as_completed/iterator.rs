//! The iterator that `as_completed` gives from 3.13 on, for `for` and for `async for`.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Members, Next, Object};
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::ffi;
use pyo3::prelude::*;

use super::{AS_COMPLETED, AsCompleted, expire, fill, natively, waiting};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::names::none;

pub(super) const HANDLE_TIMEOUT: &str = "_handle_timeout";
pub(super) const HANDLE_COMPLETION: &str = "_AsCompletedIterator._handle_completion";
pub(super) const WAIT_FOR_ONE: &str = "_AsCompletedIterator._wait_for_one";

/// The iterator, if it can do the work.
pub(super) fn begin<'py>(
    given: &Bound<'py, PyAny>,
    timeout: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, AsCompleted>>> {
    let Some((event_loop, given)) = natively(given)? else { return Ok(None) };
    let this = AS_COMPLETED.alloc(given.py())?;
    fill(&this, &event_loop, &given, timeout)?;
    Ok(Some(this))
}

static ANEXT: Kind = Kind {
    name: "__anext__",
    qualified_name: "_AsCompletedIterator.__anext__",
    start: fetch,
    resume: coroutine::never_resumed,
};

fn fetch<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let iterator = coroutine::owner::<AsCompleted>(this)?;
    if !iterator.state().take_one() {
        return Err(PyStopAsyncIteration::new_err(()));
    }
    awaiting(waiting(&iterator, false)?)
}

fn anext<'py>(this: &Bound<'py, AsCompleted>) -> Object<'py> {
    coroutine::new(this, &ANEXT).map(Bound::into_any)
}

fn next<'py>(this: &Bound<'py, AsCompleted>) -> PyResult<Next<'py>> {
    if !this.state().take_one() {
        return Ok(Next::Return(none(this.py())));
    }
    waiting(this, true).map(Next::Yield)
}

fn itself<'py>(this: &Bound<'py, AsCompleted>) -> Object<'py> {
    Ok(this.as_any().clone())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .instance_dict()
        .iternext::<AsCompleted, _>(next)
        .unary_slot::<AsCompleted, _>(ffi::Py_tp_iter, itself)
        .unary_slot::<AsCompleted, _>(ffi::Py_am_aiter, itself)
        .unary_slot::<AsCompleted, _>(ffi::Py_am_anext, anext)
        .noargs::<AsCompleted, _>(c"_handle_timeout", expire, c"The time is over.")
        .doc(c"Futures as they complete; see asyncio.as_completed.");
    let base = py.get_type::<PyAny>();
    AS_COMPLETED.create(py, c"asyncio.tasks._AsCompletedIterator", &base, members.into_slots())
}
