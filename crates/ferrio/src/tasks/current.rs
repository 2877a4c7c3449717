//! `asyncio.current_task()`: the task whose step is under way, in the table where the stock function
//! looks it up.
//!
//! After a native step the table keeps the task ("lingers") until something else than a native step
//! is about to run: of two steps in a row the second overwrites the first, which halves the work. No
//! Python code can run while a task lingers, but the release of an object may; a finished task is
//! therefore replaced by None at once.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::task::Task;
use crate::futures::AsFuture;
use crate::loop_state::{EventLoop, get, set};
use crate::names;

/// Makes `task` the current one. `native` is the loop's native part.
///
/// # Errors
/// RuntimeError when another task of the loop is executing.
#[inline]
pub fn enter(
    event_loop: &Bound<'_, PyAny>,
    native: Option<&EventLoop>,
    task: &Bound<'_, Task>,
) -> PyResult<()> {
    let lingers = native.is_some_and(|native| get(&native.lingering));
    if let Some(other) = table::enter(event_loop, task.as_any(), lingers)? {
        return Err(PyRuntimeError::new_err(format!(
            "Cannot enter into task {} while another task {} is being executed.",
            task.repr()?,
            other.repr()?,
        )));
    }
    if let Some(native) = native {
        set(&native.lingering, false);
    }
    Ok(())
}

/// Ends the step that [`enter`] began.
#[inline]
pub fn leave(
    event_loop: &Bound<'_, PyAny>,
    native: Option<&EventLoop>,
    finished: bool,
) -> PyResult<()> {
    match native {
        Some(native) if get(&native.in_batch) => {
            set(&native.lingering, true);
            if finished { table::set(event_loop, &names::none(event_loop.py())) } else { Ok(()) }
        }
        _ => table::remove(event_loop),
    }
}

/// The task of the loop that executes a step, for code that runs in one.
///
/// # Errors
/// What the table of the running Python raises.
#[inline]
pub fn task_of<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    table::get(event_loop)
}

/// Takes a lingering task out of the table.
#[inline]
pub fn settle(event_loop: &Bound<'_, EventLoop>) -> PyResult<()> {
    let native = event_loop.get();
    if !get(&native.lingering) {
        return Ok(());
    }
    set(&native.lingering, false);
    table::remove(event_loop.as_any())
}

/// [`settle`] after a step that Python code called, which goes on.
pub fn settle_after(task: &Bound<'_, Task>) -> PyResult<()> {
    task.as_future().state.native_loop(task.py()).map_or(Ok(()), |native| settle(&native))
}

/// Before 3.14: the dict `_asyncio._current_tasks`, by loop.
#[cfg(not(Py_3_14))]
mod table {
    use ferrio_capi::dict;
    use pyo3::prelude::*;

    use crate::names::CURRENT_TASKS;

    /// Puts a task there; the other one that is there already, and stays, unless it only lingers.
    #[inline]
    pub(super) fn enter<'py>(
        event_loop: &Bound<'py, PyAny>,
        task: &Bound<'py, PyAny>,
        lingers: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !lingers {
            let other = dict::get_item(CURRENT_TASKS.get(event_loop.py())?, event_loop)?;
            if other.is_some() {
                return Ok(other);
            }
        }
        set(event_loop, task).map(|()| None)
    }

    #[inline]
    pub(super) fn get<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let task = dict::get_item(CURRENT_TASKS.get(event_loop.py())?, event_loop)?;
        Ok(task.filter(|task| !task.is_none()))
    }

    #[inline]
    pub(super) fn set(event_loop: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        dict::set_item(CURRENT_TASKS.get(event_loop.py())?, event_loop, task)
    }

    #[inline]
    pub(super) fn remove(event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        dict::discard_item(CURRENT_TASKS.get(event_loop.py())?, event_loop)
    }
}

/// Since 3.14: state of the thread, behind `_asyncio`'s functions.
#[cfg(Py_3_14)]
mod table {
    use pyo3::intern;
    use pyo3::prelude::*;

    use crate::names::{self, SWAP_CURRENT_TASK};

    /// Puts a task there; the other one that is there already, and stays, unless it only lingers.
    #[inline]
    pub(super) fn enter<'py>(
        event_loop: &Bound<'py, PyAny>,
        task: &Bound<'py, PyAny>,
        lingers: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let swap = SWAP_CURRENT_TASK.get(event_loop.py())?;
        let other = swap.call1((event_loop, task))?;
        if lingers || other.is_none() {
            return Ok(None);
        }
        swap.call1((event_loop, &other))?;
        Ok(Some(other))
    }

    #[inline]
    pub(super) fn get<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let known = names::CURRENT_TASK.get(event_loop.py())?;
        let task = known.call1((event_loop,))?;
        if task.is_none() { replaced(event_loop, known) } else { Ok(Some(task)) }
    }

    /// What `asyncio.tasks.current_task` gives where it is another function by now: that of asyncio's
    /// own Task in Python keeps a table of its own.
    #[cold]
    fn replaced<'py>(
        event_loop: &Bound<'py, PyAny>,
        known: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = event_loop.py();
        let function = names::asyncio_module(py, "tasks")?.getattr(intern!(py, "current_task"))?;
        if function.is(known) {
            return Ok(None);
        }
        let task = function.call1((event_loop,))?;
        Ok(Some(task).filter(|task| !task.is_none()))
    }

    #[inline]
    pub(super) fn set(event_loop: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        SWAP_CURRENT_TASK.get(event_loop.py())?.call1((event_loop, task)).map(drop)
    }

    #[inline]
    pub(super) fn remove(event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = event_loop.py();
        SWAP_CURRENT_TASK.get(py)?.call1((event_loop, names::none(py))).map(drop)
    }
}
