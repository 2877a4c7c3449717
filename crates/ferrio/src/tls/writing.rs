//! From write() to ciphertext. CPython: SSLProtocol._write_appdata, _do_write, _process_outgoing

use ferrio_capi::call::call_method;
use ferrio_capi::openssl::{Outcome, Wire};
use ferrio_capi::{StateOf, buffer};
use ferrio_core::tls::Phase;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice, PyTuple};

use super::engine::{self, Direct};
use super::protocol::SSLProtocol;
use super::{errors, flow, reading};
use crate::loop_state::{Act, as_native, call_act_soon};
use crate::names;
use crate::transports::stream::direct;

/// Writes after the connection was lost that pass in silence.
/// CPython: constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES
const SILENT_WRITES: u32 = 5;

/// Bytes of a record, and what TLS adds to one at most. RFC 8446, 5.2
const RECORD: usize = 16 * 1024;
const OVERHEAD: usize = 256 + 5;

/// `transport.write(data)`, of data that is not empty.
pub fn write<'py>(this: &Bound<'py, SSLProtocol>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    let state = this.state();
    if !state.machine.takes_data() {
        return refuse(this);
    }
    let straight = match state.machine.phase() {
        Phase::Wrapped if state.backlog.is_idle() => reading::straight(this),
        _ => None,
    };
    let Some((direct, socket)) = straight else {
        enqueue(this, data)?;
        return write_now(this);
    };
    let len = data.len()?;
    state.backlog_size.set(state.backlog_size.get() + len);
    encrypt_at_once(this, &direct, &socket, data, len)
        .and_then(|()| process_outgoing(this))
        .or_else(|error| errors::fatal_unless_base(this, error, FATAL))
}

const FATAL: &str = "Fatal error on SSL protocol";

/// `_write_appdata(list_of_data)`.
pub fn write_all<'py>(this: &Bound<'py, SSLProtocol>, lines: &Bound<'py, PyAny>) -> PyResult<()> {
    if !this.state().machine.takes_data() {
        return refuse(this);
    }
    for data in lines.try_iter()? {
        enqueue(this, &data?)?;
    }
    write_now(this)
}

/// Has data wait.
pub fn enqueue<'py>(this: &Bound<'py, SSLProtocol>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    let state = this.state();
    state.backlog.push_back(data.clone())?;
    state.backlog_size.set(state.backlog_size.get() + data.len()?);
    Ok(())
}

fn write_now(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    if this.state().machine.phase() != Phase::Wrapped {
        return Ok(());
    }
    write_backlog(this).or_else(|error| errors::fatal_unless_base(this, error, FATAL))
}

/// A write after the end.
#[cold]
fn refuse(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let lost = &this.state().conn_lost;
    if lost.get() >= SILENT_WRITES {
        let text = "SSL connection is closed";
        names::LOGGER.get(this.py())?.call_method1(intern!(this.py(), "warning"), (text,))?;
    }
    lost.set(lost.get() + 1);
    Ok(())
}

/// Encrypts data before which nothing waits; what is left over waits.
fn encrypt_at_once<'py>(
    this: &Bound<'py, SSLProtocol>,
    direct: &Direct,
    socket: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
    len: usize,
) -> PyResult<()> {
    let state = this.state();
    match encrypt(this, direct, socket, data)? {
        None => {
            state.backlog_size.set(state.backlog_size.get().saturating_sub(len));
            Ok(())
        }
        Some(0) => state.backlog.push_back(data.clone()),
        Some(done) => {
            state.backlog_size.set(state.backlog_size.get().saturating_sub(done));
            state.backlog.push_back(rest_of(data, done)?)
        }
    }
}

/// `_do_write`.
pub fn write_backlog(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    while let Some(data) = state.backlog.get(py, 0)? {
        let len = match data.len() {
            Ok(len) => len,
            // The SSLObject has the words for what is no data.
            Err(error) => return write_object(this, &data).and(Err(error)),
        };
        let done = match reading::straight(this) {
            Some((direct, socket)) if len > 0 => encrypt(this, &direct, &socket, &data)?,
            _ => match write_object(this, &data)? {
                None => break,
                Some(count) if count < len => Some(count),
                Some(_) => None,
            },
        };
        let Some(done) = done else {
            drop(state.backlog.pop_front(py)?);
            state.backlog_size.set(state.backlog_size.get().saturating_sub(len));
            continue;
        };
        if done == 0 {
            break;
        }
        drop(state.backlog.pop_front(py)?);
        state.backlog.push_front(rest_of(&data, done)?)?;
        state.backlog_size.set(state.backlog_size.get().saturating_sub(done));
        if reading::straight(this).is_some() {
            break;
        }
    }
    process_outgoing(this)
}

/// `data[done:]`.
fn rest_of<'py>(data: &Bound<'py, PyAny>, done: usize) -> PyResult<Bound<'py, PyAny>> {
    data.get_item(PySlice::new(data.py(), done as isize, isize::MAX, 1))
}

/// `_sslobj.write(data)`; None when ciphertext has to come first.
fn write_object<'py>(
    this: &Bound<'py, SSLProtocol>,
    data: &Bound<'py, PyAny>,
) -> PyResult<Option<usize>> {
    let py = this.py();
    let state = this.state();
    let direct = state.direct.get();
    let Some(_busy) = engine::enter(direct.as_deref()) else { return Ok(None) };
    let object = state.ssl_object.get_or_none(py);
    match call_method(&object, intern!(py, "write"), [data]) {
        Ok(count) => Ok(Some(count.extract()?)),
        Err(error) if errors::is_again(py, &error)? => Ok(None),
        Err(error) => Err(error),
    }
}

/// Encrypts all of `data`: None when it is done, else how much of it is.
fn encrypt<'py>(
    this: &Bound<'py, SSLProtocol>,
    direct: &Direct,
    socket: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
) -> PyResult<Option<usize>> {
    let outcome = match data.cast_exact::<PyBytes>() {
        Ok(bytes) => encrypt_bytes(this, direct, socket, bytes.as_bytes()),
        Err(_) => buffer::read(data, |bytes| encrypt_bytes(this, direct, socket, bytes))?,
    };
    match outcome {
        (_, Outcome::Failed) => {
            // The SSLObject tells why.
            let object = this.state().ssl_object.get_or_none(this.py());
            match call_method(&object, intern!(this.py(), "write"), [data]) {
                Err(error) => Err(error),
                Ok(_) => Err(errors::unexplained(this.py(), "write")),
            }
        }
        (_, Outcome::Done(_)) => Ok(None),
        (done, _) => Ok(Some(done)),
    }
}

fn encrypt_bytes(
    this: &Bound<'_, SSLProtocol>,
    direct: &Direct,
    socket: &Bound<'_, PyAny>,
    data: &[u8],
) -> (usize, Outcome) {
    make_room(this, direct, data.len() + data.len().div_ceil(RECORD) * OVERHEAD);
    let mut done = 0;
    while done < data.len() {
        match direct.connection.write(socket, &data[done..]) {
            Outcome::Done(count) => done += count,
            outcome => return (done, outcome),
        }
    }
    (done, Outcome::Done(done))
}

/// `_process_outgoing`.
#[inline]
pub fn process_outgoing(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    if !this.state().transport_full.get() {
        send(this)?;
    }
    flow::control_app_writing(this)
}

/// `_process_outgoing` at the end of a handshake. All that a server of TLS 1.3 has to send then are session
/// tickets. Nobody waits for them: they leave with the answer of a task that begins in the next turn, or else at
/// its end.
pub fn process_tickets(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let event_loop = this.state().event_loop.get_or_none(py);
    if waits_for_nobody(this)
        && as_native(&event_loop).is_some_and(|native| native.get().takes_items())
    {
        return call_act_soon(&event_loop, this.as_any(), &SEND_TICKETS);
    }
    process_outgoing(this)
}

fn waits_for_nobody(this: &Bound<'_, SSLProtocol>) -> bool {
    this.state().server_side.get()
        && reading::straight(this).is_some_and(|(direct, socket)| {
            direct.pipe.unsent() > 0 && direct.connection.is_tls13(&socket)
        })
}

static SEND_TICKETS: Act = Act {
    run: |this, _| {
        let this = this.cast::<SSLProtocol>()?;
        // They may have left with an answer, or been dropped with the connection.
        if engine::unsent(this.state(), this.py())? == 0 {
            return Ok(());
        }
        process_outgoing(this).or_else(|error| errors::fatal_unless_base(this, error, FATAL))
    },
    parts: |this| {
        let py = this.py();
        Ok((this.getattr(intern!(py, "_process_outgoing"))?, PyTuple::empty(py)))
    },
};

/// Sends what [`process_tickets`] has left for later, because somebody looks.
pub fn send_tickets(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    if this.state().transport_full.get() { Ok(()) } else { send(this) }
}

fn send(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let Some(direct) = state.direct.get() else {
        let data = call_method(&engine::memory_bio(&state.outgoing, py)?, intern!(py, "read"), [])?;
        if data.len()? > 0 {
            direct::write(&state.transport.get_or_none(py), &data)?;
        }
        return Ok(());
    };
    if direct.pipe.unsent() > 0 {
        let output = direct.pipe.take_output();
        let memory = direct::write_owned(&state.transport.get_or_none(py), output)?;
        keep_memory(this, memory);
    }
    Ok(())
}

/// Room for so much ciphertext, in memory that the loop has kept.
fn make_room(this: &Bound<'_, SSLProtocol>, direct: &Direct, room: usize) {
    direct.pipe.make_room(room, || {
        let event_loop = this.state().event_loop.get_or_none(this.py());
        match as_native(&event_loop) {
            Some(native) => native.get().take_output(this.py(), room),
            None => Vec::new(),
        }
    });
}

fn keep_memory(this: &Bound<'_, SSLProtocol>, memory: Vec<u8>) {
    let event_loop = this.state().event_loop.get_or_none(this.py());
    if let Some(native) = as_native(&event_loop) {
        native.get().keep_output(this.py(), memory);
    }
}
