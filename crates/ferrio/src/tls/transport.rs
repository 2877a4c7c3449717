//! The transport that the application sees. CPython: asyncio.sslproto._SSLProtocolTransport
//!
//! Shutdown: one that is freed without having been closed warns; the connection below is not its own.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyDict};
use pyo3::{PyTypeInfo, ffi};

use super::protocol::{self, ProtocolState, SSLProtocol};
use super::{ending, stock};
use crate::errors::{Finalizer, warn_unclosed};
use crate::names::none;

pub(super) static TRANSPORT: Class<SSLProtocolTransport> = Class::new();

/// `_SSLProtocolTransport`.
#[derive(Debug)]
pub struct SSLProtocolTransport;

/// The native part of a transport. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct TransportState {
    /// `_loop`.
    pub event_loop: Slot,
    /// `_ssl_protocol`; empty after a second `close`.
    pub protocol: Slot,
    /// `_closed`.
    pub closed: Cell<bool>,
}

// SAFETY: empty slots and false are all-zero.
unsafe impl State for TransportState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.event_loop)?;
        visit.slot(&self.protocol)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.protocol.take(py));
        drop(self.event_loop.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for SSLProtocolTransport {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        TRANSPORT.type_ptr()
    }
}

impl DerefToPyAny for SSLProtocolTransport {}

impl NativeClass for SSLProtocolTransport {
    type State = TransportState;
    const KEPT: usize = 64;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &TRANSPORT
    }

    fn needs_finalizer(state: &TransportState) -> bool {
        !state.closed.get()
    }
}

/// `_get_app_transport`.
pub fn get<'py>(protocol: &Bound<'py, SSLProtocol>) -> PyResult<Bound<'py, PyAny>> {
    let py = protocol.py();
    let state = protocol.state();
    if let Some(transport) = state.app_transport.get(py) {
        return Ok(transport);
    }
    if state.transport_created.replace(true) {
        return Err(PyRuntimeError::new_err("Creating _SSLProtocolTransport twice"));
    }
    let this = TRANSPORT.alloc(py)?;
    this.state().event_loop.set(state.event_loop.get_or_none(py));
    this.state().protocol.set(protocol.clone());
    state.app_transport.set(this.clone());
    Ok(this.into_any())
}

/// Marks the application's transport as closed, so that its end warns of nothing.
pub fn mark_closed(state: &ProtocolState, py: Python<'_>) -> PyResult<()> {
    let Some(transport) = state.app_transport.get(py) else { return Ok(()) };
    match transport.cast::<SSLProtocolTransport>() {
        Ok(native) => {
            native.state().closed.set(true);
            Ok(())
        }
        Err(_) => transport.setattr(intern!(py, "_closed"), true),
    }
}

/// The protocol, whose attribute `name` is wanted.
///
/// # Errors
/// AttributeError, as None has no such attribute.
#[inline]
pub fn protocol_of<'py>(
    this: &Bound<'py, SSLProtocolTransport>,
    name: &str,
) -> PyResult<Bound<'py, SSLProtocol>> {
    match this.state().protocol.get(this.py()) {
        Some(protocol) => Ok(protocol.cast_into::<SSLProtocol>()?),
        None => {
            let text = format!("'NoneType' object has no attribute '{name}'");
            Err(PyAttributeError::new_err(text))
        }
    }
}

/// `object` as a transport that no Python code has changed.
#[inline]
pub fn as_plain<'a, 'py>(
    object: &'a Bound<'py, PyAny>,
) -> Option<&'a Bound<'py, SSLProtocolTransport>> {
    TRANSPORT.cast_exact(object).filter(|transport| TRANSPORT.is_plain(transport))
}

/// Whether `object` is a transport that no Python code has changed, and knows its `sslcontext`.
///
/// # Errors
/// What the look-up raises.
pub fn has_context(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    let Some(protocol) = as_plain(object).and_then(|this| this.state().protocol.get(py)) else {
        return Ok(false);
    };
    let extra = protocol.cast::<SSLProtocol>()?.state().extra.get_or_none(py);
    let Ok(extra) = extra.cast_exact::<PyDict>() else { return Ok(false) };
    let context = extra.get_item(intern!(py, "sslcontext"))?;
    Ok(context.is_some_and(|context| !context.is_none()))
}

/// `is_closing`.
pub fn is_closing(this: &Bound<'_, SSLProtocolTransport>) -> PyResult<bool> {
    let py = this.py();
    if !this.state().closed.get()
        && stock::asks_the_transport_below(py)?
        && let Some(protocol) = this.state().protocol.get(py)
    {
        return protocol::is_transport_closing(protocol.cast::<SSLProtocol>()?);
    }
    Ok(this.state().closed.get())
}

/// `close`.
pub fn close(this: &Bound<'_, SSLProtocolTransport>) -> PyResult<()> {
    let state = this.state();
    if state.closed.replace(true) {
        drop(state.protocol.take(this.py()));
        return Ok(());
    }
    ending::start(&protocol_of(this, "_start_shutdown")?)
}

/// `_force_close`.
pub fn force_close<'py>(
    this: &Bound<'py, SSLProtocolTransport>,
    exception: &Bound<'py, PyAny>,
) -> PyResult<()> {
    this.state().closed.set(true);
    match this.state().protocol.get(this.py()) {
        Some(protocol) => ending::abort(protocol.cast::<SSLProtocol>()?, exception),
        None => Ok(()),
    }
}

/// `abort`.
pub fn abort(this: &Bound<'_, SSLProtocolTransport>) -> PyResult<()> {
    force_close(this, &none(this.py()))
}

/// tp_finalize. CPython: _SSLProtocolTransport.__del__
pub fn finalize(this: &Bound<'_, SSLProtocolTransport>) -> PyResult<()> {
    const PLACE: Finalizer =
        Finalizer { module: "asyncio.sslproto", class: "_SSLProtocolTransport", warning: -1 };
    if this.state().closed.replace(true) {
        return Ok(());
    }
    let text = "unclosed transport <asyncio._SSLProtocolTransport object>";
    warn_unclosed(this.py(), &PLACE, text, None)
}
