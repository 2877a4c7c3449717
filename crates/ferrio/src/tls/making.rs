//! `SSLProtocol.__init__`, and the change of application protocols.

use ferrio_capi::method::InitArguments;
use ferrio_capi::signature::Signature;
use ferrio_capi::{State, StateOf};
use ferrio_core::tls::{Phase, Told};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::protocol::SSLProtocol;
use super::{engine, flow, transport};
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
    if names::asyncio_module(py, "sslproto")?.getattr(intern!(py, "ssl"))?.is_none() {
        return Err(PyRuntimeError::new_err("stdlib ssl module not available"));
    }
    let state = this.state();
    state.clear(py);
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
    state.handshake_timeout.set(timeout(py, given(handshake), "ssl_handshake_timeout")?);
    state.shutdown_timeout.set(timeout(py, given(shutdown), "ssl_shutdown_timeout")?);
    state.server_side.set(truth(server_side, false)?);
    set_context(this, needed(context), needed(hostname))?;
    state.waiter.replace(py, given(waiter));
    state.event_loop.set(needed(event_loop));
    set_app_protocol(this, &needed(app))?;
    let call_made = truth(call_made, true)?;
    state.machine.set_told(if call_made { Told::Nothing } else { Told::Made });
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
        false => names::asyncio_module(py, "sslproto")?
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
