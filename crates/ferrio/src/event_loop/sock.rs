//! `sock_recv` and its relatives. What a call gives is one native object that asyncio takes for a
//! coroutine. It tries the socket when it is awaited, and needs nothing else when that succeeds; if
//! not, the loop's table of descriptors points at the object itself, which resolves the one future that
//! it waits on.
//!
//! State: Created -> Done, or Created -> Waiting -> Done.
//! Fields: `event_loop`, `sock` and the arguments are set until Done; `future` and `fd` while Waiting.
//! Safety: `event_loop` holds an EventLoop of ours and `sock` a plain socket (`plain`), because only
//! `call` sets them.
//! Shutdown: a call that was never awaited warns, as a coroutine does. One that is thrown into or
//! closed while it waits stops watching.
//!
//! What is not plain is left to the inherited coroutine: other objects than sockets, sockets that may
//! block, debug mode, a replaced selector or `add_reader`, names that are to be resolved, keywords.

mod accept;
mod connect;
mod file;
pub mod plain;
mod receive;
mod send;
mod wait;

use std::cell::Cell;
use std::ffi::c_int;
use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, RawFd};

use ferrio_capi::function::{self, Which};
use ferrio_capi::method::{Arguments, Members, Next, Object};
use ferrio_capi::socket_object::{self, SocketFacts};
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit, runtime};
use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyString, PyTuple};
use pyo3::{PyTypeInfo, ffi};

use super::lifecycle::inherited;
use crate::errors;
use crate::loop_state::{Direction, EventLoop, get};
use crate::names;
use crate::tasks::face::{self, Face, Stage, reused};

static SOCK_CALL: Class<SockCall> = Class::new();

/// One call of `sock_recv` or a relative.
#[derive(Debug)]
pub struct SockCall;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    Created = 0,
    Waiting,
    Done,
}

/// The native part of a call. All-zero is one without operation, which nothing can be done with.
#[derive(Debug)]
pub struct SockCallState {
    operation: Cell<Option<&'static Operation>>,
    event_loop: Slot,
    sock: Slot,
    /// The arguments after the socket, or what they have become.
    first: Slot,
    second: Slot,
    future: Slot,
    /// The descriptor that is watched.
    fd: Cell<RawFd>,
    phase: Cell<Phase>,
}

/// What a try gives: the result, or nothing because the socket is not ready.
type Tried<'py> = PyResult<Option<Bound<'py, PyAny>>>;

/// What one of the methods does.
#[derive(Debug)]
struct Operation {
    name: &'static str,
    /// As stock's coroutine has it.
    qualified_name: &'static str,
    /// Stock's method that is called when the socket is ready, with the future, the socket and what the
    /// two argument slots hold.
    callback: &'static str,
    direction: Direction,
    /// How many arguments are taken by position, the socket included.
    least: usize,
    most: usize,
    /// Whether these arguments, of that number, are served here.
    serves: fn(&SocketFacts, &Arguments<'_, '_>) -> PyResult<bool>,
    /// The first try.
    start: for<'py> fn(&Bound<'py, SockCall>) -> Tried<'py>,
    /// The try after the socket was reported to be ready.
    retry: for<'py> fn(&Bound<'py, SockCall>) -> Tried<'py>,
}

// SAFETY: `None`, empty slots and `Phase::Created` are all-zero.
unsafe impl State for SockCallState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        for slot in self.slots() {
            drop(slot.take(py));
        }
    }
}

impl SockCallState {
    fn slots(&self) -> [&Slot; 5] {
        [&self.event_loop, &self.sock, &self.first, &self.second, &self.future]
    }

    fn first<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.first.get_or_none(py)
    }

    /// # Errors
    /// RuntimeError when the call is over.
    fn event_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, EventLoop>> {
        let event_loop = self.event_loop.get(py).ok_or_else(reused)?;
        // SAFETY: the module's rule.
        Ok(unsafe { event_loop.cast_into_unchecked() })
    }

    /// # Errors
    /// RuntimeError when the call is over.
    fn sock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.sock.get(py).ok_or_else(reused)
    }

    /// What the socket knows.
    ///
    /// # Errors
    /// RuntimeError when the call is over.
    fn facts(&self, py: Python<'_>) -> PyResult<SocketFacts> {
        socket_object::facts(&self.sock(py)?).ok_or_else(reused)
    }

    /// The descriptor of the socket as it is now.
    ///
    /// # Errors
    /// OSError (EBADF) when the socket is closed: what the system call would say of its -1.
    fn descriptor(&self, py: Python<'_>) -> PyResult<BorrowedFd<'static>> {
        let fd = socket_object::descriptor(&self.sock(py)?);
        fd.and_then(runtime::borrow_fd).ok_or_else(|| errors::bad_descriptor(py))
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for SockCall {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        SOCK_CALL.type_ptr()
    }
}

impl DerefToPyAny for SockCall {}

impl NativeClass for SockCall {
    type State = SockCallState;
    const KEPT: usize = 256;

    fn class() -> &'static Class<Self> {
        &SOCK_CALL
    }

    fn needs_finalizer(state: &SockCallState) -> bool {
        state.phase.get() == Phase::Created
    }
}

/// The method of a loop that `operation` stands for.
#[inline]
fn call<'py>(
    slf: &Bound<'py, EventLoop>,
    arguments: &Arguments<'_, 'py>,
    operation: &'static Operation,
) -> Object<'py> {
    let native = slf.get();
    if arguments.names().is_none()
        && (operation.least..=operation.most).contains(&arguments.positional_len())
        && native.takes_watches()
        && !get(&native.sock_waits_overridden)
        && let Some(sock) = arguments.value(0)
        && let Some(facts) = plain::facts_of_plain(sock)?
        && facts.never_waits
        && (operation.serves)(&facts, arguments)?
    {
        let this = SOCK_CALL.alloc(slf.py())?;
        let state = this.state();
        state.operation.set(Some(operation));
        state.event_loop.set(slf.clone());
        state.sock.set(sock.clone());
        state.first.replace(slf.py(), arguments.value(1).cloned());
        state.second.replace(slf.py(), arguments.value(2).cloned());
        return Ok(this.into_any());
    }
    let (positional, keywords) = arguments.to_objects()?;
    inherited(slf)?.call_method(operation.name, positional, Some(&keywords))
}

fn next<'py>(this: &Bound<'py, SockCall>) -> PyResult<Next<'py>> {
    match this.state().phase.get() {
        Phase::Created => start(this),
        Phase::Waiting => wait::wake(this),
        Phase::Done => Err(reused()),
    }
}

#[inline]
fn start<'py>(this: &Bound<'py, SockCall>) -> PyResult<Next<'py>> {
    let state = this.state();
    state.phase.set(Phase::Done);
    let operation = state.operation.get().ok_or_else(reused)?;
    let outcome = match (operation.start)(this) {
        Ok(Some(value)) => Ok(Next::Return(value)),
        Ok(None) => return wait::begin(this, operation),
        Err(error) => Err(error),
    };
    state.clear(this.py());
    outcome
}

/// A try through a method of the socket object, which words its errors and knows every case.
fn ask<'py>(
    this: &Bound<'py, SockCall>,
    method: &Bound<'py, PyString>,
    arguments: impl pyo3::call::PyCallArgs<'py>,
) -> Tried<'py> {
    let py = this.py();
    match this.state().sock(py)?.call_method1(method, arguments) {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_not_ready(py, &error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a method of a socket says so that it would have to wait.
fn is_not_ready(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyBlockingIOError>(py) || error.is_instance_of::<PyInterruptedError>(py)
}

/// What a system call gave, for a try.
#[inline]
fn tried<T>(py: Python<'_>, outcome: io::Result<T>) -> PyResult<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(errors::os_error(py, &error)),
    }
}

impl Face for SockCall {
    fn name(this: &Bound<'_, Self>) -> &'static str {
        this.state().operation.get().map_or("", |operation| operation.name)
    }

    fn qualified_name(this: &Bound<'_, Self>) -> &'static str {
        this.state().operation.get().map_or("", |operation| operation.qualified_name)
    }

    fn stage(this: &Bound<'_, Self>) -> Stage {
        match this.state().phase.get() {
            Phase::Created => Stage::Created,
            Phase::Waiting => Stage::Suspended,
            Phase::Done => Stage::Closed,
        }
    }

    /// Where it was made is not recorded: in debug mode it is stock's own.
    fn awaited<'a>(this: &'a Bound<'_, Self>) -> &'a Slot {
        &this.state().future
    }

    #[inline]
    fn next<'py>(this: &Bound<'py, Self>) -> PyResult<Next<'py>> {
        next(this)
    }

    fn close(this: &Bound<'_, Self>) -> PyResult<()> {
        wait::end(this)
    }
}

fn finalize(this: &Bound<'_, SockCall>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if state.phase.replace(Phase::Done) != Phase::Created {
        return Ok(());
    }
    names::WARN_UNAWAITED_COROUTINE.get(py)?.call1((this,)).map(drop)
}

/// What stock would call when the socket is ready: the method and its arguments.
fn callback_parts<'py>(
    this: &Bound<'py, SockCall>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
    let py = this.py();
    let state = this.state();
    let operation = state.operation.get().ok_or_else(reused)?;
    let callback = state.event_loop(py)?.getattr(operation.callback)?;
    let mut arguments = vec![state.future.get_or_none(py)];
    if std::ptr::eq(operation, &raw const file::SENDFILE) {
        arguments.extend(file::callback_arguments(this)?);
    } else {
        arguments.push(state.sock(py)?);
        arguments.extend([&state.first, &state.second].into_iter().filter_map(|slot| slot.get(py)));
    }
    Ok((callback, PyTuple::new(py, arguments)?))
}

/// Makes the type, and adds the methods to the loop's class.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = face::members::<SockCall>()
        .finalize::<SockCall, _>(finalize)
        .doc(c"The coroutine of loop.sock_recv() and its relatives.");
    face::create::<SockCall>(py, c"ferrio.SockCall", members)?;
    let members = receive::methods(Members::default());
    let members = send::methods(members);
    let members = accept::methods(members);
    let members = connect::methods(members);
    file::methods(members).install::<EventLoop>(py)?;
    let stock = names::SELECTOR_EVENT_LOOP.class(py)?;
    function::stand_for_functions(&EventLoop::type_object(py), stock, Which::Coroutines)
}
