//! A connection that is being made: from addresses to a transport and a protocol, as one native
//! object that `create_connection` and `create_unix_connection` of python/ferrio/_connecting.py await.
//! It stands for `_connect_sock`, `sock_connect` and `_create_connection_transport`.
//!
//! State: Created -> (Connecting)* -> Beginning -> Done, and Done while a step runs. A failed attempt
//! goes on with the next address; without a next one the await evaluates to the list of the exceptions.
//! Fields: `transport` owns the descriptor. `watching` is set while the loop watches that. `future` is
//! what is waited for: the end of the attempt while Connecting, connection_made() while Beginning.
//! Shutdown: whoever throws into it or closes it has it close the descriptor, and stop watching first.

mod attempt;

use std::cell::Cell;
use std::ffi::c_int;
use std::os::fd::AsRawFd;

use ferrio_capi::method::{Arguments, Members, Next, Object};
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyList, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

use super::{connect_parts, transport_fds};
use crate::futures::{AsFuture, iterator, methods as futures};
use crate::loop_state::EventLoop;
use crate::names::{self, none};
use crate::tasks::face::{self, reused};
use crate::transports::stream::{StreamTransport, connecting as transports};
use attempt::{Target, fail, give_up, stop_watching};

static CONNECTING: Class<Connecting> = Class::new();

/// The awaitable of one connection.
#[derive(Debug)]
pub struct Connecting;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    Created = 0,
    Connecting,
    Beginning,
    Done,
}

/// The native part. All-zero is one that nobody awaited, without addresses.
#[derive(Debug)]
pub struct ConnectingState {
    event_loop: Slot,
    factory: Slot,
    /// The tuples of `getaddrinfo`, in a list.
    infos: Slot,
    /// Why the attempts before failed: a list, or empty.
    failures: Slot,
    transport: Slot,
    protocol: Slot,
    future: Slot,
    /// The context of the registration with the loop.
    watching: Slot,
    /// The socket for which no transport could be made. Before 3.14 stock leaves it to the collector.
    forsaken: Slot,
    /// Index of the next address.
    next: Cell<usize>,
    phase: Cell<Phase>,
}

impl ConnectingState {
    fn slots(&self) -> [&Slot; 9] {
        [
            &self.event_loop,
            &self.factory,
            &self.infos,
            &self.failures,
            &self.transport,
            &self.protocol,
            &self.future,
            &self.watching,
            &self.forsaken,
        ]
    }

    fn event_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, EventLoop>> {
        Ok(self.event_loop.get(py).ok_or_else(reused)?.cast_into()?)
    }

    fn transport<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, StreamTransport>> {
        Ok(self.transport.get(py).ok_or_else(reused)?.cast_into()?)
    }

    /// The address of the attempt that is under way.
    fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let infos = self.infos.get(py).ok_or_else(reused)?.cast_into::<PyList>()?;
        infos.get_item(self.next.get().wrapping_sub(1))?.get_item(4)
    }
}

// SAFETY: empty slots, a zero index and `Phase::Created` are all-zero.
unsafe impl State for ConnectingState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        for slot in self.slots() {
            drop(slot.take(py));
        }
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Connecting {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        CONNECTING.type_ptr()
    }
}

impl DerefToPyAny for Connecting {}

impl NativeClass for Connecting {
    type State = ConnectingState;
    const KEPT: usize = 64;

    fn class() -> &'static Class<Self> {
        &CONNECTING
    }
}

/// `_connects_natively()`: whether `_native_connection` may be asked.
fn connects_natively<'py>(slf: &Bound<'py, EventLoop>) -> Object<'py> {
    Ok(names::boolean(slf.py(), connect_parts::are_own(slf)?))
}

/// `_native_connection(protocol_factory, infos)`: an awaitable for a transport and a protocol, connected
/// to the first of the addresses that can be; it gives a list of exceptions if none can. None when the
/// addresses, or what makes sockets, are not the usual ones.
fn connect<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = slf.py();
    let [factory, infos] = arguments.exactly()?;
    let Ok(infos) = infos.cast_exact::<PyList>() else { return Ok(none(py)) };
    for info in infos {
        if Target::of(&info)?.is_none() {
            return Ok(none(py));
        }
    }
    if !connect_parts::are_own(slf)? {
        return Ok(none(py));
    }
    let this = CONNECTING.alloc(py)?;
    let state = this.state();
    state.event_loop.set(slf.clone());
    state.factory.set(factory.clone());
    state.infos.set(infos.clone());
    state.phase.set(Phase::Created);
    Ok(this.into_any())
}

fn next<'py>(this: &Bound<'py, Connecting>) -> PyResult<Next<'py>> {
    let outcome = match this.state().phase.replace(Phase::Done) {
        Phase::Created => attempt_each(this),
        Phase::Connecting => attempted(this, outcome(this)),
        Phase::Beginning => begun(this, outcome(this)),
        Phase::Done => return Err(reused()),
    };
    settle(this, outcome)
}

/// What is left to do after a step.
fn settle<'py>(this: &Bound<'py, Connecting>, outcome: PyResult<Next<'py>>) -> PyResult<Next<'py>> {
    let py = this.py();
    if !matches!(outcome, Ok(Next::Yield(_))) {
        let state = this.state();
        let forsaken = state.forsaken.take(py);
        state.clear(py);
        state.forsaken.replace(py, forsaken);
    }
    outcome.map_err(|error| {
        if !error.is_instance_of::<PyStopIteration>(py) {
            return error;
        }
        // Whoever awaits would take it for the result. PEP 479
        let told = PyRuntimeError::new_err("coroutine raised StopIteration");
        told.set_context(py, Some(error.clone_ref(py)));
        told.set_cause(py, Some(error));
        told
    })
}

/// Connects to the next address, and the next, until one is connected, or takes its time.
fn attempt_each<'py>(this: &Bound<'py, Connecting>) -> PyResult<Next<'py>> {
    let py = this.py();
    let state = this.state();
    let infos = state.infos.get(py).ok_or_else(reused)?.cast_into::<PyList>()?;
    while let Ok(info) = infos.get_item(state.next.get()) {
        state.next.set(state.next.get() + 1);
        let target = Target::of(&info)?.ok_or_else(reused)?;
        match attempt::start(this, &target) {
            Ok(None) => return begin(this),
            Ok(Some(future)) => {
                state.phase.set(Phase::Connecting);
                return Ok(Next::Yield(future));
            }
            Err(error) => fail(this, error)?,
        }
    }
    let failures = state.failures.take(py);
    Ok(Next::Return(failures.unwrap_or_else(|| PyList::empty(py).into_any())))
}

/// Resumed after an attempt.
fn attempted<'py>(this: &Bound<'py, Connecting>, outcome: PyResult<()>) -> PyResult<Next<'py>> {
    match stop_watching(this).and(outcome) {
        Ok(()) => begin(this),
        Err(error) => {
            fail(this, error)?;
            attempt_each(this)
        }
    }
}

/// What the future that was waited for gives.
fn outcome(this: &Bound<'_, Connecting>) -> PyResult<()> {
    let future = this.state().future.get(this.py()).ok_or_else(reused)?;
    let future = futures::as_exact(&future).ok_or_else(reused)?.as_future();
    if future.state.is_pending() {
        return Err(PyRuntimeError::new_err("await wasn't used with future"));
    }
    future.result().map(drop)
}

/// The socket is connected. CPython: BaseEventLoop._create_connection_transport
fn begin<'py>(this: &Bound<'py, Connecting>) -> PyResult<Next<'py>> {
    let py = this.py();
    let state = this.state();
    let event_loop = state.event_loop(py)?;
    let transport = state.transport(py)?;
    let protocol = match make_protocol(this, &event_loop, &transport) {
        Ok(protocol) => protocol,
        Err(error) => {
            drop(state.transport.take(py));
            if cfg!(Py_3_14) {
                transports::abandon(&transport)?;
            } else {
                state.forsaken.set(transports::release(&transport)?);
            }
            return Err(error);
        }
    };
    let waiter = futures::new(&event_loop)?;
    state.future.set(waiter.clone());
    transports::begin(&transport, &event_loop, protocol.clone(), waiter.as_any())?;
    state.protocol.set(protocol);
    state.phase.set(Phase::Beginning);
    waiter.as_future().state.blocking.set(true);
    Ok(Next::Yield(waiter.into_any()))
}

/// What the factory makes. Since 3.12 the descriptor of another transport is refused then.
fn make_protocol<'py>(
    this: &Bound<'py, Connecting>,
    event_loop: &Bound<'py, EventLoop>,
    transport: &Bound<'py, StreamTransport>,
) -> Object<'py> {
    let py = this.py();
    let protocol = this.state().factory.get_or_none(py).call0()?;
    let fd = transports::descriptor(transport)?.as_raw_fd();
    if cfg!(Py_3_12) && event_loop.get().owner_of_fd(py, fd).is_some() {
        transport_fds::ensure_none(event_loop, &transports::socket(transport)?)?;
    }
    Ok(protocol)
}

/// connection_made() was called.
fn begun<'py>(this: &Bound<'py, Connecting>, outcome: PyResult<()>) -> PyResult<Next<'py>> {
    let py = this.py();
    let state = this.state();
    let transport = state.transport(py)?;
    if let Err(error) = outcome {
        transport.call_method0(intern!(py, "close"))?;
        return Err(error);
    }
    let made = [transport.into_any(), state.protocol.get_or_none(py)];
    Ok(Next::Return(PyTuple::new(py, made)?.into_any()))
}

/// A task throws what its future has failed with, or that it was cancelled.
fn throw<'py>(this: &Bound<'py, Connecting>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let error = PyErr::from_value(iterator::thrown(&arguments)?);
    let outcome = match this.state().phase.replace(Phase::Done) {
        Phase::Created => Err(error),
        Phase::Connecting => attempted(this, Err(error)),
        Phase::Beginning => begun(this, Err(error)),
        Phase::Done => return Err(reused()),
    };
    settle(this, outcome).and_then(face::handed_out)
}

fn close<'py>(this: &Bound<'py, Connecting>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    let ended = match state.phase.replace(Phase::Done) {
        Phase::Connecting => give_up(this),
        Phase::Beginning => state.transport(py)?.call_method0(intern!(py, "close")).map(drop),
        Phase::Created | Phase::Done => Ok(()),
    };
    state.clear(py);
    ended.map(|()| none(py))
}

fn itself<'py>(this: &Bound<'py, Connecting>) -> Object<'py> {
    Ok(this.as_any().clone())
}

/// Makes the type, and adds the methods to the loop's class.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .iternext::<Connecting, _>(next)
        .unary_slot::<Connecting, _>(ffi::Py_tp_iter, itself)
        .unary_slot::<Connecting, _>(ffi::Py_am_await, itself)
        .keywords::<Connecting, _>(c"throw", throw, c"Raise an exception in the connecting.")
        .noargs::<Connecting, _>(c"close", close, c"End the connecting.")
        .doc(c"A connection that is being made.");
    CONNECTING.create(py, c"ferrio._Connecting", &py.get_type::<PyAny>(), members.into_slots())?;
    Members::default()
        .noargs::<EventLoop, _>(
            c"_connects_natively",
            connects_natively,
            c"Return whether nobody has replaced what connections are made with.",
        )
        .keywords::<EventLoop, _>(
            c"_native_connection(protocol_factory, infos, /)",
            connect,
            c"Connect to the first address that answers; await it for a transport and a protocol, or a list of exceptions. None where only asyncio's way will do.",
        )
        .install::<EventLoop>(py)
}
