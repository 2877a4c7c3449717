//! The SSLObject of a connection, made by the user's context.

use ferrio_capi::{call, dict};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::names;
use crate::originals::Original;

/// Its functions call those of `_ssl._SSLSocket` of the same name, `unwrap` its `shutdown`; `_create` makes an
/// object and sets its `_sslobj`. CPython: Lib/ssl.py
pub static SSL_OBJECT: Original = Original::new(
    &names::SSL_OBJECT,
    &["read", "write", "do_handshake", "unwrap", "getpeercert", "cipher", "compression", "_create"],
);

/// Its `wrap_bio` calls `sslobject_class._create`. CPython: Lib/ssl.py
static SSL_CONTEXT: Original =
    Original::new(&names::SSL_CONTEXT, &["wrap_bio", "_encode_hostname"]);

/// `context.wrap_bio(incoming, outgoing, server_side=..., server_hostname=...)`.
///
/// # Errors
/// What that raises.
pub fn wrap_bio<'py>(
    context: &Bound<'py, PyAny>,
    bios: [&Bound<'py, PyAny>; 2],
    server_side: bool,
    server_hostname: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = context.py();
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "server_side"), server_side)?;
    keywords.set_item(intern!(py, "server_hostname"), server_hostname)?;
    context.call_method(intern!(py, "wrap_bio"), (bios[0], bios[1]), Some(&keywords))
}

/// Whether neither the context nor a class has methods of somebody else's.
///
/// # Errors
/// What a look-up raises.
pub fn wraps_as_ssl_does(context: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = context.py();
    Ok(SSL_CONTEXT.is_class_of(context)?
        && dict::of_object(context)?.is_empty()
        && context.getattr(intern!(py, "sslobject_class"))?.is(names::SSL_OBJECT.get(py)?)
        && SSL_OBJECT.is_untouched(py)?)
}

/// Two MemoryBIOs for connections that never use theirs, the same for all of them.
///
/// # Errors
/// MemoryError.
pub fn unused_bios(py: Python<'_>) -> PyResult<&'static [Py<PyAny>; 2]> {
    static UNUSED: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();
    let make = || names::MEMORY_BIO.get(py)?.call0().map(Bound::unbind);
    UNUSED.get_or_try_init(py, || Ok([make()?, make()?]))
}

/// What `SSLContext.wrap_bio` and `SSLObject._create` do for a connection without the name of a server, which
/// would be encoded in Python: the SSLObject, and its `_sslobj`.
///
/// # Errors
/// What `_wrap_bio` raises.
pub fn wrap_natively<'py>(
    context: &Bound<'py, PyAny>,
    [incoming, outgoing]: [&Bound<'py, PyAny>; 2],
    server_side: bool,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    static OWNER: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    let py = context.py();
    let owner = OWNER.get_or_try_init(py, || {
        PyTuple::new(py, [PyString::intern(py, "owner")]).map(Bound::unbind)
    })?;
    let object = call::call_new(names::SSL_OBJECT.class(py)?)?;
    let arguments = [incoming, outgoing, &names::boolean(py, server_side)];
    let name = intern!(py, "_wrap_bio");
    let socket =
        call::call_method_with_keyword(context, name, &arguments, &object, owner.bind(py))?;
    object.setattr(intern!(py, "_sslobj"), &socket)?;
    Ok((object, socket))
}
