//! `sock_accept`.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::socket_object::{self, SocketFacts};
use ferrio_capi::{StateOf, addresses};
use ferrio_core::compact_address::Known;
use ferrio_core::stream_socket;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{Operation, SockCall, Tried, call, tried};
use crate::loop_state::{Direction, EventLoop};
use crate::names;

static ACCEPT: Operation = Operation {
    name: "sock_accept",
    qualified_name: "BaseSelectorEventLoop.sock_accept",
    callback: "_sock_accept",
    direction: Direction::Read,
    least: 1,
    most: 1,
    serves: makes_plain_sockets,
    start: accept,
    retry: accept,
};

/// Whether `socket.accept`, which looks the class up when it is called, would make plain sockets.
fn makes_plain_sockets(_: &SocketFacts, arguments: &Arguments<'_, '_>) -> PyResult<bool> {
    let py = arguments.py();
    let module = py.import(intern!(py, "socket"))?;
    Ok(module.getattr(intern!(py, "socket"))?.is(names::STOCK_SOCKET.get(py)?))
}

fn accept<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let listener = state.facts(py)?;
    let Some((fd, address)) = tried(py, stream_socket::accept(state.descriptor(py)?))? else {
        return Ok(None);
    };
    let connection = new_socket(py, listener, fd)?;
    let address = match address.get() {
        Known::Address(address) => addresses::to_object(py, Some(&address)),
        Known::Absent => Some(names::none(py)),
        Known::Unknown => None,
    };
    let address =
        address.map_or_else(|| connection.call_method0(intern!(py, "getpeername")), Ok)?;
    Ok(Some(PyTuple::new(py, [connection, address])?.into_any()))
}

/// The socket object of an accepted connection. CPython: socket.accept, then setblocking(False)
fn new_socket(py: Python<'_>, listener: SocketFacts, fd: OwnedFd) -> Object<'_> {
    /// Linux's SOCK_NONBLOCK. The constructor takes it for "is not blocking already", and off the type.
    const NONBLOCK: i32 = 0o4000;
    let class = names::STOCK_SOCKET.get(py)?;
    let socket = class.call_method1(intern!(py, "__new__"), (class,))?;
    let number = fd.as_raw_fd();
    let arguments = (listener.family, listener.kind | NONBLOCK, listener.protocol, number);
    let made = socket.call_method1(intern!(py, "__init__"), arguments);
    if socket_object::descriptor(&socket) == Some(number) {
        // The object owns the descriptor from here on, also when its constructor failed later.
        let _ = fd.into_raw_fd();
    }
    made.map(|_| socket)
}

pub fn methods(members: Members) -> Members {
    members.keywords::<EventLoop, _>(
        c"sock_accept(sock)",
        sock_accept,
        c"Accept a connection; return a socket that does not block and the address of its other end.",
    )
}

fn sock_accept<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    call(slf, &arguments, &ACCEPT)
}
