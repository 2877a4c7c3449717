//! From sockets to transports. CPython: BaseSelectorEventLoop._make_socket_transport,
//! BaseSelectorEventLoop._make_datagram_transport

use ferrio_capi::call::call_method;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use pyo3::{PyTypeInfo, intern};

use super::lifecycle::inherited;
use crate::loop_state::EventLoop;
use crate::names::{self, none};
use crate::tls;
use crate::transports::datagram;
use crate::transports::stream::{self, Parts};

/// `_make_socket_transport`.
pub fn make_socket_transport<'py>(
    slf: &Bound<'py, EventLoop>,
    parts: Parts<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    check_fd(slf, &parts.sock)?;
    if is_plain_socket(&parts.sock)? {
        return Ok(stream::new(slf, parts)?.into_any());
    }
    // A socket whose methods are its own is served by asyncio's transport, which calls them.
    let keywords = PyDict::new(py);
    keywords.set_item("extra", parts.extra)?;
    keywords.set_item("server", parts.server)?;
    let arguments = (parts.sock, parts.protocol, parts.waiter);
    inherited(slf)?.call_method(intern!(py, "_make_socket_transport"), arguments, Some(&keywords))
}

/// `_make_ssl_transport`: our TLS protocol over our transport.
pub fn make_ssl_transport<'py>(
    slf: &Bound<'py, EventLoop>,
    parts: Parts<'py>,
    context: &Bound<'py, PyAny>,
    keywords: Option<Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let keywords = keywords.unwrap_or_else(|| PyDict::new(py));
    let Parts { sock, protocol, waiter, extra, server } = parts;
    if !is_plain_socket(&sock)? {
        keywords.set_item("extra", extra)?;
        keywords.set_item("server", server)?;
        let name = intern!(py, "_make_ssl_transport");
        let arguments = (sock, protocol, context, waiter);
        return inherited(slf)?.call_method(name, arguments, Some(&keywords));
    }
    check_fd(slf, &sock)?;
    let tls =
        tls_protocol((slf, &protocol, context, &waiter.unwrap_or_else(|| none(py))), &keywords)?;
    let application = tls.getattr(intern!(py, "_app_transport"))?;
    stream::new(slf, Parts { sock, protocol: tls, waiter: None, extra, server })?;
    Ok(application)
}

/// A TLS protocol of the loop, the application's protocol, the SSLContext and the waiter. A class that
/// somebody has put into asyncio is used.
pub fn tls_protocol<'py>(
    parts: (&Bound<'py, EventLoop>, &Bound<'py, PyAny>, &Bound<'py, PyAny>, &Bound<'py, PyAny>),
    keywords: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = keywords.py();
    match replaced_tls_protocol(py)? {
        None => tls::SSLProtocol::type_object(py).call(parts, Some(keywords)),
        Some(class) => class.call(parts, Some(keywords)),
    }
}

/// The class that somebody has put into asyncio.
pub fn replaced_tls_protocol(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let class = names::SSLPROTO.attribute(intern!(py, "SSLProtocol"))?;
    Ok(if class.is(names::SSL_PROTOCOL.get(py)?) { None } else { Some(class) })
}

/// `_make_datagram_transport`. A socket with methods of its own, or of a family that only Python knows,
/// gets asyncio's transport, which calls its methods.
pub fn make_datagram_transport<'py>(
    slf: &Bound<'py, EventLoop>,
    parts: datagram::Parts<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    check_fd(slf, &parts.sock)?;
    if datagram::serves(&parts.sock)? {
        return Ok(datagram::new(slf, parts)?.into_any());
    }
    let datagram::Parts { sock, protocol, address, waiter, extra } = parts;
    let name = intern!(slf.py(), "_make_datagram_transport");
    inherited(slf)?.call_method1(name, (sock, protocol, address, waiter, extra))
}

/// Since 3.12 a socket that another transport owns is refused.
fn check_fd<'py>(slf: &Bound<'py, EventLoop>, sock: &Bound<'py, PyAny>) -> PyResult<()> {
    if cfg!(not(Py_3_12)) {
        return Ok(());
    }
    call_method(slf.as_any(), intern!(slf.py(), "_ensure_fd_no_transport"), [sock]).map(drop)
}

/// Whether the socket is `socket.socket`, or a subclass that leaves alone what transports call.
pub fn is_plain_socket(sock: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = sock.py();
    let stock = names::STOCK_SOCKET.get(py)?.cast::<PyType>()?;
    let class = sock.get_type();
    if class.is(stock) {
        return Ok(true);
    }
    if !class.is_subclass(stock)? {
        return Ok(false);
    }
    for name in ["recv", "recv_into", "send", "sendmsg", "shutdown"] {
        if !class.getattr(name)?.is(&stock.getattr(name)?) {
            return Ok(false);
        }
    }
    Ok(true)
}
