//! What of a work item is left to the standard library, so that it is the same to the letter: failing,
//! a future that Python code asks for, and the name of the callback.

use ferrio_capi::bound_function::BoundFunction;
use ferrio_capi::method::Object;
use ferrio_capi::{StateOf, function_of};
use pyo3::call::PyCallArgs;
use pyo3::exceptions::{PyAttributeError, PyBaseException};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use super::{Phase, WorkItem};
use crate::names::{self, none};

/// Sends an exception to the loop. The standard library's own code does it, with a function that
/// raises the exception again: the traceback then has the frame that it has on stock.
#[cold]
pub fn fail(item: &Bound<'_, WorkItem>, error: PyErr) -> PyResult<()> {
    let py = item.py();
    let exception = error.into_value(py).into_bound(py).into_any();
    let concurrent = new_concurrent(item)?;
    if let Some(earlier) = item.state().concurrent.get(py) {
        return earlier.call_method1(intern!(py, "set_exception"), (exception,)).map(drop);
    }
    item.state().concurrent.set(concurrent.clone());
    let raise = RAISE.bind(&none(py))?;
    #[cfg(not(Py_3_14))]
    return run_work_item(py, (concurrent, raise, (exception,), PyDict::new(py)), None);
    #[cfg(Py_3_14)]
    {
        let ctx = py.import("types")?.getattr("SimpleNamespace")?.call0()?;
        ctx.setattr("run", raise)?;
        run_work_item(py, (concurrent, exception), Some(&ctx))
    }
}

static RAISE: BoundFunction = BoundFunction::new(c"raise", function_of!(raise));

fn raise<'py>(_: &Bound<'py, PyAny>, exception: &Bound<'py, PyAny>) -> Object<'py> {
    Err(PyErr::from_value(exception.cast::<PyBaseException>()?.clone().into_any()))
}

/// What is left to do once Python code has the item's future. CPython: _WorkItem
#[cold]
pub fn run<'py>(item: &Bound<'py, WorkItem>, ctx: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
    let py = item.py();
    let state = item.state();
    let (concurrent, function) = (concurrent(item)?, state.function.get_or_none(py));
    #[cfg(not(Py_3_14))]
    let parts = (concurrent, function, state.args.get_or_none(py), PyDict::new(py));
    #[cfg(Py_3_14)]
    let parts = (concurrent, function);
    run_work_item(py, parts, ctx)
}

fn run_work_item<'py>(
    py: Python<'py>,
    parts: impl PyCallArgs<'py>,
    ctx: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let work = names::WORK_ITEM.get(py)?.call1(parts)?;
    let run = work.getattr(intern!(py, "run"))?;
    match ctx {
        Some(ctx) => run.call1((ctx,)),
        None => run.call0(),
    }
    .map(drop)
}

/// `future`: a `concurrent.futures.Future` in the item's place, made when somebody asks for it. Other
/// threads may come in while it is made.
pub fn concurrent<'py>(item: &Bound<'py, WorkItem>) -> Object<'py> {
    let py = item.py();
    let state = item.state();
    loop {
        if let Some(made) = state.concurrent.get(py) {
            return Ok(made);
        }
        let phase = state.phase.get();
        let made = new_concurrent(item)?;
        match phase {
            Phase::Pending => None,
            Phase::Cancelled => Some(intern!(py, "cancel")),
            _ => Some(intern!(py, "set_running_or_notify_cancel")),
        }
        .map_or(Ok(()), |change| made.call_method0(change).map(drop))?;
        if !state.concurrent.is_set() && state.phase.get() == phase {
            if phase == Phase::Pending {
                state.phase.set(Phase::HandedOut);
            }
            state.concurrent.set(made);
        }
    }
}

/// A new future of that kind; what becomes of it goes to the loop.
fn new_concurrent<'py>(item: &Bound<'py, WorkItem>) -> Object<'py> {
    let py = item.py();
    let made = names::CONCURRENT_FUTURE.get(py)?.call0()?;
    if let Some(future) = item.state().future.get(py) {
        let resolved = RESOLVED.bind(&future)?;
        made.call_method1(intern!(py, "add_done_callback"), (resolved,))?;
    }
    Ok(made)
}

static RESOLVED: BoundFunction = BoundFunction::new(c"_call_set_state", function_of!(resolved));

/// The handed out future is done. CPython: _chain_future._call_set_state
fn resolved<'py>(future: &Bound<'py, PyAny>, source: &Bound<'py, PyAny>) -> Object<'py> {
    let py = future.py();
    let event_loop = future.call_method0(intern!(py, "get_loop"))?;
    if event_loop.call_method0(intern!(py, "is_closed"))?.is_truthy()? {
        return Ok(none(py));
    }
    let copy = names::COPY_FUTURE_STATE.get(py)?;
    event_loop.call_method1(intern!(py, "call_soon_threadsafe"), (copy, source, future))
}

/// A future names its callbacks by this.
pub fn qualified_name<'py>(item: &Bound<'py, WorkItem>) -> Object<'py> {
    Ok(intern!(item.py(), "_chain_future.<locals>._call_check_cancel").clone().into_any())
}

/// And finds their place in the source through this: the function that stands here on stock.
pub fn wrapped<'py>(item: &Bound<'py, WorkItem>) -> Object<'py> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = item.py();
    let function = FUNCTION.get_or_try_init(py, || stock_callback(py).map(Bound::unbind))?;
    Ok(function.bind(py).clone())
}

fn stock_callback(py: Python<'_>) -> Object<'_> {
    let outer = names::CHAIN_FUTURE.get(py)?.getattr("__code__")?;
    for constant in outer.getattr("co_consts")?.try_iter()? {
        let constant = constant?;
        if constant
            .getattr_opt("co_name")?
            .is_some_and(|name| name.eq("_call_check_cancel").unwrap_or(false))
        {
            let types = py.import("types")?;
            let free = constant.getattr("co_freevars")?.len()?;
            let cell = types.getattr("CellType")?;
            let cells = (0..free).map(|_| cell.call0()).collect::<PyResult<Vec<_>>>()?;
            let parts =
                (&constant, PyDict::new(py), py.None(), py.None(), PyTuple::new(py, cells)?);
            return types.getattr("FunctionType")?.call1(parts);
        }
    }
    Err(PyAttributeError::new_err("__wrapped__"))
}
