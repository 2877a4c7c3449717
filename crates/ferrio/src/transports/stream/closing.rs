//! The ends of a connection: close, abort, fatal errors. CPython: _SelectorTransport

use ferrio_capi::StateOf;
use ferrio_capi::call::call_method;
use ferrio_capi::handled;
use pyo3::exceptions::{PyConnectionError, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{StreamTransport, clients, flow, info, reading, writing};
use crate::errors::{self, Finalizer, warn_unclosed};
use crate::loop_state::{Act, call_act_soon, is_debug};
use crate::names;

/// connection_lost() of the protocol.
static CONNECTION_LOST: Act = Act {
    run: |object, _| {
        let this = object.cast::<StreamTransport>()?;
        let lost = &this.state().lost;
        connection_lost(this, lost.get_or_none(object.py()))?;
        drop(lost.take(object.py()));
        Ok(())
    },
    parts: |object| {
        let py = object.py();
        let callback = object.getattr(intern!(py, "_call_connection_lost"))?;
        let lost = object.cast::<StreamTransport>()?.state().lost.get_or_none(py);
        Ok((callback, (lost,).into_pyobject(py)?))
    },
};

/// `close`: no more is read, what is buffered is still sent.
pub fn close(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.closing.get() {
        return Ok(());
    }
    writing::flush(this)?;
    if state.closing.get() {
        return Ok(());
    }
    state.closing.set(true);
    reading::stop(this)?;
    if state.buffered() == 0 {
        state.conn_lost.set(state.conn_lost.get() + 1);
        writing::stop(this)?;
        return schedule_connection_lost(this, None);
    }
    Ok(())
}

/// `_force_close`: what is buffered is dropped.
pub fn force_close<'py>(
    this: &Bound<'py, StreamTransport>,
    exception: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let state = this.state();
    if state.conn_lost.get() > 0 {
        return Ok(());
    }
    if state.buffered() > 0 {
        writing::discard(this);
        writing::stop(this)?;
    }
    if !state.closing.get() {
        state.closing.set(true);
        reading::stop(this)?;
    }
    state.conn_lost.set(state.conn_lost.get() + 1);
    schedule_connection_lost(this, exception)
}

fn schedule_connection_lost<'py>(
    this: &Bound<'py, StreamTransport>,
    exception: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let state = this.state();
    state.lost.replace(this.py(), exception.filter(|exception| !exception.is_none()));
    call_act_soon(state.native_loop(this.py())?.as_any(), this.as_any(), &CONNECTION_LOST)
}

/// `_call_connection_lost`: the protocol hears of it, then everything is released.
pub fn connection_lost<'py>(
    this: &Bound<'py, StreamTransport>,
    exception: Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    // A transport that had to send first comes here at once. What the protocol writes now, or anybody
    // later, must not reach the descriptor, whose number may be a stranger's by then.
    state.conn_lost.set(state.conn_lost.get().max(1));
    let told = match state.protocol.get(py) {
        Some(protocol) if state.protocol_connected.get() => {
            call_method(&protocol, intern!(py, "connection_lost"), [&exception]).map(drop)
        }
        _ => Ok(()),
    };
    let ended = told.and(release(this));
    if cfg!(not(Py_3_14)) && ended.is_err() {
        return ended;
    }
    let failed =
        fail_empty_waiter(this, || PyConnectionError::new_err("Connection is closed by peer"));
    ended.and(failed)
}

fn release(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    writing::discard(this);
    if let Ok(event_loop) = state.native_loop(py) {
        event_loop.get().disown_fd(py, state.fd.get(), this.as_ptr() as usize);
    }
    let closed = info::close_socket(this);
    drop(state.protocol.take(py));
    drop(state.event_loop.take(py));
    if let Some(server) = state.server.take(py) {
        clients::detach(&server, this)?;
    }
    closed
}

/// The future of a `sendfile` in progress fails.
pub fn fail_empty_waiter(
    this: &Bound<'_, StreamTransport>,
    error: impl FnOnce() -> PyErr,
) -> PyResult<()> {
    let py = this.py();
    let Some(waiter) = this.state().empty_waiter.get(py) else { return Ok(()) };
    let exception = error().into_value(py);
    waiter.call_method1(intern!(py, "set_exception"), (exception,)).map(drop)
}

/// `_fatal_error` for an exception that was raised: it is reported, unless it is an OSError, and the
/// connection is lost. What leaves the loop comes back.
pub fn fatal(this: &Bound<'_, StreamTransport>, error: PyErr, message: &str) -> PyResult<()> {
    let py = this.py();
    if errors::leaves_the_loop(py, &error) {
        return Err(error);
    }
    let exception = error.into_value(py).into_bound(py);
    handled::while_handling(&exception, || fatal_error(this, exception.as_any(), message))
}

/// `_fatal_error`.
pub fn fatal_error<'py>(
    this: &Bound<'py, StreamTransport>,
    exception: &Bound<'py, PyAny>,
    message: &str,
) -> PyResult<()> {
    let py = this.py();
    if !exception.is_instance_of::<PyOSError>() {
        flow::report(this, message, exception)?;
    } else if is_debug(this.state().native_loop(py)?.as_any())? {
        let keywords = PyDict::new(py);
        keywords.set_item("exc_info", true)?;
        let arguments = ("%r: %s", this, message);
        names::LOGGER.get(py)?.call_method("debug", arguments, Some(&keywords))?;
    }
    force_close(this, Some(exception.clone()))
}

/// Logs what debug mode tells about a transport.
pub fn log(this: &Bound<'_, StreamTransport>, text: &str) -> PyResult<()> {
    let py = this.py();
    if !is_debug(this.state().native_loop(py)?.as_any())? {
        return Ok(());
    }
    names::LOGGER.get(py)?.call_method1("debug", (text, this)).map(drop)
}

/// tp_finalize. CPython: _SelectorTransport.__del__
pub fn finalize(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if !state.is_open() {
        return Ok(());
    }
    // Before anything else of the end runs code that could look the owner up.
    if let Ok(event_loop) = state.native_loop(py) {
        event_loop.get().disown_fd(py, state.fd.get(), this.as_ptr() as usize);
    }
    let warned = warn(this);
    let closed = info::close_socket(this);
    if cfg!(Py_3_13)
        && let Some(server) = state.server.take(py)
    {
        clients::detach(&server, this)?;
    }
    warned.and(closed)
}

fn warn(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    const PLACE: Finalizer =
        Finalizer { module: "asyncio.selector_events", class: "_SelectorTransport", warning: -1 };
    let text = format!("unclosed transport {}", this.repr()?);
    warn_unclosed(this.py(), &PLACE, &text, Some(this))
}
