//! Listening sockets: connections are accepted in Rust, several a wake-up.
//! CPython: BaseSelectorEventLoop._start_serving, _accept_connection

use std::io;
use std::os::fd::RawFd;

use ferrio_capi::runtime;
use ferrio_core::stream_socket;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit, intern};

use super::lifecycle::inherited;
use super::{connect, connect_parts, serve_tls};
use crate::loop_state::{Act, Direction, EventLoop, get, watch_act};
use crate::transports::stream::accepting::{self, Accepted};
use crate::{errors, names};

/// Seconds. CPython: constants.ACCEPT_RETRY_DELAY
const ACCEPT_RETRY_DELAY: u32 = 1;

/// A listening socket of a loop.
#[pyclass(module = "ferrio._ferrio", frozen)]
struct Listener {
    event_loop: Py<EventLoop>,
    sock: Py<PyAny>,
    factory: Py<PyAny>,
    server: Py<PyAny>,
    /// What `_start_serving` and `_accept_connection` are called with.
    arguments: Py<PyTuple>,
    /// The address of the socket, when its connections have the same.
    sockname: Option<Py<PyAny>>,
    fd: RawFd,
    /// Family, type and protocol.
    kind: (u16, u16, u16),
    backlog: usize,
    /// Where connections begin with a handshake: what their TLS protocols are made with.
    tls: Option<Py<PyTuple>>,
}

#[pymethods]
impl Listener {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.sock)?;
        visit.call(&self.factory)?;
        visit.call(&self.server)?;
        self.sockname.iter().try_for_each(|name| visit.call(name))?;
        self.tls.iter().try_for_each(|terms| visit.call(terms))?;
        visit.call(&self.arguments)
    }
}

/// `_start_serving(protocol_factory, sock, sslcontext=None, server=None, backlog=100, ...)`. What needs
/// a task or a log for each connection is served by asyncio's own method.
pub fn start<'py>(
    slf: &Bound<'py, EventLoop>,
    args: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<()> {
    let py = slf.py();
    let Some(listener) = listener(slf, args, keywords)? else {
        let name = intern!(py, "_start_serving");
        return inherited(slf)?.call_method(name, args.clone(), keywords).map(drop);
    };
    slf.get().check_closed()?;
    let fd = runtime::borrow_fd(listener.fd).ok_or_else(|| errors::bad_descriptor(py))?;
    let listener = Bound::new(py, listener)?;
    watch_act(slf, Direction::Read, fd, listener.as_any(), &ACCEPT).map(drop)
}

/// The listener for the arguments of `_start_serving`; None for what is not accepted natively.
fn listener<'py>(
    slf: &Bound<'py, EventLoop>,
    args: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Option<Listener>> {
    let py = slf.py();
    if get(&slf.get().debug) || args.len() < 5 || keywords.is_some_and(|given| !given.is_empty()) {
        return Ok(None);
    }
    let (factory, sock, context) = (args.get_item(0)?, args.get_item(1)?, args.get_item(2)?);
    let plain = sock.get_type().is(names::STOCK_SOCKET.get(py)?);
    if !plain || !connect::is_plain_socket(&sock)? {
        return Ok(None);
    }
    let number = |name: &str| sock.getattr(name)?.extract::<u16>();
    let fd = sock.call_method0(intern!(py, "fileno"))?.extract()?;
    if runtime::borrow_fd(fd).is_none() {
        // A socket that is closed: stock words the error.
        return Ok(None);
    }
    let bound = match runtime::borrow_fd(fd) {
        Some(fd) if stream_socket::names_its_connections(fd) => {
            Some(sock.call_method0(intern!(py, "getsockname"))?.unbind())
        }
        _ => None,
    };
    Ok(Some(Listener {
        sockname: bound,
        event_loop: slf.clone().unbind(),
        factory: factory.unbind(),
        server: args.get_item(3)?.unbind(),
        arguments: args.clone().unbind(),
        fd,
        kind: (number("family")?, number("type")?, number("proto")?),
        // So many connections are accepted at once: none for a negative number, as on stock.
        backlog: usize::try_from(args.get_item(4)?.extract::<isize>()?).unwrap_or(0),
        tls: if context.is_truthy()? { Some(serve_tls::terms(args)?.unbind()) } else { None },
        sock: sock.unbind(),
    }))
}

/// Somebody wants to connect.
static ACCEPT: Act = Act {
    run: |object, _| {
        let listener = object.cast::<Listener>()?;
        let (event_loop, fd) = (listener.get().event_loop.bind(object.py()), listener.get().fd);
        // One that was closed meanwhile has left its number to strangers.
        let listens = event_loop.get().is_watched_by(Direction::Read, fd, object);
        if listens { accept(listener) } else { Ok(()) }
    },
    parts: |object| {
        let listener = object.cast::<Listener>()?.get();
        let event_loop = listener.event_loop.bind(object.py());
        let callback = event_loop.getattr(intern!(object.py(), "_accept_connection"))?;
        Ok((callback, listener.arguments.bind(object.py()).clone()))
    },
};

/// CPython: BaseSelectorEventLoop._accept_connection
fn accept(listener: &Bound<'_, Listener>) -> PyResult<()> {
    let py = listener.py();
    let this = listener.get();
    let event_loop = this.event_loop.bind(py);
    let logged = get(&event_loop.get().debug);
    if logged || event_loop.get().task_factory.borrow_mut(py).is_some() || is_replaced(listener)? {
        // Debug mode logs each connection, and a factory wants to see the task of each.
        let name = intern!(py, "_accept_connection");
        return event_loop.call_method1(name, this.arguments.bind(py).clone()).map(drop);
    }
    let fd = runtime::borrow_fd(this.fd).ok_or_else(|| errors::bad_descriptor(py))?;
    // Since 3.14 one more than the backlog.
    for _ in 0..this.backlog + usize::from(cfg!(Py_3_14)) {
        let (connection, peer) = match stream_socket::accept(fd) {
            Ok(accepted) => accepted,
            // Since 3.14 a connection that was aborted meanwhile does not end the round.
            Err(error) if cfg!(Py_3_14) && is_aborted(&error) => continue,
            Err(error) if is_over(&error) || is_aborted(&error) => return Ok(()),
            Err(error) if is_short_of_resources(&error) => {
                back_off(listener, &error)?;
                continue;
            }
            Err(error) => return Err(errors::os_error(py, &error)),
        };
        let (factory, server) = (this.factory.bind(py), this.server.bind(py));
        let sockname = this.sockname.as_ref().map(|name| name.bind(py));
        let kind = this.kind;
        let accepted = Accepted { connection, peer, sockname, kind, factory, server };
        match &this.tls {
            None => accepting::schedule(event_loop, accepted)?,
            Some(terms) => {
                let transport = accepting::hold(event_loop, accepted)?;
                serve_tls::spawn(event_loop, transport, terms.bind(py))?;
            }
        }
    }
    Ok(())
}

/// Whether somebody has replaced what makes TLS connections, as packages that speed them up do.
fn is_replaced(listener: &Bound<'_, Listener>) -> PyResult<bool> {
    let this = listener.get();
    Ok(this.tls.is_some() && !connect_parts::are_own(this.event_loop.bind(listener.py()))?)
}

fn is_over(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted)
}

fn is_aborted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM of errno(3).
fn is_short_of_resources(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}

/// The kernel goes on reporting the socket as ready: it is left alone for a while.
#[cold]
fn back_off(listener: &Bound<'_, Listener>, error: &io::Error) -> PyResult<()> {
    let py = listener.py();
    let this = listener.get();
    let event_loop = this.event_loop.bind(py);
    let report = PyDict::new(py);
    report.set_item("message", "socket.accept() out of system resource")?;
    report.set_item("exception", errors::os_error(py, error).into_value(py))?;
    report.set_item("socket", names::TRANSPORT_SOCKET.get(py)?.call1((&this.sock,))?)?;
    event_loop.call_method1(intern!(py, "call_exception_handler"), (report,))?;
    event_loop.call_method1(intern!(py, "_remove_reader"), (this.fd,))?;
    let start = event_loop.getattr(intern!(py, "_start_serving"))?;
    let mut arguments = vec![ACCEPT_RETRY_DELAY.into_pyobject(py)?.into_any(), start];
    arguments.extend(this.arguments.bind(py).iter());
    event_loop.call_method1(intern!(py, "call_later"), PyTuple::new(py, arguments)?).map(drop)
}
