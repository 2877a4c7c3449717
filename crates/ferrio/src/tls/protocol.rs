//! `SSLProtocol`: the state of a TLS connection. CPython: asyncio.sslproto.SSLProtocol
//!
//! State: `machine` has the phase, and what the application has been told; the diagram is there.
//! Fields: `direct` is set while data goes straight to OpenSSL; then `incoming` and `outgoing`, the
//! MemoryBIOs that the SSLObject reads and writes otherwise, hold nothing, or are not there.
//! Safety: no call into OpenSSL is made while another one of the same connection is under way; the
//! Connection says so. What the field `direct` shares is kept by who works with it.
//! Shutdown: `connection_lost` releases application and transport, as stock's does.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::{Class, NativeClass, Shared, Slot, State, StateOf, Visit};
use ferrio_core::tls::{Machine, Marks};
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi, intern};

use super::engine::Direct;
use crate::deque::Deque;
use crate::transports::stream::direct;

pub(super) static SSL_PROTOCOL: Class<SSLProtocol> = Class::new();

/// `asyncio.sslproto.SSLProtocol`.
#[derive(Debug)]
pub struct SSLProtocol;

/// The native part of a protocol. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct ProtocolState {
    /// `_loop`.
    pub event_loop: Slot,
    /// `_app_protocol`; empty once the connection is lost.
    pub app_protocol: Slot,
    /// `_app_transport`; the same.
    pub app_transport: Slot,
    /// `_transport`: what carries the ciphertext; empty before and after the connection.
    pub transport: Slot,
    /// `_sslcontext`.
    pub context: Slot,
    /// `_sslobj`.
    pub ssl_object: Slot,
    /// The `_ssl._SSLSocket` of `ssl_object`, which owns what `direct` points to; empty without that.
    pub socket: Slot,
    /// `_incoming` and `_outgoing`; [`engine::memory_bio`](super::engine::memory_bio) asks for them.
    pub incoming: Slot,
    pub outgoing: Slot,
    /// `_extra`.
    pub extra: Slot,
    /// `_waiter`: a future that is done when the handshake is.
    pub waiter: Slot,
    /// `_server_hostname`.
    pub server_hostname: Slot,
    /// `_ssl_handshake_timeout` and `_ssl_shutdown_timeout`.
    pub handshake_timeout: Slot,
    pub shutdown_timeout: Slot,
    /// Their timers, while they run.
    pub handshake_timer: Slot,
    pub shutdown_timer: Slot,
    /// `_handshake_start_time`, in debug mode.
    pub handshake_start: Slot,
    /// `_ssl_buffer`: what `get_buffer` offers, made when somebody asks for it.
    pub buffer: Slot,
    pub buffer_view: Slot,
    /// `_write_backlog`: what waits to be encrypted.
    pub backlog: Deque,
    /// `_write_buffer_size`: the `len` of all that.
    pub backlog_size: Cell<usize>,
    pub machine: Machine,
    /// Flow control of the application's writing, and of the transport's reading.
    pub writing: Marks,
    pub reading: Marks,
    /// `_conn_lost`.
    pub conn_lost: Cell<u32>,
    /// How data gets to OpenSSL without the SSLObject.
    pub direct: Shared<Direct>,
    pub server_side: Cell<bool>,
    /// `_app_transport_created`.
    pub transport_created: Cell<bool>,
    /// The application's protocol is a BufferedProtocol.
    pub app_is_buffered: Cell<bool>,
    /// `_ssl_writing_paused`: the transport takes no more for now.
    pub transport_full: Cell<bool>,
    /// `_app_reading_paused`.
    pub app_reading_paused: Cell<bool>,
    /// `_eof_received`: the transport has no more ciphertext.
    pub eof_received: Cell<bool>,
}

impl ProtocolState {
    fn slots(&self) -> [&Slot; 19] {
        [
            &self.event_loop,
            &self.app_protocol,
            &self.app_transport,
            &self.transport,
            &self.context,
            &self.ssl_object,
            &self.socket,
            &self.incoming,
            &self.outgoing,
            &self.extra,
            &self.waiter,
            &self.server_hostname,
            &self.handshake_timeout,
            &self.shutdown_timeout,
            &self.handshake_timer,
            &self.shutdown_timer,
            &self.handshake_start,
            &self.buffer,
            &self.buffer_view,
        ]
    }
}

// SAFETY: empty slots, an empty queue, the first phases, zero marks, nothing shared and false are all-zero.
unsafe impl State for ProtocolState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))?;
        self.backlog.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.direct.set(None);
        self.backlog.clear(py);
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for SSLProtocol {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        SSL_PROTOCOL.type_ptr()
    }
}

impl DerefToPyAny for SSLProtocol {}

impl NativeClass for SSLProtocol {
    type State = ProtocolState;
    const KEPT: usize = 64;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &SSL_PROTOCOL
    }
}

/// `object` as a protocol that no Python code has changed.
#[inline]
pub fn as_plain<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, SSLProtocol>> {
    SSL_PROTOCOL.cast_exact(object).filter(|protocol| SSL_PROTOCOL.is_plain(protocol))
}

/// `_is_transport_closing`.
pub fn is_transport_closing(this: &Bound<'_, SSLProtocol>) -> PyResult<bool> {
    let Some(transport) = this.state().transport.get(this.py()) else { return Ok(false) };
    match direct::is_closing(&transport) {
        Some(closing) => Ok(closing),
        None => transport.call_method0(intern!(this.py(), "is_closing"))?.is_truthy(),
    }
}
