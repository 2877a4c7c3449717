//! A call that a thread of a ThreadPoolExecutor makes for a loop: `concurrent.futures`' _WorkItem, its
//! Future and the chain from there to the loop's future in one object.
//!
//! State: Pending -> Running -> Finished -> Delivered; Pending -> Cancelled; Pending -> HandedOut.
//! Fields: `future` is the loop's future, empty once it needs nothing more from here. `outcome` is set
//! while Finished. `concurrent` is set once Python code asked for `future`: from then on that object is
//! the one whose state counts, and while HandedOut, the standard library's own code does all the work.
//! Safety: the phases change with the GIL held and between two pieces of Python code.
//! Shutdown: a result that comes when the loop is closed is dropped, as on stock.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{Members, Object};
use ferrio_capi::{
    Class, NativeClass, Ref, Slot, State, StateOf, Visit, call, context, ending_thread,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyDict, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

use crate::futures::future::Status;
use crate::futures::{AsFuture, Future};
use crate::loop_state::{Item, get};
use crate::names::{self, none, owned};

mod stock;

static WORK_ITEM: Class<WorkItem> = Class::new();

/// One call.
#[derive(Debug)]
pub struct WorkItem;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    Pending = 0,
    Running,
    Finished,
    Delivered,
    Cancelled,
    HandedOut,
}

/// The native part of a work item. All-zero is one that nobody filled.
pub struct WorkItemState {
    /// Since 3.14 what the executor made of function and arguments; before, the function.
    function: Slot,
    /// Empty since 3.14.
    args: Slot,
    future: Slot,
    outcome: Slot,
    concurrent: Slot,
    phase: Cell<Phase>,
}

// SAFETY: empty slots and `Phase::Pending` are all-zero.
unsafe impl State for WorkItemState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        for slot in self.slots() {
            drop(slot.take(py));
        }
    }
}

impl WorkItemState {
    fn slots(&self) -> [&Slot; 5] {
        [&self.function, &self.args, &self.future, &self.outcome, &self.concurrent]
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for WorkItem {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        WORK_ITEM.type_ptr()
    }
}

impl DerefToPyAny for WorkItem {}

impl NativeClass for WorkItem {
    type State = WorkItemState;
    const KEPT: usize = 64;

    fn class() -> &'static Class<Self> {
        &WORK_ITEM
    }
}

/// A call of `function(*args)` whose outcome goes to `future`.
#[cfg(not(Py_3_14))]
pub fn new<'py>(
    _executor: &Bound<'py, PyAny>,
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    future: &Bound<'py, Future>,
) -> PyResult<Bound<'py, WorkItem>> {
    let item = WORK_ITEM.alloc(function.py())?;
    item.state().function.set(function.clone());
    item.state().args.set(args.clone());
    attach(item, future)
}

/// A call of `function(*args)` whose outcome goes to `future`.
#[cfg(Py_3_14)]
pub fn new<'py>(
    executor: &Bound<'py, PyAny>,
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    future: &Bound<'py, Future>,
) -> PyResult<Bound<'py, WorkItem>> {
    let py = function.py();
    let resolve = intern!(py, "_resolve_work_item_task");
    let task = executor.call_method1(resolve, (function, args, PyDict::new(py)))?;
    let item = WORK_ITEM.alloc(py)?;
    item.state().function.set(task);
    attach(item, future)
}

/// The item is the future's first callback, as `_call_check_cancel` is on stock.
fn attach<'py>(
    item: Bound<'py, WorkItem>,
    future: &Bound<'py, Future>,
) -> PyResult<Bound<'py, WorkItem>> {
    item.state().phase.set(Phase::Pending);
    item.state().future.set(future.clone());
    future.as_future().add_callback(item.as_any(), context::copy_current(item.py())?)?;
    Ok(item)
}

/// Nobody will see the future: the call is made all the same, its outcome is dropped.
pub fn detach(item: &Bound<'_, WorkItem>) {
    drop(item.state().future.take(item.py()));
}

/// Called with the loop's future: when the outcome is here to be delivered, and when the future is
/// done. CPython: _chain_future._set_state, _chain_future._call_check_cancel
fn called<'py>(item: &Bound<'py, WorkItem>, _future: &Bound<'py, PyAny>) -> Object<'py> {
    let py = item.py();
    let state = item.state();
    let Some(future) = state.future.get(py) else {
        return Ok(none(py));
    };
    let cancelled = future.cast::<Future>()?.as_future().state.status() == Status::Cancelled;
    match state.phase.get() {
        Phase::Finished => deliver(item, future.cast()?)?,
        Phase::Pending if cancelled => state.phase.set(Phase::Cancelled),
        Phase::HandedOut if cancelled => {
            stock::concurrent(item)?.call_method0(intern!(py, "cancel"))?;
        }
        _ => {}
    }
    Ok(none(py))
}

fn deliver(item: &Bound<'_, WorkItem>, future: &Bound<'_, Future>) -> PyResult<()> {
    let py = item.py();
    let state = item.state();
    state.phase.set(Phase::Delivered);
    drop(state.future.take(py));
    let result = state.outcome.take(py).unwrap_or_else(|| none(py));
    let future = future.as_future();
    if future.state.is_pending() {
        return future.finish(result);
    }
    if future.state.status() == Status::Cancelled {
        return Ok(());
    }
    // Somebody else has set a result: stock's own words for that.
    let source = names::CONCURRENT_FUTURE.get(py)?.call0()?;
    source.call_method1(intern!(py, "set_result"), (result,))?;
    names::COPY_FUTURE_STATE.get(py)?.call1((source, future.object)).map(drop)
}

/// `run()`, on a thread of the executor; since 3.14 `run(ctx)`. CPython: _WorkItem.run
fn run<'py>(item: &Bound<'py, WorkItem>, ctx: Option<&Bound<'py, PyAny>>) -> Object<'py> {
    ending_thread::stop_at_exit();
    let py = item.py();
    let state = item.state();
    let outcome = match state.phase.get() {
        Phase::Pending => {
            state.phase.set(Phase::Running);
            match make_call(state, py, ctx) {
                Ok(result) => publish(item, result),
                Err(error) => stock::fail(item, error),
            }
        }
        Phase::HandedOut => stock::run(item, ctx),
        Phase::Cancelled => Ok(()),
        Phase::Running | Phase::Finished | Phase::Delivered => {
            return Err(PyRuntimeError::new_err("Future in unexpected state"));
        }
    };
    drop(state.function.take(py));
    drop(state.args.take(py));
    outcome.map(|()| none(py))
}

fn make_call<'py>(
    state: &WorkItemState,
    py: Python<'py>,
    ctx: Option<&Bound<'py, PyAny>>,
) -> Object<'py> {
    let Some(function) = state.function.get(py) else {
        return Err(PyRuntimeError::new_err("work item without a function"));
    };
    match (ctx, state.args.get(py)) {
        (Some(ctx), _) => ctx.call_method1(intern!(py, "run"), (function,)),
        (None, Some(args)) => call::call_tuple(&function, args.cast()?),
        (None, None) => function.call0(),
    }
}

/// Sends the result to the loop. CPython: Future.set_result, _chain_future._call_set_state
fn publish<'py>(item: &Bound<'py, WorkItem>, result: Bound<'py, PyAny>) -> PyResult<()> {
    let py = item.py();
    let state = item.state();
    if let Some(concurrent) = state.concurrent.get(py) {
        return concurrent.call_method1(intern!(py, "set_result"), (result,)).map(drop);
    }
    let future = state.future.get(py);
    let Some(future) = future.as_ref().and_then(|future| future.cast::<Future>().ok()) else {
        return Ok(());
    };
    let Some(native) = future.as_future().state.native_loop(py) else {
        return Ok(());
    };
    let native = native.get();
    if get(&native.closed) {
        state.phase.set(Phase::Delivered);
        return Ok(());
    }
    if !native.takes_items() || get(&native.threadsafe_overridden) {
        return stock::concurrent(item)?
            .call_method1(intern!(py, "set_result"), (result,))
            .map(drop);
    }
    state.outcome.set(result);
    state.phase.set(Phase::Finished);
    let (callback, future) = (owned(item.as_any()), owned(future.as_any()));
    let context = Ref::new(context::copy_current(py)?);
    native.push(py, Item::Callback { callback, future, context });
    // CPython: BaseSelectorEventLoop._write_to_self, which passes over a failure.
    let _ = native.interrupt_sleep(py);
    Ok(())
}

fn function<'py>(item: &Bound<'py, WorkItem>) -> Object<'py> {
    Ok(item.state().function.get_or_none(item.py()))
}

#[cfg(not(Py_3_14))]
fn args<'py>(item: &Bound<'py, WorkItem>) -> Object<'py> {
    Ok(item.state().args.get_or_none(item.py()))
}

#[cfg(not(Py_3_14))]
fn kwargs<'py>(item: &Bound<'py, WorkItem>) -> Object<'py> {
    Ok(PyDict::new(item.py()).into_any())
}

#[cfg(not(Py_3_14))]
fn members() -> Members {
    fn run_plain<'py>(item: &Bound<'py, WorkItem>) -> Object<'py> {
        run(item, None)
    }
    Members::default()
        .noargs::<WorkItem, _>(c"run", run_plain, c"Make the call and send its outcome.")
        .get::<WorkItem, _>(c"fn", function)
        .get::<WorkItem, _>(c"args", args)
        .get::<WorkItem, _>(c"kwargs", kwargs)
}

#[cfg(Py_3_14)]
fn members() -> Members {
    fn run_in<'py>(item: &Bound<'py, WorkItem>, ctx: &Bound<'py, PyAny>) -> Object<'py> {
        run(item, Some(ctx))
    }
    Members::default()
        .one::<WorkItem, _>(c"run", run_in, c"Make the call in a worker's context.")
        .get::<WorkItem, _>(c"task", function)
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = members()
        .call_one::<WorkItem, _>(called)
        .get::<WorkItem, _>(c"future", stock::concurrent)
        .get::<WorkItem, _>(c"__qualname__", stock::qualified_name)
        .get::<WorkItem, _>(c"__wrapped__", stock::wrapped)
        .doc(c"A call that a thread makes for a loop.");
    WORK_ITEM.create(py, c"ferrio._WorkItem", &py.get_type::<PyAny>(), members.into_slots())
}
