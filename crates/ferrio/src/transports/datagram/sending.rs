//! Sending. A datagram goes out at once; only when there is no room for it, it is buffered (by stock's
//! function, which knows how its Python counts) until the socket is writable.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;

use ferrio_capi::addresses;
use ferrio_capi::audit;
use ferrio_capi::buffer::Buffer;
use ferrio_capi::call::call_method;
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Ref, StateOf};
use ferrio_core::datagram_socket;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyTuple};

use super::peers::{Address, Peer};
use super::reading::error_received;
use super::{DatagramState, DatagramTransport, EXTRA, LOOP, base_slot, call_stock};
use crate::names::{self, none};

static SENDTO: Signature<2> =
    Signature { format: c"O|O:sendto", names: [c"data", c"addr"], positional: 2, required: 1 };

/// `sendto`. CPython: _SelectorDatagramTransport.sendto
pub fn sendto<'py>(
    this: &Bound<'py, DatagramTransport>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let py = this.py();
    let Ok([Some(data), address]) = SENDTO.parse(&arguments) else {
        return misfit(this, &arguments);
    };
    match send_now(this, data, address)? {
        Sent::Yes => Ok(none(py)),
        Sent::Failed(error) => {
            error_received(&this.state().protocol.get_or_none(py), &error)?;
            Ok(none(py))
        }
        // No room, or nothing for us: stock's function tries it with the methods of the socket.
        Sent::No | Sent::NotOurs => {
            call_stock(this, "sendto", &[data, address.unwrap_or(&none(py))])
        }
    }
}

/// What stock's function says to arguments that do not fit.
#[cold]
fn misfit<'py>(
    this: &Bound<'py, DatagramTransport>,
    arguments: &Arguments<'_, 'py>,
) -> Object<'py> {
    let (args, keywords) = arguments.to_objects()?;
    let function = names::STOCK_DATAGRAM_TRANSPORT.get(this.py())?.getattr("sendto")?;
    let all: Vec<_> = std::iter::once(this.as_any().clone()).chain(args.iter()).collect();
    function.call(PyTuple::new(this.py(), all)?, Some(&keywords))
}

/// What became of a datagram.
#[must_use]
enum Sent {
    Yes,
    /// There is no room for it.
    No,
    Failed(io::Error),
    /// It needs the methods of the socket, or stock's checks.
    NotOurs,
}

impl From<io::Result<()>> for Sent {
    fn from(outcome: io::Result<()>) -> Self {
        match outcome {
            Ok(()) => Self::Yes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Self::No,
            Err(error) => Self::Failed(error),
        }
    }
}

/// Sends a datagram on an open transport that buffers nothing. What is not plain is left to stock: an
/// empty datagram too, which some versions drop.
fn send_now<'py>(
    this: &Bound<'py, DatagramTransport>,
    data: &Bound<'py, PyAny>,
    address: Option<&Bound<'py, PyAny>>,
) -> PyResult<Sent> {
    let py = this.py();
    let state = this.state();
    if state.conn_lost.get() != 0 || state.has_buffered(py)? {
        return Ok(Sent::NotOurs);
    }
    let fixed = state.address.get(py).filter(|address| !address.is_none());
    if let Some(fixed) = &fixed {
        let agrees = match address {
            Some(address) => address.is_none() || address.is(fixed) || address.eq(fixed)?,
            None => true,
        };
        if !agrees || !fixed.is_truthy()? {
            return Ok(Sent::NotOurs);
        }
    }
    let address = fixed.as_ref().or(address);
    if let Ok(data) = data.cast_exact::<PyBytes>() {
        return match data.as_bytes() {
            [] => Ok(Sent::NotOurs),
            data => send_bytes(this, data, address),
        };
    }
    let is_data = data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
        || data.is_instance_of::<PyBytes>();
    if !is_data {
        return Ok(Sent::NotOurs);
    }
    match Buffer::readable(data) {
        Ok(buffer) if !buffer.is_empty() => send_bytes(this, buffer.as_slice(), address),
        _ => Ok(Sent::NotOurs),
    }
}

/// One system call, to where the socket is connected or to `address`.
fn send_bytes<'py>(
    this: &Bound<'py, DatagramTransport>,
    data: &[u8],
    address: Option<&Bound<'py, PyAny>>,
) -> PyResult<Sent> {
    let py = this.py();
    let state = this.state();
    if is_connected(this)? {
        let sent = state.descriptor(py).map(|fd| datagram_socket::send(fd, data));
        return Ok(sent.map_or(Sent::NotOurs, Sent::from));
    }
    let Some(address) = address else { return Ok(Sent::NotOurs) };
    if audit::audit_sendto(&state.sock.get_or_none(py), address).is_err() {
        // The socket's method asks once more, and stock's function knows whom to tell.
        return Ok(Sent::NotOurs);
    }
    let sent = state.descriptor(py).and_then(|fd| send_to(state, fd, data, address));
    Ok(sent.map_or(Sent::NotOurs, Sent::from))
}

/// Whether `_extra['peername']` is true.
fn is_connected(this: &Bound<'_, DatagramTransport>) -> PyResult<bool> {
    let py = this.py();
    let extra = base_slot(&EXTRA, this).get_or_none(py);
    let key = intern!(py, "peername");
    match extra.cast::<PyDict>() {
        Ok(extra) => match extra.get_item(key)? {
            Some(peer) => peer.is_truthy(),
            None => Ok(false),
        },
        Err(_) => extra.get_item(key)?.is_truthy(),
    }
}

/// Sends to an address, which is often the very object that the last datagram came with, or that the
/// last one was sent to. None when it is none that can be converted.
fn send_to(
    state: &DatagramState,
    fd: BorrowedFd<'_>,
    data: &[u8],
    address: &Bound<'_, PyAny>,
) -> Option<io::Result<()>> {
    let senders = state.senders.take();
    let last = senders.as_ref().and_then(|senders| senders.last_as(address));
    let sent = last.map(|address| send_to_address(fd, data, address));
    state.senders.set(senders);
    if sent.is_some() {
        return sent;
    }
    let receiver = state.receiver.take();
    let same = receiver.filter(|known| known.object.as_ptr() == address.as_ptr());
    let receiver = match same {
        Some(receiver) => receiver,
        None => {
            let known = Address::from(addresses::from_object(state.family(), address)?);
            Box::new(Peer { object: Ref::new(address.clone()), address: known })
        }
    };
    let sent = send_to_address(fd, data, &receiver.address);
    state.receiver.set(Some(receiver));
    Some(sent)
}

#[inline]
fn send_to_address(fd: BorrowedFd<'_>, data: &[u8], address: &Address) -> io::Result<()> {
    match address {
        Address::Internet(address) => datagram_socket::send_to(fd, data, address),
        Address::Other(address) => datagram_socket::send_to(fd, data, &**address),
    }
}

/// `_sendto_ready`. CPython: _SelectorDatagramTransport._sendto_ready
pub fn sendto_ready<'py>(this: &Bound<'py, DatagramTransport>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    let header = header_size(this)?;
    while state.has_buffered(py)? {
        let buffer = state.buffer.get_or_none(py);
        let item = call_method(&buffer, intern!(py, "popleft"), [])?;
        let (data, address) = item.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
        let size = data.len()?.cast_signed() + header;
        state.buffer_size.set(state.buffer_size.get() - size);
        let sent = match data.cast::<PyBytes>() {
            Ok(data) => send_bytes(this, data.as_bytes(), Some(&address))?,
            Err(_) => Sent::NotOurs,
        };
        match sent {
            Sent::Yes => {}
            Sent::No => {
                put_back(state, &buffer, &item, size)?;
                break;
            }
            Sent::Failed(error) => {
                error_received(&state.protocol.get_or_none(py), &error)?;
                return Ok(none(py));
            }
            Sent::NotOurs => {
                put_back(state, &buffer, &item, size)?;
                return call_stock(this, "_sendto_ready", &[]);
            }
        }
    }
    finish(this)
}

fn put_back<'py>(
    state: &DatagramState,
    buffer: &Bound<'py, PyAny>,
    item: &Bound<'py, PyAny>,
    size: isize,
) -> PyResult<()> {
    call_method(buffer, intern!(buffer.py(), "appendleft"), [item])?;
    state.buffer_size.set(state.buffer_size.get() + size);
    Ok(())
}

/// What a buffered datagram counts for beside its bytes when it leaves the buffer. Python 3.13 began to
/// count a header when a datagram enters; the versions that take it off again name its size.
fn header_size(this: &Bound<'_, DatagramTransport>) -> PyResult<isize> {
    match this.getattr_opt(intern!(this.py(), "_header_size"))? {
        Some(size) => size.extract(),
        None => Ok(0),
    }
}

/// The protocol may go on, and a transport that is closing ends when its buffer is empty.
fn finish<'py>(this: &Bound<'py, DatagramTransport>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    call_method(this, intern!(py, "_maybe_resume_protocol"), [])?;
    if !state.has_buffered(py)? {
        let event_loop = base_slot(&LOOP, this).get_or_none(py);
        event_loop.call_method1(intern!(py, "_remove_writer"), (state.fd.get(),))?;
        if state.closing.get() {
            let name = intern!(py, "_call_connection_lost");
            call_method(this, name, [&none(py)])?;
        }
    }
    Ok(none(py))
}
