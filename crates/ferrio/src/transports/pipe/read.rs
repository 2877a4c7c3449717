//! `_UnixReadPipeTransport`: the reading end of a pipe, a socket or a character device as an
//! `asyncio.ReadTransport`. Relies on `pipe` for what it shares with the writing end.
//!
//! State: that of `pipe`, and reading or paused.
//! Fields: `max_size` is 0 as long as nobody assigned one; `room` is how much the next read asks for,
//! 0 before the first.
//! Shutdown: as in `pipe`.

use std::cell::Cell;
use std::ffi::c_int;
use std::io::ErrorKind;

use ferrio_capi::buffer::NewBytes;
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, State, StateOf, Visit};
use ferrio_core::pipe as system;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyInt, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

use super::{EXTRA, Parts, PipeCalls, PipeState, PipeTransport, child, members};
use crate::errors;
use crate::loop_state::{self, Act, Direction};
use crate::names::{self, Imported, boolean, none};

static READ_PIPE: Class<ReadPipe> = Class::new();

/// The reading end of a pipe: `_UnixReadPipeTransport`.
#[derive(Debug)]
pub struct ReadPipe;

/// The native part of a [`ReadPipe`].
#[derive(Debug)]
pub struct ReadPipeState {
    shared: PipeState,
    /// `_paused`: set by pause_reading(), also before the first read.
    paused: Cell<bool>,
    /// `max_size` when it was assigned, else 0.
    max_size: Cell<usize>,
    /// Bytes that the next read has room for, 0 before the first.
    room: Cell<usize>,
}

// SAFETY: PipeState, two numbers and a flag are empty when all-zero.
unsafe impl State for ReadPipeState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.shared.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.shared.clear(py);
    }
}

impl ReadPipeState {
    /// Most bytes of one read.
    fn max_size(&self) -> usize {
        match self.max_size.get() {
            0 => MAX_SIZE,
            size => size,
        }
    }

    /// Bytes to make room for in a read. As much as a pipe holds, which costs little when less comes,
    /// for the rest goes back at once; more after a read that filled its room.
    fn next_room(&self) -> usize {
        self.room.get().max(FIRST_ROOM).min(self.max_size())
    }

    fn note_read(&self, room: usize, count: usize) {
        self.room.set(if count < room { FIRST_ROOM } else { room.saturating_mul(2) });
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for ReadPipe {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        READ_PIPE.type_ptr()
    }
}

impl DerefToPyAny for ReadPipe {}

impl NativeClass for ReadPipe {
    type State = ReadPipeState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &READ_PIPE
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        // SAFETY: an instance of BaseTransport, in which the member was located.
        visit.slot(unsafe { EXTRA.of(object) })
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        // SAFETY: as for `traverse_base`.
        drop(unsafe { EXTRA.of(object) }.take(py));
    }

    fn needs_finalizer(state: &ReadPipeState) -> bool {
        state.shared.is_open()
    }
}

impl PipeTransport for ReadPipe {
    const STOCK: &'static Imported = &names::READ_PIPE_TRANSPORT;
    const REFUSAL: &'static str = "Pipe transport is for pipes/sockets only.";

    fn shared(state: &ReadPipeState) -> &PipeState {
        &state.shared
    }

    fn is_expected(error: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = error.py();
        if !error.is_instance_of::<PyOSError>() {
            return Ok(false);
        }
        let eio = py.import("errno")?.getattr("EIO")?;
        error.getattr(intern!(py, "errno"))?.eq(eio)
    }

    fn close_with<'py>(
        this: &Bound<'py, Self>,
        exception: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        this.pipe().set_closing();
        this.unwatch(Direction::Read)?;
        this.lose_connection_soon(exception)
    }
}

/// `loop._make_read_pipe_transport`.
pub fn new<'py>(py: Python<'py>, parts: &Parts<'py>) -> Object<'py> {
    let this = READ_PIPE.alloc(py)?;
    initialise(&this, parts)?;
    Ok(this.into_any())
}

/// CPython: _UnixReadPipeTransport.__init__
fn initialise<'py>(this: &Bound<'py, ReadPipe>, parts: &Parts<'py>) -> PyResult<()> {
    this.state().paused.set(false);
    this.begin(parts)?;
    loop_state::call_act_soon(&parts.event_loop, this.as_any(), &START_READING)?;
    this.wake_soon(parts.waiter.as_ref())
}

static START_READING: Act = Act {
    run: |this, _| {
        let this = this.cast::<ReadPipe>()?;
        if is_reading(this) { this.watch(Direction::Read, &READ_READY) } else { Ok(()) }
    },
    parts: |this| {
        let py = this.py();
        let callback = this.getattr(intern!(py, "_read_ready"))?;
        let arguments = (this.getattr(intern!(py, "_fileno"))?, callback);
        Ok((this.getattr(intern!(py, "_add_reader"))?, arguments.into_pyobject(py)?))
    },
};

static READ_READY: Act = Act {
    run: |this, context| {
        let this = this.cast::<ReadPipe>()?;
        if this.pipe().is_registered(Direction::Read, context) { read_ready(this) } else { Ok(()) }
    },
    parts: |this| {
        let py = this.py();
        Ok((this.getattr(intern!(py, "_read_ready"))?, PyTuple::empty(py)))
    },
};

fn is_reading(this: &Bound<'_, ReadPipe>) -> bool {
    !this.state().paused.get() && !this.pipe().is_closing()
}

/// One read, as much as is there. CPython: _UnixReadPipeTransport._read_ready
fn read_ready(this: &Bound<'_, ReadPipe>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let Some(fd) = this.pipe().fd() else { return Ok(()) };
    let room = state.next_room();
    let mut bytes = NewBytes::new(py, room)?;
    match system::read(fd, bytes.space()) {
        Ok(0) => end_of_file(this),
        Ok(count) => {
            state.note_read(room, count);
            // SAFETY: the system call has written so many bytes.
            let data = unsafe { bytes.finish(count) }?;
            child::data_received(&this.protocol(), &data)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => this.fail(errors::os_error(py, &error), "Fatal read error on pipe transport"),
    }
}

fn end_of_file(this: &Bound<'_, ReadPipe>) -> PyResult<()> {
    let py = this.py();
    this.log_in_debug("info", "%r was closed by peer")?;
    this.pipe().set_closing();
    this.unwatch(Direction::Read)?;
    let ended = this.protocol().getattr(intern!(py, "eof_received"))?;
    this.event_loop().call_method1(intern!(py, "call_soon"), (ended,))?;
    this.lose_connection_soon(None)
}

fn pause_reading<'py>(this: &Bound<'py, ReadPipe>) -> Object<'py> {
    if is_reading(this) {
        this.state().paused.set(true);
        this.unwatch(Direction::Read)?;
        this.log_in_debug("debug", "%r pauses reading")?;
    }
    Ok(none(this.py()))
}

fn resume_reading<'py>(this: &Bound<'py, ReadPipe>) -> Object<'py> {
    if !this.pipe().is_closing() && this.state().paused.get() {
        this.state().paused.set(false);
        this.watch(Direction::Read, &READ_READY)?;
        this.log_in_debug("debug", "%r resumes reading")?;
    }
    Ok(none(this.py()))
}

fn close<'py>(this: &Bound<'py, ReadPipe>) -> Object<'py> {
    if !this.pipe().is_closing() {
        ReadPipe::close_with(this, None)?;
    }
    Ok(none(this.py()))
}

static ADD_READER: Signature<2> = Signature {
    format: c"OO:_add_reader",
    names: [c"fd", c"callback"],
    positional: 2,
    required: 2,
};

/// What debug mode calls in the place of START_READING.
/// CPython: _UnixReadPipeTransport._add_reader
fn add_reader<'py>(this: &Bound<'py, ReadPipe>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let [Some(fd), Some(callback)] = ADD_READER.parse(&arguments)? else { return Ok(none(py)) };
    if is_reading(this) {
        this.event_loop().call_method1(intern!(py, "_add_reader"), (fd, callback))?;
    }
    Ok(none(py))
}

fn get_max_size<'py>(this: &Bound<'py, ReadPipe>) -> Object<'py> {
    Ok(PyInt::new(this.py(), this.state().max_size()).into_any())
}

fn set_max_size<'py>(
    this: &Bound<'py, ReadPipe>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let size = value.map_or(Ok(0), |value| value.extract::<usize>())?;
    this.state().max_size.set(size);
    Ok(())
}

/// Makes the type. The members that both directions have come from `members`.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let base = names::READ_TRANSPORT.class(py)?;
    EXTRA.locate(base)?;
    let members = members::table::<ReadPipe>()
        .init::<ReadPipe, _>(|this, arguments| initialise(this, &Parts::parse(arguments)?))
        .noargs::<ReadPipe, _>(
            c"is_reading",
            |this| Ok(boolean(this.py(), is_reading(this))),
            c"Return True if the transport is receiving.",
        )
        .noargs::<ReadPipe, _>(c"pause_reading", pause_reading, c"Pause the receiving end.")
        .noargs::<ReadPipe, _>(c"resume_reading", resume_reading, c"Resume the receiving end.")
        .keywords::<ReadPipe, _>(
            c"_add_reader(fd, callback)",
            add_reader,
            c"Start reading, unless paused.",
        )
        .noargs::<ReadPipe, _>(c"close", close, c"Close the transport.")
        .noargs::<ReadPipe, _>(
            c"_read_ready",
            |this| read_ready(this).map(|()| none(this.py())),
            c"",
        )
        .get::<ReadPipe, _>(c"_paused", |this| Ok(boolean(this.py(), this.state().paused.get())))
        .get_set::<ReadPipe, _, _>(c"max_size", get_max_size, set_max_size)
        .doc(c"The reading end of a pipe; see asyncio's loop.connect_read_pipe().");
    READ_PIPE.create(py, c"ferrio._UnixReadPipeTransport", base, members.into_slots())
}

/// CPython: _UnixReadPipeTransport.max_size
const MAX_SIZE: usize = 256 * 1024;

/// What a pipe holds unless somebody changed that. pipe(7)
const FIRST_ROOM: usize = 64 * 1024;
