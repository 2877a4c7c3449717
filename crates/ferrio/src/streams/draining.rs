//! `drain` and `wait_closed`. CPython: StreamWriter.drain, FlowControlMixin._drain_helper
//!
//! Fields of the coroutines: `owner` is the writer, or the protocol for `_drain_helper`; `first` the
//! protocol; `second` the future that is waited for; `number` one of the stages below.

use ferrio_capi::method::{Members, Object};
use ferrio_capi::{StateOf, handled};
use pyo3::exceptions::PyConnectionResetError;
use pyo3::intern;
use pyo3::prelude::*;

use super::flow_control::{FlowControl, FlowControlled};
use super::protocol::{self, Outcome, StreamReaderProtocol};
use super::subprocess::{self, SubprocessStreamProtocol};
use super::writer::{self, StreamWriter};
use super::{reader, transport_calls};
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::errors;
use crate::futures::methods as futures;
use crate::names::none;
use crate::tasks::sleep;

static DRAIN: Kind =
    Kind { name: "drain", qualified_name: "StreamWriter.drain", start: drain, resume: drain_on };

static DRAIN_HELPER: Kind = Kind {
    name: "_drain_helper",
    qualified_name: "FlowControlMixin._drain_helper",
    start: |this| {
        let protocol = this.state().owner.get_or_none(this.py());
        wait_until_resumed(this, &protocol, flow_control(&protocol)?)
    },
    resume: |this, outcome| {
        let protocol = this.state().owner.get_or_none(this.py());
        resumed(this, flow_control(&protocol)?, outcome)
    },
};

/// The flow control of a protocol of ours.
///
/// # Errors
/// TypeError when it is none.
fn flow_control<'a>(protocol: &'a Bound<'_, PyAny>) -> PyResult<&'a FlowControl> {
    match protocol.cast::<SubprocessStreamProtocol>() {
        Ok(of_child) => Ok(&of_child.state().flow),
        Err(_) => Ok(&protocol.cast::<StreamReaderProtocol>()?.state().flow),
    }
}

/// The flow control of a protocol that is plain.
#[inline]
fn plain_flow_control<'a>(protocol: &'a Bound<'_, PyAny>) -> Option<&'a FlowControl> {
    match protocol::as_plain(protocol) {
        Some(plain) => Some(&plain.state().flow),
        None => subprocess::as_plain(protocol).map(|plain| &plain.state().flow),
    }
}

static WAIT_CLOSED: Kind = Kind {
    name: "wait_closed",
    qualified_name: "StreamWriter.wait_closed",
    start: wait_closed,
    resume: |this, outcome| outcome.map(|_| Progress::Return(none(this.py()))),
};

/// In `number`: the connection is closing, and the loop gets a turn to tell the protocol.
const YIELDED: i64 = 1;
/// In `number`: what is awaited is `_drain_helper()` of a protocol that somebody extended.
const ASKED: i64 = 2;

fn drain<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let writer = coroutine::owner::<StreamWriter>(this)?;
    if let Some(reader) = writer.state().reader.get(py) {
        let exception = match reader::as_plain(&reader) {
            Some(plain) => reader::exception(plain),
            None => Some(reader.call_method0(intern!(py, "exception"))?)
                .filter(|exception| !exception.is_none()),
        };
        if let Some(exception) = exception {
            return Err(handled::raise(py, &exception));
        }
    }
    if transport_calls::is_closing(&writer::transport(&writer))? {
        this.state().number.set(YIELDED);
        return awaiting(sleep::zero(py)?);
    }
    help(this, &writer)
}

fn drain_on<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    match this.state().number.get() {
        YIELDED => {
            outcome?;
            this.state().number.set(0);
            help(this, &coroutine::owner::<StreamWriter>(this)?)
        }
        ASKED => outcome.map(|_| Progress::Return(none(py))),
        _ => {
            let protocol = this.state().first.get_or_none(py);
            resumed(this, flow_control(&protocol)?, outcome)
        }
    }
}

/// `await self._protocol._drain_helper()`.
fn help<'py>(
    this: &Bound<'py, Coroutine>,
    writer: &Bound<'py, StreamWriter>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let protocol = writer.state().protocol.get_or_none(py);
    if let Some(flow) = plain_flow_control(&protocol) {
        return wait_until_resumed(this, &protocol, flow);
    }
    this.state().number.set(ASKED);
    awaiting(protocol.call_method0(intern!(py, "_drain_helper"))?)
}

/// `_drain_helper` until it waits.
fn wait_until_resumed<'py>(
    this: &Bound<'py, Coroutine>,
    protocol: &Bound<'py, PyAny>,
    flow: &FlowControl,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    if flow.connection_lost.get() {
        return Err(PyConnectionResetError::new_err("Connection lost"));
    }
    if !flow.paused.get() {
        return Ok(Progress::Return(none(py)));
    }
    let waiter = futures::create_for(&flow.event_loop.get_or_none(py))?;
    flow.drain_waiters.push_back(waiter.clone())?;
    this.state().first.set(protocol.clone());
    this.state().second.set(waiter.clone());
    awaiting(waiter)
}

/// `_drain_helper` after it waited.
fn resumed<'py>(
    this: &Bound<'py, Coroutine>,
    flow: &FlowControl,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let removed = match this.state().second.take(py) {
        Some(waiter) => flow.drain_waiters.remove(&waiter),
        None => Ok(()),
    };
    match outcome {
        Err(error) => Err(errors::after_handling(py, error, removed)),
        Ok(_) => removed.map(|()| Progress::Return(none(py))),
    }
}

/// `await self._protocol._get_close_waiter(self)`.
fn wait_closed<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let writer = coroutine::owner::<StreamWriter>(this)?;
    let protocol = writer.state().protocol.get_or_none(py);
    match protocol::as_plain(&protocol) {
        Some(plain) if plain.state().outcome.get() == Outcome::Closed => {
            Ok(Progress::Return(none(py)))
        }
        Some(plain) => awaiting(protocol::closed(plain)?),
        None => awaiting(protocol.call_method1(intern!(py, "_get_close_waiter"), (&writer,))?),
    }
}

fn start_drain<'py>(this: &Bound<'py, StreamWriter>) -> Object<'py> {
    coroutine::new(this, &DRAIN).map(Bound::into_any)
}

fn start_wait_closed<'py>(this: &Bound<'py, StreamWriter>) -> Object<'py> {
    coroutine::new(this, &WAIT_CLOSED).map(Bound::into_any)
}

fn start_drain_helper<'py, P: FlowControlled>(this: &Bound<'py, P>) -> Object<'py> {
    coroutine::new(this, &DRAIN_HELPER).map(Bound::into_any)
}

pub fn writer_members(members: Members) -> Members {
    members
        .noargs::<StreamWriter, _>(
            c"drain",
            start_drain,
            c"Wait until the transport takes more; at once when it does.",
        )
        .noargs::<StreamWriter, _>(
            c"wait_closed",
            start_wait_closed,
            c"Wait until the connection is closed; raise what ended it.",
        )
}

pub fn protocol_members<P: FlowControlled>(members: Members) -> Members {
    members.noargs::<P, _>(
        c"_drain_helper",
        start_drain_helper::<P>,
        c"Wait until the transport resumes writing.",
    )
}
