//! `StreamReaderProtocol` as an object: its state, and what the transport tells it.
//! CPython: asyncio.streams.StreamReaderProtocol
//!
//! Fields: `closed` is made when somebody asks for it; until then `outcome` and `error` say how the
//! connection ended. A protocol that is no instance of a subclass and has no attributes of its own is
//! plain, as readers are.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::InitArguments;
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyWeakrefMethods, PyWeakrefReference};
use pyo3::{PyTypeInfo, ffi, intern};

use super::flow_control::{FlowControl, FlowControlled, resolve};
use super::reader::{self, StreamReader};
use crate::futures::{AsFuture, methods as futures};
use crate::locks::waiting;
use crate::loop_state::{as_native, get};
use crate::names::none;

pub(super) static PROTOCOL: Class<StreamReaderProtocol> = Class::new();

/// `asyncio.StreamReaderProtocol`.
#[derive(Debug)]
pub struct StreamReaderProtocol;

/// The native part of a protocol. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct ProtocolState {
    pub flow: FlowControl,
    /// `_stream_reader_wr`: a weak reference to the reader.
    pub reader: Slot,
    /// `_strong_reader`: the reader of a server's connection, until that is made.
    pub strong_reader: Slot,
    /// `_client_connected_cb`.
    pub client_connected: Slot,
    /// `_task`: what the callback began.
    pub task: Slot,
    /// `_transport`.
    pub transport: Slot,
    /// `_stream_writer`, which is kept before 3.13.
    pub writer: Slot,
    /// `_source_traceback`.
    pub source_traceback: Slot,
    /// `_closed`.
    pub closed: Slot,
    /// The exception of a connection that ended before `_closed` was made.
    pub error: Slot,
    pub outcome: Cell<Outcome>,
    /// `_over_ssl`.
    pub over_ssl: Cell<bool>,
    /// `_reject_connection`.
    pub reject_connection: Cell<bool>,
}

/// How the connection ended, while nobody asked for `_closed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Outcome {
    /// It has not, or `_closed` says it.
    Pending = 0,
    Closed,
    Failed,
}

// SAFETY: FlowControl, empty slots, `Outcome::Pending` and false are all-zero.
unsafe impl State for ProtocolState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))?;
        self.flow.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.flow.clear(py);
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
    }
}

impl ProtocolState {
    fn slots(&self) -> [&Slot; 9] {
        [
            &self.reader,
            &self.strong_reader,
            &self.client_connected,
            &self.task,
            &self.transport,
            &self.writer,
            &self.source_traceback,
            &self.closed,
            &self.error,
        ]
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for StreamReaderProtocol {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        PROTOCOL.type_ptr()
    }
}

impl DerefToPyAny for StreamReaderProtocol {}

impl NativeClass for StreamReaderProtocol {
    type State = ProtocolState;
    const KEPT: usize = 128;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &PROTOCOL
    }

    fn needs_finalizer(state: &ProtocolState) -> bool {
        state.closed.is_set()
    }
}

impl FlowControlled for StreamReaderProtocol {
    fn flow(state: &ProtocolState) -> &FlowControl {
        &state.flow
    }
}

static INIT: Signature<3> = Signature {
    format: c"O|OO:StreamReaderProtocol",
    names: [c"stream_reader", c"client_connected_cb", c"loop"],
    positional: 3,
    required: 1,
};

/// CPython: StreamReaderProtocol.__init__
pub fn init<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
    arguments: InitArguments<'_, 'py>,
) -> PyResult<()> {
    let py = this.py();
    let [reader, client_connected, event_loop] = INIT.parse_init(&arguments)?;
    let event_loop = futures::loop_or_default(py, event_loop)?;
    let given = |object: Option<Bound<'py, PyAny>>| object.filter(|object| !object.is_none());
    begin(this, given(reader), given(client_connected), event_loop)
}

/// What `__init__` does.
fn begin<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
    reader: Option<Bound<'py, PyAny>>,
    client_connected: Option<Bound<'py, PyAny>>,
    event_loop: Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    state.clear(py);
    state.outcome.set(Outcome::Pending);
    state.over_ssl.set(false);
    state.reject_connection.set(false);
    if let Some(reader) = &reader {
        state.reader.set(PyWeakrefReference::new(reader)?);
        state.source_traceback.set(reader.getattr(intern!(py, "_source_traceback"))?);
    }
    if client_connected.is_some() {
        state.strong_reader.replace(py, reader);
    }
    state.client_connected.replace(py, client_connected);
    state.flow.event_loop.set(event_loop.clone());
    if as_native(&event_loop).is_none_or(|native| {
        get(&native.get().debug) || get(&native.get().create_future_overridden)
    }) {
        closed(this)?;
    }
    Ok(())
}

/// A protocol, as `StreamReaderProtocol(reader, client_connected, loop=event_loop)` makes it.
///
/// # Errors
/// What the loop's `create_future` raises.
pub fn new<'py>(
    reader: &Bound<'py, StreamReader>,
    client_connected: Option<Bound<'py, PyAny>>,
    event_loop: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, StreamReaderProtocol>> {
    let this = PROTOCOL.alloc(reader.py())?;
    begin(&this, Some(reader.as_any().clone()), client_connected, event_loop.clone())?;
    Ok(this)
}

/// `object` as a protocol that is plain.
#[inline]
pub fn as_plain<'a, 'py>(
    object: &'a Bound<'py, PyAny>,
) -> Option<&'a Bound<'py, StreamReaderProtocol>> {
    PROTOCOL.cast_exact(object).filter(|protocol| PROTOCOL.is_plain(protocol))
}

/// `_stream_reader`: the reader while it is alive.
#[inline]
pub fn stream_reader<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !PROTOCOL.is_plain(this) {
        let reader = this.as_any().getattr(intern!(this.py(), "_stream_reader"))?;
        return Ok(Some(reader).filter(|reader| !reader.is_none()));
    }
    living_reader(this)
}

/// What `_stream_reader_wr` refers to.
#[inline]
pub fn living_reader<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(reference) = this.state().reader.get(this.py()) else { return Ok(None) };
    if let Ok(reference) = reference.cast_exact::<PyWeakrefReference>() {
        return Ok(reference.upgrade());
    }
    if reference.is_none() {
        return Ok(None);
    }
    Ok(Some(reference.call0()?).filter(|reader| !reader.is_none()))
}

/// `data_received`.
pub fn data_received<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
    data: &Bound<'py, PyAny>,
) -> PyResult<()> {
    stream_reader(this)?.map_or(Ok(()), |reader| reader::feed_data_to(&reader, data))
}

/// `data_received` of a protocol that is plain.
#[inline]
pub fn receive<'py>(
    plain: &Bound<'py, StreamReaderProtocol>,
    data: &Bound<'py, PyAny>,
) -> PyResult<()> {
    living_reader(plain)?.map_or(Ok(()), |reader| reader::feed_data_to(&reader, data))
}

/// `eof_received`: whether the transport stays open.
pub fn eof_received(this: &Bound<'_, StreamReaderProtocol>) -> PyResult<bool> {
    if let Some(reader) = stream_reader(this)? {
        reader::feed_eof_to(&reader)?;
    }
    Ok(!this.state().over_ssl.get())
}

/// `connection_lost`; `exception` is None or what ended it.
pub fn connection_lost<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
    exception: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let failed = !exception.is_none();
    if let Some(reader) = stream_reader(this)? {
        if failed {
            reader.call_method1(intern!(py, "set_exception"), (exception,))?;
        } else {
            reader::feed_eof_to(&reader)?;
        }
    }
    match state.closed.get(py) {
        Some(future) if !waiting::is_done(&future)? => resolve(&future, exception)?,
        Some(_) => {}
        None if state.outcome.get() != Outcome::Pending => {}
        None => {
            state.outcome.set(if failed { Outcome::Failed } else { Outcome::Closed });
            state.error.set(exception.clone());
        }
    }
    state.flow.lose_connection(exception)?;
    for slot in [&state.reader, &state.writer, &state.task, &state.transport] {
        drop(slot.take(py));
    }
    Ok(())
}

/// `_closed`.
pub fn closed<'py>(this: &Bound<'py, StreamReaderProtocol>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let state = this.state();
    if let Some(future) = state.closed.get(py) {
        return Ok(future);
    }
    let future = futures::create_for(&state.flow.event_loop.get_or_none(py))?;
    state.closed.set(future.clone());
    if state.outcome.replace(Outcome::Pending) != Outcome::Pending {
        let error = state.error.take(py).unwrap_or_else(|| none(py));
        resolve(&future, &error)?;
    }
    Ok(future)
}

/// tp_finalize: an exception that nobody asked for is not reported. CPython: __del__
pub fn finalize(this: &Bound<'_, StreamReaderProtocol>) -> PyResult<()> {
    let Some(future) = this.state().closed.get(this.py()) else { return Ok(()) };
    if let Some(native) = futures::as_exact(&future) {
        native.as_future().state.log_traceback.set(false);
        return Ok(());
    }
    let py = this.py();
    if waiting::is_done(&future)? && !waiting::is_cancelled(&future)? {
        future.call_method0(intern!(py, "exception"))?;
    }
    Ok(())
}
