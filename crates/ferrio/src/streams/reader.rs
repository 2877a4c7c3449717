//! `StreamReader` as an object: its state, and the side on which it is fed.
//! CPython: asyncio.streams.StreamReader
//!
//! A reader that is no instance of a subclass and has no attributes of its own is plain: of any other,
//! each method that stock calls on `self` is called on it, so that one that somebody replaced is asked.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::InitArguments;
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, runtime};
use pyo3::exceptions::{PyAssertionError, PyNotImplementedError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyString};
use pyo3::{PyTypeInfo, ffi, intern};

use super::content::Content;
use crate::errors;
use crate::futures::methods as futures;
use crate::locks::waiting;
use crate::loop_state::is_debug;
use crate::names::{self, none};
use crate::transports::stream::direct;

pub(super) static READER: Class<StreamReader> = Class::new();

/// `asyncio.StreamReader`.
#[derive(Debug)]
pub struct StreamReader;

/// The native part of a reader. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct ReaderState {
    pub content: Content,
    /// `_limit`, and the same as a number to compare with.
    pub limit: Slot,
    pub limit_bytes: Cell<f64>,
    /// `_loop`.
    pub event_loop: Slot,
    /// `_waiter`: the future of the one who waits for data.
    pub waiter: Slot,
    /// How many bytes that one wants all at once.
    pub wanted: Cell<usize>,
    /// `_exception`.
    pub exception: Slot,
    /// `_transport`.
    pub transport: Slot,
    /// `_source_traceback`.
    pub source_traceback: Slot,
    /// `_eof`.
    pub eof: Cell<bool>,
    /// `_paused`.
    pub paused: Cell<bool>,
}

// SAFETY: no content, empty slots, zeroes and false are all-zero.
unsafe impl State for ReaderState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))?;
        self.content.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.content.forget(py);
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
    }
}

impl ReaderState {
    fn slots(&self) -> [&Slot; 6] {
        [
            &self.limit,
            &self.event_loop,
            &self.waiter,
            &self.exception,
            &self.transport,
            &self.source_traceback,
        ]
    }

    /// `_limit = limit`.
    ///
    /// # Errors
    /// TypeError when it is no number.
    pub fn set_limit(&self, limit: Bound<'_, PyAny>) -> PyResult<()> {
        self.limit_bytes.set(limit.extract()?);
        self.limit.set(limit);
        Ok(())
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for StreamReader {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        READER.type_ptr()
    }
}

impl DerefToPyAny for StreamReader {}

impl NativeClass for StreamReader {
    type State = ReaderState;
    const KEPT: usize = 128;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &READER
    }
}

/// `_DEFAULT_LIMIT`, in bytes.
pub const DEFAULT_LIMIT: u32 = 64 * 1024;

static INIT: Signature<2> = Signature {
    format: c"|OO:StreamReader",
    names: [c"limit", c"loop"],
    positional: 2,
    required: 0,
};

/// CPython: StreamReader.__init__
pub fn init<'py>(
    this: &Bound<'py, StreamReader>,
    arguments: InitArguments<'_, 'py>,
) -> PyResult<()> {
    let py = this.py();
    let [limit, event_loop] = INIT.parse_init(&arguments)?;
    let limit = match limit {
        Some(limit) => limit,
        None => DEFAULT_LIMIT.into_pyobject(py)?.into_any(),
    };
    check_limit(&limit)?;
    begin(this, limit, futures::loop_or_default(py, event_loop)?)
}

fn check_limit(limit: &Bound<'_, PyAny>) -> PyResult<()> {
    if limit.le(0)? { Err(PyValueError::new_err("Limit cannot be <= 0")) } else { Ok(()) }
}

/// What `__init__` does with checked arguments.
fn begin<'py>(
    this: &Bound<'py, StreamReader>,
    limit: Bound<'py, PyAny>,
    event_loop: Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    state.clear(py);
    state.set_limit(limit)?;
    state.eof.set(false);
    state.paused.set(false);
    if is_debug(&event_loop)? && runtime::has_frame(py) {
        let frame = names::GET_FRAME.get(py)?.call0()?;
        state.source_traceback.set(names::EXTRACT_STACK.get(py)?.call1((frame,))?);
    }
    state.event_loop.set(event_loop);
    Ok(())
}

/// A reader of `event_loop`, as `StreamReader(limit=limit, loop=event_loop)` makes it.
///
/// # Errors
/// ValueError when the limit is not above zero.
pub fn new<'py>(
    limit: &Bound<'py, PyAny>,
    event_loop: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, StreamReader>> {
    check_limit(limit)?;
    let this = READER.alloc(limit.py())?;
    begin(&this, limit.clone(), event_loop.clone())?;
    Ok(this)
}

/// `object` as a reader that is plain.
#[inline]
pub fn as_plain<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, StreamReader>> {
    READER.cast_exact(object).filter(|reader| READER.is_plain(reader))
}

/// Calls a method that somebody may have replaced; `plain` is ours.
#[inline]
pub fn ask<'py>(
    this: &Bound<'py, StreamReader>,
    name: &Bound<'py, PyString>,
    plain: impl FnOnce(&Bound<'py, StreamReader>) -> PyResult<()>,
) -> PyResult<()> {
    if READER.is_plain(this) {
        return plain(this);
    }
    this.as_any().call_method0(name).map(drop)
}

/// Refuses a reader of a subclass whose `__init__` did not call ours.
///
/// # Errors
/// AttributeError, as for an attribute that stock sets there.
#[inline]
pub fn check_initialised(this: &Bound<'_, StreamReader>) -> PyResult<()> {
    if this.state().limit.is_set() { Ok(()) } else { Err(errors::missing(this, "_limit")) }
}

/// `feed_data`.
#[inline]
pub fn feed_data<'py>(this: &Bound<'py, StreamReader>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    check_initialised(this)?;
    if state.eof.get() {
        return Err(PyAssertionError::new_err("feed_data after feed_eof"));
    }
    if !data.is_truthy()? {
        return Ok(());
    }
    state.content.extend(data, state.wanted.get())?;
    ask(this, intern!(py, "_wakeup_waiter"), wake_waiter)?;
    if state.paused.get() || state.content.len(py)? as f64 <= 2.0 * state.limit_bytes.get() {
        return Ok(());
    }
    pause_transport(this)
}

/// `feed_data` of any reader.
#[inline]
pub fn feed_data_to<'py>(reader: &Bound<'py, PyAny>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    match as_plain(reader) {
        Some(plain) => feed_data(plain, data),
        None => reader.call_method1(intern!(reader.py(), "feed_data"), (data,)).map(drop),
    }
}

/// More is there than twice the limit.
#[cold]
fn pause_transport(this: &Bound<'_, StreamReader>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let Some(transport) = transport(this) else { return Ok(()) };
    match direct::pause_reading(&transport) {
        Ok(()) => state.paused.set(true),
        // One that cannot be paused is not asked again.
        Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {
            drop(state.transport.take(py));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn transport<'py>(this: &Bound<'py, StreamReader>) -> Option<Bound<'py, PyAny>> {
    this.state().transport.get(this.py()).filter(|transport| !transport.is_none())
}

/// `feed_eof`.
pub fn feed_eof(this: &Bound<'_, StreamReader>) -> PyResult<()> {
    check_initialised(this)?;
    this.state().eof.set(true);
    ask(this, intern!(this.py(), "_wakeup_waiter"), wake_waiter)
}

/// `feed_eof` of any reader.
pub fn feed_eof_to(reader: &Bound<'_, PyAny>) -> PyResult<()> {
    match as_plain(reader) {
        Some(plain) => feed_eof(plain),
        None => reader.call_method0(intern!(reader.py(), "feed_eof")).map(drop),
    }
}

/// `_wakeup_waiter`.
#[inline]
pub fn wake_waiter(this: &Bound<'_, StreamReader>) -> PyResult<()> {
    let py = this.py();
    match take_waiter(this) {
        Some(waiter) if !waiting::is_cancelled(&waiter)? => waiting::wake(&waiter, none(py)),
        _ => Ok(()),
    }
}

fn take_waiter<'py>(this: &Bound<'py, StreamReader>) -> Option<Bound<'py, PyAny>> {
    this.state().wanted.set(0);
    this.state().waiter.take(this.py()).filter(|waiter| !waiter.is_none())
}

/// `set_exception`.
pub fn set_exception<'py>(
    this: &Bound<'py, StreamReader>,
    exception: &Bound<'py, PyAny>,
) -> PyResult<()> {
    this.state().exception.set(exception.clone());
    match take_waiter(this) {
        Some(waiter) if !waiting::is_cancelled(&waiter)? => {
            waiter.call_method1(intern!(this.py(), "set_exception"), (exception,)).map(drop)
        }
        _ => Ok(()),
    }
}

/// `exception()`, if there is one.
#[inline]
pub fn exception<'py>(this: &Bound<'py, StreamReader>) -> Option<Bound<'py, PyAny>> {
    this.state().exception.get(this.py()).filter(|exception| !exception.is_none())
}

/// `set_transport`.
pub fn set_transport<'py>(
    this: &Bound<'py, StreamReader>,
    given: &Bound<'py, PyAny>,
) -> PyResult<()> {
    if transport(this).is_some() {
        return Err(PyAssertionError::new_err("Transport already set"));
    }
    this.state().transport.set(given.clone());
    Ok(())
}

/// `_maybe_resume_transport`.
#[inline]
pub fn maybe_resume_transport(this: &Bound<'_, StreamReader>) -> PyResult<()> {
    let state = this.state();
    if !state.paused.get() || state.content.len(this.py())? as f64 > state.limit_bytes.get() {
        return Ok(());
    }
    resume_transport(this)
}

#[cold]
fn resume_transport(this: &Bound<'_, StreamReader>) -> PyResult<()> {
    let state = this.state();
    state.paused.set(false);
    direct::resume_reading(&state.transport.get_or_none(this.py()))
}

/// What `_wait_for_data` does until it waits: the future to wait for.
#[inline]
pub fn begin_to_wait<'py>(
    this: &Bound<'py, StreamReader>,
    function: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let state = this.state();
    if state.waiter.get(this.py()).is_some_and(|waiter| !waiter.is_none()) {
        return Err(PyRuntimeError::new_err(format!(
            "{function}() called while another coroutine is already waiting for incoming data"
        )));
    }
    if state.eof.get() {
        return Err(PyAssertionError::new_err("_wait_for_data after EOF"));
    }
    if state.paused.get() {
        // Waiting while nothing comes would be for ever.
        resume_transport(this)?;
    }
    let waiter = futures::create_for(&state.event_loop.get_or_none(this.py()))?;
    state.waiter.set(waiter.clone());
    Ok(waiter)
}

/// `_waiter = None`.
#[inline]
pub fn end_wait(this: &Bound<'_, StreamReader>) {
    drop(take_waiter(this));
}
