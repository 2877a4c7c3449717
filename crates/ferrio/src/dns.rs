//! `getaddrinfo` in place, for hosts that are numbers: what is certain is made here, what only the
//! kernel can tell is asked of the interpreter's own function at once, and for all else there is no
//! answer, so that the caller goes the ordinary way through a thread.
//!
//! Nothing is answered past a patch: `socket.getaddrinfo` is looked up for each call, and one that is
//! not the interpreter's own is left to the ordinary way, which calls it.

pub mod ipaddr_info;
mod originals;

use std::net::IpAddr;

use ferrio_capi::audit;
use ferrio_core::numeric_address::{self, Answer, Hints, Host, Spelling, Transport};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString, PyTuple};

use originals::Originals;

/// The arguments of one call of `getaddrinfo`, as they came.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a, 'py> {
    pub host: &'a Bound<'py, PyAny>,
    pub port: &'a Bound<'py, PyAny>,
    pub family: &'a Bound<'py, PyAny>,
    pub socket_type: &'a Bound<'py, PyAny>,
    pub protocol: &'a Bound<'py, PyAny>,
    pub flags: &'a Bound<'py, PyAny>,
}

/// What `socket.getaddrinfo` returns or raises, where finding it cannot take time.
///
/// # Errors
/// As `socket.getaddrinfo`, for what is answered in place.
pub fn addrinfo<'py>(query: Query<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = query.host.py();
    let Some(originals) = originals::unpatched(py)? else {
        return Ok(None);
    };
    let (Some(host), Some(port), Some(hints)) = (host(query.host), port(query.port), query.hints())
    else {
        return Ok(None);
    };
    match numeric_address::answer(host, port != Port::Absent, hints) {
        Answer::Certain(address, transports) => {
            let numbers = [hints.family, hints.socket_type, hints.protocol];
            audit::audit_two_and_three(c"socket.getaddrinfo", [query.host, query.port], numbers)?;
            let family = originals.family(address).bind(py);
            let address = query.socket_address(address, port)?;
            entries(originals, family, &address, transports).map(Some)
        }
        Answer::Local => {
            let Query { host, port, family, socket_type, protocol, flags } = query;
            let arguments = (host, port, family, socket_type, protocol, flags);
            originals.getaddrinfo.bind(py).call1(arguments).map(Some)
        }
        Answer::Unknown => Ok(None),
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Port {
    Absent,
    Number(u16),
}

fn host(object: &Bound<'_, PyAny>) -> Option<Host> {
    if object.is_none() {
        return Some(Host::Unspecified);
    }
    numeric_address::host(text(object)?)
}

fn port(object: &Bound<'_, PyAny>) -> Option<Port> {
    if object.is_none() {
        return Some(Port::Absent);
    }
    let number = match object.cast_exact::<PyInt>() {
        Ok(number) => number.extract().ok(),
        Err(_) => numeric_address::port(text(object)?),
    };
    number.map(Port::Number)
}

/// The text of a str or of bytes. Subclasses may encode themselves in another way.
fn text<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        return text.to_str().ok();
    }
    std::str::from_utf8(object.cast_exact::<PyBytes>().ok()?.as_bytes()).ok()
}

/// A C int out of an int or a member of an enum.
fn number(object: &Bound<'_, PyAny>) -> Option<i32> {
    object.cast::<PyInt>().ok()?.extract().ok()
}

impl<'py> Query<'_, 'py> {
    fn hints(&self) -> Option<Hints> {
        Some(Hints {
            family: number(self.family)?,
            socket_type: number(self.socket_type)?,
            protocol: number(self.protocol)?,
            flags: number(self.flags)?,
        })
    }

    /// The address of a socket as Python has it. An IPv4 address has but one numeric form, so the
    /// text that was given is the text that is wanted.
    fn socket_address(&self, address: IpAddr, port: Port) -> PyResult<Bound<'py, PyTuple>> {
        let py = self.host.py();
        let port = match port {
            Port::Number(_) if self.port.is_exact_instance_of::<PyInt>() => self.port.clone(),
            Port::Number(number) => number.into_pyobject(py)?.into_any(),
            Port::Absent => 0_i32.into_pyobject(py)?.into_any(),
        };
        let host = match address {
            IpAddr::V4(_) if self.host.is_exact_instance_of::<PyString>() => self.host.clone(),
            _ => PyString::new(py, Spelling::of(address).as_str()).into_any(),
        };
        match address {
            IpAddr::V4(_) => PyTuple::new(py, [host, port]),
            IpAddr::V6(_) => {
                let zero = 0_i32.into_pyobject(py)?.into_any();
                PyTuple::new(py, [host, port, zero.clone(), zero])
            }
        }
    }
}

/// The list: one entry for each transport.
fn entries<'py>(
    originals: &Originals,
    family: &Bound<'py, PyAny>,
    address: &Bound<'py, PyTuple>,
    transports: &[Transport],
) -> PyResult<Bound<'py, PyAny>> {
    let py = address.py();
    let entry = |transport: &Transport| {
        let (socket_type, protocol) = originals.transport(*transport);
        let parts = [
            family,
            socket_type.bind(py),
            protocol.bind(py),
            originals.no_name.bind(py).as_any(),
            address.as_any(),
        ];
        PyTuple::new(py, parts)
    };
    let list = PyList::empty(py);
    for transport in transports {
        list.append(entry(transport)?)?;
    }
    Ok(list.into_any())
}
