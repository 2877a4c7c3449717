//! The class: its native members, and stock's functions for the rest.

use ferrio_capi::derived;
use ferrio_capi::method::Members;
use pyo3::PyTypeInfo;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use super::{BASE_SLOTS, DATAGRAM_TRANSPORT, DatagramTransport, attributes, reading, sending};
use crate::names;

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let flow_control = names::FLOW_CONTROL_MIXIN.class(py)?;
    for member in BASE_SLOTS {
        member.locate(flow_control)?;
    }
    let members = attributes::add(Members::default())
        .instance_dict()
        .noargs::<DatagramTransport, _>(
            c"_read_ready",
            reading::read_ready,
            c"Receive the datagrams that have come, and give them to the protocol.",
        )
        .noargs::<DatagramTransport, _>(
            c"_sendto_ready",
            sending::sendto_ready,
            c"Send what is buffered, as far as there is room.",
        )
        .keywords::<DatagramTransport, _>(
            c"sendto(data, addr=None)",
            sending::sendto,
            c"Send data to the transport, to an address or to where it is connected.",
        )
        .doc(c"The transport of a datagram socket.");
    let base = base(py)?;
    DATAGRAM_TRANSPORT.create(
        py,
        c"ferrio._SelectorDatagramTransport",
        &base,
        members.into_slots(),
    )?;
    inherit(&DatagramTransport::type_object(py))
}

/// The base class: what stock's class is an instance of, with the slots of the flow control.
fn base(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let bases = [names::FLOW_CONTROL_MIXIN.get(py)?, names::DATAGRAM_TRANSPORT.get(py)?];
    derived::join(py, "DatagramTransport", &bases)
}

/// Puts into the class what stock's has and ours has not: functions and constants.
fn inherit(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    let own = class.getattr("__dict__")?;
    // The second class overrides the first.
    for stock in [names::STOCK_DATAGRAM_TRANSPORT.class(py)?, names::STOCK_TRANSPORT.class(py)?] {
        for entry in stock.getattr("__dict__")?.call_method0("items")?.try_iter()? {
            let (name, value) = entry?.extract::<(Bound<'_, PyString>, Bound<'_, PyAny>)>()?;
            if !own.contains(&name)? && is_inherited(&name.to_string_lossy()) {
                class.setattr(name, value)?;
            }
        }
    }
    Ok(())
}

/// Of the special names only those that say how an instance is shown and how it ends. Making one is
/// native; the closed socket that stock's class holds for its destructor is a native field.
fn is_inherited(name: &str) -> bool {
    match name {
        "__repr__" | "__del__" => true,
        _ => !name.starts_with("__"),
    }
}
