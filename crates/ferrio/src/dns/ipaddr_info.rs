//! `asyncio.base_events._ipaddr_info`: the address that `create_connection`, `sock_connect` and their
//! sisters are given is often a number already, and then no `getaddrinfo` is called for it.

use std::net::IpAddr;

use ferrio_core::numeric_address::{self, Host};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};

use super::number;
use super::originals::{self, Originals};

/// What that function returns for an address tuple, where it is certain that it finds a numeric host.
/// None otherwise: the function itself then decides.
///
/// # Errors
/// MemoryError, and what the import of asyncio raises.
pub fn of_address<'py>(
    address: &Bound<'py, PyAny>,
    [family, socket_type, protocol]: [&Bound<'py, PyAny>; 3],
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = address.py();
    let (Some(originals), Ok(parts)) = (originals::unpatched(py)?, address.cast_exact::<PyTuple>())
    else {
        return Ok(None);
    };
    if !(2..=4).contains(&parts.len()) || !originals.has_own_ipaddr_info(py)? {
        return Ok(None);
    }
    let item = |index| parts.get_borrowed_item(index);
    let (host, port) = (item(0)?, item(1)?);
    let (Some(numeric), Some(protocol)) =
        (numeric_host(&host), default_protocol(originals, socket_type, protocol))
    else {
        return Ok(None);
    };
    let Some(family) = matching_family(originals, family, numeric) else {
        return Ok(None);
    };
    let zero = 0_i32.into_pyobject(py)?.into_any();
    let port = match &*port {
        port if port.is_none() => zero.clone(),
        port if port.is_exact_instance_of::<PyInt>() => port.clone(),
        _ => return Ok(None),
    };
    let host = host.to_owned();
    let socket_address = if numeric.is_ipv4() {
        PyTuple::new(py, [host, port])?
    } else {
        let given = |index| item(index).map_or_else(|_| zero.clone(), |item| item.to_owned());
        PyTuple::new(py, [host, port, given(2), given(3)])?
    };
    let no_name = originals.no_name.bind(py).as_any();
    let info = [family, socket_type.clone(), protocol, no_name.clone(), socket_address.into_any()];
    Ok(Some(PyTuple::new(py, info)?.into_any()))
}

fn numeric_host(host: &Bound<'_, PyAny>) -> Option<IpAddr> {
    match numeric_address::host(host.cast_exact::<PyString>().ok()?.to_str().ok()?)? {
        Host::Address(address) => Some(address),
        Host::Unspecified | Host::Zoned => None,
    }
}

/// The protocol that goes with the socket type, whichever of the usual ones was given.
fn default_protocol<'py>(
    originals: &Originals,
    socket_type: &Bound<'py, PyAny>,
    protocol: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyAny>> {
    let transport = numeric_address::transport_of(number(socket_type)?, number(protocol)?)?;
    Some(originals.transport(transport).1.bind(socket_type.py()).clone())
}

/// The family that was given, or in place of none that of the address.
fn matching_family<'py>(
    originals: &Originals,
    family: &Bound<'py, PyAny>,
    address: IpAddr,
) -> Option<Bound<'py, PyAny>> {
    match number(family)? {
        0 => Some(originals.family(address).bind(family.py()).clone()),
        asked => numeric_address::is_of(address, asked).then(|| family.clone()),
    }
}
