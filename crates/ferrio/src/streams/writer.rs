//! `StreamWriter` as an object: its state, and what it hands on to the transport.
//! CPython: asyncio.streams.StreamWriter

use std::ffi::c_int;

use ferrio_capi::method::InitArguments;
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi, intern};

use super::flow_control::FlowControlled;
use super::reader::StreamReader;
use super::transport_calls;
use crate::errors::{Finalizer, warn_unclosed};
use crate::futures::methods as futures;
use crate::locks::waiting;
use crate::loop_state::{as_native, get};
use crate::names::{self, none};
use crate::transports::stream::direct;

pub(super) static WRITER: Class<StreamWriter> = Class::new();

/// `asyncio.StreamWriter`.
#[derive(Debug)]
pub struct StreamWriter;

/// The native part of a writer. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct WriterState {
    /// `_transport`.
    pub transport: Slot,
    /// `_protocol`.
    pub protocol: Slot,
    /// `_reader`; empty for None.
    pub reader: Slot,
    /// `_loop`.
    pub event_loop: Slot,
    /// `_complete_fut`, once somebody asked for it.
    pub complete: Slot,
}

// SAFETY: empty slots are all-zero.
unsafe impl State for WriterState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
    }
}

impl WriterState {
    fn slots(&self) -> [&Slot; 5] {
        [&self.transport, &self.protocol, &self.reader, &self.event_loop, &self.complete]
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for StreamWriter {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        WRITER.type_ptr()
    }
}

impl DerefToPyAny for StreamWriter {}

impl NativeClass for StreamWriter {
    type State = WriterState;
    const KEPT: usize = 128;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &WRITER
    }

    fn needs_finalizer(state: &WriterState) -> bool {
        state.transport.is_set() && !direct::holds_closing(&state.transport)
    }
}

static INIT: Signature<4> = Signature {
    format: c"OOOO:StreamWriter",
    names: [c"transport", c"protocol", c"reader", c"loop"],
    positional: 4,
    required: 4,
};

/// CPython: StreamWriter.__init__
pub fn init<'py>(
    this: &Bound<'py, StreamWriter>,
    arguments: InitArguments<'_, 'py>,
) -> PyResult<()> {
    let py = this.py();
    let [transport, protocol, reader, event_loop] =
        INIT.parse_init(&arguments)?.map(|given| given.unwrap_or_else(|| none(py)));
    let state = this.state();
    state.clear(py);
    state.transport.set(transport);
    state.protocol.set(protocol);
    if !reader.is_none() {
        let stock = names::STREAM_READER.get(py)?;
        if !(reader.is_instance_of::<StreamReader>() || reader.is_instance(stock)?) {
            return Err(PyAssertionError::new_err(()));
        }
        state.reader.set(reader);
    }
    state.event_loop.set(event_loop.clone());
    if as_native(&event_loop).is_none_or(|native| {
        get(&native.get().debug) || get(&native.get().create_future_overridden)
    }) {
        complete(this)?;
    }
    Ok(())
}

/// A writer, as `StreamWriter(transport, protocol, reader, loop)` makes it for `protocol`.
///
/// # Errors
/// What the loop's `create_future` raises.
pub fn new<'py, P: FlowControlled>(
    protocol: &Bound<'py, P>,
    transport: &Bound<'py, PyAny>,
    reader: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, StreamWriter>> {
    let py = protocol.py();
    let this = WRITER.alloc(py)?;
    let state = this.state();
    state.transport.set(transport.clone());
    state.protocol.set(protocol.clone());
    state.reader.replace(py, reader.cloned());
    state.event_loop.replace(py, P::flow(protocol.state()).event_loop.get(py));
    Ok(this)
}

/// `_complete_fut`: a future that is done.
pub fn complete<'py>(this: &Bound<'py, StreamWriter>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let state = this.state();
    if let Some(future) = state.complete.get(py) {
        return Ok(future);
    }
    let future = futures::create_for(&state.event_loop.get_or_none(py))?;
    waiting::wake(&future, none(py))?;
    state.complete.set(future.clone());
    Ok(future)
}

/// `_transport`.
#[inline]
pub fn transport<'py>(this: &Bound<'py, StreamWriter>) -> Bound<'py, PyAny> {
    this.state().transport.get_or_none(this.py())
}

/// tp_finalize: one that nobody closed. CPython: StreamWriter.__del__
pub fn finalize(this: &Bound<'_, StreamWriter>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let Some(transport) = state.transport.get(py) else { return Ok(()) };
    if transport_calls::is_closing(&transport)? {
        return Ok(());
    }
    let event_loop = state.event_loop.get_or_none(py);
    let is_closed = event_loop.call_method0(intern!(py, "is_closed"))?.is_truthy()?;
    let text = if is_closed {
        "loop is closed".to_owned()
    } else {
        this.as_any().call_method0(intern!(py, "close"))?;
        format!("unclosed {}", this.as_any().repr()?)
    };
    let warning = if is_closed { 0 } else { -1 };
    let place = Finalizer { module: "asyncio.streams", class: "StreamWriter", warning };
    warn_unclosed(py, &place, &text, None)
}
