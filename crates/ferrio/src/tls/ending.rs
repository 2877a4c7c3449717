//! The ends of a connection: close, the end of the ciphertext, the shutdown of TLS, abort.

use ferrio_capi::StateOf;
use ferrio_capi::call::call_method;
use ferrio_core::tls::{CloseStep, EofStep, Phase};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;

use super::protocol::SSLProtocol;
use super::{engine, errors, handshake, methods, reading, stock, transport, writing};
use crate::names::{self, none};
use crate::transports::stream::direct;

/// `connection_lost`: the transport below is gone.
pub fn connection_lost<'py>(
    this: &Bound<'py, SSLProtocol>,
    exception: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    state.backlog.clear(py);
    engine::discard_output(state, py)?;
    engine::leave_place(state);
    state.conn_lost.set(state.conn_lost.get() + 1);
    transport::mark_closed(state, py)?;
    if state.machine.tell_lost() {
        let event_loop = state.event_loop.get_or_none(py);
        let protocol = state.app_protocol.get_or_none(py);
        let callback = protocol.getattr(intern!(py, "connection_lost"))?;
        call_method(&event_loop, intern!(py, "call_soon"), [&callback, exception])?;
    }
    methods::advance(this, Phase::Unwrapped)?;
    for slot in [&state.transport, &state.app_transport, &state.app_protocol] {
        drop(slot.take(py));
    }
    handshake::wake_waiter(this, Some(exception))?;
    handshake::cancel(&state.shutdown_timer.take(py))?;
    handshake::cancel(&state.handshake_timer.take(py))
}

/// `eof_received`: whether the transport below stays open for now.
pub fn eof_received(this: &Bound<'_, SSLProtocol>) -> PyResult<bool> {
    this.state().eof_received.set(true);
    match take_eof(this) {
        Err(error) if error.is_instance_of::<PyException>(this.py()) => {
            let transport = this.state().transport.get_or_none(this.py());
            transport.call_method0(intern!(this.py(), "close"))?;
            Err(error)
        }
        outcome => outcome,
    }
}

fn take_eof(this: &Bound<'_, SSLProtocol>) -> PyResult<bool> {
    let state = this.state();
    errors::debug(this, "%r received EOF")?;
    match state.machine.on_eof(state.app_reading_paused.get()) {
        EofStep::Nothing => {}
        EofStep::FailHandshake => handshake::reset(this)?,
        EofStep::WaitForReader => return Ok(true),
        EofStep::Flush => flush(this)?,
        EofStep::WriteThenShutdown => {
            writing::write_backlog(this)?;
            methods::advance(this, Phase::Shutdown)?;
            shut_down(this)?;
        }
        EofStep::Shutdown => shut_down(this)?,
    }
    Ok(false)
}

/// `_start_shutdown`.
pub fn start(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let step = state.machine.on_close();
    if step == CloseStep::Nothing {
        return Ok(());
    }
    transport::mark_closed(state, py)?;
    if step == CloseStep::Abort {
        return abort(this, &none(py));
    }
    let event_loop = state.event_loop.get_or_none(py);
    start_timer(this, &event_loop)?;
    flush(this)
}

/// From now on the shutdown has its time.
fn start_timer<'py>(
    this: &Bound<'py, SSLProtocol>,
    event_loop: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let check = this.getattr(intern!(py, "_check_shutdown_timeout"))?;
    let seconds = this.state().shutdown_timeout.get_or_none(py);
    let timer = call_method(event_loop, intern!(py, "call_later"), [&seconds, &check])?;
    this.state().shutdown_timer.set(timer);
    Ok(())
}

/// `_check_shutdown_timeout`.
pub fn check_timeout(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if !state.machine.is_ending() {
        return Ok(());
    }
    let error = names::TIMEOUT_ERROR.get(py)?.call1(("SSL shutdown timed out",))?;
    force_close(&state.transport.get_or_none(py), &error)
}

/// `_do_flush`.
pub fn flush(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    reading::read(this)?;
    methods::advance(this, Phase::Shutdown)?;
    shut_down(this)
}

/// `_do_shutdown`.
pub fn shut_down(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    if !this.state().eof_received.get() {
        match engine::call_object(this, intern!(py, "unwrap")) {
            Ok(Some(_)) => {}
            // From inside of a call on the same connection: what comes next goes on.
            Ok(None) => return Ok(()),
            Err(error) if errors::is_again(py, &error)? => return writing::process_outgoing(this),
            Err(error) if errors::is_ssl_error(py, &error)? => {
                cancel_timer(this)?;
                return errors::fatal_raised(this, error, "Fatal error on transport");
            }
            Err(error) => return Err(error),
        }
    }
    writing::process_outgoing(this)?;
    reading::tell_eof(this)?;
    complete(this)
}

/// `_on_shutdown_complete(None)`.
pub fn complete(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let event_loop = this.state().event_loop.get_or_none(py);
    if !stock::limits_the_last_writes(py)? {
        cancel_timer(this)?;
    } else if !this.state().shutdown_timer.is_set() {
        start_timer(this, &event_loop)?;
    }
    direct::close_soon(&event_loop, &this.state().transport.get_or_none(py))
}

/// Cancels the timer of the shutdown.
pub fn cancel_timer(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    handshake::cancel(&this.state().shutdown_timer.take(this.py()))
}

/// `_abort`.
pub fn abort<'py>(this: &Bound<'py, SSLProtocol>, exception: &Bound<'py, PyAny>) -> PyResult<()> {
    methods::advance(this, Phase::Unwrapped)?;
    match this.state().transport.get(this.py()) {
        Some(transport) => force_close(&transport, exception),
        None => Ok(()),
    }
}

/// Closes the transport below at once. Before 3.13 a connection that the program aborts calls its
/// `abort`, which every transport has.
fn force_close<'py>(transport: &Bound<'py, PyAny>, exception: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = transport.py();
    if cfg!(not(Py_3_13)) && exception.is_none() {
        return transport.call_method0(intern!(py, "abort")).map(drop);
    }
    transport.call_method1(intern!(py, "_force_close"), (exception,)).map(drop)
}
