//! `sock_connect`, for addresses that need no resolver.

use ferrio_capi::StateOf;
use ferrio_capi::addresses::AddressFamily;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::socket_object::SocketFacts;
use ferrio_core::socket_calls::{self, Attempt};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::{Operation, SockCall, Tried, ask, call};
use crate::dns::ipaddr_info;
use crate::errors;
use crate::loop_state::{Direction, EventLoop};
use crate::names::none;

static CONNECT: Operation = Operation {
    name: "sock_connect",
    qualified_name: "BaseSelectorEventLoop.sock_connect",
    callback: "_sock_connect_cb",
    direction: Direction::Write,
    least: 2,
    most: 2,
    serves: needs_no_resolver,
    start: connect,
    retry: finish,
};

/// Whether stock would find out by itself that the address is resolved.
fn needs_no_resolver(facts: &SocketFacts, arguments: &Arguments<'_, '_>) -> PyResult<bool> {
    let Some(address) = arguments.value(1) else { return Ok(false) };
    Ok(!is_internet(facts) || resolved(facts, address)?.is_some())
}

fn is_internet(facts: &SocketFacts) -> bool {
    let is = |family: AddressFamily| facts.family == i32::from(family.as_raw());
    is(AddressFamily::INET) || is(AddressFamily::INET6)
}

/// The numeric address in its full form. CPython: BaseEventLoop._ensure_resolved
fn resolved<'py>(
    facts: &SocketFacts,
    address: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let number = |number| PyInt::new(address.py(), number).into_any();
    let [family, kind, protocol] = [facts.family, facts.kind, facts.protocol].map(number);
    let info = ipaddr_info::of_address(address, [&family, &kind, &protocol])?;
    info.map(|info| info.get_item(4)).transpose()
}

fn connect<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let facts = state.facts(py)?;
    if is_internet(&facts)
        && let Some(address) = resolved(&facts, &state.first(py))?
    {
        state.first.set(address);
    }
    ask(this, intern!(py, "connect"), (state.first(py),))
}

/// The socket is writable: the attempt is over. CPython: _sock_connect_cb
fn finish<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let outcome = socket_calls::connect_outcome(this.state().descriptor(py)?);
    match outcome.map_err(|error| errors::os_error(py, &error))? {
        Ok(Attempt::Connected) => Ok(Some(none(py))),
        Ok(Attempt::Pending) => Ok(None),
        Err(error) => Err(errors::connect_call_failed(&error, &this.state().first(py))),
    }
}

pub fn methods(members: Members) -> Members {
    members.keywords::<EventLoop, _>(
        c"sock_connect(sock, address)",
        sock_connect,
        c"Connect a socket to an address, whose host name is resolved.",
    )
}

fn sock_connect<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    call(slf, &arguments, &CONNECT)
}
