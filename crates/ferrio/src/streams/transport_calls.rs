//! What a writer asks of its transport: past the Python face of one of ours.

use ferrio_capi::call::call_method;
use pyo3::intern;
use pyo3::prelude::*;

use crate::tls;
use crate::transports::stream::direct;

/// `transport.write(data)`.
///
/// # Errors
/// The transport's.
#[inline]
pub fn write<'py>(transport: &Bound<'py, PyAny>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    match tls::transport::as_plain(transport) {
        Some(plain) => tls::write_data(plain, data),
        None => direct::write(transport, data),
    }
}

/// `transport.is_closing()`.
///
/// # Errors
/// The transport's.
#[inline]
pub fn is_closing(transport: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Some(closing) = direct::is_closing(transport) {
        return Ok(closing);
    }
    match tls::transport::as_plain(transport) {
        Some(plain) => tls::transport::is_closing(plain),
        None => call_method(transport, intern!(transport.py(), "is_closing"), [])?.is_truthy(),
    }
}
