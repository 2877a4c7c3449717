//! `_UnixWritePipeTransport`: the writing end of a pipe, a socket or a character device as an
//! `asyncio.WriteTransport`. Relies on `pipe` for what it shares with the reading end. The water marks
//! and the pausing of the protocol are those of asyncio's `_FlowControlMixin`, in its own slots; it is
//! asked only when they are crossed.
//!
//! State: that of `pipe`.
//! Fields: while `unwritten` holds something, the descriptor is watched for room.
//! Shutdown: as in `pipe`; what was not written when an error or abort() ends the transport is lost.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::Object;
use ferrio_capi::slots::Member;
use ferrio_capi::{Class, NativeClass, State, StateOf, Visit};
use ferrio_core::pipe::Kind;
use pyo3::exceptions::{PyAssertionError, PyBrokenPipeError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyByteArray, PyInt, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

use super::unwritten::Unwritten;
use super::writing::{write, write_ready};
use super::{EXTRA, Parts, PipeCalls, PipeState, PipeTransport, members};
use crate::loop_state::{Act, Direction, call_act_soon};
use crate::names::{self, Imported, boolean, none};

static WRITE_PIPE: Class<WritePipe> = Class::new();

pub(super) static PROTOCOL_PAUSED: Member = Member::new(c"_protocol_paused");
pub(super) static HIGH_WATER: Member = Member::new(c"_high_water");
static LOW_WATER: Member = Member::new(c"_low_water");

/// The members of the base classes that hold something.
static BASE_SLOTS: [&Member; 4] = [&EXTRA, &PROTOCOL_PAUSED, &HIGH_WATER, &LOW_WATER];

/// The writing end of a pipe: `_UnixWritePipeTransport`.
#[derive(Debug)]
pub struct WritePipe;

/// The native part of a [`WritePipe`].
#[derive(Debug)]
pub struct WritePipeState {
    shared: PipeState,
    pub(super) unwritten: Unwritten,
    /// `_conn_lost`: writes that failed or came after the end.
    pub(super) lost_writes: Cell<usize>,
}

// SAFETY: PipeState, Unwritten and a number are empty when all-zero.
unsafe impl State for WritePipeState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.shared.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.shared.clear(py);
        self.unwritten.discard();
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for WritePipe {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        WRITE_PIPE.type_ptr()
    }
}

impl DerefToPyAny for WritePipe {}

impl NativeClass for WritePipe {
    type State = WritePipeState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &WRITE_PIPE
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        // SAFETY: an instance of _FlowControlMixin, in which the members were located.
        BASE_SLOTS.iter().try_for_each(|member| visit.slot(unsafe { member.of(object) }))
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        // SAFETY: as for `traverse_base`.
        BASE_SLOTS.iter().for_each(|member| drop(unsafe { member.of(object) }.take(py)));
    }

    fn needs_finalizer(state: &WritePipeState) -> bool {
        state.shared.is_open()
    }
}

impl PipeTransport for WritePipe {
    const STOCK: &'static Imported = &names::WRITE_PIPE_TRANSPORT;
    const REFUSAL: &'static str = "Pipe transport is only for pipes, sockets and character devices";

    fn shared(state: &WritePipeState) -> &PipeState {
        &state.shared
    }

    fn is_expected(error: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(error.is_instance_of::<PyOSError>())
    }

    fn close_with<'py>(
        this: &Bound<'py, Self>,
        exception: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        this.pipe().set_closing();
        if this.state().unwritten.discard() > 0 {
            this.unwatch(Direction::Write)?;
        }
        this.unwatch(Direction::Read)?;
        this.lose_connection_soon(exception)
    }
}

/// `loop._make_write_pipe_transport`.
pub fn new<'py>(py: Python<'py>, parts: &Parts<'py>) -> Object<'py> {
    let this = WRITE_PIPE.alloc(py)?;
    initialise(&this, parts)?;
    Ok(this.into_any())
}

/// CPython: _UnixWritePipeTransport.__init__
fn initialise<'py>(this: &Bound<'py, WritePipe>, parts: &Parts<'py>) -> PyResult<()> {
    let py = this.py();
    // SAFETY: an instance of _FlowControlMixin, in which the member was located.
    unsafe { PROTOCOL_PAUSED.of(this.as_ptr()) }.set(boolean(py, false));
    this.call_method0(intern!(py, "_set_write_buffer_limits"))?;
    let kind = this.begin(parts)?;
    if matches!(kind, Kind::Fifo | Kind::Socket) {
        // The peer's end shows as readiness to read.
        call_act_soon(&parts.event_loop, this.as_any(), &START_WATCHING)?;
    }
    this.wake_soon(parts.waiter.as_ref())
}

static START_WATCHING: Act = Act {
    run: |this, _| start_watching(this.cast::<WritePipe>()?),
    parts: |this| {
        let py = this.py();
        Ok((this.getattr(intern!(py, "_start_watching"))?, PyTuple::empty(py)))
    },
};

/// Waits for the peer to close its end. A transport that has nothing left to do would never stop.
fn start_watching(this: &Bound<'_, WritePipe>) -> PyResult<()> {
    if this.pipe().is_closing() && this.state().unwritten.len() == 0 {
        return Ok(());
    }
    this.watch(Direction::Read, &PEER_CLOSED)
}

static PEER_CLOSED: Act = Act {
    run: |this, context| {
        let this = this.cast::<WritePipe>()?;
        let current = this.pipe().is_registered(Direction::Read, context);
        if current { peer_closed(this) } else { Ok(()) }
    },
    parts: |this| {
        let py = this.py();
        Ok((this.getattr(intern!(py, "_read_ready"))?, PyTuple::empty(py)))
    },
};

/// CPython: _UnixWritePipeTransport._read_ready
fn peer_closed(this: &Bound<'_, WritePipe>) -> PyResult<()> {
    let py = this.py();
    this.log_in_debug("info", "%r was closed by peer")?;
    if this.state().unwritten.len() == 0 {
        return WritePipe::close_with(this, None);
    }
    let error = PyBrokenPipeError::new_err(()).into_value(py).into_bound(py).into_any();
    WritePipe::close_with(this, Some(&error))
}

/// CPython: _UnixWritePipeTransport.write_eof
fn write_eof<'py>(this: &Bound<'py, WritePipe>) -> Object<'py> {
    let py = this.py();
    if this.pipe().is_closing() {
        return Ok(none(py));
    }
    if !this.pipe().is_open() {
        return Err(PyAssertionError::new_err(()));
    }
    this.pipe().set_closing();
    if this.state().unwritten.len() == 0 {
        this.unwatch(Direction::Read)?;
        this.lose_connection_soon(None)?;
    }
    Ok(none(py))
}

fn close<'py>(this: &Bound<'py, WritePipe>) -> Object<'py> {
    if this.pipe().is_open() { write_eof(this) } else { Ok(none(this.py())) }
}

fn abort<'py>(this: &Bound<'py, WritePipe>) -> Object<'py> {
    WritePipe::close_with(this, None)?;
    Ok(none(this.py()))
}

fn get_write_buffer_size<'py>(this: &Bound<'py, WritePipe>) -> Object<'py> {
    Ok(PyInt::new(this.py(), this.state().unwritten.len()).into_any())
}

/// `_buffer`: a copy.
fn get_buffer<'py>(this: &Bound<'py, WritePipe>) -> Object<'py> {
    let bytes = this.state().unwritten.to_vec();
    Ok(PyByteArray::new(this.py(), &bytes).into_any())
}

fn get_conn_lost<'py>(this: &Bound<'py, WritePipe>) -> Object<'py> {
    Ok(PyInt::new(this.py(), this.state().lost_writes.get()).into_any())
}

/// Makes the type. The members that both directions have come from `members`.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let base = names::FLOW_CONTROL_MIXIN.class(py)?;
    for member in [&EXTRA, &PROTOCOL_PAUSED, &HIGH_WATER, &LOW_WATER] {
        member.locate(base)?;
    }
    let members = members::table::<WritePipe>()
        .init::<WritePipe, _>(|this, arguments| initialise(this, &Parts::parse(arguments)?))
        .keywords::<WritePipe, _>(c"write(data)", write, c"Write some data bytes to the transport.")
        .noargs::<WritePipe, _>(
            c"write_eof",
            write_eof,
            c"Close the write end when all is written.",
        )
        .noargs::<WritePipe, _>(
            c"can_write_eof",
            |this| Ok(boolean(this.py(), true)),
            c"Return True.",
        )
        .noargs::<WritePipe, _>(c"close", close, c"Close the transport when all is written.")
        .noargs::<WritePipe, _>(c"abort", abort, c"Close the transport immediately.")
        .noargs::<WritePipe, _>(
            c"get_write_buffer_size",
            get_write_buffer_size,
            c"Return the current size of the write buffer.",
        )
        .noargs::<WritePipe, _>(
            c"_start_watching",
            |this| start_watching(this).map(|()| none(this.py())),
            c"",
        )
        .noargs::<WritePipe, _>(
            c"_read_ready",
            |this| peer_closed(this).map(|()| none(this.py())),
            c"",
        )
        .noargs::<WritePipe, _>(
            c"_write_ready",
            |this| write_ready(this).map(|()| none(this.py())),
            c"",
        )
        .get::<WritePipe, _>(c"_buffer", get_buffer)
        .get::<WritePipe, _>(c"_conn_lost", get_conn_lost)
        .doc(c"The writing end of a pipe; see asyncio's loop.connect_write_pipe().");
    WRITE_PIPE.create(py, c"ferrio._UnixWritePipeTransport", base, members.into_slots())
}
