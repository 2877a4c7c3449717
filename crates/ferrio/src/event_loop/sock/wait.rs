//! Waiting until a socket is ready. The loop's table of descriptors points at the call; when the event
//! comes the call tries again, and its future wakes the task in the next turn, as stock's does.

use std::os::fd::AsRawFd;

use ferrio_capi::method::Next;
use ferrio_capi::{Ref, State, StateOf, runtime};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::super::report::report as report_error;
use super::super::{call as loop_call, fd, transport_fds};
use super::{Operation, Phase, SockCall, callback_parts, reused};
use crate::errors;
use crate::futures::{AsFuture, Future, methods as futures};
use crate::loop_state::{Act, CallParts, Direction, EventLoop, Watch, get, unwatch};
use crate::names::{self, none};

/// What the loop does with a call when its socket is ready.
static READY: Act = Act { run: ready, parts };

/// Begins to wait: gives the future that is to be yielded.
pub fn begin<'py>(
    this: &Bound<'py, SockCall>,
    operation: &'static Operation,
) -> PyResult<Next<'py>> {
    match register(this, operation) {
        Ok(future) => {
            this.state().phase.set(Phase::Waiting);
            Ok(Next::Yield(future.into_any()))
        }
        Err(error) => {
            this.state().clear(this.py());
            Err(error)
        }
    }
}

fn register<'py>(
    this: &Bound<'py, SockCall>,
    operation: &'static Operation,
) -> PyResult<Bound<'py, Future>> {
    let py = this.py();
    let state = this.state();
    let event_loop = state.event_loop(py)?;
    let native = event_loop.get();
    let descriptor = state.descriptor(py)?;
    let number = descriptor.as_raw_fd();
    transport_fds::ensure_none_of(&event_loop, number)?;
    native.check_closed()?;
    let future = futures::new(&event_loop)?;
    state.future.set(future.clone());
    state.fd.set(number);
    if native.takes_watches() && !get(&native.sock_waits_overridden) {
        let watch = Watch::Act {
            object: names::owned(this.as_any()),
            context: Ref::new(context(&event_loop)?),
            act: &READY,
        };
        let replaced = native.set_watch_once(py, operation.direction, descriptor, watch)?;
        fd::cancel(py, replaced)?;
    } else {
        register_through_python(this, operation, &event_loop, &future)?;
    }
    future.as_future().state.blocking.set(true);
    Ok(future)
}

/// The context in which tries are made: one for all of the loop's, because no Python code runs in them
/// that a context could matter to.
fn context<'py>(event_loop: &Bound<'py, EventLoop>) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    if let Some(context) = event_loop.get().sock_context.borrow_mut(py).as_ref() {
        return Ok(context.bind(py));
    }
    let context = py.import("contextvars")?.getattr("Context")?.call0()?;
    *event_loop.get().sock_context.borrow_mut(py) = Some(Ref::new(context.clone()));
    Ok(context)
}

/// Since the call was made, somebody has begun to look: stock's own callback waits then.
#[cold]
fn register_through_python<'py>(
    this: &Bound<'py, SockCall>,
    operation: &'static Operation,
    event_loop: &Bound<'py, EventLoop>,
    future: &Bound<'py, Future>,
) -> PyResult<()> {
    let py = this.py();
    let (add, done) = match operation.direction {
        Direction::Read => ("_add_reader", "_sock_read_done"),
        Direction::Write => ("_add_writer", "_sock_write_done"),
    };
    let number = this.state().fd.get();
    let (callback, arguments) = callback_parts(this)?;
    let mut all = vec![number.into_pyobject(py)?.into_any(), callback];
    all.extend(arguments.iter());
    let handle = event_loop.call_method1(add, PyTuple::new(py, all)?)?;
    let keywords = PyDict::new(py);
    keywords.set_item("handle", handle)?;
    let partial = py.import("functools")?.getattr("partial")?;
    let done = partial.call((event_loop.getattr(done)?, number), Some(&keywords))?;
    future.call_method1("add_done_callback", (done,)).map(drop)
}

/// The socket is ready: tries again. CPython: BaseSelectorEventLoop._sock_recv and its relatives
fn ready(object: &Bound<'_, PyAny>, _context: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = object.py();
    let Some(this) = super::SOCK_CALL.cast_exact(object) else { return Ok(()) };
    let state = this.state();
    let (Some(operation), Some(future)) = (state.operation.get(), state.future.get(py)) else {
        return Ok(());
    };
    let event_loop = state.event_loop(py)?;
    if !is_watching(this, operation, &event_loop) {
        // Another call on the same descriptor has taken this one's place since the event.
        return Ok(());
    }
    let Some(future) = futures::as_exact(&future) else { return Ok(()) };
    let future = future.as_future();
    if !future.state.is_pending() {
        return stop_watching(this, operation, &event_loop);
    }
    match (operation.retry)(this) {
        Ok(Some(value)) => future.set_result(value),
        Ok(None) => {
            rearm(this, &event_loop);
            Ok(())
        }
        Err(error) if errors::leaves_the_loop(py, &error) => {
            rearm(this, &event_loop);
            Err(error)
        }
        Err(error) => future.set_exception(error.value(py).as_any()),
    }
}

/// Where the descriptor was closed meanwhile nobody is told any more, as on stock, whose selector the
/// kernel does not tell either.
fn rearm(this: &Bound<'_, SockCall>, event_loop: &Bound<'_, EventLoop>) {
    if let Some(fd) = runtime::borrow_fd(this.state().fd.get()) {
        let _ = event_loop.get().rearm_watch(this.py(), fd);
    }
}

fn is_watching(
    this: &Bound<'_, SockCall>,
    operation: &Operation,
    event_loop: &Bound<'_, EventLoop>,
) -> bool {
    let fd = this.state().fd.get();
    event_loop.get().is_watched_by(operation.direction, fd, this.as_any())
}

fn stop_watching(
    this: &Bound<'_, SockCall>,
    operation: &Operation,
    event_loop: &Bound<'_, EventLoop>,
) -> PyResult<()> {
    match runtime::borrow_fd(this.state().fd.get()) {
        Some(fd) if is_watching(this, operation, event_loop) => {
            unwatch(event_loop, operation.direction, fd)
        }
        _ => Ok(()),
    }
}

/// Resumed after the future: gives its outcome.
pub fn wake<'py>(this: &Bound<'py, SockCall>) -> PyResult<Next<'py>> {
    let py = this.py();
    let future = this.state().future.get(py).ok_or_else(reused)?;
    let outcome = futures::as_exact(&future).ok_or_else(reused)?.as_future().outcome_or_block();
    if let Ok(None) = outcome {
        return Ok(Next::Yield(future));
    }
    end(this)?;
    outcome.map(|result| Next::Return(result.unwrap_or_else(|| none(py))))
}

/// Ends the call, which stops to watch if it waits.
pub fn end(this: &Bound<'_, SockCall>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let waiting = state.phase.replace(Phase::Done) == Phase::Waiting;
    let reported = match state.operation.get() {
        Some(operation) if waiting => {
            let event_loop = state.event_loop(py)?;
            stop_watching(this, operation, &event_loop)
                .or_else(|error| report(this, operation, &event_loop, error))
        }
        _ => Ok(()),
    };
    state.clear(py);
    reported
}

/// Stock stops to watch in a callback of the future, whose errors the loop reports.
#[cold]
fn report(
    this: &Bound<'_, SockCall>,
    operation: &Operation,
    event_loop: &Bound<'_, EventLoop>,
    error: PyErr,
) -> PyResult<()> {
    let py = this.py();
    let name = match operation.direction {
        Direction::Read => intern!(py, "_sock_read_done"),
        Direction::Write => intern!(py, "_sock_write_done"),
    };
    let callback = event_loop.getattr(name)?;
    let state = this.state();
    let fd = state.fd.get().into_pyobject(py)?.into_any();
    let arguments = PyTuple::new(py, [fd, state.future.get_or_none(py)])?;
    let handle = loop_call::make_handle(event_loop, &callback, arguments.clone(), None)?;
    report_error(event_loop, error, handle.as_any(), Some((&callback, arguments.as_any())))
}

fn parts<'py>(object: &Bound<'py, PyAny>) -> PyResult<CallParts<'py>> {
    callback_parts(object.cast::<SockCall>()?)
}
