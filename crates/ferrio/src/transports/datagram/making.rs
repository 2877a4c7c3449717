//! Opening a transport, in stock's order.

use ferrio_capi::addresses::{self, AddressFamily};
use ferrio_capi::{StateOf, runtime, socket_object};
use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::{DATAGRAM_TRANSPORT, DatagramTransport, EXTRA, base_slot};
use crate::loop_state::EventLoop;
use crate::names::{self, none};

/// What a transport is made of.
#[derive(Debug)]
pub struct Parts<'py> {
    pub sock: Bound<'py, PyAny>,
    pub protocol: Bound<'py, PyAny>,
    /// Where the socket is connected, as `create_datagram_endpoint` was told.
    pub address: Option<Bound<'py, PyAny>>,
    /// Gets None as its result when the transport reads.
    pub waiter: Option<Bound<'py, PyAny>>,
    pub extra: Option<Bound<'py, PyAny>>,
}

/// Whether the native transport can serve a socket: an Internet or Unix one, whose class leaves alone
/// the methods that stock's transport calls, while nobody replaced stock's transport.
pub fn serves(sock: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = sock.py();
    let current = names::SELECTOR_EVENTS.get(py)?;
    let stock = names::STOCK_DATAGRAM_TRANSPORT.get(py)?;
    if !current.getattr(intern!(py, "_SelectorDatagramTransport"))?.is(stock) {
        return Ok(false);
    }
    let plain = names::STOCK_SOCKET.class(py)?;
    let class = sock.get_type();
    if !class.is_subclass(plain)? || !leaves_alone(&class)? || !socket_object::is_socket(sock) {
        return Ok(false);
    }
    let family = sock.getattr(intern!(py, "family"))?.extract().map(AddressFamily::from_raw);
    let served = [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX];
    Ok(family.is_ok_and(|family| served.contains(&family)))
}

/// Whether the methods of a class of sockets are those of `_socket.socket`.
fn leaves_alone(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let plain = class.py().import("_socket")?.getattr("socket")?;
    for name in ["recvfrom", "send", "sendto", "fileno", "getsockname", "getpeername"] {
        if !class.getattr(name)?.is(&plain.getattr(name)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A transport over a socket that [`serves`] said yes to.
/// CPython: _SelectorTransport.__init__, _SelectorDatagramTransport.__init__
pub fn new<'py>(
    event_loop: &Bound<'py, EventLoop>,
    parts: Parts<'py>,
) -> PyResult<Bound<'py, DatagramTransport>> {
    let py = event_loop.py();
    let this = DATAGRAM_TRANSPORT.alloc(py)?;
    let begin = names::FLOW_CONTROL_MIXIN.get(py)?.getattr(intern!(py, "__init__"))?;
    begin.call1((&this, &parts.extra, event_loop))?;
    describe(&this, &parts.sock)?;
    adopt(&this, &parts)?;
    let state = this.state();
    let fd = state.fd.get();
    event_loop.getattr(intern!(py, "_transports"))?.set_item(fd, &this)?;
    let call_soon = event_loop.getattr(intern!(py, "call_soon"))?;
    let protocol = state.protocol.get_or_none(py);
    call_soon.call1((protocol.getattr(intern!(py, "connection_made"))?, &this))?;
    // Reading begins when connection_made() has been called, and only then the waiter is woken.
    let add_reader = this.getattr(intern!(py, "_add_reader"))?;
    call_soon.call1((add_reader, fd, this.getattr(intern!(py, "_read_ready"))?))?;
    if let Some(waiter) = parts.waiter {
        call_soon.call1((names::SET_RESULT_UNLESS_CANCELLED.get(py)?, waiter, none(py)))?;
    }
    Ok(this)
}

/// Fills what `get_extra_info` answers.
fn describe<'py>(this: &Bound<'py, DatagramTransport>, sock: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let extra = base_slot(&EXTRA, this).get_or_none(py);
    extra.set_item(intern!(py, "socket"), names::TRANSPORT_SOCKET.get(py)?.call1((sock,))?)?;
    let fd = socket_object::descriptor(sock).and_then(runtime::borrow_fd);
    let local = fd.and_then(|fd| addresses::local(py, fd));
    let local = local.map_or_else(|| ask(sock, "getsockname"), Ok)?;
    extra.set_item(intern!(py, "sockname"), local)?;
    let key = intern!(py, "peername");
    if !extra.contains(key)? {
        let peer = fd.and_then(|fd| addresses::peer(py, fd));
        extra.set_item(key, peer.map_or_else(|| ask(sock, "getpeername"), Ok)?)?;
    }
    Ok(())
}

/// What a method of the socket returns; None when it raises OSError.
fn ask<'py>(sock: &Bound<'py, PyAny>, method: &str) -> PyResult<Bound<'py, PyAny>> {
    match sock.call_method0(method) {
        Err(error) if error.is_instance_of::<PyOSError>(sock.py()) => Ok(none(sock.py())),
        outcome => outcome,
    }
}

fn adopt<'py>(this: &Bound<'py, DatagramTransport>, parts: &Parts<'py>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let family = parts.sock.getattr(intern!(py, "family"))?.extract()?;
    state.sock.set(parts.sock.clone());
    state.fd.set(parts.sock.call_method0(intern!(py, "fileno"))?.extract()?);
    state.family.set(family);
    state.protocol.set(parts.protocol.clone());
    state.protocol_connected.set(true);
    state.address.replace(py, parts.address.clone());
    Ok(())
}
