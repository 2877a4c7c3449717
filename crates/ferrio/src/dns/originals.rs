//! What the interpreter's own `socket` module says with, and whether a program has put something else
//! in its place.
//!
//! asyncio finds the module as a name of `asyncio.base_events`, and tests replace that as well: both
//! are looked up for each call.

use std::net::IpAddr;

use ferrio_core::numeric_address::Transport;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyResult, intern};

use crate::names;

/// The objects of `socket` that answers are made of.
#[derive(Debug)]
pub struct Originals {
    /// `socket.getaddrinfo` as the interpreter's library defines it.
    pub getaddrinfo: Py<PyAny>,
    /// `asyncio.base_events._ipaddr_info`, the same.
    ipaddr_info: Py<PyAny>,
    /// The empty canonical name.
    pub no_name: Py<PyString>,
    socket: Py<PyAny>,
    /// The names of the module `socket`.
    socket_names: Py<PyDict>,
    /// The names of the module `asyncio.base_events`.
    base_events_names: Py<PyDict>,
    /// `AF_INET`, `AF_INET6`.
    families: [Py<PyAny>; 2],
    /// Socket type and protocol of each transport.
    stream: (Py<PyAny>, Py<PyAny>),
    datagram: (Py<PyAny>, Py<PyAny>),
    raw: (Py<PyAny>, Py<PyAny>),
}

impl Originals {
    /// The socket type and the protocol of a transport.
    pub fn transport(&self, transport: Transport) -> &(Py<PyAny>, Py<PyAny>) {
        match transport {
            Transport::Stream => &self.stream,
            Transport::Datagram => &self.datagram,
            Transport::Raw => &self.raw,
        }
    }

    /// The family of an address.
    pub fn family(&self, address: IpAddr) -> &Py<PyAny> {
        &self.families[usize::from(address.is_ipv6())]
    }

    /// Whether `asyncio.base_events._ipaddr_info` is asyncio's.
    pub fn has_own_ipaddr_info(&self, py: Python<'_>) -> PyResult<bool> {
        let current = self.base_events_names.bind(py).get_item(intern!(py, "_ipaddr_info"))?;
        Ok(current.is_some_and(|current| current.is(&self.ipaddr_info)))
    }

    fn are_current(&self, py: Python<'_>) -> PyResult<bool> {
        let name = |names: &Py<PyDict>, name| names.bind(py).get_item(name);
        let socket = name(&self.base_events_names, intern!(py, "socket"))?;
        let getaddrinfo = name(&self.socket_names, intern!(py, "getaddrinfo"))?;
        Ok(socket.is_some_and(|socket| socket.is(&self.socket))
            && getaddrinfo.is_some_and(|function| function.is(&self.getaddrinfo)))
    }

    /// None while one of the functions is not its module's own, and for an interpreter that was built
    /// without IPv6, whose answers differ.
    fn find(py: Python<'_>) -> PyResult<Option<Self>> {
        let socket = py.import("socket")?;
        let base_events = names::BASE_EVENTS.get(py)?;
        let (Some(getaddrinfo), Some(ipaddr_info), true) = (
            own_function(&socket, "getaddrinfo")?,
            own_function(base_events, "_ipaddr_info")?,
            socket.getattr("has_ipv6")?.is_truthy()?,
        ) else {
            return Ok(None);
        };
        let get = |name| socket.getattr(name).map(Bound::unbind);
        Ok(Some(Self {
            getaddrinfo,
            ipaddr_info,
            no_name: PyString::intern(py, "").unbind(),
            socket_names: socket.dict().unbind(),
            base_events_names: base_events.dict().unbind(),
            families: [get("AF_INET")?, get("AF_INET6")?],
            stream: (get("SOCK_STREAM")?, get("IPPROTO_TCP")?),
            datagram: (get("SOCK_DGRAM")?, get("IPPROTO_UDP")?),
            raw: (get("SOCK_RAW")?, 0_i32.into_pyobject(py)?.into_any().unbind()),
            socket: socket.into_any().unbind(),
        }))
    }
}

/// A function that was defined in the module it is found in.
fn own_function(module: &Bound<'_, PyModule>, name: &str) -> PyResult<Option<Py<PyAny>>> {
    let function = module.getattr(name)?;
    let home = function.getattr_opt("__globals__")?;
    Ok(home.is_some_and(|home| home.is(module.dict())).then(|| function.unbind()))
}

/// The originals, while nobody has replaced the function or the module that asyncio asks.
///
/// # Errors
/// What an import raises.
pub fn unpatched(py: Python<'_>) -> PyResult<Option<&'static Originals>> {
    static FOUND: PyOnceLock<Originals> = PyOnceLock::new();
    if FOUND.get(py).is_none()
        && let Some(originals) = Originals::find(py)?
    {
        // Somebody who was faster found the same objects.
        let _ = FOUND.set(py, originals);
    }
    let Some(originals) = FOUND.get(py) else {
        return Ok(None);
    };
    Ok(originals.are_current(py)?.then_some(originals))
}
