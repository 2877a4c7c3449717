//! The transport of a stream socket (TCP, Unix): what stock's `_SelectorSocketTransport` is, as a
//! native subclass of `asyncio.Transport`.
//!
//! State: open -> closing (no more reading; what is buffered is still sent) -> lost (`conn_lost` > 0:
//! connection_lost is scheduled or was called) -> closed (`protocol` and `event_loop` empty).
//! Fields: `reader` and `writer` hold the contexts of the registrations with the loop: an event that
//! carries another one comes from a registration that is gone, and is ignored, as the cancelled handle
//! is on stock. Output waits in `buffer` either because the socket takes no more (`writer` is set) or,
//! with `deferred`, until the end of the item or the batch that runs.
//! Safety: no Python code runs while the buffer is taken out of its cell.
//! Shutdown: an instance that is freed while its socket is open warns and closes it.

pub mod accepting;
mod attributes;
mod clients;
mod closing;
pub mod connecting;
pub mod direct;
mod flow;
mod info;
mod making;
mod methods;
mod reading;
mod writing;

use std::cell::Cell;
use std::ffi::c_int;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use ferrio_capi::buffer::{Buffer, BytesRef};
use ferrio_capi::{Class, NativeClass, Slot, State, Visit, runtime, socket_object};
use ferrio_core::compact_address::CompactAddress;
use ferrio_core::write_buf::WriteBuf;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

pub use making::{Parts, new};
pub use methods::create;

use crate::errors;
use crate::loop_state::{EventLoop, as_native, into_native};

static STREAM_TRANSPORT: Class<StreamTransport> = Class::new();

/// `_SelectorSocketTransport` of a native loop.
#[derive(Debug)]
pub struct StreamTransport;

/// The native part of a transport. All-zero is one whose making has not begun.
pub struct StreamState {
    /// The loop; empty once closed.
    pub event_loop: Slot,
    /// The protocol; empty once closed.
    pub protocol: Slot,
    /// The Server that accepted the connection, until it is closed.
    pub server: Slot,
    /// `_extra`: the dict behind `get_extra_info`; empty until somebody asks for what needs it.
    pub extra: Slot,
    /// The socket object, which this transport owns; empty while `owns_fd` is true. It stays when it is
    /// closed, for `get_extra_info`.
    pub sock: Slot,
    /// The context that the reader is registered in; empty when nothing is read.
    pub reader: Slot,
    /// The context that the writer is registered in; empty when nothing waits for room.
    pub writer: Slot,
    /// The exception that the scheduled connection_lost will get; empty for None.
    pub lost: Slot,
    /// The future that `sendfile` waits on until all is sent.
    pub empty_waiter: Slot,
    /// What is still to be sent; None for nothing.
    buffer: Cell<Option<Box<WriteBuf<Chunk>>>>,
    /// Write buffer limits that were set; None for the default ones.
    limits: Cell<Option<Box<flow::Limits>>>,
    pub fd: Cell<RawFd>,
    /// The descriptor is open and has no socket object.
    pub owns_fd: Cell<bool>,
    /// `sock` is open. Never together with `owns_fd`.
    pub sock_open: Cell<bool>,
    /// Family, type and protocol of a socket that has no object.
    pub family: Cell<u16>,
    pub kind: Cell<u16>,
    pub proto: Cell<u16>,
    /// Where an accepted socket is bound to, as the listening one shows it; else empty.
    pub sockname: Slot,
    /// The name of a peer that has no compact form; else empty.
    pub peername: Slot,
    /// Where the socket is bound to, when `sockname` is empty, and its peer.
    pub local: Cell<CompactAddress>,
    pub peer: Cell<CompactAddress>,
    /// `_conn_lost`: 1 when connection_lost is scheduled, then one more for each write after that.
    pub conn_lost: Cell<u32>,
    /// `max_size` when it was assigned, else 0.
    max_size: Cell<u32>,
    /// The turn of the loop in which a write of this transport was last sent at once.
    sent_in_turn: Cell<u32>,
    /// `EventLoop::disowned` when a write was last sent at once for its sake.
    disowned: Cell<u32>,
    pub closing: Cell<bool>,
    pub paused: Cell<bool>,
    /// write_eof() was called.
    pub eof: Cell<bool>,
    pub protocol_connected: Cell<bool>,
    pub protocol_paused: Cell<bool>,
    /// The protocol is a BufferedProtocol.
    buffered_protocol: Cell<bool>,
    /// It was a TLS protocol of ours when it was set. Never without `buffered_protocol`.
    tls_protocol: Cell<bool>,
    /// The buffer is sent at the end of the item or of the batch. Never together with `writer`.
    deferred: Cell<bool>,
    /// This transport has written more than once in a turn: its first write is deferred as well.
    gathers: Cell<bool>,
    /// The last read was large: the next goes straight into a bytes object.
    reads_much: Cell<bool>,
    /// Whether a read that is not full takes all there is; None until that was asked.
    drains: Cell<Option<bool>>,
}

/// Data that waits to be sent.
#[derive(Debug)]
enum Chunk {
    Bytes(BytesRef),
    View(Buffer),
    Copy(Box<[u8]>),
    /// Ciphertext.
    Own(Vec<u8>),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_ref(),
            Self::View(buffer) => buffer.as_slice(),
            Self::Copy(copy) => copy,
            Self::Own(own) => own,
        }
    }
}

impl std::fmt::Debug for StreamState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "StreamState(fd {})", self.fd.get())
    }
}

impl StreamState {
    fn slots(&self) -> [&Slot; 11] {
        [
            &self.event_loop,
            &self.protocol,
            &self.server,
            &self.extra,
            &self.sock,
            &self.reader,
            &self.writer,
            &self.lost,
            &self.empty_waiter,
            &self.sockname,
            &self.peername,
        ]
    }

    /// The loop.
    ///
    /// # Errors
    /// RuntimeError when the transport is closed.
    pub fn native_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, EventLoop>> {
        let native = self.event_loop.get(py).and_then(into_native);
        native.ok_or_else(|| PyRuntimeError::new_err("the transport is closed"))
    }

    /// The descriptor of the open socket, to send and receive on. Whoever closed the socket object behind
    /// the transport's back, and the transport's own finalizer, leave its number to strangers.
    ///
    /// # Errors
    /// EBADF when the socket is closed.
    #[inline]
    pub fn open_descriptor(&self, py: Python<'_>) -> io::Result<BorrowedFd<'static>> {
        let fd = if self.owns_fd.get() {
            Some(self.fd.get())
        } else {
            self.sock.get(py).and_then(|sock| socket_object::descriptor(&sock))
        };
        fd.and_then(runtime::borrow_fd).ok_or_else(errors::closed_descriptor)
    }

    /// The number of the descriptor, as the loop knows it.
    ///
    /// # Errors
    /// RuntimeError before it is set.
    pub fn descriptor(&self) -> PyResult<BorrowedFd<'static>> {
        runtime::borrow_fd(self.fd.get())
            .ok_or_else(|| PyRuntimeError::new_err("the transport has no descriptor"))
    }

    /// Whether the socket is open.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.owns_fd.get() || self.sock_open.get()
    }

    /// Lets `work` have the buffer. It runs no Python code and drops no chunk.
    fn with_buffer<R>(&self, work: impl FnOnce(&mut WriteBuf<Chunk>) -> R) -> R {
        let mut buffer = self.buffer.take().unwrap_or_default();
        let result = work(&mut buffer);
        if !buffer.is_empty() {
            self.buffer.set(Some(buffer));
        }
        result
    }

    /// Bytes that wait to be sent.
    fn buffered(&self) -> usize {
        let buffer = self.buffer.take();
        let len = buffer.as_ref().map_or(0, |buffer| buffer.len());
        self.buffer.set(buffer);
        len
    }
}

// SAFETY: empty slots, absent boxes, zero numbers and false flags are all-zero bytes.
unsafe impl State for StreamState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        for slot in self.slots() {
            drop(slot.take(py));
        }
        drop(self.buffer.take());
        drop(self.limits.take());
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for StreamTransport {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        STREAM_TRANSPORT.type_ptr()
    }
}

impl DerefToPyAny for StreamTransport {}

impl NativeClass for StreamTransport {
    type State = StreamState;
    const KEPT: usize = 256;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &STREAM_TRANSPORT
    }

    fn needs_finalizer(state: &StreamState) -> bool {
        state.is_open()
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        // SAFETY: called with an instance of this class.
        let state = unsafe { STREAM_TRANSPORT.state_at(object) };
        if let Some(event_loop) = state.event_loop.get(py)
            && let Some(event_loop) = as_native(&event_loop)
        {
            event_loop.get().disown_fd(py, state.fd.get(), object as usize);
        }
        // Only where a subclass kept the finalizer from it.
        info::close_descriptor(state);
    }
}
