//! Flow control and the change of protocols. CPython: transports._FlowControlMixin

use ferrio_capi::call::call_method;
use ferrio_capi::{Ref, StateOf};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{StreamTransport, direct, writing};
use crate::errors;
use crate::names;

/// Write buffer limits as they were given, and as numbers to compare with.
#[derive(Debug)]
pub struct Limits {
    pub high_object: Ref,
    pub low_object: Ref,
    pub high: f64,
    pub low: f64,
}

/// Bytes. CPython: _FlowControlMixin._set_write_buffer_limits
pub const DEFAULT_HIGH: u32 = 64 * 1024;
pub const DEFAULT_LOW: u32 = DEFAULT_HIGH / 4;

/// The (high, low) water marks as numbers.
pub fn water_marks(this: &Bound<'_, StreamTransport>) -> (f64, f64) {
    let limits = this.state().limits.take();
    let marks = match &limits {
        Some(limits) => (limits.high, limits.low),
        None => (f64::from(DEFAULT_HIGH), f64::from(DEFAULT_LOW)),
    };
    this.state().limits.set(limits);
    marks
}

/// The (high, low) water marks as objects.
pub fn limits<'py>(this: &Bound<'py, StreamTransport>) -> PyResult<[Bound<'py, PyAny>; 2]> {
    let py = this.py();
    let limits = this.state().limits.take();
    let objects = limits.as_ref().map(|limits| [&limits.high_object, &limits.low_object]);
    let objects = objects.map(|objects| objects.map(|object| object.bind(py)));
    this.state().limits.set(limits);
    match objects {
        Some(objects) => Ok(objects),
        None => Ok([
            DEFAULT_HIGH.into_pyobject(py)?.into_any(),
            DEFAULT_LOW.into_pyobject(py)?.into_any(),
        ]),
    }
}

/// `_set_write_buffer_limits(high, low)`; None (Rust's or Python's) for what is not given.
pub fn set_limits<'py>(
    this: &Bound<'py, StreamTransport>,
    high: Option<&Bound<'py, PyAny>>,
    low: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = this.py();
    let given = |limit: Option<&Bound<'py, PyAny>>| limit.filter(|limit| !limit.is_none()).cloned();
    let (high, low) = (given(high), given(low));
    let high = match (high, &low) {
        (Some(high), _) => high,
        (None, Some(low)) => 4_u32.into_pyobject(py)?.into_any().mul(low)?,
        (None, None) => DEFAULT_HIGH.into_pyobject(py)?.into_any(),
    };
    let low = match low {
        Some(low) => low,
        None => high.floor_div(4_u32)?,
    };
    if !(high.ge(&low)? && low.ge(0)?) {
        let text = format!("high ({}) must be >= low ({}) must be >= 0", high.repr()?, low.repr()?);
        return Err(PyValueError::new_err(text));
    }
    let limits = Limits {
        high: high.extract()?,
        low: low.extract()?,
        high_object: Ref::new(high),
        low_object: Ref::new(low),
    };
    let old = this.state().limits.replace(Some(Box::new(limits)));
    drop(old);
    Ok(())
}

/// Calls pause_writing() when more than the high-water mark waits.
pub fn maybe_pause(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if state.protocol_paused.get() || state.buffered() as f64 <= water_marks(this).0 {
        return Ok(());
    }
    if state.deferred.get() {
        if state.tls_protocol.get() && state.buffered() as f64 <= 2.0 * water_marks(this).0 {
            // Records make a write of 64 KiB longer than the mark, and more is to come with it. A TLS protocol
            // pauses nobody until much more waits; it is told when the item has ended.
            state.native_loop(this.py())?.get().call_after_item();
            return Ok(());
        }
        // What is deferred does not wait for the peer: only what is left after sending counts.
        writing::flush(this)?;
        if state.buffered() as f64 <= water_marks(this).0 {
            return Ok(());
        }
    }
    state.protocol_paused.set(true);
    let name = intern!(this.py(), "pause_writing");
    tell_protocol(this, name, "protocol.pause_writing() failed")
}

/// Calls resume_writing() when no more than the low-water mark waits.
pub fn maybe_resume(this: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let state = this.state();
    if !state.protocol_paused.get() || state.buffered() as f64 > water_marks(this).1 {
        return Ok(());
    }
    state.protocol_paused.set(false);
    let name = intern!(this.py(), "resume_writing");
    tell_protocol(this, name, "protocol.resume_writing() failed")
}

fn tell_protocol<'py>(
    this: &Bound<'py, StreamTransport>,
    name: &Bound<'py, pyo3::types::PyString>,
    message: &str,
) -> PyResult<()> {
    let py = this.py();
    let protocol = this.state().protocol.get_or_none(py);
    let Err(error) = call_method(&protocol, name, []) else { return Ok(()) };
    if errors::leaves_the_loop(py, &error) {
        return Err(error);
    }
    let exception = error.into_value(py).into_bound(py).into_any();
    report(this, message, &exception)
}

/// Hands an exception to the loop's handler, with the transport and the protocol.
pub fn report(
    this: &Bound<'_, StreamTransport>,
    message: &str,
    exception: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let report = PyDict::new(py);
    report.set_item("message", message)?;
    report.set_item("exception", exception)?;
    report.set_item("transport", this)?;
    report.set_item("protocol", this.state().protocol.get_or_none(py))?;
    let event_loop = this.state().native_loop(py)?;
    event_loop.call_method1(intern!(py, "call_exception_handler"), (report,)).map(drop)
}

/// `set_protocol`.
pub fn set_protocol<'py>(
    this: &Bound<'py, StreamTransport>,
    protocol: Bound<'py, PyAny>,
) -> PyResult<()> {
    let state = this.state();
    let buffered = protocol.is_instance(names::BUFFERED_PROTOCOL.get(this.py())?)?;
    state.buffered_protocol.set(buffered);
    state.tls_protocol.set(buffered && direct::tls_receiver(&protocol).is_some());
    state.protocol.set(protocol);
    state.protocol_connected.set(true);
    Ok(())
}
