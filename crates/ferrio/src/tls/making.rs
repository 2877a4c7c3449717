//! `SSLProtocol.__init__`, and the change of application protocols.

use ferrio_capi::method::InitArguments;
use ferrio_capi::signature::Signature;
use ferrio_capi::{State, StateOf};
use ferrio_core::tls::{Phase, Told};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::protocol::{SSL_PROTOCOL, SSLProtocol};
use super::{engine, flow, transport, wrapping};
use crate::names;

static INIT: Signature<9> = Signature {
    format: c"OOOO|OOOOO:SSLProtocol",
    names: [
        c"loop",
        c"app_protocol",
        c"sslcontext",
        c"waiter",
        c"server_side",
        c"server_hostname",
        c"call_connection_made",
        c"ssl_handshake_timeout",
        c"ssl_shutdown_timeout",
    ],
    positional: 9,
    required: 4,
};

/// The parameters of `SSLProtocol`.
#[derive(Debug)]
pub struct Parameters<'py> {
    pub event_loop: Bound<'py, PyAny>,
    pub app_protocol: Bound<'py, PyAny>,
    pub context: Bound<'py, PyAny>,
    /// A future to resolve when the handshake is over.
    pub waiter: Option<Bound<'py, PyAny>>,
    pub server_side: bool,
    pub server_hostname: Bound<'py, PyAny>,
    /// Whether the application's `connection_made` is to be called.
    pub call_connection_made: bool,
    /// Seconds; None for asyncio's default.
    pub handshake_timeout: Option<Bound<'py, PyAny>>,
    pub shutdown_timeout: Option<Bound<'py, PyAny>>,
}

/// `__init__`.
pub fn init<'py>(
    this: &Bound<'py, SSLProtocol>,
    arguments: InitArguments<'_, 'py>,
) -> PyResult<()> {
    let py = this.py();
    let [event_loop, app, context, waiter, server_side, hostname, call_made, handshake, shutdown] =
        INIT.parse_init(&arguments)?;
    let given = |object: Option<Bound<'py, PyAny>>| object.filter(|object| !object.is_none());
    let needed = |object: Option<Bound<'py, PyAny>>| object.unwrap_or_else(|| names::none(py));
    let truth = |object: Option<Bound<'py, PyAny>>, default| match object {
        Some(object) => object.is_truthy(),
        None => Ok(default),
    };
    let parameters = Parameters {
        event_loop: needed(event_loop),
        app_protocol: needed(app),
        context: needed(context),
        waiter: given(waiter),
        server_side: truth(server_side, false)?,
        server_hostname: needed(hostname),
        call_connection_made: truth(call_made, true)?,
        handshake_timeout: given(handshake),
        shutdown_timeout: given(shutdown),
    };
    this.state().clear(py);
    fill(this, parameters)
}

/// A protocol.
///
/// # Errors
/// As for `SSLProtocol(...)`.
pub fn new<'py>(py: Python<'py>, parameters: Parameters<'py>) -> PyResult<Bound<'py, SSLProtocol>> {
    let this = SSL_PROTOCOL.alloc(py)?;
    fill(&this, parameters)?;
    Ok(this)
}

fn fill<'py>(this: &Bound<'py, SSLProtocol>, parameters: Parameters<'py>) -> PyResult<()> {
    let py = this.py();
    if names::SSLPROTO.attribute(intern!(py, "ssl"))?.is_none() {
        return Err(PyRuntimeError::new_err("stdlib ssl module not available"));
    }
    let state = this.state();
    state.machine.put(Phase::Unwrapped);
    state.conn_lost.set(0);
    state.backlog_size.set(0);
    for flag in [
        &state.transport_created,
        &state.transport_full,
        &state.app_reading_paused,
        &state.eof_received,
    ] {
        flag.set(false);
    }
    let Parameters { handshake_timeout, shutdown_timeout, .. } = parameters;
    let default = intern!(py, "SSL_HANDSHAKE_TIMEOUT");
    state.handshake_timeout.set(timeout(handshake_timeout, "ssl_handshake_timeout", default)?);
    let default = intern!(py, "SSL_SHUTDOWN_TIMEOUT");
    state.shutdown_timeout.set(timeout(shutdown_timeout, "ssl_shutdown_timeout", default)?);
    state.server_side.set(parameters.server_side);
    set_context(this, parameters.context, parameters.server_hostname)?;
    state.waiter.replace(py, parameters.waiter);
    state.event_loop.set(parameters.event_loop);
    set_app_protocol(this, &parameters.app_protocol)?;
    let told = if parameters.call_connection_made { Told::Nothing } else { Told::Made };
    state.machine.set_told(told);
    make_object(this)?;
    flow::set_default_limits(this);
    transport::get(this).map(drop)
}

/// The user's context, or the default one of a client, and whom the certificate is to name.
fn set_context<'py>(
    this: &Bound<'py, SSLProtocol>,
    context: Bound<'py, PyAny>,
    hostname: Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let server_side = state.server_side.get();
    let context = match context.is_truthy()? {
        true => context,
        false => names::SSLPROTO
            .get(py)?
            .call_method1("_create_transport_context", (server_side, &hostname))?,
    };
    let names_host = !server_side && hostname.is_truthy()?;
    state.server_hostname.replace(py, names_host.then_some(hostname));
    let extra = PyDict::new(py);
    extra.set_item(intern!(py, "sslcontext"), &context)?;
    state.extra.set(extra);
    state.context.set(context);
    Ok(())
}

/// The SSLObject, by the user's context.
fn make_object(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let context = state.context.get_or_none(py);
    let hostname = state.server_hostname.get_or_none(py);
    if hostname.is_none() && engine::is_direct(py) && wrapping::wraps_as_ssl_does(&context)? {
        let [incoming, outgoing] = wrapping::unused_bios(py)?;
        let bios = [incoming.bind(py), outgoing.bind(py)];
        let (object, socket) = wrapping::wrap_natively(&context, bios, state.server_side.get())?;
        if engine::adopt(this, socket, bios) {
            state.ssl_object.set(object);
            return Ok(());
        }
    }
    let memory_bio = names::MEMORY_BIO.get(py)?;
    let (incoming, outgoing) = (memory_bio.call0()?, memory_bio.call0()?);
    let bios = [&incoming, &outgoing];
    let object = wrapping::wrap_bio(&context, bios, state.server_side.get(), &hostname)?;
    state.incoming.set(incoming);
    state.outgoing.set(outgoing);
    state.ssl_object.set(object);
    engine::begin(this)
}

/// What is given, or else the `default` of `asyncio.constants`.
fn timeout<'py>(
    given: Option<Bound<'py, PyAny>>,
    name: &str,
    default: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(given) = given else { return names::CONSTANTS.attribute(default) };
    if given.le(0)? {
        let text = format!("{name} should be a positive number, got {}", given.str()?);
        return Err(PyValueError::new_err(text));
    }
    Ok(given)
}

/// `_set_app_protocol`.
pub fn set_app_protocol<'py>(
    this: &Bound<'py, SSLProtocol>,
    protocol: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    state.app_protocol.set(protocol.clone());
    let buffered = protocol.hasattr(intern!(py, "get_buffer"))?
        && protocol.is_instance(names::BUFFERED_PROTOCOL.get(py)?)?;
    state.app_is_buffered.set(buffered);
    if state.machine.phase() == Phase::Wrapped {
        engine::set_read_ahead(state, py);
    }
    Ok(())
}
