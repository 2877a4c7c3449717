//! The beginning of a connection, up to the application's connection_made().

use ferrio_capi::call::{call_descriptor, call_method};
use ferrio_capi::openssl::{Outcome, Wire};
use ferrio_capi::{StateOf, handled};
use ferrio_core::tls::Phase;
use pyo3::exceptions::{PyConnectionAbortedError, PyConnectionResetError, PyException};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use super::protocol::SSLProtocol;
use super::{engine, errors, methods, reading, transport, writing};
use crate::futures::{AsFuture, methods as futures};
use crate::loop_state::is_debug;
use crate::names;

/// `connection_made`: the transport below has its connection.
pub fn connection_made<'py>(
    this: &Bound<'py, SSLProtocol>,
    transport: &Bound<'py, PyAny>,
) -> PyResult<()> {
    this.state().transport.set(transport.clone());
    start(this)
}

/// `_start_handshake`.
pub fn start(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let event_loop = state.event_loop.get_or_none(py);
    let start = match errors::debug(this, "%r starts SSL handshake")? {
        true => Some(event_loop.call_method0(intern!(py, "time"))?),
        false => None,
    };
    state.handshake_start.replace(py, start);
    methods::advance(this, Phase::Handshake)?;
    let check = this.getattr(intern!(py, "_check_handshake_timeout"))?;
    let seconds = state.handshake_timeout.get_or_none(py);
    let timer = call_method(&event_loop, intern!(py, "call_later"), [&seconds, &check])?;
    state.handshake_timer.set(timer);
    note_callbacks(this, &[&MESSAGES, &KEY_LOG])?;
    if waits_for_client(this) { Ok(()) } else { go_on(this) }
}

/// Whether there is nothing to do yet: a server has heard nothing. A callback of the context would see even that
/// the connection begins.
fn waits_for_client(this: &Bound<'_, SSLProtocol>) -> bool {
    this.state().server_side.get()
        && reading::straight(this).is_some_and(|(direct, _)| direct.pipe.readable() == 0)
}

/// `_check_handshake_timeout`.
pub fn check_timeout(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let state = this.state();
    if state.machine.phase() != Phase::Handshake {
        return Ok(());
    }
    let seconds = state.handshake_timeout.get_or_none(this.py()).str()?;
    let text =
        format!("SSL handshake is taking longer than {seconds} seconds: aborting the connection");
    let error = PyConnectionAbortedError::new_err(text).into_value(this.py());
    errors::fatal(this, error.bind(this.py()).as_any(), "Fatal error on transport")
}

/// `_do_handshake`. Most calls find that ciphertext has to come first: told by OpenSSL itself, that takes no
/// exception. What fails is told by the SSLObject. When it is over, the object's method would add the exceptions
/// of callbacks, and with one that may leave any [`note_callbacks`] has everything go through the object.
pub fn go_on(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    if let Some((direct, socket)) = reading::straight(this)
        && !direct.connection.is_busy()
    {
        match direct.connection.handshake(&socket) {
            Outcome::Again => return writing::process_outgoing(this),
            Outcome::Done(_) => return complete(this, None),
            Outcome::Closed | Outcome::Failed => {}
        }
    }
    match engine::call_object(this, intern!(py, "do_handshake")) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => complete(this, None),
        Err(error) if errors::is_again(py, &error)? => writing::process_outgoing(this),
        Err(error) if errors::is_ssl_error(py, &error)? => complete(this, Some(error)),
        Err(error) => Err(error),
    }
}

/// The transport ended in the handshake.
pub fn reset(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    complete(this, Some(PyConnectionResetError::new_err(())))
}

/// `_on_handshake_complete`.
pub fn complete(this: &Bound<'_, SSLProtocol>, error: Option<PyErr>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    cancel(&state.handshake_timer.take(py))?;
    let object = state.ssl_object.get_or_none(py);
    let certificate = match error {
        Some(error) => Err(error),
        None => methods::advance(this, Phase::Wrapped)
            .and_then(|()| engine::ask_object(this, intern!(py, "getpeercert"))),
    };
    let certificate = match certificate {
        Ok(certificate) => certificate,
        Err(error) if error.is_instance_of::<PyException>(py) => return failed(this, error),
        Err(error) => return Err(error),
    };
    log_duration(this)?;
    let extra = state.extra.get_or_none(py);
    let extra = extra.cast::<PyDict>()?;
    extra.set_item(intern!(py, "peercert"), certificate)?;
    extra.set_item(intern!(py, "cipher"), engine::ask_object(this, intern!(py, "cipher"))?)?;
    extra.set_item(
        intern!(py, "compression"),
        engine::ask_object(this, intern!(py, "compression"))?,
    )?;
    extra.set_item(intern!(py, "ssl_object"), &object)?;
    note_callbacks(this, &[&MESSAGES])?;
    if state.machine.tell_made() {
        let transport = transport::get(this)?;
        let protocol = state.app_protocol.get_or_none(py);
        call_method(&protocol, intern!(py, "connection_made"), [&transport])?;
    }
    wake_waiter(this, None)?;
    engine::set_read_ahead(state, py);
    engine::keep_buffers(state, py);
    reading::read_and(this, writing::process_tickets)
}

/// Exceptions of callbacks wait in the `_ssl` object for its next public call: where the context has one of
/// these, all goes through the object.
fn note_callbacks(this: &Bound<'_, SSLProtocol>, callbacks: &[&Callback]) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let Some((direct, socket)) = state.direct.get().zip(state.socket.get(py)) else {
        return Ok(());
    };
    let context = socket.getattr(intern!(py, "context"))?;
    let mut found = false;
    for callback in callbacks {
        found |= !callback.of(&context)?.is_none();
    }
    direct.through_object.set(found);
    Ok(())
}

/// A callback of a context, or a file for one of `_ssl`'s own: an attribute of `_ssl._SSLContext`.
struct Callback {
    name: &'static str,
    descriptor: PyOnceLock<Py<PyAny>>,
}

static MESSAGES: Callback = Callback { name: "_msg_callback", descriptor: PyOnceLock::new() };
static KEY_LOG: Callback = Callback { name: "keylog_filename", descriptor: PyOnceLock::new() };

impl Callback {
    fn of<'py>(&self, context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = context.py();
        let find = || Ok::<_, PyErr>(names::C_SSL_CONTEXT.get(py)?.getattr(self.name)?.unbind());
        call_descriptor(self.descriptor.get_or_try_init(py, find)?.bind(py), context)
    }
}

fn log_duration(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let event_loop = state.event_loop.get_or_none(py);
    if !is_debug(&event_loop)? {
        return Ok(());
    }
    let end = event_loop.call_method0(intern!(py, "time"))?;
    let seconds: f64 = end.sub(state.handshake_start.get_or_none(py))?.extract()?;
    let text = "%r: SSL handshake took %.1f ms";
    names::LOGGER.get(py)?.call_method1(intern!(py, "debug"), (text, this, seconds * 1e3)).map(drop)
}

fn failed(this: &Bound<'_, SSLProtocol>, error: PyErr) -> PyResult<()> {
    let py = this.py();
    let message = match errors::is_certificate_error(py, &error)? {
        true => "SSL handshake failed on verifying the certificate",
        false => "SSL handshake failed",
    };
    let exception = error.into_value(py).into_bound(py).into_any();
    handled::while_handling(&exception, || {
        methods::advance(this, Phase::Unwrapped)?;
        errors::fatal(this, &exception, message)?;
        wake_waiter(this, Some(&exception))
    })
}

/// `_wakeup_waiter`: the result is None, or an exception.
pub fn wake_waiter<'py>(
    this: &Bound<'py, SSLProtocol>,
    exception: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let Some(waiter) = state.waiter.get(py) else { return Ok(()) };
    let exception = exception.filter(|exception| !exception.is_none());
    if let (None, Some(future)) = (exception, futures::as_exact(&waiter)) {
        future.as_future().set_result_unless_cancelled(names::none(py))?;
    } else if !waiter.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
        match exception {
            Some(exception) => waiter.call_method1(intern!(py, "set_exception"), (exception,))?,
            None => waiter.call_method1(intern!(py, "set_result"), (py.None(),))?,
        };
    }
    drop(state.waiter.take(py));
    Ok(())
}

/// Cancels a timer.
pub fn cancel(timer: &Option<Bound<'_, PyAny>>) -> PyResult<()> {
    match timer {
        Some(timer) => timer.call_method0(intern!(timer.py(), "cancel")).map(drop),
        None => Ok(()),
    }
}
