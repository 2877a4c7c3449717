//! Writing: what fits is sent at once, the rest when the socket has room. Writes of one turn after the
//! first are gathered and sent together at its end ([`defers`]). CPython: _SelectorSocketTransport.write

use std::io::{self, IoSlice};

use ferrio_capi::StateOf;
use ferrio_capi::buffer::{Buffer, BytesRef};
use ferrio_core::stream_socket::{self, MOST_PIECES};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

use super::{Chunk, StreamTransport, closing, flow};
use crate::loop_state::{Act, Direction, get, unwatch, watch_act};
use crate::{errors, names};

/// Writes after the connection was lost that pass in silence.
/// CPython: constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES
const SILENT_WRITES: u32 = 5;

/// The socket has room.
static WRITE: Act = Act {
    run: |object, context| {
        let this = object.cast::<StreamTransport>()?;
        if !this.state().writer.is(context) {
            return Ok(());
        }
        ready(this)
    },
    parts: |object| {
        let py = object.py();
        Ok((object.getattr(intern!(py, "_write_ready"))?, ().into_pyobject(py)?))
    },
};

/// `write`.
pub fn write<'py>(this: &Bound<'py, StreamTransport>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    let state = this.state();
    check_type(data)?;
    check_writable(this)?;
    if data.len()? == 0 {
        return Ok(());
    }
    if state.conn_lost.get() > 0 {
        return refuse(this);
    }
    let chunk = match chunk_of(data) {
        Ok(chunk) => chunk,
        Err(error) => return closing::fatal(this, error, FATAL),
    };
    write_chunk(this, chunk).map(drop)
}

/// `write` of memory of ours, which comes back when it is not needed any more.
pub fn write_owned(this: &Bound<'_, StreamTransport>, data: Vec<u8>) -> PyResult<Vec<u8>> {
    check_writable(this)?;
    if data.is_empty() {
        return Ok(data);
    }
    if this.state().conn_lost.get() > 0 {
        return refuse(this).map(|()| data);
    }
    match write_chunk(this, Chunk::Own(data))? {
        Some(Chunk::Own(memory)) => Ok(memory),
        _ => Ok(Vec::new()),
    }
}

fn check_writable(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.eof.get() {
        return Err(PyRuntimeError::new_err("Cannot call write() after write_eof()"));
    }
    if state.empty_waiter.is_set() {
        return Err(PyRuntimeError::new_err("unable to write; sendfile is in progress"));
    }
    Ok(())
}

/// Sends a chunk, or has it wait; one that was sent comes back.
fn write_chunk(this: &Bound<'_, StreamTransport>, chunk: Chunk) -> PyResult<Option<Chunk>> {
    let state = this.state();
    // In resume_writing() the writer is set and the buffer empty: then there is room, as on stock.
    let waits = state.writer.is_set();
    if state.deferred.get() || (waits && state.buffered() > 0) {
        queue(this, chunk, 0);
        state.gathers.set(true);
        return flow::maybe_pause(this).map(|()| None);
    }
    if !waits && defers(this, chunk.as_ref().len())? {
        queue(this, chunk, 0);
        state.deferred.set(true);
        state.native_loop(this.py())?.get().call_before_poll(this.as_any(), flush_before_poll);
        return flow::maybe_pause(this).map(|()| None);
    }
    send_now(this, chunk)
}

/// A longer write does not wait for those of other transports: copying it later, out of the processor's
/// caches by then, costs more than a wake-up. An echo of 10 KiB on 100 connections took 15 % more.
const MOST_TO_DEFER: usize = 4096;

const FATAL: &str = "Fatal write error on socket transport";

/// Sends one chunk at once; what does not fit waits for room. One that is sent comes back.
fn send_now(this: &Bound<'_, StreamTransport>, chunk: Chunk) -> PyResult<Option<Chunk>> {
    let state = this.state();
    let descriptor = state.open_descriptor(this.py());
    let sent = match descriptor.and_then(|fd| stream_socket::send(fd, chunk.as_ref())) {
        Ok(sent) => sent,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => {
            drop(chunk);
            let error = errors::os_error(this.py(), &error);
            return closing::fatal(this, error, FATAL).map(|()| None);
        }
    };
    if sent < chunk.as_ref().len() {
        start(this)?;
        queue(this, chunk, sent);
        return flow::maybe_pause(this).map(|()| None);
    }
    Ok(Some(chunk))
}

/// What `write` says that it takes.
const WANTED: &str =
    if cfg!(Py_3_14) { "a bytes, bytearray, or memoryview object" } else { "a bytes-like object" };

fn check_type(data: &Bound<'_, PyAny>) -> PyResult<()> {
    if data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
    {
        return Ok(());
    }
    let name = data.get_type().name()?;
    let text = format!("data argument must be {WANTED}, not {}", name.repr()?);
    Err(PyTypeError::new_err(text))
}

/// A write after the connection was lost.
#[cold]
fn refuse(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.conn_lost.get() >= SILENT_WRITES {
        let text = "socket.send() raised exception.";
        names::LOGGER.get(this.py())?.call_method1("warning", (text,))?;
    }
    state.conn_lost.set(state.conn_lost.get() + 1);
    Ok(())
}

/// The data as something to keep until it is sent. What its owner may change is copied when it has to
/// wait ([`queue`]).
fn chunk_of(data: &Bound<'_, PyAny>) -> PyResult<Chunk> {
    match data.cast_exact::<PyBytes>() {
        Ok(bytes) => Ok(Chunk::Bytes(BytesRef::new(bytes.clone()))),
        Err(_) => Buffer::readable(data).map(Chunk::View),
    }
}

/// Puts a chunk, of which `sent` bytes are gone, into the buffer.
fn queue(this: &Bound<'_, StreamTransport>, chunk: Chunk, sent: usize) {
    let (chunk, sent) = match chunk {
        Chunk::View(view) if !view.is_readonly() => {
            (Chunk::Copy(view.as_slice()[sent..].into()), 0)
        }
        chunk => (chunk, sent),
    };
    let empty = this.state().with_buffer(|buffer| buffer.push(chunk, sent));
    drop(empty);
}

/// Whether a write waits until the item that runs, or the batch, has ended. That comes only where the loop
/// runs a batch.
///
/// The first write of a turn does not wait, unless the transport usually writes several times: then they
/// leave together. Over TCP, where nobody can know when a peer sees what was sent, short ones of the other
/// transports wait too where some time has passed since the last send (`EventLoop::note_write`): a request
/// of aiohttp's server took 61 µs of CPU on 64 connections with each answer sent at once, 41 µs so. A peer
/// in the same process may read a Unix socket later in the batch: there it is sent when the item ends, and
/// at once after the loop closed a connection. That may have been the peer, and `write` has to learn of it.
fn defers(this: &Bound<'_, StreamTransport>, len: usize) -> PyResult<bool> {
    let state = this.state();
    let event_loop = state.native_loop(this.py())?;
    let native = event_loop.get();
    if !get(&native.in_batch) {
        return Ok(false);
    }
    let turn = native.turn();
    if state.sent_in_turn.get() == turn {
        state.gathers.set(true);
    }
    let gathers = state.gathers.get();
    let waits = if state.peer.get().is_ip() {
        (gathers || len <= MOST_TO_DEFER) && native.note_write(gathers)
    } else {
        gathers && state.disowned.replace(native.disowned()) == native.disowned()
    };
    if !waits {
        state.sent_in_turn.set(turn);
    } else if !state.peer.get().is_ip() {
        native.call_after_item();
    }
    Ok(waits)
}

fn flush_before_poll(object: &Bound<'_, PyAny>) {
    let Ok(this) = object.cast::<StreamTransport>() else { return };
    if wrote_once(this) {
        this.state().gathers.set(false);
    }
    if let Err(error) = flush(this).and_then(|()| flow::maybe_pause(this)) {
        error.write_unraisable(object.py(), Some(object));
    }
}

/// Whether the write that was deferred is the only one of this turn: none was sent before it, none came
/// after it.
fn wrote_once(this: &Bound<'_, StreamTransport>) -> bool {
    let state = this.state();
    state.deferred.get()
        && state.with_buffer(|buffer| buffer.chunks()) == 1
        && state
            .native_loop(this.py())
            .is_ok_and(|event_loop| state.sent_in_turn.get() != event_loop.get().turn())
}

/// Sends what is deferred, because somebody looks or the batch has ended.
pub fn flush(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if !state.deferred.replace(false) {
        return Ok(());
    }
    match send_buffer(this)? {
        Ok(()) if state.buffered() == 0 => Ok(()),
        Ok(()) => start(this),
        Err(error) => {
            discard(this);
            closing::fatal(this, errors::os_error(this.py(), &error), FATAL)
        }
    }
}

/// Sends what fits of the buffer.
fn send_buffer(this: &Bound<'_, StreamTransport>) -> PyResult<io::Result<()>> {
    let state = this.state();
    let fd = match state.open_descriptor(this.py()) {
        Ok(fd) => fd,
        Err(error) => return Ok(Err(error)),
    };
    let outcome = state.with_buffer(|buffer| {
        let sent = if buffer.chunks() == 1 {
            stream_socket::send(fd, buffer.first())
        } else {
            let mut pieces = Vec::<IoSlice<'_>>::with_capacity(buffer.chunks().min(MOST_PIECES));
            buffer.slices(&mut pieces, MOST_PIECES);
            stream_socket::send_vectored(fd, &pieces)
        };
        sent.map(|count| buffer.advance(count))
    });
    match outcome.map(|done| done.first) {
        Ok(Some(Chunk::Own(memory))) => {
            state.native_loop(this.py())?.get().keep_output(this.py(), memory);
            Ok(Ok(()))
        }
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Ok(Err(error)),
        _ => Ok(Ok(())),
    }
}

/// Waits for room in the socket.
fn start(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    let event_loop = state.native_loop(this.py())?;
    let fd = state.descriptor()?;
    let context = watch_act(&event_loop, Direction::Write, fd, this.as_any(), &WRITE)?;
    state.writer.set(context);
    Ok(())
}

/// `loop._remove_writer(fd)`.
pub fn stop(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.writer.take(this.py()).is_none() {
        return Ok(());
    }
    unwatch(&state.native_loop(this.py())?, Direction::Write, state.descriptor()?)
}

/// Drops what is buffered.
pub fn discard(this: &Bound<'_, StreamTransport>) {
    let chunks = this.state().with_buffer(|buffer| buffer.take_all());
    this.state().deferred.set(false);
    drop(chunks);
}

/// `_write_ready`. CPython: _SelectorSocketTransport._write_sendmsg
pub fn ready(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.conn_lost.get() > 0 || state.buffered() == 0 {
        return Ok(());
    }
    if let Err(error) = send_buffer(this)? {
        return write_failed(this, &error);
    }
    flow::maybe_resume(this)?;
    if state.buffered() > 0 {
        return Ok(());
    }
    stop(this)?;
    if let Some(waiter) = state.empty_waiter.get(this.py()) {
        waiter.call_method1(intern!(this.py(), "set_result"), (this.py().None(),))?;
    }
    // What resume_writing() did may have ended the connection: since 3.14 that is noticed.
    if state.closing.get() && !(cfg!(Py_3_14) && state.conn_lost.get() > 0) {
        closing::connection_lost(this, names::none(this.py()))
    } else if state.eof.get() {
        shutdown(this)
    } else {
        Ok(())
    }
}

fn write_failed(this: &Bound<'_, StreamTransport>, error: &io::Error) -> PyResult<()> {
    let py = this.py();
    stop(this)?;
    discard(this);
    let exception = errors::os_error(py, error).into_value(py);
    closing::fatal(this, PyErr::from_value(exception.bind(py).clone().into_any()), FATAL)?;
    closing::fail_empty_waiter(this, || PyErr::from_value(exception.bind(py).clone().into_any()))
}

/// `write_eof`.
pub fn write_eof(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.closing.get() || state.eof.get() {
        return Ok(());
    }
    flush(this)?;
    state.eof.set(true);
    if state.buffered() == 0 && !state.closing.get() { shutdown(this) } else { Ok(()) }
}

fn shutdown(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let descriptor = this.state().open_descriptor(this.py());
    let outcome = descriptor.and_then(stream_socket::shutdown_write);
    outcome.map_err(|error| errors::os_error(this.py(), &error))
}

/// `writelines`, since 3.12; before, asyncio joined the lines and wrote them.
pub fn writelines<'py>(
    this: &Bound<'py, StreamTransport>,
    lines: &Bound<'py, PyAny>,
) -> PyResult<()> {
    if cfg!(not(Py_3_12)) {
        let joined = PyBytes::new(this.py(), b"").call_method1("join", (lines,))?;
        return write(this, &joined);
    }
    let state = this.state();
    if state.eof.get() {
        return Err(PyRuntimeError::new_err("Cannot call writelines() after write_eof()"));
    }
    if state.empty_waiter.is_set() {
        return Err(PyRuntimeError::new_err("unable to writelines; sendfile is in progress"));
    }
    if !lines.is_truthy()? {
        return Ok(());
    }
    if cfg!(Py_3_14) && state.conn_lost.get() > 0 {
        return refuse(this);
    }
    let mut chunks = Vec::new();
    for line in lines.try_iter()? {
        let line = line?;
        // Since 3.14 what is empty is passed over, whatever it is.
        if cfg!(Py_3_14) && !line.is_truthy()? {
            continue;
        }
        // As stock's `memoryview(line)`, which says what it cannot take.
        chunks.push(match line.cast_exact::<PyBytes>() {
            Ok(bytes) => Chunk::Bytes(BytesRef::new(bytes.clone())),
            Err(_) => Chunk::View(Buffer::readable(PyMemoryView::from(&line)?.as_any())?),
        });
    }
    if state.conn_lost.get() > 0 {
        return refuse(this);
    }
    let room = !state.writer.is_set() || state.buffered() == 0;
    for chunk in chunks {
        queue(this, chunk, 0);
    }
    if room && state.buffered() > 0 {
        state.deferred.set(true);
        flush(this)?;
    }
    flow::maybe_pause(this)
}
