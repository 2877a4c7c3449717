//! The begin of a connection, and the program's callback for one that a server accepted.
//! CPython: StreamReaderProtocol.connection_made

use ferrio_capi::StateOf;
use ferrio_capi::send;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::protocol::{self, StreamReaderProtocol};
use super::{reader, writer};
use crate::combinators::callback::{self, Callback, Kind};
use crate::futures::AsFuture;
use crate::loop_state::as_native;
use crate::names;
use crate::tasks::task::{self, Parts};
use crate::tls;
use crate::transports::stream::direct;

/// `connection_made`.
pub fn connection_made<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
    transport: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if state.reject_connection.get() {
        return reject(this, transport);
    }
    state.transport.set(transport.clone());
    let living = protocol::stream_reader(this)?;
    if let Some(living) = &living {
        match reader::as_plain(living) {
            Some(plain) => reader::set_transport(plain, transport)?,
            None => drop(living.call_method1(intern!(py, "set_transport"), (transport,))?),
        }
    }
    state.over_ssl.set(is_over_ssl(transport)?);
    if state.client_connected.is_set() {
        let outcome = serve(this, transport, living);
        if cfg!(Py_3_14) || outcome.is_ok() {
            drop(state.strong_reader.take(py));
        }
        return outcome;
    }
    Ok(())
}

/// `transport.get_extra_info('sslcontext') is not None`.
pub fn is_over_ssl(transport: &Bound<'_, PyAny>) -> PyResult<bool> {
    if direct::as_plain(transport).is_some() {
        return Ok(false);
    }
    if tls::transport::has_context(transport)? {
        return Ok(true);
    }
    let name = intern!(transport.py(), "get_extra_info");
    Ok(!transport.call_method1(name, ("sslcontext",))?.is_none())
}

#[cold]
fn reject(this: &Bound<'_, StreamReaderProtocol>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = this.py();
    let report = PyDict::new(py);
    report.set_item(
        "message",
        "An open stream was garbage collected prior to establishing network connection; \
         call \"stream.close()\" explicitly.",
    )?;
    let stack = this.state().source_traceback.get_or_none(py);
    if stack.is_truthy()? {
        report.set_item("source_traceback", stack)?;
    }
    report_to_loop(this, &report)?;
    transport.call_method0(intern!(py, "abort")).map(drop)
}

fn report_to_loop(
    this: &Bound<'_, StreamReaderProtocol>,
    report: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let py = this.py();
    let event_loop = this.state().flow.event_loop.get_or_none(py);
    event_loop.call_method1(intern!(py, "call_exception_handler"), (report,)).map(drop)
}

/// Calls the program's callback, and has a task of the coroutine that it gives.
fn serve<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
    transport: &Bound<'py, PyAny>,
    living: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let writer = writer::new(this, transport, living.as_ref())?.into_any();
    if cfg!(not(Py_3_13)) {
        state.writer.set(writer.clone());
    }
    let living = living.unwrap_or_else(|| names::none(py));
    let result = match state.client_connected.get_or_none(py).call1((living, writer)) {
        Err(error) if cfg!(Py_3_14) && error.is_instance_of::<PyException>(py) => {
            return failed(this, transport, error.value(py).as_any());
        }
        result => result?,
    };
    if !(send::is_exact_coroutine(&result)
        || names::IS_COROUTINE.get(py)?.call1((&result,))?.is_truthy()?)
    {
        return Ok(());
    }
    let ended = callback::new(py, &ENDED)?;
    ended.state().owner.set(this.clone());
    ended.state().first.set(transport.clone());
    let event_loop = state.flow.event_loop.get_or_none(py);
    if let Some(native) = as_native(&event_loop).filter(|native| native.get().makes_tasks(py))
        && send::is_exact_coroutine(&result)
    {
        let task = task::spawn(native, Parts::of(result))?;
        state.task.set(task.clone());
        let context = ferrio_capi::context::copy_current(py)?;
        return task.as_future().add_callback(ended.as_any(), context);
    }
    let task = event_loop.call_method1(intern!(py, "create_task"), (result,))?;
    state.task.set(task.clone());
    task.call_method1(intern!(py, "add_done_callback"), (ended,)).map(drop)
}

/// The task of the callback is done.
static ENDED: Kind = Kind {
    qualified_name: "StreamReaderProtocol.connection_made.<locals>.callback",
    inside: Some(&names::STREAM_READER_PROTOCOL),
    takes: 1,
    run: |this: &Bound<'_, Callback>, task| {
        let py = this.py();
        let protocol = this.state().owner.get_or_none(py);
        let protocol = protocol.cast_into::<StreamReaderProtocol>()?;
        let transport = this.state().first.get_or_none(py);
        if cfg!(Py_3_13) && task.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
            return transport.call_method0(intern!(py, "close")).map(drop);
        }
        let exception = task.call_method0(intern!(py, "exception"))?;
        if exception.is_none() { Ok(()) } else { failed(&protocol, &transport, &exception) }
    },
};

/// The callback, or its task, raised.
#[cold]
fn failed<'py>(
    this: &Bound<'py, StreamReaderProtocol>,
    transport: &Bound<'py, PyAny>,
    exception: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let report = PyDict::new(py);
    report.set_item("message", "Unhandled exception in client_connected_cb")?;
    report.set_item("exception", exception)?;
    report.set_item("transport", transport)?;
    report_to_loop(this, &report)?;
    transport.call_method0(intern!(py, "close")).map(drop)
}
