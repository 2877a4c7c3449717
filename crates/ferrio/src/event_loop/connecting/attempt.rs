//! One attempt to connect to one address: from a socket to its end, or to its failure.
//! CPython: BaseEventLoop._connect_sock, BaseSelectorEventLoop.sock_connect

use std::ffi::c_int;
use std::os::fd::AsRawFd;

use ferrio_capi::addresses::{self, AddressFamily, SocketAddrAny};
use ferrio_capi::method::Object;
use ferrio_capi::{StateOf, audit};
use ferrio_core::socket_calls::{self, Attempt};
use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::super::transport_fds;
use super::Connecting;
use crate::errors;
use crate::futures::{AsFuture, methods as futures};
use crate::loop_state::{Act, Direction, unwatch, watch_act_once};
use crate::names::{self, none};
use crate::tasks::face::reused;
use crate::transports::stream::{StreamTransport, connecting as transports};

const SOCK_STREAM: u16 = 1;

/// One entry of `getaddrinfo` whose address is one in full already.
pub struct Target<'py> {
    family: AddressFamily,
    protocol: u16,
    /// The address as Python has it.
    pub shown: Bound<'py, PyAny>,
    address: SocketAddrAny,
}

impl<'py> Target<'py> {
    /// None for what only Python's `socket` knows to connect to.
    pub fn of(info: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let Ok(info) = info.cast_exact::<PyTuple>() else { return Ok(None) };
        let [family, kind, protocol, _, shown] = info.as_slice() else { return Ok(None) };
        let number = |object: &Bound<'_, PyAny>| object.extract::<u16>().ok();
        let (Some(family), Some(protocol)) = (number(family), number(protocol)) else {
            return Ok(None);
        };
        let family = AddressFamily::from_raw(family);
        // Stock adds what an IPv6 address lacks, and shows it so.
        let lacks = family == AddressFamily::INET6 && shown.len().is_ok_and(|length| length < 4);
        if lacks || number(kind) != Some(SOCK_STREAM) {
            return Ok(None);
        }
        let address = addresses::from_object(family, shown);
        Ok(address.map(|address| Self { family, protocol, shown: shown.clone(), address }))
    }
}

/// Makes a socket, which is `transport`'s from then on, and begins to connect it. A future to wait for,
/// or None when it is connected at once.
pub fn start<'py>(
    this: &Bound<'py, Connecting>,
    target: &Target<'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = this.py();
    let state = this.state();
    let kind = (target.family.as_raw(), SOCK_STREAM, target.protocol);
    let numbers = [c_int::from(kind.0), c_int::from(kind.1), c_int::from(kind.2)];
    audit::audit_new_socket(py, || blank_socket(py), numbers)?;
    let socket = socket_calls::open_stream(target.family, u32::from(target.protocol));
    let socket = socket.map_err(|error| errors::os_error(py, &error))?;
    let transport = transports::prepare(&state.event_loop(py)?, socket, kind)?;
    state.transport.set(transport.clone());
    audit::audit_connect(|| transports::socket(&transport), &target.shown)?;
    let fd = transports::open_descriptor(&transport);
    match fd.and_then(|fd| socket_calls::connect(fd, &target.address)) {
        Ok(Attempt::Connected) => Ok(None),
        Ok(Attempt::Pending) => watch(this).map(Some),
        Err(error) => Err(errors::os_error(py, &error)),
    }
}

/// An object of `socket.socket` without a descriptor, as it is when `socket.__new__` is raised.
fn blank_socket(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let class = names::STOCK_SOCKET.get(py)?;
    class.call_method1(intern!(py, "__new__"), (class,))
}

/// Has the loop watch the socket: a future that has its result when the attempt is over.
fn watch<'py>(this: &Bound<'py, Connecting>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    let event_loop = state.event_loop(py)?;
    let fd = transports::descriptor(&state.transport(py)?)?;
    transport_fds::ensure_none_of(&event_loop, fd.as_raw_fd())?;
    let future = futures::new(&event_loop)?;
    state.future.set(future.clone());
    let context = watch_act_once(&event_loop, Direction::Write, fd, this.as_any(), &WRITABLE)?;
    state.watching.set(context);
    future.as_future().state.blocking.set(true);
    Ok(future.into_any())
}

/// The socket is writable: the attempt is over. CPython: BaseSelectorEventLoop._sock_connect_cb
static WRITABLE: Act = Act {
    run: |object, context| {
        let this = object.cast::<Connecting>()?;
        if this.state().watching.is(context) { writable(this) } else { Ok(()) }
    },
    parts: |object| {
        let py = object.py();
        let state = object.cast::<Connecting>()?.state();
        let callback = state.event_loop(py)?.getattr(intern!(py, "_sock_connect_cb"))?;
        let socket = transports::socket(&state.transport(py)?)?;
        let arguments = [state.future.get_or_none(py), socket, state.address(py)?];
        Ok((callback, PyTuple::new(py, arguments)?))
    },
};

fn writable(this: &Bound<'_, Connecting>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let future = state.future.get(py).ok_or_else(reused)?;
    let future = futures::as_exact(&future).ok_or_else(reused)?.as_future();
    if !future.state.is_pending() {
        return Ok(());
    }
    let transport = state.transport(py)?;
    let fd = transports::open_descriptor(&transport);
    let error = match fd.and_then(socket_calls::connect_outcome) {
        Ok(Ok(Attempt::Connected)) => return future.set_result(none(py)),
        Ok(Ok(Attempt::Pending)) => {
            let fd = transports::descriptor(&transport)?;
            return state.event_loop(py)?.get().rearm_watch(py, fd);
        }
        Ok(Err(error)) => errors::connect_call_failed(&error, &state.address(py)?),
        Err(error) => errors::os_error(py, &error),
    };
    future.set_exception(error.value(py).as_any())
}

/// Stops watching, if the loop does.
pub fn stop_watching(this: &Bound<'_, Connecting>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if state.watching.take(py).is_none() {
        return Ok(());
    }
    let fd = transports::descriptor(&state.transport(py)?)?;
    unwatch(&state.event_loop(py)?, Direction::Write, fd)
}

/// An attempt has failed: closes its socket. An OSError is kept, everything else comes back.
pub fn fail(this: &Bound<'_, Connecting>, error: PyErr) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    give_up(this)?;
    if !error.is_instance_of::<PyOSError>(py) {
        return Err(error);
    }
    let failures = match state.failures.get(py) {
        Some(failures) => failures.cast_into::<PyList>()?,
        None => PyList::empty(py),
    };
    failures.append(error.value(py))?;
    state.failures.set(failures);
    Ok(())
}

/// Closes the socket of an attempt.
pub fn give_up(this: &Bound<'_, Connecting>) -> PyResult<()> {
    let py = this.py();
    let stopped = stop_watching(this);
    let closed = match this.state().transport.take(py) {
        Some(transport) => transports::abandon(transport.cast::<StreamTransport>()?),
        None => Ok(()),
    };
    stopped.and(closed)
}
