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
use crate::tasks::name;

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

/// The transport of an accepted connection, which has no protocol yet.
///
/// # Errors
/// MemoryError.
pub fn hold<'py>(
    event_loop: &Bound<'py, EventLoop>,
    accepted: Accepted<'_, 'py>,
) -> PyResult<Bound<'py, StreamTransport>> {
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
    Ok(this)
}

/// Schedules the beginning of an accepted connection.
///
/// # Errors
/// MemoryError; RuntimeError when the loop is closed.
pub fn schedule(event_loop: &Bound<'_, EventLoop>, accepted: Accepted<'_, '_>) -> PyResult<()> {
    let this = hold(event_loop, accepted)?;
    name::take_number(event_loop.py());
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
    let state = this.state();
    if state.protocol_connected.get() || !state.protocol.is_set() {
        return Ok(());
    }
    let event_loop = state.native_loop(this.py())?;
    let protocol = match make_protocol(this) {
        Ok(protocol) => protocol,
        Err(error) => return failed(&event_loop, error, None, None),
    };
    begin_with(this, &event_loop, protocol.clone())
        .or_else(|error| failed(&event_loop, error, Some(&protocol), Some(this.as_any())))
}

/// What the factory makes.
///
/// # Errors
/// The factory's; the connection is nobody's then.
pub fn make_protocol<'py>(this: &Bound<'py, StreamTransport>) -> PyResult<Bound<'py, PyAny>> {
    let factory = this.state().protocol.take(this.py());
    let made = factory.map_or_else(|| Err(errors::uninitialized()), |factory| factory.call0());
    match made {
        Ok(protocol) => Ok(protocol),
        Err(error) => Err(forsake(this, error)?),
    }
}

/// After an error, which comes back, nobody takes the connection: the end of the socket object tells of it.
///
/// # Errors
/// As for [`connecting::release`].
pub fn forsake(this: &Bound<'_, StreamTransport>, error: PyErr) -> PyResult<PyErr> {
    drop(this.state().server.take(this.py()));
    connecting::release(this).map(|_| error)
}

/// The connection of `protocol` begins.
///
/// # Errors
/// As for [`making::new`].
pub fn begin_with<'py>(
    this: &Bound<'py, StreamTransport>,
    event_loop: &Bound<'py, EventLoop>,
    protocol: Bound<'py, PyAny>,
) -> PyResult<()> {
    let server = this.state().server.take(this.py());
    flow::set_protocol(this, protocol)?;
    making::begin(this, event_loop, server)
}

/// An error on the way to a connection is nobody's but debug mode's.
///
/// # Errors
/// `error` when it ends the loop; what an exception handler raises.
#[cold]
pub fn failed<'py>(
    event_loop: &Bound<'py, EventLoop>,
    error: PyErr,
    protocol: Option<&Bound<'py, PyAny>>,
    transport: Option<&Bound<'py, PyAny>>,
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
