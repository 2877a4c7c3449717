//! `SSLProtocol.__init__`, and the change of application protocols.

use ferrio_capi::StateOf;
use ferrio_capi::method::InitArguments;
use ferrio_capi::signature::Signature;
use ferrio_core::tls::Told;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::protocol::{SSL_PROTOCOL, SSLProtocol};
use super::{engine, flow, transport};
use crate::names;

/// What a protocol is made of.
#[derive(Debug)]
pub struct Parts<'py> {
    pub event_loop: Bound<'py, PyAny>,
    pub app_protocol: Bound<'py, PyAny>,
    /// None, or anything false, for the default context of a client.
    pub context: Bound<'py, PyAny>,
    pub waiter: Option<Bound<'py, PyAny>>,
    pub server_side: bool,
    pub server_hostname: Option<Bound<'py, PyAny>>,
    /// False for an application that has its connection already.
    pub call_connection_made: bool,
    pub handshake_timeout: Option<Bound<'py, PyAny>>,
    pub shutdown_timeout: Option<Bound<'py, PyAny>>,
}

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

/// `__init__`.
pub fn init<'py>(
    this: &Bound<'py, SSLProtocol>,
    arguments: InitArguments<'_, 'py>,
) -> PyResult<()> {
    let py = this.py();
    let [event_loop, app, context, waiter, server_side, hostname, call_made, handshake, shutdown] =
        INIT.parse_init(&arguments)?;
    let given = |object: Option<Bound<'py, PyAny>>| object.filter(|object| !object.is_none());
    let truth = |object: Option<Bound<'py, PyAny>>, default| match object {
        Some(object) => object.is_truthy(),
        None => Ok(default),
    };
    let needed = |object: Option<Bound<'py, PyAny>>| object.unwrap_or_else(|| names::none(py));
    let parts = Parts {
        event_loop: needed(event_loop),
        app_protocol: needed(app),
        context: needed(context),
        waiter: given(waiter),
        server_side: truth(server_side, false)?,
        server_hostname: given(hostname),
        call_connection_made: truth(call_made, true)?,
        handshake_timeout: given(handshake),
        shutdown_timeout: given(shutdown),
    };
    begin(this, parts)
}

/// A protocol.
///
/// # Errors
/// ValueError for a timeout that is not positive; what the context raises.
pub fn new(parts: Parts<'_>) -> PyResult<Bound<'_, SSLProtocol>> {
    let this = SSL_PROTOCOL.alloc(parts.event_loop.py())?;
    begin(&this, parts)?;
    Ok(this)
}

fn begin<'py>(this: &Bound<'py, SSLProtocol>, parts: Parts<'py>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if names::asyncio_module(py, "sslproto")?.getattr(intern!(py, "ssl"))?.is_none() {
        return Err(PyRuntimeError::new_err("stdlib ssl module not available"));
    }
    let handshake = timeout(py, parts.handshake_timeout, "ssl_handshake_timeout")?;
    let shutdown = timeout(py, parts.shutdown_timeout, "ssl_shutdown_timeout")?;
    let hostname = parts.server_hostname.unwrap_or_else(|| names::none(py));
    let context = match parts.context.is_truthy()? {
        true => parts.context,
        false => names::asyncio_module(py, "sslproto")?
            .call_method1("_create_transport_context", (parts.server_side, &hostname))?,
    };
    state.handshake_timeout.set(handshake);
    state.shutdown_timeout.set(shutdown);
    state.server_side.set(parts.server_side);
    let names_host = !parts.server_side && hostname.is_truthy()?;
    state.server_hostname.replace(py, names_host.then_some(hostname));
    let extra = PyDict::new(py);
    extra.set_item(intern!(py, "sslcontext"), &context)?;
    state.extra.set(extra);
    state.context.set(context);
    state.waiter.replace(py, parts.waiter);
    state.event_loop.set(parts.event_loop);
    set_app_protocol(this, &parts.app_protocol)?;
    state.machine.set_told(if parts.call_connection_made { Told::Nothing } else { Told::Made });
    make_object(this)?;
    flow::set_default_limits(this);
    transport::get(this).map(drop)
}

/// The SSLObject, by the user's context.
fn make_object(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let memory_bio = names::MEMORY_BIO.get(py)?;
    let (incoming, outgoing) = (memory_bio.call0()?, memory_bio.call0()?);
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "server_side"), state.server_side.get())?;
    keywords.set_item(intern!(py, "server_hostname"), state.server_hostname.get_or_none(py))?;
    let context = state.context.get_or_none(py);
    let arguments = (&incoming, &outgoing);
    let object = context.call_method(intern!(py, "wrap_bio"), arguments, Some(&keywords))?;
    state.incoming.set(incoming);
    state.outgoing.set(outgoing);
    state.ssl_object.set(object);
    engine::begin(this)
}

fn timeout<'py>(
    py: Python<'py>,
    given: Option<Bound<'py, PyAny>>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(given) = given else {
        return names::asyncio_module(py, "constants")?.getattr(name.to_uppercase());
    };
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
    Ok(())
}
