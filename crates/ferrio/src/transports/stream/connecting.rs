//! The transport of a connection that is being made: it owns the descriptor from the first system call
//! on, so that whoever gives up has one thing to close.

use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};

use ferrio_capi::StateOf;
use pyo3::prelude::*;

use super::{STREAM_TRANSPORT, StreamTransport, flow, info, making};
use crate::loop_state::EventLoop;

/// A transport for a socket that is not connected yet, and of that family, type and protocol.
///
/// # Errors
/// MemoryError.
pub fn prepare<'py>(
    event_loop: &Bound<'py, EventLoop>,
    socket: OwnedFd,
    (family, kind, proto): (u16, u16, u16),
) -> PyResult<Bound<'py, StreamTransport>> {
    let this = STREAM_TRANSPORT.alloc(event_loop.py())?;
    let state = this.state();
    state.fd.set(socket.into_raw_fd());
    state.owns_fd.set(true);
    state.family.set(family);
    state.kind.set(kind);
    state.proto.set(proto);
    state.event_loop.set(event_loop.clone());
    Ok(this)
}

/// Its descriptor, for system calls.
///
/// # Errors
/// EBADF when somebody has closed the socket object.
pub fn open_descriptor(this: &Bound<'_, StreamTransport>) -> io::Result<BorrowedFd<'static>> {
    this.state().open_descriptor(this.py())
}

/// The number of its descriptor, as the loop knows it.
///
/// # Errors
/// RuntimeError when it is closed.
pub fn descriptor(this: &Bound<'_, StreamTransport>) -> PyResult<BorrowedFd<'static>> {
    this.state().descriptor()
}

/// Its socket as an object, made now.
///
/// # Errors
/// What the socket's class raises.
pub fn socket<'py>(this: &Bound<'py, StreamTransport>) -> PyResult<Bound<'py, PyAny>> {
    info::socket(this)
}

/// The socket is connected: the connection of `protocol` begins. Then `waiter` is resolved.
///
/// # Errors
/// As for [`making::new`].
pub fn begin<'py>(
    this: &Bound<'py, StreamTransport>,
    event_loop: &Bound<'py, EventLoop>,
    protocol: Bound<'py, PyAny>,
    waiter: &Bound<'py, PyAny>,
) -> PyResult<()> {
    flow::set_protocol(this, protocol)?;
    making::begin(this, event_loop, None)?;
    making::resolve_soon(event_loop, waiter)
}

/// There will be no connection: closes the socket.
///
/// # Errors
/// What `close` of a socket object raises.
pub fn abandon(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    drop(this.state().event_loop.take(this.py()));
    info::close_socket(this)
}

/// There will be no connection, but the socket stays open: the object that owns it from now on.
///
/// # Errors
/// As for [`socket`].
pub fn release<'py>(this: &Bound<'py, StreamTransport>) -> PyResult<Bound<'py, PyAny>> {
    let state = this.state();
    drop(state.event_loop.take(this.py()));
    let socket = info::socket(this)?;
    state.sock_open.set(false);
    drop(state.sock.take(this.py()));
    Ok(socket)
}
