//! `Barrier.wait`. State, in `number`: it enters the condition, waits there until the barrier neither
//! drains nor resets, is counted, waits until the barrier is full, and leaves.
//! Invariant: `second` is its index from the moment in which it is counted.

use ferrio_capi::method::Object;
use ferrio_capi::{NativeClass, StateOf};
use pyo3::intern;
use pyo3::prelude::*;

use super::{Barrier, Stage, set_stage, stage};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::errors;
use crate::names::{self, none};

/// It enters the condition.
const ENTERS: i64 = 0;
/// It waits until the barrier fills again.
const BLOCKED: i64 = 1;
/// It is counted and waits for the others.
const COUNTED: i64 = 2;
/// Stock's coroutine, or a replaced `wait`, does the work.
const REPLACED: i64 = 3;

static WAIT: Kind = Kind { name: "wait", qualified_name: "Barrier.wait", start: begin, resume };
static ENTER: Kind = Kind {
    name: "__aenter__",
    qualified_name: "Barrier.__aenter__",
    start: begin_to_enter,
    resume,
};
static EXIT: Kind = Kind {
    name: "__aexit__",
    qualified_name: "Barrier.__aexit__",
    start: leave,
    resume: coroutine::never_resumed,
};

pub(super) fn wait<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    if Barrier::class().is_plain(this) {
        return coroutine::new(this, &WAIT).map(Bound::into_any);
    }
    this.as_any().call_method0(intern!(this.py(), "_stock_wait"))
}

pub(super) fn enter<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    coroutine::new(this, &ENTER).map(Bound::into_any)
}

pub(super) fn exit<'py>(this: &Bound<'py, Barrier>) -> Object<'py> {
    coroutine::new(this, &EXIT).map(Bound::into_any)
}

fn leave<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    Ok(Progress::Return(none(this.py())))
}

fn begin_to_enter<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let barrier = coroutine::owner::<Barrier>(this)?;
    if Barrier::class().is_plain(&barrier) {
        return begin(this);
    }
    this.state().number.set(REPLACED);
    awaiting(barrier.as_any().call_method0(intern!(this.py(), "wait"))?)
}

fn begin<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let barrier = coroutine::owner::<Barrier>(this)?;
    this.state().number.set(ENTERS);
    awaiting(condition(&barrier).call_method0(intern!(this.py(), "__aenter__"))?)
}

fn resume<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let barrier = coroutine::owner::<Barrier>(this)?;
    let step = match this.state().number.get() {
        REPLACED => return outcome.map(Progress::Return),
        ENTERS => {
            outcome?;
            pass(this, &barrier)
        }
        BLOCKED => outcome.and_then(|_| pass(this, &barrier)),
        _ => outcome.and_then(|_| gather(this, &barrier)),
    };
    finish(this, &barrier, step)
}

/// None in place of a progress: the barrier has let it through.
type Step<'py> = PyResult<Option<Progress<'py>>>;

/// CPython: Barrier._block, then what its `wait` does.
fn pass<'py>(this: &Bound<'py, Coroutine>, barrier: &Bound<'py, Barrier>) -> Step<'py> {
    let py = this.py();
    let state = barrier.state();
    match stage(barrier)? {
        Some(Stage::Draining | Stage::Resetting) => {
            this.state().number.set(BLOCKED);
            return wait_for_change(barrier).map(Some);
        }
        Some(Stage::Broken) => return Err(broken(py, "Barrier aborted")),
        Some(Stage::Filling) | None => {}
    }
    let index = state.count.get(py)?;
    state.count.add(py, 1)?;
    this.state().second.set(index.clone());
    this.state().number.set(COUNTED);
    if index.add(1)?.eq(state.parties.get(py)?)? {
        set_stage(barrier, Stage::Draining)?;
        notify_all(barrier)?;
        return Ok(None);
    }
    gather(this, barrier)
}

/// CPython: Barrier._wait
fn gather<'py>(this: &Bound<'py, Coroutine>, barrier: &Bound<'py, Barrier>) -> Step<'py> {
    match stage(barrier)? {
        Some(Stage::Filling) => wait_for_change(barrier).map(Some),
        Some(Stage::Broken | Stage::Resetting) => {
            Err(broken(this.py(), "Abort or reset of barrier"))
        }
        Some(Stage::Draining) | None => Ok(None),
    }
}

/// Leaves the barrier and its condition, unless it still has to wait.
fn finish<'py>(
    this: &Bound<'py, Coroutine>,
    barrier: &Bound<'py, Barrier>,
    step: Step<'py>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let passed = match step {
        Ok(Some(progress)) => return Ok(progress),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    let index = this.state().second.take(py);
    let left = index.as_ref().map_or(Ok(()), |_| leave_count(barrier));
    let released = condition(barrier).call_method0(intern!(py, "release")).map(drop);
    let ended = [left, released].into_iter().fold(passed, |before, later| match before {
        Ok(()) => later,
        Err(error) => Err(errors::after_handling(py, error, later)),
    });
    ended.map(|()| Progress::Return(index.unwrap_or_else(|| none(py))))
}

/// CPython: Barrier._exit
fn leave_count(barrier: &Bound<'_, Barrier>) -> PyResult<()> {
    let (py, state) = (barrier.py(), barrier.state());
    state.count.add(py, -1)?;
    if !state.count.is(py, 0)? {
        return Ok(());
    }
    if matches!(stage(barrier)?, Some(Stage::Resetting | Stage::Draining)) {
        set_stage(barrier, Stage::Filling)?;
    }
    notify_all(barrier)
}

fn condition<'py>(barrier: &Bound<'py, Barrier>) -> Bound<'py, PyAny> {
    barrier.state().condition.get_or_none(barrier.py())
}

fn wait_for_change<'py>(barrier: &Bound<'py, Barrier>) -> PyResult<Progress<'py>> {
    awaiting(condition(barrier).call_method0(intern!(barrier.py(), "wait"))?)
}

fn notify_all(barrier: &Bound<'_, Barrier>) -> PyResult<()> {
    condition(barrier).call_method0(intern!(barrier.py(), "notify_all")).map(drop)
}

fn broken(py: Python<'_>, text: &'static str) -> PyErr {
    match names::BROKEN_BARRIER_ERROR.class(py) {
        Ok(class) => PyErr::from_type(class.clone(), (text,)),
        Err(error) => error,
    }
}
