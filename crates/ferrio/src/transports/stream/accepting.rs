//! The transport of an accepted connection: in the turn after accept() the protocol is made, and the
//! connection begins. CPython: BaseSelectorEventLoop._accept_connection2, which takes a task for it

use std::os::fd::{IntoRawFd, OwnedFd};

use ferrio_capi::StateOf;
use ferrio_capi::call::call_method;
use ferrio_core::compact_address::CompactAddress;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{STREAM_TRANSPORT, StreamTransport, connecting, flow, making};
use crate::errors;
use crate::loop_state::{Act, EventLoop, call_act_soon, is_debug};

/// What a listening socket gave.
#[derive(Debug)]
pub struct Accepted<'a, 'py> {
    pub connection: OwnedFd,
    pub peer: CompactAddress,
    /// The address of the listening socket, where it is that of each connection too.
    pub sockname: Option<&'a Bound<'py, PyAny>>,
    /// Family, type and protocol of the socket.
    pub kind: (u16, u16, u16),
    pub factory: &'a Bound<'py, PyAny>,
    pub server: &'a Bound<'py, PyAny>,
}

/// Schedules the beginning of an accepted connection.
///
/// # Errors
/// MemoryError; RuntimeError when the loop is closed.
pub fn schedule(event_loop: &Bound<'_, EventLoop>, accepted: Accepted<'_, '_>) -> PyResult<()> {
    let this = STREAM_TRANSPORT.alloc(event_loop.py())?;
    let state = this.state();
    state.fd.set(accepted.connection.into_raw_fd());
    state.owns_fd.set(true);
    state.peer.set(accepted.peer);
    state.sockname.replace(event_loop.py(), accepted.sockname.cloned());
    let (family, kind, proto) = accepted.kind;
    state.family.set(family);
    state.kind.set(kind);
    state.proto.set(proto);
    state.event_loop.set(event_loop.clone());
    // Until the beginning: the factory in the place of the protocol.
    state.protocol.set(accepted.factory.clone());
    state.server.set(accepted.server.clone());
    call_act_soon(event_loop.as_any(), this.as_any(), &BEGIN)
}

/// The protocol is made, and the connection begins.
static BEGIN: Act = Act {
    run: |object, _| begin(object.cast::<StreamTransport>()?),
    parts: |object| {
        let py = object.py();
        Ok((object.getattr(intern!(py, "_begin"))?, ().into_pyobject(py)?))
    },
};

/// `_begin`.
pub fn begin(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let (factory, server) = (state.protocol.take(py), state.server.take(py));
    let (Some(factory), false) = (factory, state.protocol_connected.get()) else { return Ok(()) };
    let event_loop = state.native_loop(py)?;
    let protocol = match factory.call0() {
        Ok(protocol) => protocol,
        Err(error) => {
            // The socket object, whose end tells of a connection that nobody took.
            drop(connecting::release(this)?);
            return failed(&event_loop, error, None, None);
        }
    };
    let made = flow::set_protocol(this, protocol.clone())
        .and_then(|()| making::begin(this, &event_loop, server));
    made.or_else(|error| failed(&event_loop, error, Some(&protocol), Some(this)))
}

/// An error on the way to a connection is nobody's but debug mode's.
#[cold]
fn failed<'py>(
    event_loop: &Bound<'py, EventLoop>,
    error: PyErr,
    protocol: Option<&Bound<'py, PyAny>>,
    transport: Option<&Bound<'py, StreamTransport>>,
) -> PyResult<()> {
    let py = event_loop.py();
    if errors::leaves_the_loop(py, &error) {
        return Err(error);
    }
    if !is_debug(event_loop.as_any())? {
        return Ok(());
    }
    let report = PyDict::new(py);
    report.set_item("message", "Error on transport creation for incoming connection")?;
    report.set_item("exception", error.into_value(py))?;
    if let Some(protocol) = protocol {
        report.set_item("protocol", protocol)?;
    }
    if let Some(transport) = transport {
        report.set_item("transport", transport)?;
    }
    let name = intern!(py, "call_exception_handler");
    call_method(event_loop.as_any(), name, [report.as_any()]).map(drop)
}
