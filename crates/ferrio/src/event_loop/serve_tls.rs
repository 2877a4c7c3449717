//! Accepted TLS connections. Each has a task until its handshake is over, which a program sees and
//! cancels as it does stock's. CPython: BaseSelectorEventLoop._accept_connection2

use ferrio_capi::StateOf;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::connect;
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::errors;
use crate::futures::methods as futures;
use crate::loop_state::EventLoop;
use crate::names::none;
use crate::tasks::task::{self, Parts};
use crate::tls;
use crate::transports::stream::{StreamTransport, accepting};

/// Its `owner` is the loop. Until the handshake begins, `first` is the transport of the connection and
/// `second` the terms of its server; then the application's transport and protocol.
static ACCEPT: Kind = Kind {
    name: "_accept_connection2",
    qualified_name: "BaseSelectorEventLoop._accept_connection2",
    start,
    resume,
};

/// What the TLS protocols of a server are made with: the SSLContext and the timeouts of handshake and
/// shutdown, of the arguments of `_start_serving`.
pub fn terms<'py>(arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyTuple>> {
    let py = arguments.py();
    let [context, handshake, shutdown] =
        [2, 5, 6].map(|index| arguments.get_item(index).unwrap_or_else(|_| none(py)));
    PyTuple::new(py, [context, handshake, shutdown])
}

/// Gives the connection of `transport` its task.
pub fn spawn<'py>(
    slf: &Bound<'py, EventLoop>,
    transport: Bound<'py, StreamTransport>,
    terms: &Bound<'py, PyTuple>,
) -> PyResult<()> {
    let coro = coroutine::new(slf, &ACCEPT)?;
    coro.state().first.set(transport);
    coro.state().second.set(terms.clone());
    let coro = coro.into_any();
    if slf.get().makes_tasks(slf.py()) {
        return task::spawn(slf, Parts::of(coro)).map(drop);
    }
    slf.call_method1(intern!(slf.py(), "create_task"), (coro,)).map(drop)
}

fn owner<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Bound<'py, EventLoop>> {
    Ok(this.state().owner.get_or_none(this.py()).cast_into()?)
}

fn start<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let event_loop = owner(this)?;
    let transport = this.state().first.take(py).ok_or_else(errors::uninitialized)?;
    let transport = transport.cast_into::<StreamTransport>()?;
    let protocol = match accepting::make_protocol(&transport) {
        Ok(protocol) => protocol,
        Err(error) => return over(&event_loop, error, None, None),
    };
    let waiter = match begin(this, &event_loop, &transport, &protocol) {
        Ok(waiter) => waiter,
        Err(error) => return over(&event_loop, error, Some(&protocol), None),
    };
    awaiting(waiter)
}

/// The handshake begins; what waits for its end.
fn begin<'py>(
    this: &Bound<'py, Coroutine>,
    event_loop: &Bound<'py, EventLoop>,
    transport: &Bound<'py, StreamTransport>,
    protocol: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let terms = this.state().second.get_or_none(py).cast_into::<PyTuple>()?;
    let made = futures::create_for(event_loop.as_any())
        .and_then(|waiter| Ok((make_protocol(event_loop, protocol, &waiter, &terms)?, waiter)));
    let (tls, waiter) = match made {
        Ok(made) => made,
        Err(error) => return Err(accepting::forsake(transport, error)?),
    };
    this.state().first.set(tls.getattr(intern!(py, "_app_transport"))?);
    this.state().second.replace(py, Some(protocol.clone()));
    accepting::begin_with(transport, event_loop, tls)?;
    Ok(waiter)
}

/// The TLS protocol between the connection and the application's.
fn make_protocol<'py>(
    event_loop: &Bound<'py, EventLoop>,
    protocol: &Bound<'py, PyAny>,
    waiter: &Bound<'py, PyAny>,
    terms: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let [context, handshake, shutdown] =
        [terms.get_item(0)?, terms.get_item(1)?, terms.get_item(2)?];
    if let Some(class) = connect::replaced_tls_protocol(py)? {
        let keywords = PyDict::new(py);
        keywords.set_item("server_side", true)?;
        keywords.set_item("ssl_handshake_timeout", handshake)?;
        keywords.set_item("ssl_shutdown_timeout", shutdown)?;
        return class.call((event_loop, protocol, context, waiter), Some(&keywords));
    }
    let given = |seconds: Bound<'py, PyAny>| Some(seconds).filter(|seconds| !seconds.is_none());
    let parameters = tls::Parameters {
        event_loop: event_loop.clone().into_any(),
        app_protocol: protocol.clone(),
        context,
        waiter: Some(waiter.clone()),
        server_side: true,
        server_hostname: none(py),
        call_connection_made: true,
        handshake_timeout: given(handshake),
        shutdown_timeout: given(shutdown),
    };
    tls::new(py, parameters).map(Bound::into_any)
}

/// The handshake is over, or was given up.
fn resume<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let py = this.py();
    let Err(error) = outcome else { return Ok(Progress::Return(none(py))) };
    let event_loop = owner(this)?;
    let (transport, protocol) =
        (this.state().first.get_or_none(py), this.state().second.get_or_none(py));
    let error = match transport.call_method0(intern!(py, "close")) {
        Ok(_) => error,
        Err(other) => other,
    };
    over(&event_loop, error, Some(&protocol), Some(&transport))
}

/// An error on the way to a connection is nobody's but debug mode's.
fn over<'py>(
    event_loop: &Bound<'py, EventLoop>,
    error: PyErr,
    protocol: Option<&Bound<'py, PyAny>>,
    transport: Option<&Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    accepting::failed(event_loop, error, protocol, transport)?;
    Ok(Progress::Return(none(event_loop.py())))
}
