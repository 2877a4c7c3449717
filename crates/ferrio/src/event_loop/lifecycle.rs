//! From birth to close: making a loop, running it, closing it.

use ferrio_capi::{ending_thread, runtime};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySuper, PyTuple, PyType};
use pyo3::{PyTypeInfo, intern};

use super::{overrides, run};
use crate::errors;
use crate::loop_state::{EventLoop, get, set};
use crate::names;
use crate::tasks::origin;

/// The native part of a new loop of class `cls`.
pub fn new(cls: &Bound<'_, PyType>) -> PyResult<EventLoop> {
    let py = cls.py();
    let native = EventLoop::create().map_err(|error| errors::os_error(py, &error))?;
    overrides::note_class(&native, cls)?;
    Ok(native)
}

/// `run_forever`. CPython: BaseEventLoop.run_forever
pub fn run_forever(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let py = slf.py();
    let native = slf.get();
    native.check_closed()?;
    slf.call_method0(intern!(py, "_check_running"))?;
    let track = intern!(py, "_set_coroutine_origin_tracking");
    if get(&native.debug) {
        origin::track();
    }
    slf.call_method1(track, (get(&native.debug),))?;
    let hooks = names::GET_ASYNCGEN_HOOKS.get(py)?.call0()?;
    let outcome = enter(slf).and_then(|()| run::until_stopped(slf));
    set(&native.stopping, false);
    native.track_queues(py);
    native.set_running_thread(None);
    let left = leave(slf, &hooks);
    outcome.and(left)
}

fn enter(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let py = slf.py();
    ending_thread::stop_at_exit();
    slf.get().set_running_thread(Some(runtime::thread_ident()));
    let keywords = PyDict::new(py);
    keywords.set_item("firstiter", slf.getattr(intern!(py, "_asyncgen_firstiter_hook"))?)?;
    keywords.set_item("finalizer", slf.getattr(intern!(py, "_asyncgen_finalizer_hook"))?)?;
    names::SET_ASYNCGEN_HOOKS.get(py)?.call((), Some(&keywords))?;
    set_running_loop(slf.as_any())
}

fn set_running_loop(event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
    // Since 3.14 a task can be current only on the loop that runs as far as `_asyncio` knows, even
    // where somebody replaced the function that tells it.
    #[cfg(Py_3_14)]
    names::SET_RUNNING_LOOP.get(event_loop.py())?.call1((event_loop,))?;
    let events = names::EVENTS.get(event_loop.py())?;
    events.call_method1("_set_running_loop", (event_loop,)).map(drop)
}

fn leave(slf: &Bound<'_, EventLoop>, hooks: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slf.py();
    set_running_loop(&names::none(py))?;
    slf.call_method1(intern!(py, "_set_coroutine_origin_tracking"), (false,))?;
    names::SET_ASYNCGEN_HOOKS.get(py)?.call1(hooks.cast::<PyTuple>()?.clone())?;
    Ok(())
}

/// The loop as the class after ours in its bases sees it: `super()`.
pub fn inherited<'py>(slf: &Bound<'py, EventLoop>) -> PyResult<Bound<'py, PySuper>> {
    PySuper::new(&EventLoop::type_object(slf.py()), slf)
}

/// `close`. The inherited method releases what it made; our queues and the poller come after it,
/// because it still removes its readers.
pub fn close(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let py = slf.py();
    let native = slf.get();
    if native.running_thread().is_some() {
        return Err(PyRuntimeError::new_err("Cannot close a running event loop"));
    }
    if get(&native.closed) {
        return Ok(());
    }
    let outcome = inherited(slf)?.call_method0(intern!(py, "close"));
    set(&native.closed, true);
    native.discard_queues(py);
    let poller = native.poller.borrow_mut(py).take();
    drop(poller);
    outcome.map(drop)
}
