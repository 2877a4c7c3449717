//! From a connected socket to a transport. CPython: _SelectorSocketTransport.__init__

use ferrio_core::stream_socket;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{STREAM_TRANSPORT, StreamTransport, clients, flow, info, reading};
use crate::futures;
use crate::loop_state::{Act, EventLoop, call_act_soon, call_one_soon};
use crate::names::{self, none};
use ferrio_capi::StateOf;

/// What a transport is made of.
#[derive(Debug)]
pub struct Parts<'py> {
    /// A connected socket that does not block; the transport owns it from now on.
    pub sock: Bound<'py, PyAny>,
    pub protocol: Bound<'py, PyAny>,
    /// A future to resolve when connection_made() was called.
    pub waiter: Option<Bound<'py, PyAny>>,
    /// The dict that `get_extra_info` answers from; more is added to it.
    pub extra: Option<Bound<'py, PyDict>>,
    pub server: Option<Bound<'py, PyAny>>,
}

/// A transport over `parts.sock`. connection_made() and the start of reading are scheduled.
///
/// # Errors
/// What the socket's methods, and `server._attach`, raise.
pub fn new<'py>(
    event_loop: &Bound<'py, EventLoop>,
    parts: Parts<'py>,
) -> PyResult<Bound<'py, StreamTransport>> {
    let py = event_loop.py();
    let Parts { sock, protocol, waiter, extra, server } = parts;
    let fd = sock.call_method0(intern!(py, "fileno"))?.extract()?;
    let this = STREAM_TRANSPORT.alloc(py)?;
    let state = this.state();
    state.event_loop.set(event_loop.clone());
    state.fd.set(fd);
    state.proto.set(sock.getattr(intern!(py, "proto"))?.extract().unwrap_or_default());
    state.sock.set(sock);
    state.sock_open.set(true);
    if let Some(extra) = extra {
        info::fill(&this, &extra)?;
        state.extra.set(extra);
    }
    flow::set_protocol(&this, protocol)?;
    begin(&this, event_loop, server)?;
    if let Some(waiter) = waiter.filter(|waiter| !waiter.is_none()) {
        resolve_soon(event_loop, &waiter)?;
    }
    Ok(this)
}

/// `loop.call_soon(futures._set_result_unless_cancelled, waiter, None)`.
pub fn resolve_soon<'py>(
    event_loop: &Bound<'py, EventLoop>,
    waiter: &Bound<'py, PyAny>,
) -> PyResult<()> {
    call_act_soon(event_loop.as_any(), waiter, &RESOLVE)
}

/// A transport that has its socket and its protocol begins.
pub fn begin<'py>(
    this: &Bound<'py, StreamTransport>,
    event_loop: &Bound<'py, EventLoop>,
    server: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let state = this.state();
    info::note_addresses(this)?;
    if let Some(server) = server.filter(|server| !server.is_none()) {
        state.server.set(server.clone());
        clients::attach(&server, this)?;
    }
    event_loop.get().own_fd(state.fd.get(), this.as_any());
    set_nodelay(this)?;
    let protocol = state.protocol.get_or_none(this.py());
    let connection_made = protocol.getattr(intern!(this.py(), "connection_made"))?;
    call_one_soon(event_loop, connection_made, this.as_any())?;
    call_act_soon(event_loop.as_any(), this.as_any(), &reading::START)
}

/// CPython: base_events._set_nodelay. A socket of protocol TCP is one of IP and a stream.
fn set_nodelay(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    const IPPROTO_TCP: u16 = 6;
    if this.state().proto.get() != IPPROTO_TCP {
        return Ok(());
    }
    let outcome = stream_socket::set_nodelay(this.state().descriptor()?);
    outcome.map_err(|error| crate::errors::os_error(this.py(), &error))
}

/// The future that waits for connection_made() has its result.
static RESOLVE: Act = Act {
    run: |waiter, _| match futures::methods::as_exact(waiter) {
        Some(future) => {
            futures::AsFuture::as_future(future).set_result_unless_cancelled(none(waiter.py()))
        }
        None => {
            let function = names::SET_RESULT_UNLESS_CANCELLED.get(waiter.py())?;
            function.call1((waiter, none(waiter.py()))).map(drop)
        }
    },
    parts: |waiter| {
        let py = waiter.py();
        let function = names::SET_RESULT_UNLESS_CANCELLED.get(py)?.clone();
        Ok((function, (waiter, none(py)).into_pyobject(py)?))
    },
};
