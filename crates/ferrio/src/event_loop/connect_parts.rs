//! Whether connections may be made past the parts that asyncio makes them of: methods of the loop, which
//! a subclass, an instance or a class may replace, and the class `socket.socket`, which tests patch.

use ferrio_capi::dict;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use super::overrides;
use super::sock::plain;
use crate::loop_state::{EventLoop, get, remember_class, set};
use crate::names;

/// The methods that stock's `create_connection` and `create_unix_connection` come to call, and those by
/// which a server accepts TLS connections, save what is watched for `sock_connect` anyway.
const METHODS: [&str; 11] = [
    "_ensure_resolved",
    "getaddrinfo",
    "_connect_sock",
    "sock_connect",
    "_sock_connect",
    "_sock_connect_cb",
    "_sock_write_done",
    "_create_connection_transport",
    "_make_socket_transport",
    "_make_ssl_transport",
    "_accept_connection2",
];

/// The methods themselves, which somebody may replace in asyncio's own classes.
const INHERITED: [&str; 2] = ["create_connection", "create_unix_connection"];

/// What there was when `ferrio` was imported.
struct Originals {
    methods: Vec<Py<PyAny>>,
    inherited: Vec<Py<PyAny>>,
    /// `asyncio.SelectorEventLoop`.
    inherited_class: Py<PyType>,
    /// The names of the modules of asyncio that make sockets.
    makers: [Py<PyDict>; 2],
}

static ORIGINALS: PyOnceLock<Originals> = PyOnceLock::new();

/// Remembers the class `ferrio.EventLoop`, and its parts and those of its base `asyncio.SelectorEventLoop` as
/// they are now.
///
/// # Errors
/// TypeError for a class of other loops; AttributeError when asyncio has no such method.
#[pyfunction]
#[pyo3(name = "_remember_loop_class", signature = (cls, base, /))]
pub fn remember(cls: &Bound<'_, PyType>, base: &Bound<'_, PyType>) -> PyResult<()> {
    let py = cls.py();
    remember_class(cls)?;
    let own = |class: &Bound<'_, PyType>, names: &[&str]| {
        names.iter().map(|name| Ok(class.getattr(*name)?.unbind())).collect::<PyResult<Vec<_>>>()
    };
    let names = |module: &names::AsyncioModule| Ok::<_, PyErr>(module.get(py)?.dict().unbind());
    let originals = Originals {
        methods: own(cls, &METHODS)?,
        inherited: own(base, &INHERITED)?,
        inherited_class: base.clone().unbind(),
        makers: [names(&names::BASE_EVENTS)?, names(&names::UNIX_EVENTS)?],
    };
    // The first import counts.
    let _ = ORIGINALS.set(py, originals);
    Ok(())
}

/// Whether assigning this attribute of a loop may replace a part.
pub fn is_part(name: &str) -> bool {
    METHODS.contains(&name)
}

/// Notes whether a loop of that class, with such attributes of its own, replaces a part.
pub fn note(
    native: &EventLoop,
    class: &Bound<'_, PyType>,
    own: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    set(&native.connect_overridden, is_replaced(class, own)?);
    Ok(())
}

fn is_replaced(class: &Bound<'_, PyType>, own: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    let py = class.py();
    let Some(originals) = ORIGINALS.get(py) else { return Ok(true) };
    if let Some(own) = own {
        for name in METHODS {
            if own.contains(name)? {
                return Ok(true);
            }
        }
    }
    let base = originals.inherited_class.bind(py);
    Ok(differ(class, &METHODS, &originals.methods)?
        || differ(base, &INHERITED, &originals.inherited)?)
}

fn differ(class: &Bound<'_, PyType>, names: &[&str], originals: &[Py<PyAny>]) -> PyResult<bool> {
    for (name, original) in names.iter().zip(originals) {
        if !class.getattr_opt(*name)?.is_some_and(|current| current.is(original)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether all parts are the interpreter's and Ferrio's own, and debug mode wants no log.
pub fn are_own(slf: &Bound<'_, EventLoop>) -> PyResult<bool> {
    overrides::refresh(slf)?;
    let native = slf.get();
    let replaced = get(&native.connect_overridden) || get(&native.sock_waits_overridden);
    let queues = native.takes_watches() && native.takes_items();
    Ok(queues && !replaced && makes_plain_sockets(slf.py())?)
}

/// Whether asyncio finds `socket.socket` itself under that name, and it is as it was.
fn makes_plain_sockets(py: Python<'_>) -> PyResult<bool> {
    let Some(originals) = ORIGINALS.get(py) else { return Ok(false) };
    for names in &originals.makers {
        let Some(module) = dict::get_item(names.bind(py), intern!(py, "socket"))? else {
            return Ok(false);
        };
        let class = module.getattr_opt(intern!(py, "socket"))?;
        let class = class.as_ref().and_then(|class| class.cast::<PyType>().ok());
        if !class.map_or(Ok(false), plain::is_plain)? {
            return Ok(false);
        }
    }
    Ok(true)
}
