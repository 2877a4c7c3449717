//! What both pipe transports are made of: the pipe, the protocol, the loop, and the way from
//! `close()` to `connection_lost()`. CPython: unix_events._UnixReadPipeTransport and
//! _UnixWritePipeTransport. What is done rarely and shows text (reprs, the warning of an unclosed
//! transport) is stock's own function, called with the native transport.
//!
//! State: open -> closing (close(), end of file, an error) -> closed (`connection_lost` was called).
//! Fields: the loop, the pipe and the protocol are there until the transport is closed. `reader` and
//! `writer` are set while the descriptor is watched; an act that was queued for an earlier
//! registration has another context and does nothing, as a cancelled handle.
//! Shutdown: a transport that is dropped before it was closed warns and closes its pipe.

mod child;
mod members;
pub mod read;
mod unwritten;
pub mod write;
mod writing;

use std::cell::Cell;
use std::ffi::c_int;
use std::os::fd::{BorrowedFd, RawFd};

use ferrio_capi::method::Object;
use ferrio_capi::slots::Member;
use ferrio_capi::{NativeClass, Slot, StateOf, Visit, handled, runtime};
use ferrio_core::pipe::{self as system, Kind};
use pyo3::exceptions::{PyAttributeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors;
use crate::loop_state::{self, Act, Direction};
use crate::names::{self, Imported, none};

/// `_extra`, of asyncio's BaseTransport.
pub static EXTRA: Member = Member::new(c"_extra");

/// What both kinds of transport hold. All-zero is a transport whose `__init__` did not run.
#[derive(Debug)]
pub struct PipeState {
    event_loop: Slot,
    pipe: Slot,
    protocol: Slot,
    reader: Slot,
    writer: Slot,
    /// The descriptor plus one; 0 when there is none. It stays when the pipe is closed.
    fileno: Cell<RawFd>,
    closing: Cell<bool>,
}

impl PipeState {
    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    pub fn clear(&self, py: Python<'_>) {
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
    }

    fn slots(&self) -> [&Slot; 5] {
        [&self.event_loop, &self.pipe, &self.protocol, &self.reader, &self.writer]
    }

    /// Whether the pipe is the transport's to close.
    pub fn is_open(&self) -> bool {
        self.pipe.is_set()
    }

    /// `_closing`.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    pub fn set_closing(&self) {
        self.closing.set(true);
    }

    /// `_pipe`: None once the transport is closed.
    pub fn file<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.pipe.get_or_none(py)
    }

    pub fn set_file(&self, py: Python<'_>, pipe: Option<Bound<'_, PyAny>>) {
        self.pipe.replace(py, pipe.filter(|pipe| !pipe.is_none()));
    }

    /// `_fileno`.
    pub fn fileno(&self) -> Option<RawFd> {
        Some(self.fileno.get() - 1).filter(|fd| *fd >= 0)
    }

    pub fn set_protocol(&self, py: Python<'_>, protocol: Option<Bound<'_, PyAny>>) {
        self.protocol.replace(py, protocol.filter(|protocol| !protocol.is_none()));
    }

    /// The descriptor of an open transport.
    pub fn fd(&self) -> Option<BorrowedFd<'static>> {
        self.fileno().and_then(runtime::borrow_fd).filter(|_| self.is_open())
    }

    fn registration(&self, direction: Direction) -> &Slot {
        match direction {
            Direction::Read => &self.reader,
            Direction::Write => &self.writer,
        }
    }

    /// Whether an act with this context belongs to the present registration.
    pub fn is_registered(&self, direction: Direction, context: &Bound<'_, PyAny>) -> bool {
        self.registration(direction).is(context)
    }
}

/// A class of pipe transports.
pub trait PipeTransport: NativeClass {
    /// Stock's class, whose functions do what is done rarely.
    const STOCK: &'static Imported;

    /// The ValueError for what is no pipe.
    const REFUSAL: &'static str;

    /// The part of the state that both classes share.
    fn shared(state: &Self::State) -> &PipeState;

    /// Whether an error is part of a pipe's life, which only debug mode logs.
    fn is_expected(error: &Bound<'_, PyAny>) -> PyResult<bool>;

    /// `_close`: stops what is under way and has `connection_lost` called soon.
    fn close_with<'py>(
        this: &Bound<'py, Self>,
        exception: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()>;
}

/// What a transport is made of.
#[derive(Debug)]
pub struct Parts<'py> {
    pub event_loop: Bound<'py, PyAny>,
    pub pipe: Bound<'py, PyAny>,
    pub protocol: Bound<'py, PyAny>,
    /// A future, None or nothing.
    pub waiter: Option<Bound<'py, PyAny>>,
    /// A mapping, None or nothing.
    pub extra: Option<Bound<'py, PyAny>>,
}

/// The calls that a transport makes on itself, whatever its direction.
pub trait PipeCalls<'py> {
    fn pipe(&self) -> &PipeState;

    /// `_loop`: None once the transport is closed.
    fn event_loop(&self) -> Bound<'py, PyAny>;

    /// `_protocol`: None once the transport is closed.
    fn protocol(&self) -> Bound<'py, PyAny>;

    /// The first part of `__init__`: says what the pipe is.
    fn begin(&self, parts: &Parts<'py>) -> PyResult<Kind>;

    /// The last part of `__init__`: the waiter is woken when `connection_made` has been called.
    fn wake_soon(&self, waiter: Option<&Bound<'py, PyAny>>) -> PyResult<()>;

    /// Has `act` called whenever the descriptor is ready.
    fn watch(&self, direction: Direction, act: &'static Act) -> PyResult<()>;

    /// Undoes [`PipeCalls::watch`]; nothing when nobody watches.
    fn unwatch(&self, direction: Direction) -> PyResult<()>;

    /// Has `connection_lost` called soon.
    fn lose_connection_soon(&self, exception: Option<&Bound<'py, PyAny>>) -> PyResult<()>;

    /// `_call_connection_lost`: tells the protocol, closes the pipe.
    fn lose_connection(&self, exception: &Bound<'py, PyAny>) -> PyResult<()>;

    /// `_fatal_error`: reports, and closes the transport.
    fn fail(&self, error: PyErr, message: &str) -> PyResult<()>;

    /// A record of asyncio's log about the transport, in debug mode.
    fn log_in_debug(&self, level: &str, text: &str) -> PyResult<()>;
}

impl<'py, C: PipeTransport> PipeCalls<'py> for Bound<'py, C> {
    #[inline]
    fn pipe(&self) -> &PipeState {
        C::shared(self.state())
    }

    fn event_loop(&self) -> Bound<'py, PyAny> {
        self.pipe().event_loop.get_or_none(self.py())
    }

    fn protocol(&self) -> Bound<'py, PyAny> {
        self.pipe().protocol.get_or_none(self.py())
    }

    fn begin(&self, parts: &Parts<'py>) -> PyResult<Kind> {
        let py = self.py();
        let extra = match &parts.extra {
            Some(extra) if !extra.is_none() => extra.clone(),
            _ => PyDict::new(py).into_any(),
        };
        extra.set_item(intern!(py, "pipe"), &parts.pipe)?;
        // SAFETY: the object is an instance of BaseTransport, in which the member was located.
        unsafe { EXTRA.of(self.as_ptr()) }.set(extra);
        let state = self.pipe();
        state.event_loop.set(parts.event_loop.clone());
        state.pipe.set(parts.pipe.clone());
        let fileno: RawFd = parts.pipe.call_method0(intern!(py, "fileno"))?.extract()?;
        state.fileno.set(fileno.saturating_add(1));
        state.protocol.set(parts.protocol.clone());
        state.closing.set(false);
        let Some(fd) = runtime::borrow_fd(fileno) else {
            // Which raises for a negative number.
            py.import("os")?.call_method1("fstat", (fileno,))?;
            return Err(PyValueError::new_err(C::REFUSAL));
        };
        let os_error = |error| errors::os_error(py, &error);
        let Some(kind) = system::kind(fd).map_err(os_error)? else {
            state.fileno.set(0);
            drop(state.pipe.take(py));
            drop(state.protocol.take(py));
            return Err(PyValueError::new_err(C::REFUSAL));
        };
        system::set_nonblocking(fd).map_err(os_error)?;
        let made = parts.protocol.getattr(intern!(py, "connection_made"))?;
        parts.event_loop.call_method1(intern!(py, "call_soon"), (made, self))?;
        Ok(kind)
    }

    fn wake_soon(&self, waiter: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
        let py = self.py();
        let Some(waiter) = waiter.filter(|waiter| !waiter.is_none()) else { return Ok(()) };
        let wake = names::SET_RESULT_UNLESS_CANCELLED.get(py)?;
        let arguments = (wake, waiter, none(py));
        self.event_loop().call_method1(intern!(py, "call_soon"), arguments).map(drop)
    }

    fn watch(&self, direction: Direction, act: &'static Act) -> PyResult<()> {
        let event_loop = self.event_loop();
        match (loop_state::as_native(&event_loop), self.pipe().fd()) {
            (Some(native), Some(fd)) => {
                let context = loop_state::watch_act(native, direction, fd, self.as_any(), act)?;
                self.pipe().registration(direction).set(context);
                Ok(())
            }
            _ => Err(closed(&event_loop, "_add_reader")),
        }
    }

    fn unwatch(&self, direction: Direction) -> PyResult<()> {
        let event_loop = self.event_loop();
        match (loop_state::as_native(&event_loop), self.pipe().fd()) {
            (Some(native), Some(fd)) => {
                drop(self.pipe().registration(direction).take(self.py()));
                loop_state::unwatch(native, direction, fd)
            }
            _ => Err(closed(&event_loop, "_remove_reader")),
        }
    }

    fn lose_connection_soon(&self, exception: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
        let py = self.py();
        let lost = self.getattr(intern!(py, "_call_connection_lost"))?;
        self.event_loop().call_method1(intern!(py, "call_soon"), (lost, exception)).map(drop)
    }

    fn lose_connection(&self, exception: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = self.py();
        let name = intern!(py, "connection_lost");
        let told = self.protocol().call_method1(name, (exception,)).map(drop);
        let state = self.pipe();
        let close = || state.pipe.get_or_none(py).call_method0(intern!(py, "close"));
        match &told {
            Ok(()) => close()?,
            Err(error) => handled::while_handling(error.value(py), close)?,
        };
        drop(state.pipe.take(py));
        drop(state.protocol.take(py));
        drop(state.event_loop.take(py));
        told
    }

    #[cold]
    fn fail(&self, error: PyErr, message: &str) -> PyResult<()> {
        let py = self.py();
        let exception = error.into_value(py).into_bound(py).into_any();
        handled::while_handling(&exception, || {
            if C::is_expected(&exception)? {
                log_failure(self.as_any(), &self.event_loop(), message, &exception)?;
            } else {
                let report = PyDict::new(py);
                report.set_item("message", message)?;
                report.set_item("exception", &exception)?;
                report.set_item("transport", self)?;
                report.set_item("protocol", self.protocol())?;
                let name = intern!(py, "call_exception_handler");
                self.event_loop().call_method1(name, (report,))?;
            }
            C::close_with(self, Some(&exception))
        })
    }

    fn log_in_debug(&self, level: &str, text: &str) -> PyResult<()> {
        if !loop_state::is_debug(&self.event_loop())? {
            return Ok(());
        }
        logger(self.py())?.call_method1(level, (text, self)).map(drop)
    }
}

fn log_failure<'py>(
    transport: &Bound<'py, PyAny>,
    event_loop: &Bound<'py, PyAny>,
    message: &str,
    exception: &Bound<'py, PyAny>,
) -> PyResult<()> {
    if !loop_state::is_debug(event_loop)? {
        return Ok(());
    }
    let keywords = PyDict::new(transport.py());
    keywords.set_item("exc_info", exception)?;
    let arguments = ("%r: %s", transport, message);
    logger(transport.py())?.call_method("debug", arguments, Some(&keywords)).map(drop)
}

/// The logger of the module that the transports come from.
pub fn logger(py: Python<'_>) -> Object<'_> {
    names::UNIX_EVENTS.attribute(intern!(py, "logger"))
}

/// What stock raises when a closed transport, whose `_loop` is None, asks its loop for something.
#[cold]
fn closed(event_loop: &Bound<'_, PyAny>, method: &str) -> PyErr {
    match event_loop.getattr(method) {
        Err(error) => error,
        Ok(_) => PyAttributeError::new_err(method.to_owned()),
    }
}
