//! What asyncio's modules `tasks`, `timeouts`, `taskgroups`, `futures` and `threads` make of tasks and
//! futures. The common case is native: loop, tasks and futures are ours, and nobody replaced a method of
//! theirs; or the tasks are what a task factory makes. Everything else goes to the interpreter's own
//! functions, whole and before anything was done.

mod any_future;
mod any_task;
pub mod as_completed;
pub mod callback;
pub mod chain;
mod create_task;
pub mod ensure_future;
pub mod gather;
pub mod shield;
pub mod task_group;
pub mod threadsafe;
pub mod timeout;
pub mod to_thread;
pub mod wait;
pub mod wait_for;

use pyo3::PyTypeInfo;
use pyo3::prelude::*;

#[cfg(Py_3_14)]
use crate::running;
use crate::tasks::gathering;

/// Makes the types and adds them and the functions to the module.
pub fn create(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    gathering::create(py)?;
    callback::create(py)?;
    as_completed::create(py)?;
    task_group::create(py)?;
    timeout::create(py)?;
    module.add("TaskGroup", task_group::TaskGroup::type_object(py))?;
    module.add("Timeout", timeout::Timeout::type_object(py))?;
    module.add("as_completed", as_completed::function(py)?)?;
    module.add("create_task", create_task::function(py)?)?;
    module.add("ensure_future", ensure_future::function(py)?)?;
    module.add("gather", gather::function(py)?)?;
    module.add("shield", shield::function(py)?)?;
    module.add("timeout", timeout::timeout_function(py)?)?;
    module.add("timeout_at", timeout::timeout_at_function(py)?)?;
    module.add("wait", wait::function(py)?)?;
    module.add("wait_for", wait_for::function(py)?)?;
    module.add("wrap_future", chain::function(py)?)?;
    module.add("run_coroutine_threadsafe", threadsafe::function(py)?)?;
    module.add("to_thread", to_thread::function(py)?)
}

/// Since 3.14: the task that awaits what a combinator gives, for the call graph.
#[cfg(Py_3_14)]
fn awaiting_task(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let running = running::get_or_none(py)?;
    if running.is_none() { Ok(None) } else { crate::tasks::current::task_of(&running) }
}

/// Notes that the task in `waiter`, if any, awaits `future`.
#[cfg(Py_3_14)]
fn add_awaiting(future: &Bound<'_, PyAny>, waiter: &ferrio_capi::Slot) -> PyResult<()> {
    match waiter.get(future.py()).filter(|task| !task.is_none()) {
        Some(task) => crate::tasks::awaiting::add(future, &task),
        None => Ok(()),
    }
}

/// Notes that it does so no more.
#[cfg(Py_3_14)]
fn discard_awaiting(future: &Bound<'_, PyAny>, waiter: &ferrio_capi::Slot) -> PyResult<()> {
    match waiter.get(future.py()).filter(|task| !task.is_none()) {
        Some(task) => crate::tasks::awaiting::discard(future, &task),
        None => Ok(()),
    }
}

/// [`discard_awaiting`] for each of an iterable.
#[cfg(Py_3_14)]
fn discard_awaiting_all(futures: &Bound<'_, PyAny>, waiter: &ferrio_capi::Slot) -> PyResult<()> {
    futures.try_iter()?.try_for_each(|future| discard_awaiting(&future?, waiter))
}
