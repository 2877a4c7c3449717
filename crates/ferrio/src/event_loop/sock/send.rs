//! `sock_sendall` and `sock_sendto`.

use ferrio_capi::addresses::{self, AddressFamily, SocketAddrAny};
use ferrio_capi::buffer;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::socket_object::SocketFacts;
use ferrio_capi::{StateOf, audit};
use ferrio_core::{datagram_socket, stream_socket};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyInt, PyList, PyMemoryView};

use super::{Operation, SockCall, Tried, ask, call, tried};
use crate::loop_state::{Direction, EventLoop};
use crate::names::none;

/// Waits with a view of the data and, in a list, the number of bytes that have been sent: stock's
/// callback shares both.
static SENDALL: Operation = Operation {
    name: "sock_sendall",
    qualified_name: "BaseSelectorEventLoop.sock_sendall",
    callback: "_sock_sendall",
    direction: Direction::Write,
    least: 2,
    most: 2,
    serves: is_bytes,
    start: sendall,
    retry: send_rest,
};

static SENDTO: Operation = Operation {
    name: "sock_sendto",
    qualified_name: "BaseSelectorEventLoop.sock_sendto",
    callback: "_sock_sendto",
    direction: Direction::Write,
    least: 3,
    most: 3,
    serves: anything,
    start: sendto,
    retry: sendto,
};

/// Whether `len(data)` is a number of bytes. Of other things stock sends too little or too much.
fn is_bytes(_: &SocketFacts, arguments: &Arguments<'_, '_>) -> PyResult<bool> {
    let Some(data) = arguments.value(1) else { return Ok(false) };
    if data.is_exact_instance_of::<PyBytes>() || data.is_exact_instance_of::<PyByteArray>() {
        return Ok(true);
    }
    if !data.is_exact_instance_of::<PyMemoryView>() {
        return Ok(false);
    }
    match buffer::read(data, <[u8]>::len) {
        Ok(bytes) => Ok(data.len()? == bytes),
        Err(_) => Ok(false),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of Operation::serves")]
fn anything(_: &SocketFacts, _: &Arguments<'_, '_>) -> PyResult<bool> {
    Ok(true)
}

fn sendall<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let data = this.state().first(py);
    let (sent, length) = send(this, &data, 0)?;
    let sent = sent.unwrap_or(0);
    if sent == length {
        return Ok(Some(none(py)));
    }
    this.state().first.set(PyMemoryView::from(&data)?);
    this.state().second.set(PyList::new(py, [sent])?);
    Ok(None)
}

/// Sends what fits of the data from `start` on: gives how much that was, nothing when the socket is not
/// ready, and how much was to be sent.
#[inline]
fn send(
    this: &Bound<'_, SockCall>,
    data: &Bound<'_, PyAny>,
    start: usize,
) -> PyResult<(Option<usize>, usize)> {
    let py = this.py();
    let fd = this.state().descriptor(py)?;
    let send = |bytes: &[u8]| {
        let rest = bytes.get(start..).unwrap_or_default();
        (stream_socket::send(fd, rest), rest.len())
    };
    let (outcome, length) = match data.cast_exact::<PyBytes>() {
        Ok(bytes) => send(bytes.as_bytes()),
        Err(_) => buffer::read(data, send)?,
    };
    Ok((tried(py, outcome)?, length))
}

fn send_rest<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let position = state.second.get_or_none(py).cast_into::<PyList>()?;
    let start: usize = position.get_item(0)?.extract()?;
    let (Some(sent), length) = send(this, &state.first(py), start)? else { return Ok(None) };
    if sent == length {
        return Ok(Some(none(py)));
    }
    position.set_item(0, start + sent)?;
    Ok(None)
}

fn sendto<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let (data, address) = (state.first(py), state.second.get_or_none(py));
    let to = native_address(&state.facts(py)?, &address);
    let Some(to) = to.filter(|_| buffer::read(&data, |_| ()).is_ok()) else {
        return ask(this, intern!(py, "sendto"), (data, address));
    };
    audit::audit_sendto(&state.sock(py)?, &address)?;
    let fd = state.descriptor(py)?;
    let (outcome, length) =
        buffer::read(&data, |bytes| (datagram_socket::send_to(fd, bytes, &to), bytes.len()))?;
    Ok(tried(py, outcome)?.map(|()| PyInt::new(py, length).into_any()))
}

/// The address of a datagram that needs neither a look-up nor an error; any other family and form is
/// taken apart by the socket object.
fn native_address(facts: &SocketFacts, address: &Bound<'_, PyAny>) -> Option<SocketAddrAny> {
    const DATAGRAM: i32 = 2;
    let family = u16::try_from(facts.family).ok().map(AddressFamily::from_raw)?;
    let internet = [AddressFamily::INET, AddressFamily::INET6].contains(&family);
    (facts.kind == DATAGRAM && facts.fd >= 0 && internet)
        .then(|| addresses::from_object(family, address))
        .flatten()
}

pub fn methods(members: Members) -> Members {
    members
        .keywords::<EventLoop, _>(
            c"sock_sendall(sock, data)",
            sock_sendall,
            c"Send all of the data to a socket.",
        )
        .keywords::<EventLoop, _>(
            c"sock_sendto(sock, data, address)",
            sock_sendto,
            c"Send a datagram to an address; return the number of bytes sent.",
        )
}

fn sock_sendall<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    call(slf, &arguments, &SENDALL)
}

fn sock_sendto<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    call(slf, &arguments, &SENDTO)
}
