//! How a connection gets its ciphertext and gives its own: straight from and to OpenSSL, or through the
//! MemoryBIOs that the SSLObject was made over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrio_capi::call::call_method;
use ferrio_capi::openssl::{self, Busy, Connection, Wire};
use ferrio_capi::{Slot, StateOf};
use ferrio_core::tls::{Place, Places};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

use super::pipe::Pipe;
use super::protocol::{ProtocolState, SSLProtocol};
use super::wrapping::SSL_OBJECT;
use crate::names;

/// What a connection has that talks to OpenSSL itself.
#[derive(Debug)]
pub struct Direct {
    pub connection: Connection,
    pub pipe: Arc<Pipe>,
    /// Data goes through the SSLObject: the context has a callback of the program's, whose exceptions
    /// only that raises.
    pub through_object: Cell<bool>,
    /// It is one of those whose buffers OpenSSL keeps.
    keeps_buffers: RefCell<Option<Place>>,
}

/// Somebody wants the public calls of SSLObject to be used.
static WITHOUT_DIRECT: AtomicBool = AtomicBool::new(false);

/// `_set_tls_engine(name)`: connections that are made from now on use "openssl", where it can be had, or
/// "ssl", the public calls of SSLObject.
#[pyfunction]
#[pyo3(name = "_set_tls_engine", signature = (name, /))]
pub fn set_engine(name: &str) -> PyResult<()> {
    let without = match name {
        "openssl" => false,
        "ssl" => true,
        _ => return Err(PyValueError::new_err("the TLS engines are 'openssl' and 'ssl'")),
    };
    WITHOUT_DIRECT.store(without, Ordering::Relaxed);
    Ok(())
}

/// `_locate_ssl(socket, incoming, outgoing)`: where the pointers lie that connections are served by, in
/// bytes; for tests of what is refused.
#[pyfunction]
#[pyo3(name = "_locate_ssl", signature = (socket, incoming, outgoing, /))]
pub fn locate(
    socket: &Bound<'_, PyAny>,
    incoming: &Bound<'_, PyAny>,
    outgoing: &Bound<'_, PyAny>,
) -> PyResult<(usize, usize)> {
    openssl::try_locate(socket, incoming, outgoing).map_err(PyValueError::new_err)
}

/// The environment variable that chooses the engine before the first connection.
const VARIABLE: &str = "FERRIO_TLS";

/// Why connections use the public calls; None when they do not.
fn reason_against(py: Python<'_>) -> Option<&'static str> {
    static CHOSEN: PyOnceLock<bool> = PyOnceLock::new();
    let by_environment =
        CHOSEN.get_or_init(py, || std::env::var_os(VARIABLE).is_some_and(|name| name == "ssl"));
    if *by_environment {
        return Some("FERRIO_TLS=ssl");
    }
    if WITHOUT_DIRECT.load(Ordering::Relaxed) {
        return Some("_set_tls_engine('ssl')");
    }
    openssl::reason_against(py)
}

/// The engine of new connections, and why it is not the other one.
pub fn path(py: Python<'_>) -> (&'static str, &'static str) {
    match reason_against(py) {
        None => ("openssl", ""),
        Some(reason) => ("ssl", reason),
    }
}

/// Whether new connections talk to OpenSSL themselves, where nothing of theirs forbids it.
pub fn is_direct(py: Python<'_>) -> bool {
    reason_against(py).is_none()
}

/// Has the connection of a protocol whose SSLObject was just made talk to OpenSSL itself, if it can.
pub fn begin(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let object = state.ssl_object.get_or_none(py);
    if !is_direct(py) || !SSL_OBJECT.is_class_of(&object)? {
        return Ok(());
    }
    let socket = object.getattr(intern!(py, "_sslobj"))?;
    adopt(this, socket, [&state.incoming.get_or_none(py), &state.outgoing.get_or_none(py)]);
    Ok(())
}

/// Has the connection of `socket`, which was made over these MemoryBIOs, talk to OpenSSL itself; whether it can.
pub fn adopt<'py>(
    this: &Bound<'py, SSLProtocol>,
    socket: Bound<'py, PyAny>,
    [incoming, outgoing]: [&Bound<'py, PyAny>; 2],
) -> bool {
    let state = this.state();
    let pipe = Arc::new(Pipe::default());
    let wire: Arc<dyn Wire> = pipe.clone();
    let Some(connection) = Connection::adopt(&socket, incoming, outgoing, wire) else {
        return false;
    };
    state.socket.set(socket);
    let through_object = Cell::new(false);
    let keeps_buffers = RefCell::new(None);
    let direct = Direct { connection, pipe, through_object, keeps_buffers };
    state.direct.set(Some(Rc::new(direct)));
    true
}

/// Has OpenSSL read ahead where nobody can tell. A BufferedProtocol can, which is told how much ciphertext waits.
pub fn set_read_ahead(state: &ProtocolState, py: Python<'_>) {
    if let Some((direct, socket)) = state.direct.get().zip(state.socket.get(py)) {
        direct.connection.set_read_ahead(&socket, !state.app_is_buffered.get());
    }
}

/// So many connections keep the two buffers of 17 KiB that contexts of Python have OpenSSL take for each record
/// and give back, which is long work for the C library.
static KEEPERS: Places = Places::new(128);

/// Has OpenSSL keep the buffers of a connection that has begun, where not too many do.
pub fn keep_buffers(state: &ProtocolState, py: Python<'_>) {
    if let Some((direct, socket)) = state.direct.get().zip(state.socket.get(py))
        && let Some(place) = KEEPERS.take()
    {
        direct.connection.keep_buffers(&socket);
        direct.keeps_buffers.replace(Some(place));
    }
}

/// The connection is over, and another one may keep its buffers.
pub fn leave_place(state: &ProtocolState) {
    if let Some(direct) = state.direct.get() {
        direct.keeps_buffers.replace(None);
    }
}

/// The MemoryBIO in a slot: made now, where the connection has used none.
pub fn memory_bio<'py>(slot: &Slot, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    if let Some(bio) = slot.get(py) {
        return Ok(bio);
    }
    let bio = names::MEMORY_BIO.get(py)?.call0()?;
    slot.set(bio.clone());
    Ok(bio)
}

/// Another SSLObject takes the place of the one that the connection was made with.
pub fn replace_object(this: &Bound<'_, SSLProtocol>, object: Bound<'_, PyAny>) {
    let state = this.state();
    state.direct.set(None);
    drop(state.socket.take(this.py()));
    state.ssl_object.set(object);
}

/// `_sslobj.name()`: None when it would be called from inside of another call.
pub fn call_object<'py>(
    this: &Bound<'py, SSLProtocol>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let direct = this.state().direct.get();
    let Some(_busy) = enter(direct.as_deref()) else { return Ok(None) };
    ask_object(this, name).map(Some)
}

/// `_sslobj.name()`; `name` is interned, and one of those of [`SSL_OBJECT`].
pub fn ask_object<'py>(
    this: &Bound<'py, SSLProtocol>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    // Set where the object's methods are its class's own.
    let Some(socket) = this.state().socket.get(py) else {
        return call_method(&this.state().ssl_object.get_or_none(py), name, []);
    };
    let inner = if name.is(intern!(py, "unwrap")) { intern!(py, "shutdown") } else { name };
    call_method(&socket, inner, [])
}

/// A call by way of the SSLObject begins; None when one is under way.
pub fn enter(direct: Option<&Direct>) -> Option<Option<Busy<'_>>> {
    match direct {
        None => Some(None),
        Some(direct) => direct.connection.enter().map(Some),
    }
}

/// `_get_read_buffer_size()`: ciphertext that waits to be decrypted.
pub fn readable(state: &ProtocolState, py: Python<'_>) -> PyResult<usize> {
    match state.direct.get() {
        Some(direct) => Ok(direct.pipe.readable()),
        None => pending(&memory_bio(&state.incoming, py)?),
    }
}

/// Ciphertext that waits to be sent.
pub fn unsent(state: &ProtocolState, py: Python<'_>) -> PyResult<usize> {
    match state.direct.get() {
        Some(direct) => Ok(direct.pipe.unsent()),
        None => pending(&memory_bio(&state.outgoing, py)?),
    }
}

fn pending(bio: &Bound<'_, PyAny>) -> PyResult<usize> {
    bio.getattr(intern!(bio.py(), "pending"))?.extract()
}

/// Adds a copy of ciphertext that has come.
pub fn feed(state: &ProtocolState, py: Python<'_>, data: &[u8]) -> PyResult<()> {
    match state.direct.get() {
        Some(direct) => direct.pipe.push(data),
        None => write_to_bio(state, py, data)?,
    }
    Ok(())
}

/// Adds ciphertext to the MemoryBIO.
pub fn write_to_bio(state: &ProtocolState, py: Python<'_>, data: &[u8]) -> PyResult<()> {
    let incoming = memory_bio(&state.incoming, py)?;
    call_method(&incoming, intern!(py, "write"), [PyBytes::new(py, data).as_any()]).map(drop)
}

/// Drops what waits to be sent.
pub fn discard_output(state: &ProtocolState, py: Python<'_>) -> PyResult<()> {
    if let Some(direct) = state.direct.get() {
        drop(direct.pipe.take_output());
        return Ok(());
    }
    call_method(&memory_bio(&state.outgoing, py)?, intern!(py, "read"), []).map(drop)
}
