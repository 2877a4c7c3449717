//! Flow control in both directions. CPython: SSLProtocol._control_app_writing, _control_ssl_reading

use ferrio_capi::StateOf;
use ferrio_capi::call::call_method;
use ferrio_core::tls::{Change, Marks};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString};

use super::protocol::SSLProtocol;
use super::{engine, errors};
use crate::names;
use crate::transports::stream::direct;

/// KiB. CPython: constants.FLOW_CONTROL_HIGH_WATER_SSL_WRITE and _READ
pub const HIGH_WRITE: u32 = 512;
pub const HIGH_READ: u32 = 256;

/// The water marks that nobody has set.
pub fn set_default_limits(this: &Bound<'_, SSLProtocol>) {
    for (marks, kib) in [(&this.state().writing, HIGH_WRITE), (&this.state().reading, HIGH_READ)] {
        let high = f64::from(kib) * 1024.0;
        marks.set(high, high / 4.0);
        marks.set_paused(false);
    }
}

/// `_set_write_buffer_limits`, `_set_read_buffer_limits`; None for what is not given.
pub fn set_limits<'py>(
    marks: &Marks,
    high: &Bound<'py, PyAny>,
    low: &Bound<'py, PyAny>,
    kib: u32,
) -> PyResult<()> {
    let limits = names::ADD_FLOWCONTROL_DEFAULTS.get(high.py())?.call1((high, low, kib))?;
    let (high, low): (f64, f64) = limits.extract()?;
    marks.set(high, low);
    Ok(())
}

/// A water mark as stock shows it.
pub fn limit(py: Python<'_>, mark: f64) -> PyResult<Bound<'_, PyAny>> {
    let float = PyFloat::new(py, mark).into_any();
    if mark.fract() == 0.0 { float.call_method0(intern!(py, "__int__")) } else { Ok(float) }
}

/// `_get_write_buffer_size`.
pub fn write_buffer_size(this: &Bound<'_, SSLProtocol>) -> PyResult<usize> {
    let state = this.state();
    Ok(engine::unsent(state, this.py())? + state.backlog_size.get())
}

/// `_control_app_writing`.
#[inline]
pub fn control_app_writing(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    match this.state().writing.judge(write_buffer_size(this)?) {
        Change::Nothing => Ok(()),
        Change::Pause => {
            tell(this, intern!(py, "pause_writing"), "protocol.pause_writing() failed")
        }
        Change::Resume => {
            tell(this, intern!(py, "resume_writing"), "protocol.resume_writing() failed")
        }
    }
}

fn tell<'py>(
    this: &Bound<'py, SSLProtocol>,
    name: &Bound<'py, PyString>,
    message: &str,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let Err(error) = call_method(&state.app_protocol.get_or_none(py), name, []) else {
        return Ok(());
    };
    if crate::errors::leaves_the_loop(py, &error) {
        return Err(error);
    }
    let exception = error.into_value(py).into_bound(py).into_any();
    errors::report(this, message, &exception, &state.app_transport.get_or_none(py))
}

/// `_control_ssl_reading`.
#[inline]
pub fn control_transport_reading(this: &Bound<'_, SSLProtocol>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    match state.reading.judge(engine::readable(state, py)?) {
        Change::Nothing => Ok(()),
        Change::Pause => direct::pause_reading(&state.transport.get_or_none(py)),
        Change::Resume => direct::resume_reading(&state.transport.get_or_none(py)),
    }
}
