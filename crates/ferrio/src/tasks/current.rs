//! `asyncio.current_task()`: the task whose step is under way, in the table where the stock function
//! looks it up.
//!
//! After a native step the table keeps the task ("lingers") until something else than a native step
//! is about to run: of two steps in a row the second overwrites the first, which halves the work, or
//! finds its own task there. No Python code can run while a task lingers, but the release of an object
//! may; a finished task is therefore replaced by None at once.

use std::sync::atomic::Ordering;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::task::Task;
use crate::futures::AsFuture;
use crate::loop_state::{EventLoop, get};
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
    let lingering = native.map_or(0, take_lingering);
    if lingering == task.as_ptr() as usize {
        return Ok(());
    }
    if let Some(other) = table::enter(event_loop, task.as_any(), lingering != 0)? {
        return Err(PyRuntimeError::new_err(format!(
            "Cannot enter into task {} while another task {} is being executed.",
            task.repr()?,
            other.repr()?,
        )));
    }
    Ok(())
}

/// The address of what lingers, from now on no more; 0 when nothing does.
#[inline]
fn take_lingering(native: &EventLoop) -> usize {
    let lingering = native.lingering.load(Ordering::Relaxed);
    native.lingering.store(0, Ordering::Relaxed);
    lingering
}

/// Ends the step of `task` that [`enter`] began.
#[inline]
pub fn leave(
    event_loop: &Bound<'_, PyAny>,
    native: Option<&EventLoop>,
    task: &Bound<'_, Task>,
    finished: bool,
) -> PyResult<()> {
    let Some(native) = native.filter(|native| get(&native.in_batch)) else {
        return table::remove(event_loop);
    };
    if !finished {
        native.lingering.store(task.as_ptr() as usize, Ordering::Relaxed);
        return Ok(());
    }
    let none = names::none(event_loop.py());
    native.lingering.store(none.as_ptr() as usize, Ordering::Relaxed);
    table::set(event_loop, &none)
}

/// The task of the loop that executes a step, for code that runs in one.
///
/// # Errors
/// What the table of the running Python raises.
#[inline]
pub fn task_of<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let known = table::get(event_loop)?;
    if known.is_none() { replaced(event_loop) } else { Ok(known) }
}

/// What `asyncio.tasks.current_task` gives where it is another function by now: that of asyncio's own
/// Task in Python keeps a table of its own, and trio-asyncio has one.
#[cold]
fn replaced<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = event_loop.py();
    let function = names::TASKS.attribute(intern!(py, "current_task"))?;
    if function.is(names::CURRENT_TASK.get(py)?) {
        return Ok(None);
    }
    let task = function.call1((event_loop,))?;
    Ok(Some(task).filter(|task| !task.is_none()))
}

/// Puts a task, or None, in the place of the current one, which is given. CPython: swap_current_task
///
/// # Errors
/// What the table of the running Python raises.
#[cfg(Py_3_12)]
pub fn swap<'py>(
    event_loop: &Bound<'py, PyAny>,
    task: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    table::swap(event_loop, task)
}

/// Takes a lingering task out of the table.
#[inline]
pub fn settle(event_loop: &Bound<'_, EventLoop>) -> PyResult<()> {
    if take_lingering(event_loop.get()) == 0 {
        return Ok(());
    }
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

    #[cfg(Py_3_12)]
    use crate::names;
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

    #[cfg(Py_3_12)]
    #[inline]
    pub(super) fn swap<'py>(
        event_loop: &Bound<'py, PyAny>,
        task: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let previous = dict::get_item(CURRENT_TASKS.get(event_loop.py())?, event_loop)?;
        if task.is_none() { remove(event_loop) } else { set(event_loop, task) }?;
        Ok(previous.unwrap_or_else(|| names::none(event_loop.py())))
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
    use pyo3::prelude::*;

    use crate::names::{self, SWAP_CURRENT_TASK};

    /// Puts a task there; the other one that is there already, and stays, unless it only lingers.
    #[inline]
    pub(super) fn enter<'py>(
        event_loop: &Bound<'py, PyAny>,
        task: &Bound<'py, PyAny>,
        lingers: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let other = swap(event_loop, task)?;
        if lingers || other.is_none() {
            return Ok(None);
        }
        swap(event_loop, &other)?;
        Ok(Some(other))
    }

    #[inline]
    pub(super) fn get<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let known = names::CURRENT_TASK.get(event_loop.py())?;
        let task = known.call1((event_loop,))?;
        Ok(Some(task).filter(|task| !task.is_none()))
    }

    #[inline]
    pub(super) fn swap<'py>(
        event_loop: &Bound<'py, PyAny>,
        task: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        SWAP_CURRENT_TASK.get(event_loop.py())?.call1((event_loop, task))
    }

    #[inline]
    pub(super) fn set(event_loop: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        swap(event_loop, task).map(drop)
    }

    #[inline]
    pub(super) fn remove(event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        swap(event_loop, &names::none(event_loop.py())).map(drop)
    }
}
