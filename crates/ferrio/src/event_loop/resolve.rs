//! The loop's way to addresses that need no resolver. `python/ferrio/_name_lookup.py` asks here first
//! and goes through a thread when there is no answer.

use ferrio_capi::method::{Arguments, Members, Object};
use pyo3::prelude::*;

use crate::dns::{self, Query, ipaddr_info};
use crate::loop_state::{EventLoop, get};
use crate::names::none;

type Loop<'py> = Bound<'py, EventLoop>;

/// `_addrinfo_in_place(host, port, family, kind, proto, flags)`: what `socket.getaddrinfo` returns, or
/// None. In debug mode every look-up goes through the method that reports it; a closed loop refuses.
fn addrinfo_in_place<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let native = slf.get();
    if get(&native.debug) || get(&native.closed) {
        return Ok(none(slf.py()));
    }
    let [host, port, family, socket_type, protocol, flags] = arguments.exactly()?;
    let query = Query { host, port, family, socket_type, protocol, flags };
    Ok(dns::addrinfo(query)?.unwrap_or_else(|| none(slf.py())))
}

/// `_ipaddr_info(address, family, kind, proto)`: what `asyncio.base_events._ipaddr_info` returns where
/// that is certain, or None.
fn ipaddr_info<'py>(slf: &Loop<'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [address, family, socket_type, protocol] = arguments.exactly()?;
    let info = ipaddr_info::of_address(address, [family, socket_type, protocol])?;
    Ok(info.unwrap_or_else(|| none(slf.py())))
}

/// Adds the methods to the class.
pub fn install(py: Python<'_>) -> PyResult<()> {
    Members::default()
        .keywords::<EventLoop, _>(
            c"_addrinfo_in_place(host, port, family, kind, proto, flags, /)",
            addrinfo_in_place,
            c"Return what socket.getaddrinfo() returns, or None if that may take time.",
        )
        .keywords::<EventLoop, _>(
            c"_ipaddr_info(address, family, kind, proto, /)",
            ipaddr_info,
            c"Return the entry of an address whose host is a number for certain, or None.",
        )
        .install::<EventLoop>(py)
}
