//! The socket and the addresses behind `get_extra_info`. An accepted connection has neither a Python
//! socket nor a dict until somebody asks.

use ferrio_capi::call::call_method;
use ferrio_capi::{StateOf, addresses, runtime};
use ferrio_core::compact_address::{CompactAddress, Known};
use ferrio_core::stream_socket;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PySuper};
use pyo3::{PyTypeInfo, intern};

use super::{StreamState, StreamTransport};
use crate::names::{self, none};

/// asyncio's own `BaseTransport.get_extra_info`, as it was when `ferrio` was imported.
static INHERITED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Notes which `get_extra_info` is asyncio's own.
pub fn remember_inherited(py: Python<'_>) -> PyResult<()> {
    INHERITED.get_or_try_init(py, || inherited(py).map(Bound::unbind)).map(drop)
}

/// What somebody has put into the place of asyncio's own `get_extra_info`, bound to this transport. Tests
/// of protocols replace it in `asyncio.BaseTransport` or one of its subclasses.
pub fn replaced_method<'py>(
    this: &Bound<'py, StreamTransport>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = this.py();
    let current = inherited(py)?;
    if INHERITED.get(py).is_none_or(|original| current.is(original)) {
        return Ok(None);
    }
    let above = PySuper::new(&StreamTransport::type_object(py), this)?;
    above.getattr(intern!(py, "get_extra_info")).map(Some)
}

fn inherited(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    names::FLOW_CONTROL_MIXIN.get(py)?.getattr(intern!(py, "get_extra_info"))
}

/// Notes both addresses, because they can no longer be asked for when the socket is closed.
pub fn note_addresses(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    let fd = state.descriptor()?;
    if !state.sockname.is_set() {
        state.local.set(stream_socket::local_address(fd));
    }
    if state.peer.get().is_unknown() {
        state.peer.set(stream_socket::peer_address(fd));
    }
    if state.peer.get().is_unknown() {
        state.peername.replace(this.py(), addresses::peer(this.py(), fd));
    }
    let local_unknown = state.local.get().is_unknown() && !state.sockname.is_set();
    if local_unknown || (state.peer.get().is_unknown() && !state.peername.is_set()) {
        // An address that only the socket object can tell.
        extra(this)?;
    }
    Ok(())
}

/// The socket object, made now if there is none; closed when the transport is.
pub fn socket<'py>(this: &Bound<'py, StreamTransport>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let state = this.state();
    if let Some(sock) = state.sock.get(py) {
        return Ok(sock);
    }
    let class = names::STOCK_SOCKET.get(py)?;
    let kind = (state.family.get(), state.kind.get(), state.proto.get());
    if !state.owns_fd.get() {
        let sock = class.call1(kind)?;
        sock.call_method0(intern!(py, "close"))?;
        return Ok(sock);
    }
    let sock = class.call1((kind.0, kind.1, kind.2, state.fd.get()))?;
    state.owns_fd.set(false);
    state.sock.set(sock.clone());
    state.sock_open.set(true);
    sock.call_method1(intern!(py, "setblocking"), (false,))?;
    Ok(sock)
}

/// `_extra`, made now if there is none. CPython: _SelectorTransport.__init__
pub fn extra<'py>(this: &Bound<'py, StreamTransport>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let state = this.state();
    if let Some(extra) = state.extra.get(py) {
        return Ok(extra);
    }
    let extra = PyDict::new(py);
    fill(this, &extra)?;
    state.extra.set(extra.clone());
    Ok(extra.into_any())
}

/// Adds the socket and the addresses to a dict that the caller made.
pub fn fill(this: &Bound<'_, StreamTransport>, extra: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = this.py();
    let sock = socket(this)?;
    extra.set_item(intern!(py, "socket"), names::TRANSPORT_SOCKET.get(py)?.call1((&sock,))?)?;
    let local = match this.state().sockname.get(py) {
        Some(local) => local,
        None => address(&sock, this.state().local.get(), intern!(py, "getsockname"))?,
    };
    extra.set_item(intern!(py, "sockname"), local)?;
    let peername = intern!(py, "peername");
    if !extra.contains(peername)? {
        let peer = match this.state().peername.get(py) {
            Some(peer) => peer,
            None => address(&sock, this.state().peer.get(), intern!(py, "getpeername"))?,
        };
        extra.set_item(peername, peer)?;
    }
    Ok(())
}

/// An address as the socket module shows it; None when there is none.
fn address<'py>(
    sock: &Bound<'py, PyAny>,
    known: CompactAddress,
    method: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = sock.py();
    if let Some(address) = shown(py, known) {
        return Ok(address);
    }
    match sock.call_method0(method) {
        Err(error) if error.is_instance_of::<PyOSError>(py) => Ok(none(py)),
        answer => answer,
    }
}

fn shown(py: Python<'_>, known: CompactAddress) -> Option<Bound<'_, PyAny>> {
    match known.get() {
        Known::Unknown => None,
        Known::Absent => Some(none(py)),
        Known::Address(address) => addresses::to_object(py, Some(&address)),
    }
}

/// `get_extra_info`.
pub fn get<'py>(
    this: &Bound<'py, StreamTransport>,
    name: &Bound<'py, PyAny>,
    default: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let state = this.state();
    if !state.extra.is_set()
        && let Ok(name) = name.cast_exact::<PyString>()
    {
        let known = match name.to_str()? {
            "peername" => state.peername.get(py).or_else(|| shown(py, state.peer.get())),
            "sockname" => state.sockname.get(py).or_else(|| shown(py, state.local.get())),
            "socket" => None,
            _ => Some(default.clone()),
        };
        if let Some(answer) = known {
            return Ok(answer);
        }
    }
    call_method(&extra(this)?, intern!(py, "get"), [name, &default])
}

/// Closes a descriptor that has no socket object.
pub fn close_descriptor(state: &StreamState) {
    if state.owns_fd.replace(false) {
        // SAFETY: the descriptor came from accept or socket, belongs to this transport alone (`owns_fd`), and is
        // closed once.
        drop(unsafe { runtime::owned_fd(state.fd.get()) });
    }
}

/// Closes the socket.
pub fn close_socket(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    close_descriptor(state);
    match state.sock.get(this.py()) {
        Some(sock) if state.sock_open.replace(false) => {
            sock.call_method0(intern!(this.py(), "close")).map(drop)
        }
        _ => Ok(()),
    }
}
