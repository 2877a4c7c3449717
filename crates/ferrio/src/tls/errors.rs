//! What exceptions of the ssl module mean to a connection.

use ferrio_capi::StateOf;
use ferrio_capi::handled;
use pyo3::exceptions::{PyException, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::protocol::SSLProtocol;
use crate::loop_state::is_debug;
use crate::{errors, names};

/// Ciphertext has to come first. CPython: SSLAgainErrors
pub fn is_again(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    Ok(error.is_instance(py, names::SSL_WANT_READ_ERROR.get(py)?)
        || error.is_instance(py, names::SSL_SYSCALL_ERROR.get(py)?))
}

/// `ssl.SSLError`.
pub fn is_ssl_error(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    Ok(error.is_instance(py, names::SSL_ERROR.get(py)?))
}

/// `ssl.CertificateError`.
pub fn is_certificate_error(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    Ok(error.is_instance(py, names::SSL_CERTIFICATE_ERROR.get(py)?))
}

/// Logs a text about the protocol in debug mode; whether it is on.
pub fn debug(this: &Bound<'_, SSLProtocol>, text: &str) -> PyResult<bool> {
    let py = this.py();
    let on = is_debug(&this.state().event_loop.get_or_none(py))?;
    if on {
        names::LOGGER.get(py)?.call_method1(intern!(py, "debug"), (text, this))?;
    }
    Ok(on)
}

/// `except Exception as error: self._fatal_error(error, message)`; any other exception comes back.
pub fn fatal_unless_base(
    this: &Bound<'_, SSLProtocol>,
    error: PyErr,
    message: &str,
) -> PyResult<()> {
    if !error.is_instance_of::<PyException>(this.py()) {
        return Err(error);
    }
    fatal_raised(this, error, message)
}

/// `except (KeyboardInterrupt, SystemExit): raise`, and `_fatal_error` for everything else.
pub fn fatal_unless_leaving(
    this: &Bound<'_, SSLProtocol>,
    error: PyErr,
    message: &str,
) -> PyResult<()> {
    if errors::leaves_the_loop(this.py(), &error) {
        return Err(error);
    }
    fatal_raised(this, error, message)
}

/// `_fatal_error` inside of `except`.
pub fn fatal_raised(this: &Bound<'_, SSLProtocol>, error: PyErr, message: &str) -> PyResult<()> {
    let exception = error.into_value(this.py()).into_bound(this.py()).into_any();
    handled::while_handling(&exception, || fatal(this, &exception, message))
}

/// `_fatal_error`.
pub fn fatal<'py>(
    this: &Bound<'py, SSLProtocol>,
    exception: &Bound<'py, PyAny>,
    message: &str,
) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let transport = state.transport.get_or_none(py);
    if transport.is_truthy()? {
        transport.call_method1(intern!(py, "_force_close"), (exception,))?;
    }
    let event_loop = state.event_loop.get_or_none(py);
    if exception.is_instance_of::<PyOSError>() {
        if is_debug(&event_loop)? {
            let keywords = PyDict::new(py);
            keywords.set_item("exc_info", true)?;
            names::LOGGER.get(py)?.call_method(
                "debug",
                ("%r: %s", this, message),
                Some(&keywords),
            )?;
        }
        return Ok(());
    }
    if exception.is_instance(names::CANCELLED_ERROR.get(py)?)? {
        return Ok(());
    }
    let transport = state.transport.get_or_none(py);
    report(this, message, exception, &transport)
}

/// Hands an exception to the loop's handler.
pub fn report<'py>(
    this: &Bound<'py, SSLProtocol>,
    message: &str,
    exception: &Bound<'py, PyAny>,
    transport: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = this.py();
    let report = PyDict::new(py);
    report.set_item("message", message)?;
    report.set_item("exception", exception)?;
    report.set_item("transport", transport)?;
    report.set_item("protocol", this)?;
    let event_loop = this.state().event_loop.get_or_none(py);
    event_loop.call_method1(intern!(py, "call_exception_handler"), (report,)).map(drop)
}

/// OpenSSL refuses a call, and the SSLObject then makes it without an error.
#[cold]
pub fn unexplained(py: Python<'_>, call: &str) -> PyErr {
    match names::SSL_ERROR.class(py) {
        Ok(class) => PyErr::from_type(class.clone(), (format!("OpenSSL refuses to {call}"),)),
        Err(error) => error,
    }
}
