//! `SubprocessStreamProtocol`: between a child process and the streams of its pipes.
//! CPython: asyncio.subprocess.SubprocessStreamProtocol
//!
//! A protocol that is no instance of a subclass and has no attributes of its own is plain, as readers are.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, derived};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyList, PyString};
use pyo3::{PyTypeInfo, ffi, intern};

use super::flow_control::{self, FlowControl, FlowControlled, resolve};
use super::{draining, reader, writer};
use crate::futures::{self, AsFuture};
use crate::names::{self, none};
use crate::properties::{flag_property, slot_property};

static PROTOCOL: Class<SubprocessStreamProtocol> = Class::new();

/// `asyncio.subprocess.SubprocessStreamProtocol`.
#[derive(Debug)]
pub struct SubprocessStreamProtocol;

/// The native part of a protocol. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct ProtocolState {
    pub flow: FlowControl,
    /// `_limit`: of the readers.
    limit: Slot,
    /// `stdin`: a StreamWriter.
    stdin: Slot,
    /// `stdout`: a StreamReader.
    stdout: Slot,
    /// `stderr`: a StreamReader.
    stderr: Slot,
    /// `_transport`: the child's, until it is closed.
    transport: Slot,
    /// `_pipe_fds`: a list of the numbers (1, 2) of the pipes that are read.
    pipe_fds: Slot,
    /// `_stdin_closed`: a future.
    stdin_closed: Slot,
    /// `_process_exited`.
    process_exited: Cell<bool>,
}

// SAFETY: FlowControl, empty slots and false are all-zero.
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
    fn slots(&self) -> [&Slot; 7] {
        [
            &self.limit,
            &self.stdin,
            &self.stdout,
            &self.stderr,
            &self.transport,
            &self.pipe_fds,
            &self.stdin_closed,
        ]
    }

    /// The stream that reads a pipe of the child's.
    fn reader<'py>(&self, fd: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        for (number, slot) in [(1, &self.stdout), (2, &self.stderr)] {
            if fd.eq(number)? {
                return Ok(slot.get(fd.py()));
            }
        }
        Ok(None)
    }

    fn pipe_fds<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.pipe_fds.get_or_none(py)
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for SubprocessStreamProtocol {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        PROTOCOL.type_ptr()
    }
}

impl DerefToPyAny for SubprocessStreamProtocol {}

impl NativeClass for SubprocessStreamProtocol {
    type State = ProtocolState;
    const KEPT: usize = 8;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &PROTOCOL
    }
}

impl FlowControlled for SubprocessStreamProtocol {
    fn flow(state: &ProtocolState) -> &FlowControl {
        &state.flow
    }
}

type This<'a, 'py> = &'a Bound<'py, SubprocessStreamProtocol>;

/// `object` as a protocol that is plain.
#[inline]
pub fn as_plain<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<This<'a, 'py>> {
    PROTOCOL.cast_exact(object).filter(|protocol| PROTOCOL.is_plain(protocol))
}

static INIT: Signature<2> = Signature {
    format: c"OO:SubprocessStreamProtocol",
    names: [c"limit", c"loop"],
    positional: 2,
    required: 2,
};

/// CPython: SubprocessStreamProtocol.__init__
fn init<'py>(this: This<'_, 'py>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let py = this.py();
    let [limit, event_loop] = INIT.parse_init(&arguments)?;
    let event_loop = futures::methods::loop_or_default(py, event_loop)?;
    let state = this.state();
    state.clear(py);
    state.process_exited.set(false);
    state.limit.set(limit.unwrap_or_else(|| none(py)));
    state.pipe_fds.set(PyList::empty(py));
    state.stdin_closed.set(futures::methods::create_for(&event_loop)?);
    state.flow.event_loop.set(event_loop);
    Ok(())
}

fn connection_made<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let transport = arguments.named("connection_made", "transport")?;
    let state = this.state();
    state.transport.set(transport.clone());
    let pipe = |fd: i32| -> PyResult<Option<Bound<'py, PyAny>>> {
        let pipe = transport.call_method1(intern!(py, "get_pipe_transport"), (fd,))?;
        Ok(Some(pipe).filter(|pipe| !pipe.is_none()))
    };
    for (fd, slot) in [(1, &state.stdout), (2, &state.stderr)] {
        let Some(pipe) = pipe(fd)? else { continue };
        let limit = state.limit.get_or_none(py);
        let stream = reader::new(&limit, &state.flow.event_loop.get_or_none(py))?;
        reader::set_transport(&stream, &pipe)?;
        slot.set(stream);
        state.pipe_fds(py).call_method1(intern!(py, "append"), (fd,))?;
    }
    if let Some(pipe) = pipe(0)? {
        state.stdin.set(writer::new(this, &pipe, None)?);
    }
    Ok(none(py))
}

static PIPE_DATA_RECEIVED: Signature<2> = Signature {
    format: c"OO:pipe_data_received",
    names: [c"fd", c"data"],
    positional: 2,
    required: 2,
};

fn pipe_data_received<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [Some(fd), Some(data)] = PIPE_DATA_RECEIVED.parse(&arguments)? else {
        return Ok(none(this.py()));
    };
    if let Some(reader) = this.state().reader(fd)? {
        reader::feed_data_to(&reader, data)?;
    }
    Ok(none(this.py()))
}

static PIPE_CONNECTION_LOST: Signature<2> = Signature {
    format: c"OO:pipe_connection_lost",
    names: [c"fd", c"exc"],
    positional: 2,
    required: 2,
};

fn pipe_connection_lost<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let [Some(fd), Some(exception)] = PIPE_CONNECTION_LOST.parse(&arguments)? else {
        return Ok(none(py));
    };
    if fd.eq(0)? {
        stdin_lost(this, exception)?;
        return Ok(none(py));
    }
    let state = this.state();
    if let Some(reader) = state.reader(fd)? {
        if exception.is_none() {
            reader::feed_eof_to(&reader)?;
        } else {
            reader.call_method1(intern!(py, "set_exception"), (exception,))?;
        }
    }
    let pipe_fds = state.pipe_fds(py);
    if pipe_fds.contains(fd)? {
        pipe_fds.call_method1(intern!(py, "remove"), (fd,))?;
    }
    maybe_close_or_ask(this)?;
    Ok(none(py))
}

fn stdin_lost<'py>(this: This<'_, 'py>, exception: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if let Some(stdin) = state.stdin.get(py) {
        stdin.call_method0(intern!(py, "close"))?;
    }
    if PROTOCOL.is_plain(this) {
        state.flow.lose_connection(exception)?;
    } else {
        this.as_any().call_method1(intern!(py, "connection_lost"), (exception,))?;
    }
    let stdin_closed = state.stdin_closed.get_or_none(py);
    resolve(&stdin_closed, exception)?;
    if exception.is_none() {
        return Ok(());
    }
    // Nobody has to wait for the end: an exception that nobody asked for is not reported.
    match futures::methods::as_exact(&stdin_closed) {
        Some(native) => native.as_future().state.log_traceback.set(false),
        None => stdin_closed.setattr(intern!(py, "_log_traceback"), false)?,
    }
    Ok(())
}

fn connection_lost<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    this.state().flow.lose_connection(arguments.named("connection_lost", "exc")?)?;
    Ok(none(this.py()))
}

fn process_exited<'py>(this: This<'_, 'py>) -> Object<'py> {
    this.state().process_exited.set(true);
    maybe_close_or_ask(this)?;
    Ok(none(this.py()))
}

/// `self._maybe_close_transport()`, which somebody may have replaced.
fn maybe_close_or_ask(this: This<'_, '_>) -> PyResult<()> {
    if PROTOCOL.is_plain(this) {
        return maybe_close(this);
    }
    this.as_any().call_method0(intern!(this.py(), "_maybe_close_transport")).map(drop)
}

/// Closes the transport when the child has ended and its pipes were read to their ends.
fn maybe_close(this: This<'_, '_>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if state.pipe_fds(py).len()? == 0 && state.process_exited.get() {
        state.transport.get_or_none(py).call_method0(intern!(py, "close"))?;
        drop(state.transport.take(py));
    }
    Ok(())
}

fn maybe_close_transport<'py>(this: This<'_, 'py>) -> Object<'py> {
    maybe_close(this)?;
    Ok(none(this.py()))
}

fn close_waiter<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let stream = arguments.named("_get_close_waiter", "stream")?;
    let state = this.state();
    let py = this.py();
    let is_stdin = stream.is(state.stdin.get_or_none(py));
    Ok(if is_stdin { state.stdin_closed.get_or_none(py) } else { none(py) })
}

/// CPython: SubprocessStreamProtocol.__repr__
fn repr<'py>(this: This<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    let mut text = format!("<{}", this.get_type().name()?);
    for (name, slot) in
        [("stdin", &state.stdin), ("stdout", &state.stdout), ("stderr", &state.stderr)]
    {
        if let Some(stream) = slot.get(py) {
            text += &format!(" {name}={}", stream.repr()?);
        }
    }
    Ok(PyString::new(py, &(text + ">")).into_any())
}

fn attributes(members: Members) -> Members {
    type P = SubprocessStreamProtocol;
    let members = slot_property!(members, P, c"_loop", flow.event_loop);
    let members = slot_property!(members, P, c"_limit", limit);
    let members = slot_property!(members, P, c"stdin", stdin);
    let members = slot_property!(members, P, c"stdout", stdout);
    let members = slot_property!(members, P, c"stderr", stderr);
    let members = slot_property!(members, P, c"_transport", transport);
    let members = slot_property!(members, P, c"_pipe_fds", pipe_fds);
    let members = slot_property!(members, P, c"_stdin_closed", stdin_closed);
    let members = flag_property!(members, P, c"_connection_lost", flow.connection_lost);
    let members = flag_property!(members, P, c"_paused", flow.paused);
    flag_property!(members, P, c"_process_exited", process_exited)
}

fn methods(members: Members) -> Members {
    type P = SubprocessStreamProtocol;
    members
        .keywords::<P, _>(c"connection_made(transport)", connection_made, c"The child runs.")
        .keywords::<P, _>(
            c"pipe_data_received(fd, data)",
            pipe_data_received,
            c"Feed the reader of a pipe.",
        )
        .keywords::<P, _>(
            c"pipe_connection_lost(fd, exc)",
            pipe_connection_lost,
            c"A pipe is closed.",
        )
        .keywords::<P, _>(c"connection_lost(exc)", connection_lost, c"Wake who waits in drain().")
        .noargs::<P, _>(c"process_exited", process_exited, c"The child has ended.")
        .noargs::<P, _>(
            c"_maybe_close_transport",
            maybe_close_transport,
            c"Close the transport when the child has ended and its pipes have.",
        )
        .keywords::<P, _>(
            c"_get_close_waiter(stream)",
            close_waiter,
            c"The future of the end of stdin.",
        )
        .unary_slot::<P, _>(ffi::Py_tp_repr, repr)
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    type P = SubprocessStreamProtocol;
    let parts = [attributes, methods, flow_control::members::<P>, draining::protocol_members::<P>];
    let members = parts
        .into_iter()
        .fold(Members::default(), |members, add| add(members))
        .init::<P, _>(init)
        .instance_dict()
        .doc(c"SubprocessStreamProtocol(limit, loop)\n--\n\nBetween a child process and its streams; see asyncio.create_subprocess_exec().");
    let bases = [names::PROTOCOL.get(py)?, names::SUBPROCESS_PROTOCOL.get(py)?];
    let base = derived::join(py, "SubprocessProtocol", &bases)?;
    let stock = names::SUBPROCESS_STREAM_PROTOCOL.class(py)?;
    let name = c"asyncio.subprocess.SubprocessStreamProtocol";
    PROTOCOL.create(py, name, &base, members.into_slots())?;
    PROTOCOL.stand_for(py, name, stock)
}
