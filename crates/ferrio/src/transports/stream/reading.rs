//! Reading: from readiness to data_received(). CPython: _SelectorSocketTransport._read_ready

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use ferrio_capi::StateOf;
use ferrio_capi::buffer::{self, NewBytes};
use ferrio_capi::call::call_method;
use ferrio_core::stream_socket;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::direct::TlsReceiver;
use super::{StreamState, StreamTransport, closing, direct, info};
use crate::errors;
use crate::loop_state::{Act, Direction, EventLoop, unwatch, watch_act, watch_draining_act};

/// Bytes that one read takes at most, where `max_size` says nothing else, and the most that it may say.
/// CPython: _SelectorTransport.max_size
const MAX_SIZE: usize = 256 * 1024;

/// `max_size`: bytes that one read takes at most.
pub fn max_size(state: &StreamState) -> usize {
    match state.max_size.get() {
        0 => MAX_SIZE,
        size => MAX_SIZE.min(size as usize),
    }
}

/// A read of this size and more counts as much.
const MUCH: usize = 32 * 1024;

/// The socket can be read.
static READ: Act = Act {
    run: |object, context| {
        let this = object.cast::<StreamTransport>()?;
        if !this.state().reader.is(context) {
            return Ok(());
        }
        ready(this)
    },
    parts: |object| {
        let py = object.py();
        Ok((object.getattr(intern!(py, "_read_ready"))?, ().into_pyobject(py)?))
    },
};

/// Reading begins, when connection_made() has been called.
pub static START: Act = Act {
    run: |object, _| start(object.cast::<StreamTransport>()?),
    parts: |object| {
        let py = object.py();
        let callback = object.getattr(intern!(py, "_add_reader"))?;
        let reader = object.getattr(intern!(py, "_read_ready"))?;
        let fd = object.getattr(intern!(py, "_sock_fd"))?;
        Ok((callback, (fd, reader).into_pyobject(py)?))
    },
};

/// `_add_reader`.
pub fn start(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.closing.get() || state.paused.get() {
        return Ok(());
    }
    let event_loop = state.native_loop(this.py())?;
    let fd = state.descriptor()?;
    let context = match drains(state, fd) {
        true => watch_draining_act(&event_loop, fd, this.as_any(), &READ)?,
        false => watch_act(&event_loop, Direction::Read, fd, this.as_any(), &READ)?,
    };
    state.reader.set(context);
    Ok(())
}

/// Whether a read that is not full has taken all there was, unless the event said that there is more than data.
/// So it is with TCP. One from a Unix socket stops where a message has descriptors with it.
fn drains(state: &StreamState, fd: BorrowedFd<'_>) -> bool {
    let known = state.drains.get();
    let drains = known.unwrap_or_else(|| match state.proto.get() {
        0 => state.peer.get().is_ip() && stream_socket::is_tcp(fd),
        proto => proto == stream_socket::TCP,
    });
    state.drains.set(Some(drains));
    drains
}

/// After a read of `count` bytes where there was `room` for so many: a full one may have left something.
#[inline]
fn note_read(this: &Bound<'_, StreamTransport>, event_loop: &EventLoop, count: usize, room: usize) {
    if count == room {
        event_loop.note_left(this.py(), this.state().fd.get());
    }
}

/// `loop._remove_reader(fd)`.
pub fn stop(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    drop(state.reader.take(this.py()));
    unwatch(&state.native_loop(this.py())?, Direction::Read, state.descriptor()?)
}

/// `pause_reading`.
pub fn pause(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.closing.get() || state.paused.get() {
        return Ok(());
    }
    state.paused.set(true);
    stop(this)?;
    closing::log(this, "%r pauses reading")
}

/// `resume_reading`.
pub fn resume(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.closing.get() || !state.paused.get() {
        return Ok(());
    }
    state.paused.set(false);
    start(this)?;
    closing::log(this, "%r resumes reading")
}

/// `_read_ready`.
pub fn ready(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    read_ready(this).inspect_err(|_| {
        // It may have come before the read.
        if let Ok(event_loop) = this.state().native_loop(this.py()) {
            event_loop.get().note_left(this.py(), this.state().fd.get());
        }
    })
}

fn read_ready(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    if this.state().conn_lost.get() > 0 {
        return Ok(());
    }
    if !this.state().buffered_protocol.get() {
        return receive(this);
    }
    if this.state().tls_protocol.get() {
        let protocol = this.state().protocol.get_or_none(this.py());
        if let Some(receiver) = direct::tls_receiver(&protocol) {
            return receive_ciphertext(this, &protocol, receiver);
        }
    }
    fill_buffer(this)
}

/// [`fill_buffer`] for a TLS protocol of ours, which takes the loop's memory as it is.
fn receive_ciphertext<'py>(
    this: &Bound<'py, StreamTransport>,
    protocol: &Bound<'py, PyAny>,
    receiver: &TlsReceiver,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let event_loop = state.native_loop(py)?;
    // Taken out, because Python code runs before it is put back.
    let mut memory = std::mem::take(&mut *event_loop.get().scratch.borrow_mut(py));
    if memory.is_empty() {
        memory.resize(MAX_SIZE, 0);
    }
    let read = state.open_descriptor(py).and_then(|fd| stream_socket::recv(fd, &mut memory));
    if let Ok(count) = read {
        note_read(this, event_loop.get(), count, memory.len());
    }
    let (memory, taken) = match read {
        Ok(count @ 1..) => (receiver.receive)(protocol, memory, count),
        _ => (memory, Ok(())),
    };
    drop(std::mem::replace(&mut *event_loop.get().scratch.borrow_mut(py), memory));
    match read {
        Ok(0) => end(this),
        Ok(_) => taken.or_else(|error| {
            closing::fatal(this, error, "Fatal error: protocol.buffer_updated() call failed.")
        }),
        Err(error) => read_failed(this, &error),
    }
}

/// CPython: _read_ready__data_received
fn receive(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let py = this.py();
    let event_loop = this.state().native_loop(py)?;
    let data = match read(this, event_loop.get())? {
        Ok(data) => data,
        Err(error) => return read_failed(this, &error),
    };
    let Some(data) = data else { return end(this) };
    let protocol = this.state().protocol.get_or_none(py);
    let taken = direct::data_received(&protocol, &data);
    event_loop.get().spare_bytes.borrow_mut(py).take_back(data);
    taken.or_else(|error| {
        closing::fatal(this, error, "Fatal error: protocol.data_received() call failed.")
    })
}

type Read<'py> = io::Result<Option<Bound<'py, PyAny>>>;

/// One read: a bytes object, or None at the end. Little goes into memory that all transports share, and
/// is copied once its size is known. After much, the kernel is asked for the size of what comes, and it
/// goes straight into a bytes object of that size; one of the largest size that is cut afterwards costs
/// 81 µs a request instead of 17 with 100 KiB (`make bench-net ROWS=protocol_10x100k`).
fn read<'py>(this: &Bound<'py, StreamTransport>, event_loop: &EventLoop) -> PyResult<Read<'py>> {
    let py = this.py();
    let state = this.state();
    let fd = match state.open_descriptor(py) {
        Ok(fd) => fd,
        Err(error) => return Ok(Err(error)),
    };
    if state.reads_much.get()
        && let Ok(size @ 1..) = stream_socket::available(fd)
    {
        state.reads_much.set(size >= MUCH);
        let room = max_size(state);
        let mut space = NewBytes::new(py, size.min(room))?;
        return Ok(match stream_socket::recv_uninit(fd, space.space()) {
            Ok(0) => Ok(None),
            Ok(count) => {
                note_read(this, event_loop, count, room);
                // SAFETY: recv wrote so many bytes.
                Ok(Some(unsafe { space.finish(count) }?))
            }
            Err(error) => Err(error),
        });
    }
    let mut scratch = event_loop.scratch.borrow_mut(py);
    if scratch.is_empty() {
        scratch.resize(MAX_SIZE, 0);
    }
    let room = max_size(state);
    Ok(match stream_socket::recv(fd, &mut scratch[..room]) {
        Ok(0) => Ok(None),
        Ok(count) => {
            note_read(this, event_loop, count, room);
            state.reads_much.set(count >= MUCH);
            let mut spare = event_loop.spare_bytes.borrow_mut(py);
            Ok(Some(spare.copy(py, &scratch[..count]).into_any()))
        }
        Err(error) => Err(error),
    })
}

fn read_failed(this: &Bound<'_, StreamTransport>, error: &io::Error) -> PyResult<()> {
    if error.kind() == io::ErrorKind::WouldBlock {
        return Ok(());
    }
    let error = errors::os_error(this.py(), error);
    closing::fatal(this, error, "Fatal read error on socket transport")
}

/// CPython: _read_ready__get_buffer
fn fill_buffer(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let py = this.py();
    let protocol = this.state().protocol.get_or_none(py);
    let space = match offered(&protocol) {
        Ok(space) => space,
        Err(error) => {
            let message = "Fatal error: protocol.get_buffer() call failed.";
            return closing::fatal(this, error, message);
        }
    };
    let count = match receive_into(this, &space) {
        Ok(None) => return Ok(()),
        Ok(Some(0)) => return end(this),
        Ok(Some(count)) => count,
        Err(error) => return closing::fatal(this, error, "Fatal read error on socket transport"),
    };
    // get_buffer() may have set another protocol.
    let protocol = this.state().protocol.get_or_none(py);
    let count = count.into_pyobject(py)?.into_any();
    match call_method(&protocol, intern!(py, "buffer_updated"), [&count]) {
        Ok(_) => Ok(()),
        Err(error) => {
            closing::fatal(this, error, "Fatal error: protocol.buffer_updated() call failed.")
        }
    }
}

/// One read into what the protocol offers; None when nothing was there.
fn receive_into(
    this: &Bound<'_, StreamTransport>,
    space: &Bound<'_, PyAny>,
) -> PyResult<Option<usize>> {
    let py = this.py();
    let fd = this.state().open_descriptor(py).map_err(|error| errors::os_error(py, &error))?;
    let event_loop = this.state().native_loop(py)?;
    let filled = buffer::fill(space, |space| -> io::Result<usize> {
        let count = stream_socket::recv(fd, space)?;
        note_read(this, event_loop.get(), count, space.len());
        Ok(count)
    });
    match filled {
        Ok(Ok(count)) => Ok(Some(count)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Ok(Err(error)) => Err(errors::os_error(py, &error)),
        Err(_) => {
            // The socket's own method has the words for what cannot be filled.
            let sock = info::socket(this)?;
            event_loop.get().note_left(py, fd.as_raw_fd());
            sock.call_method1(intern!(py, "recv_into"), (space,))?.extract().map(Some)
        }
    }
}

/// What get_buffer() offers.
fn offered<'py>(protocol: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = protocol.py();
    let any = (-1_i32).into_pyobject(py)?.into_any();
    let space = call_method(protocol, intern!(py, "get_buffer"), [&any])?;
    if space.len()? == 0 {
        return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
    }
    Ok(space)
}

/// The peer sends no more. CPython: _read_ready__on_eof
fn end(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let py = this.py();
    closing::log(this, "%r received EOF")?;
    let protocol = this.state().protocol.get_or_none(py);
    let answer = call_method(&protocol, intern!(py, "eof_received"), []);
    match answer.and_then(|keep_open| keep_open.is_truthy()) {
        Ok(true) => stop(this),
        Ok(false) => closing::close(this),
        Err(error) => {
            closing::fatal(this, error, "Fatal error: protocol.eof_received() call failed.")
        }
    }
}
