//! From ciphertext to data_received(). CPython: SSLProtocol.buffer_updated, SSLProtocol._do_read

use std::mem::MaybeUninit;

use ferrio_capi::byte_builder::ByteBuilder;
use ferrio_capi::call::call_method;
use ferrio_capi::openssl::{Outcome, Wire};
use ferrio_capi::spare_bytes::SpareBytes;
use ferrio_capi::{StateOf, buffer};
use ferrio_core::tls::Step;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::engine::{self, Direct};
use super::protocol::{self, SSLProtocol};
use super::{ending, errors, flow, handshake, writing};
use crate::loop_state::as_native;
use crate::names;
use crate::transports::stream::direct;

/// `max_size`: bytes that one read asks for.
pub const MAX_SIZE: usize = 256 * 1024;

/// Ciphertext that a native transport has read, at the beginning of `memory`, which is given back.
pub fn receive(
    protocol: &Bound<'_, PyAny>,
    memory: Vec<u8>,
    len: usize,
) -> (Vec<u8>, PyResult<()>) {
    let Some(this) = protocol::as_plain(protocol) else {
        return (memory, Ok(()));
    };
    let Some(direct) = this.state().direct.get() else {
        let fed = engine::write_to_bio(this.state(), this.py(), &memory[..len]);
        return (memory, fed.and_then(|()| work(this)));
    };
    if direct.connection.is_busy() {
        direct.pipe.push(&memory[..len]);
        return (memory, Ok(()));
    }
    direct.pipe.lend(memory, len);
    let outcome = work(this);
    (direct.pipe.take_back(), outcome)
}

/// `buffer_updated`: ciphertext lies in the buffer.
pub fn buffer_updated(this: &Bound<'_, SSLProtocol>, count: usize) -> PyResult<()> {
    let py = this.py();
    let view = get_buffer(this)?;
    let state = this.state();
    buffer::read(&view, |memory| memory[..count.min(memory.len())].to_vec())
        .and_then(|data| engine::feed(state, py, &data))?;
    work(this)
}

/// `get_buffer`.
///
/// It has the full size, whatever is asked for, as stock's; stock makes it at once.
pub fn get_buffer<'py>(this: &Bound<'py, SSLProtocol>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let state = this.state();
    if let Some(view) = state.buffer_view.get(py) {
        return Ok(view);
    }
    let buffer = names::BYTEARRAY.get(py)?.call1((MAX_SIZE,))?;
    let view = pyo3::types::PyMemoryView::from(&buffer)?.into_any();
    state.buffer.set(buffer);
    state.buffer_view.set(view.clone());
    Ok(view)
}

/// Ciphertext has come.
#[inline]
fn work(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    match this.state().machine.on_data() {
        Step::Nothing => Ok(()),
        Step::Handshake => handshake::go_on(this),
        Step::Read => read(this),
        Step::Flush => ending::flush(this),
        Step::Shutdown => ending::shut_down(this),
    }
}

/// The application reads again.
pub fn resume(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    match this.state().machine.on_resume() {
        Step::Nothing | Step::Handshake => Ok(()),
        Step::Read => read(this),
        Step::Flush => ending::flush(this),
        Step::Shutdown => ending::shut_down(this),
    }
}

/// `_resume_reading`.
pub fn resume_soon(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    if !this.state().app_reading_paused.replace(false) {
        return Ok(());
    }
    let event_loop = this.state().event_loop.get_or_none(py);
    let resume = this.getattr(intern!(py, "_resume"))?;
    call_method(&event_loop, intern!(py, "call_soon"), [&resume]).map(drop)
}

/// `_do_read`.
pub fn read(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    read_and(this, writing::process_outgoing)
}

type Answer = fn(&Bound<'_, SSLProtocol>) -> PyResult<()>;

/// `_do_read`, with `answer` in the place of `_process_outgoing`.
pub fn read_and(this: &Bound<'_, SSLProtocol>, answer: Answer) -> PyResult<()> {
    if !this.state().machine.gives_data() {
        return Ok(());
    }
    read_and_answer(this, answer)
        .or_else(|error| errors::fatal_unless_base(this, error, "Fatal error on SSL protocol"))
}

fn read_and_answer(this: &Bound<'_, SSLProtocol>, answer: Answer) -> PyResult<()> {
    let state = this.state();
    if !state.app_reading_paused.get() {
        if state.app_is_buffered.get() {
            fill_buffer(this)?;
        } else {
            copy(this)?;
        }
        if state.backlog.is_idle() {
            answer(this)?;
        } else {
            writing::write_backlog(this)?;
        }
    }
    flow::control_transport_reading(this)
}

/// `_do_read__copied`.
pub fn copy(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let (data, closed) = match straight(this) {
        Some((direct, socket)) => decrypt(this, &direct, &socket)?,
        None => read_through_object(this)?,
    };
    if let Some(data) = data {
        direct::data_received(&this.state().app_protocol.get_or_none(py), &data)?;
        with_spare(this, |spare| spare.take_back(data));
    }
    if closed { peer_closed(this) } else { Ok(()) }
}

/// What the loop keeps for the next bytes object; nothing lasts of it on another loop.
fn with_spare<R>(this: &Bound<'_, SSLProtocol>, work: impl FnOnce(&mut SpareBytes) -> R) -> R {
    let py = this.py();
    match as_native(&this.state().event_loop.get_or_none(py)) {
        Some(native) => work(&mut native.get().spare_bytes.borrow_mut(py)),
        None => work(&mut SpareBytes::default()),
    }
}

type Decrypted<'py> = (Option<Bound<'py, PyAny>>, bool);

/// All data that can be had, and whether the peer sends no more.
fn decrypt<'py>(
    this: &Bound<'py, SSLProtocol>,
    direct: &Direct,
    socket: &Bound<'py, PyAny>,
) -> PyResult<Decrypted<'py>> {
    let py = this.py();
    let waiting = direct.pipe.readable();
    if waiting == 0 && !direct.connection.has_pending(socket) {
        return Ok((None, false));
    }
    if waiting > LITTLE {
        let data = ByteBuilder::with_capacity(py, waiting.min(MAX_SIZE))?;
        return decrypt_behind(this, direct, socket, data);
    }
    let mut space = [MaybeUninit::<u8>::uninit(); LITTLE];
    let read = match direct.connection.read(socket, &mut space) {
        // SAFETY: OpenSSL wrote so many bytes.
        Outcome::Done(count) => unsafe {
            std::slice::from_raw_parts(space.as_ptr().cast::<u8>(), count)
        },
        Outcome::Again => return Ok((None, false)),
        Outcome::Closed => return Ok((None, true)),
        Outcome::Failed => return Err(failure(this)),
    };
    if is_drained(direct, socket) {
        let data = with_spare(this, |spare| spare.copy(py, read));
        return Ok((Some(data.into_any()), false));
    }
    let mut data = ByteBuilder::with_capacity(py, read.len() + RECORD)?;
    data.extend(py, read)?;
    decrypt_behind(this, direct, socket, data)
}

/// [`decrypt`], of what comes behind `data`.
fn decrypt_behind<'py>(
    this: &Bound<'py, SSLProtocol>,
    direct: &Direct,
    socket: &Bound<'py, PyAny>,
    mut data: ByteBuilder,
) -> PyResult<Decrypted<'py>> {
    let py = this.py();
    let closed = loop {
        if data.space().is_empty() {
            data.reserve(py, RECORD)?;
        }
        match direct.connection.read(socket, data.space()) {
            // SAFETY: OpenSSL wrote so many bytes.
            Outcome::Done(count) => unsafe { data.advance(count) },
            Outcome::Again => break false,
            Outcome::Closed => break true,
            Outcome::Failed => return Err(failure(this)),
        }
        if is_drained(direct, socket) {
            break false;
        }
    };
    let data = if data.is_empty() { None } else { Some(data.finish(py)?) };
    Ok((data, closed))
}

/// Whether no more data can be had.
fn is_drained(direct: &Direct, socket: &Bound<'_, PyAny>) -> bool {
    direct.pipe.readable() == 0 && !direct.connection.has_pending(socket)
}

/// What is first decrypted on the stack, and room for what the largest record gives. RFC 8446, 5.1
const LITTLE: usize = 4 * 1024;
const RECORD: usize = 16 * 1024;

/// The exception of a read that OpenSSL has refused: the SSLObject raises it.
#[cold]
fn failure(this: &Bound<'_, SSLProtocol>) -> PyErr {
    let py = this.py();
    let object = this.state().ssl_object.get_or_none(py);
    match object.call_method1(intern!(py, "read"), (1,)) {
        Err(error) => error,
        Ok(_) => errors::unexplained(py, "read"),
    }
}

/// What data goes straight through, if it does.
pub fn straight<'py>(
    this: &Bound<'py, SSLProtocol>,
) -> Option<(std::rc::Rc<Direct>, Bound<'py, PyAny>)> {
    let state = this.state();
    let direct = state.direct.get().filter(|direct| !direct.through_object.get())?;
    Some((direct, state.socket.get(this.py())?))
}

fn read_through_object<'py>(this: &Bound<'py, SSLProtocol>) -> PyResult<Decrypted<'py>> {
    let py = this.py();
    let chunks = PyList::empty(py);
    let closed = loop {
        match read_object(this, MAX_SIZE, None)? {
            None => break false,
            Some(chunk) if !chunk.is_truthy()? => break true,
            Some(chunk) => chunks.append(chunk)?,
        }
    };
    let data = match chunks.len() {
        0 => None,
        1 => Some(chunks.get_item(0)?),
        _ => Some(PyBytes::new(py, b"").call_method1(intern!(py, "join"), (chunks,))?),
    };
    Ok((data, closed))
}

/// `_sslobj.read(len)`, or with a place to read into; None when ciphertext has to come first.
fn read_object<'py>(
    this: &Bound<'py, SSLProtocol>,
    len: usize,
    into: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = this.py();
    let state = this.state();
    let direct = state.direct.get();
    let Some(_busy) = engine::enter(direct.as_deref()) else { return Ok(None) };
    let object = state.ssl_object.get_or_none(py);
    let len = len.into_pyobject(py)?.into_any();
    let name = intern!(py, "read");
    let result = match into {
        None => call_method(&object, name, [&len]),
        Some(into) => call_method(&object, name, [&len, into]),
    };
    match result {
        Ok(result) => Ok(Some(result)),
        Err(error) if errors::is_again(py, &error)? => Ok(None),
        Err(error) => Err(error),
    }
}

/// `_do_read__buffered`.
pub fn fill_buffer(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let protocol = this.state().app_protocol.get_or_none(py);
    let hint = engine::readable(this.state(), py)?.into_pyobject(py)?.into_any();
    let space = call_method(&protocol, intern!(py, "get_buffer"), [&hint])?;
    let wanted = space.len()?;
    let filled = straight(this).and_then(|(direct, socket)| {
        buffer::fill_shared(&space, |start, len| {
            decrypt_into(&direct, &socket, start, len.min(wanted))
        })
        .ok()
    });
    let (filled, closed) = match filled {
        Some((_, Outcome::Failed)) => return Err(failure(this)),
        Some((filled, outcome)) => (filled, outcome == Outcome::Closed),
        // The SSLObject also has the words for what cannot be filled.
        None => fill_through_object(this, &space, wanted)?,
    };
    if filled > 0 && filled == wanted {
        let event_loop = this.state().event_loop.get_or_none(py);
        let again = this.getattr(intern!(py, "_do_read"))?;
        call_method(&event_loop, intern!(py, "call_soon"), [&again])?;
    }
    if filled > 0 {
        let filled = filled.into_pyobject(py)?.into_any();
        let protocol = this.state().app_protocol.get_or_none(py);
        call_method(&protocol, intern!(py, "buffer_updated"), [&filled])?;
    }
    if closed { peer_closed(this) } else { Ok(()) }
}

/// Fills `len` bytes at `start`; how many were, and what the last read came to.
fn decrypt_into(
    direct: &Direct,
    socket: &Bound<'_, PyAny>,
    start: *mut u8,
    len: usize,
) -> (usize, Outcome) {
    let mut filled = 0;
    if len == 0 {
        // As stock, which takes no room for no data. CPython: _ssl__SSLSocket_read_impl
        return (0, Outcome::Closed);
    }
    while filled < len {
        // SAFETY: the rest of the `len` bytes that `buffer::fill_shared` holds.
        let outcome =
            unsafe { direct.connection.read_into(socket, start.add(filled), len - filled) };
        match outcome {
            Outcome::Done(count) => filled += count,
            outcome => return (filled, outcome),
        }
    }
    (filled, Outcome::Done(filled))
}

fn fill_through_object<'py>(
    this: &Bound<'py, SSLProtocol>,
    space: &Bound<'py, PyAny>,
    wanted: usize,
) -> PyResult<(usize, bool)> {
    let py = this.py();
    let mut filled = 0;
    loop {
        let rest = match filled {
            0 => space.clone(),
            _ => space.get_item(pyo3::types::PySlice::new(py, filled as isize, isize::MAX, 1))?,
        };
        match read_object(this, wanted - filled, Some(&rest))? {
            None => return Ok((filled, false)),
            Some(count) => match count.extract::<usize>()? {
                0 => return Ok((filled, true)),
                count => filled += count,
            },
        }
        if filled >= wanted {
            return Ok((filled, false));
        }
    }
}

/// The peer has said that it sends no more (close_notify).
fn peer_closed(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    tell_eof(this)?;
    ending::start(this)
}

/// `_call_eof_received`.
pub fn tell_eof(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    if !this.state().machine.tell_eof() {
        return Ok(());
    }
    let protocol = this.state().app_protocol.get_or_none(py);
    let answer = call_method(&protocol, intern!(py, "eof_received"), [])
        .and_then(|keep_open| keep_open.is_truthy())
        .and_then(|keep_open| if keep_open { warn(py) } else { Ok(()) });
    answer
        .or_else(|error| errors::fatal_unless_leaving(this, error, "Error calling eof_received()"))
}

fn warn(py: Python<'_>) -> PyResult<()> {
    let text = "returning true from eof_received() has no effect when using ssl";
    names::LOGGER.get(py)?.call_method1(intern!(py, "warning"), (text,)).map(drop)
}
