//! Flow control: what a protocol notes when its transport pauses writing, and who waits in `drain`.
//! CPython: asyncio.streams.FlowControlMixin

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{Members, Object};
use ferrio_capi::{NativeClass, Slot, StateOf, Visit};
use pyo3::exceptions::PyAssertionError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::deque::Deque;
use crate::locks::waiting;
use crate::loop_state::is_debug;
use crate::names::{self, none};
use crate::properties::given;

/// The part of a protocol's state that stock's mixin holds. All-zero is one without a loop, open.
#[derive(Debug)]
pub struct FlowControl {
    /// `_loop`.
    pub event_loop: Slot,
    /// `_drain_waiters`.
    pub drain_waiters: Deque,
    /// `_connection_lost`.
    pub connection_lost: Cell<bool>,
    /// `_paused`.
    pub paused: Cell<bool>,
}

impl FlowControl {
    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.event_loop)?;
        self.drain_waiters.traverse(visit)
    }

    pub fn clear(&self, py: Python<'_>) {
        self.drain_waiters.clear(py);
        drop(self.event_loop.take(py));
        self.connection_lost.set(false);
        self.paused.set(false);
    }

    /// `connection_lost`; `exception` is None or what ended the connection.
    pub fn lose_connection(&self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.connection_lost.set(true);
        if self.paused.get() { self.resolve_waiters(exception) } else { Ok(()) }
    }

    fn resolve_waiters(&self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.drain_waiters.visit(exception.py(), |waiter| {
            if !waiting::is_done(waiter)? {
                resolve(waiter, exception)?;
            }
            Ok(true)
        })
    }

    fn log<T>(&self, protocol: &Bound<'_, T>, text: &str) -> PyResult<()> {
        let py = protocol.py();
        if !is_debug(&self.event_loop.get_or_none(py))? {
            return Ok(());
        }
        names::LOGGER
            .get(py)?
            .call_method1(intern!(py, "debug"), (text, protocol.as_any()))
            .map(drop)
    }
}

/// `future.set_result(None)`, or `set_exception`.
pub fn resolve<'py>(future: &Bound<'py, PyAny>, exception: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = future.py();
    if exception.is_none() {
        return waiting::wake(future, none(py));
    }
    future.call_method1(intern!(py, "set_exception"), (exception,)).map(drop)
}

/// A class of protocols with flow control.
pub trait FlowControlled: NativeClass {
    fn flow(state: &Self::State) -> &FlowControl;
}

fn flow<'a, P: FlowControlled>(this: &'a Bound<'_, P>) -> &'a FlowControl {
    P::flow(this.state())
}

fn pause_writing<'py, P: FlowControlled>(this: &Bound<'py, P>) -> Object<'py> {
    if flow(this).paused.replace(true) {
        return Err(PyAssertionError::new_err(()));
    }
    flow(this).log(this, "%r pauses writing")?;
    Ok(none(this.py()))
}

fn resume_writing<'py, P: FlowControlled>(this: &Bound<'py, P>) -> Object<'py> {
    if !flow(this).paused.replace(false) {
        return Err(PyAssertionError::new_err(()));
    }
    flow(this).log(this, "%r resumes writing")?;
    flow(this).resolve_waiters(&none(this.py()))?;
    Ok(none(this.py()))
}

/// The methods of the mixin, and `_drain_waiters`.
pub fn members<P: FlowControlled>(members: Members) -> Members {
    members
        .get_set::<P, _, _>(
            c"_drain_waiters",
            |this: &Bound<'_, P>| flow(this).drain_waiters.show(this.py()),
            |this: &Bound<'_, P>, value: Option<&Bound<'_, PyAny>>| {
                flow(this).drain_waiters.set(&given(value)?);
                Ok(())
            },
        )
        .noargs::<P, _>(c"pause_writing", pause_writing::<P>, c"Have drain() wait.")
        .noargs::<P, _>(c"resume_writing", resume_writing::<P>, c"Wake who waits in drain().")
}
