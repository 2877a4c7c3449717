//! The Python face of the application's transport.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_core::tls::Marks;
use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyTuple};

use super::protocol::SSLProtocol;
use super::transport::{self, SSLProtocolTransport, TRANSPORT, protocol_of};
use super::{engine, flow, making, methods, reading, writing};
use crate::errors;
use crate::names::{self, boolean, none};

type This<'a, 'py> = &'a Bound<'py, SSLProtocolTransport>;

static INIT: Signature<2> = Signature {
    format: c"OO:_SSLProtocolTransport",
    names: [c"loop", c"ssl_protocol"],
    positional: 2,
    required: 2,
};

fn init<'py>(this: This<'_, 'py>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [event_loop, protocol] = INIT.parse_init(&arguments)?;
    let py = this.py();
    this.state().event_loop.replace(py, event_loop);
    this.state().protocol.replace(py, protocol.filter(|protocol| !protocol.is_none()));
    this.state().closed.set(false);
    Ok(())
}

/// `get_extra_info`.
fn get_extra_info<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let protocol = protocol_of(this, "_get_extra_info")?;
    methods::get_extra_info(&protocol, arguments)
}

fn set_protocol<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let protocol = arguments.named("set_protocol", "protocol")?;
    making::set_app_protocol(&protocol_of(this, "_set_app_protocol")?, protocol)?;
    Ok(none(this.py()))
}

fn get_protocol<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(protocol_of(this, "_app_protocol")?.state().app_protocol.get_or_none(this.py()))
}

fn closed<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().closed.get()))
}

fn is_closing<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), transport::is_closing(this)?))
}

fn close<'py>(this: This<'_, 'py>) -> Object<'py> {
    transport::close(this)?;
    Ok(none(this.py()))
}

fn abort<'py>(this: This<'_, 'py>) -> Object<'py> {
    transport::abort(this)?;
    Ok(none(this.py()))
}

fn force_close<'py>(this: This<'_, 'py>, exception: &Bound<'py, PyAny>) -> Object<'py> {
    transport::force_close(this, exception)?;
    Ok(none(this.py()))
}

fn is_reading<'py>(this: This<'_, 'py>) -> Object<'py> {
    let paused = protocol_of(this, "_app_reading_paused")?.state().app_reading_paused.get();
    Ok(boolean(this.py(), !paused))
}

fn pause_reading<'py>(this: This<'_, 'py>) -> Object<'py> {
    protocol_of(this, "_pause_reading")?.state().app_reading_paused.set(true);
    Ok(none(this.py()))
}

fn resume_reading<'py>(this: This<'_, 'py>) -> Object<'py> {
    reading::resume_soon(&protocol_of(this, "_resume_reading")?)?;
    Ok(none(this.py()))
}

static WRITE_LIMITS: Signature<2> = Signature {
    format: c"|OO:set_write_buffer_limits",
    names: [c"high", c"low"],
    positional: 2,
    required: 0,
};

static READ_LIMITS: Signature<2> = Signature {
    format: c"|OO:set_read_buffer_limits",
    names: [c"high", c"low"],
    positional: 2,
    required: 0,
};

fn set_write_limits<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let protocol = protocol_of(this, "_set_write_buffer_limits")?;
    writing::send_tickets(&protocol)?;
    set_limits(&protocol.state().writing, &WRITE_LIMITS, &arguments, flow::HIGH_WRITE)?;
    flow::control_app_writing(&protocol)?;
    Ok(none(this.py()))
}

fn set_read_limits<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let protocol = protocol_of(this, "_set_read_buffer_limits")?;
    set_limits(&protocol.state().reading, &READ_LIMITS, &arguments, flow::HIGH_READ)?;
    flow::control_transport_reading(&protocol)?;
    Ok(none(this.py()))
}

/// Sets the marks to what a call asks for.
pub fn set_limits(
    marks: &Marks,
    signature: &Signature<2>,
    arguments: &Arguments<'_, '_>,
    kib: u32,
) -> PyResult<()> {
    let [high, low] = signature.parse(arguments)?;
    let none = none(arguments.py());
    flow::set_limits(marks, high.unwrap_or(&none), low.unwrap_or(&none), kib)
}

fn limits<'py>(py: Python<'py>, marks: &Marks) -> Object<'py> {
    let (high, low) = marks.get();
    Ok(PyTuple::new(py, [flow::limit(py, low)?, flow::limit(py, high)?])?.into_any())
}

fn get_write_limits<'py>(this: This<'_, 'py>) -> Object<'py> {
    limits(this.py(), &protocol_of(this, "_outgoing_low_water")?.state().writing)
}

fn get_read_limits<'py>(this: This<'_, 'py>) -> Object<'py> {
    limits(this.py(), &protocol_of(this, "_incoming_low_water")?.state().reading)
}

fn get_write_buffer_size<'py>(this: This<'_, 'py>) -> Object<'py> {
    let protocol = protocol_of(this, "_get_write_buffer_size")?;
    writing::send_tickets(&protocol)?;
    let size = flow::write_buffer_size(&protocol)?;
    Ok(size.into_pyobject(this.py())?.into_any())
}

fn get_read_buffer_size<'py>(this: This<'_, 'py>) -> Object<'py> {
    let protocol = protocol_of(this, "_get_read_buffer_size")?;
    let size = engine::readable(protocol.state(), this.py())?;
    Ok(size.into_pyobject(this.py())?.into_any())
}

fn protocol_paused<'py>(this: This<'_, 'py>) -> Object<'py> {
    let paused = protocol_of(this, "_app_writing_paused")?.state().writing.is_paused();
    Ok(boolean(this.py(), paused))
}

fn write<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    write_data(this, arguments.named("write", "data")?)?;
    Ok(none(this.py()))
}

/// `write(data)`.
pub fn write_data<'py>(this: This<'_, 'py>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    let known = data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>();
    if !known {
        let kind = data.get_type().name()?;
        let text = format!("data: expecting a bytes-like instance, got {kind}");
        return Err(PyTypeError::new_err(text));
    }
    if data.len()? > 0 {
        writing::write(&protocol_of(this, "_write_appdata")?, data)
    } else {
        Ok(())
    }
}

fn writelines<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let lines = arguments.named("writelines", "list_of_data")?;
    writing::write_all(&protocol_of(this, "_write_appdata")?, lines)?;
    Ok(none(this.py()))
}

fn write_eof<'py>(_: This<'_, 'py>) -> Object<'py> {
    Err(PyNotImplementedError::new_err(()))
}

fn can_write_eof<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), false))
}

fn append_write_backlog<'py>(this: This<'_, 'py>, data: &Bound<'py, PyAny>) -> Object<'py> {
    writing::enqueue(&protocol_of(this, "_write_backlog")?, data)?;
    Ok(none(this.py()))
}

fn event_loop<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().event_loop.get_or_none(this.py()))
}

fn ssl_protocol<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().protocol.get_or_none(this.py()))
}

fn set_closed(this: This<'_, '_>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().closed.set(value.ok_or_else(errors::cannot_be_deleted)?.is_truthy()?);
    Ok(())
}

fn set_ssl_protocol(this: This<'_, '_>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let value = value.ok_or_else(errors::cannot_be_deleted)?;
    if !value.is_none() {
        value.cast::<SSLProtocol>()?;
    }
    this.state().protocol.replace(this.py(), Some(value.clone()).filter(|value| !value.is_none()));
    Ok(())
}

fn attributes(members: Members) -> Members {
    type T = SSLProtocolTransport;
    members
        .get::<T, _>(c"_loop", event_loop)
        .get_set::<T, _, _>(c"_ssl_protocol", ssl_protocol, set_ssl_protocol)
        .get_set::<T, _, _>(c"_closed", closed, set_closed)
        .get::<T, _>(c"_protocol_paused", protocol_paused)
}

fn reading_members(members: Members) -> Members {
    type T = SSLProtocolTransport;
    members
        .noargs::<T, _>(c"is_reading", is_reading, c"Return True if it is receiving.")
        .noargs::<T, _>(c"pause_reading", pause_reading, c"Pause the receiving end.")
        .noargs::<T, _>(c"resume_reading", resume_reading, c"Resume the receiving end.")
        .keywords::<T, _>(
            c"set_read_buffer_limits(high=None, low=None)",
            set_read_limits,
            c"Set the high- and low-water marks in bytes. Raises ValueError if low > high.",
        )
        .noargs::<T, _>(
            c"get_read_buffer_limits",
            get_read_limits,
            c"Return the (low, high) water marks in bytes.",
        )
        .noargs::<T, _>(
            c"get_read_buffer_size",
            get_read_buffer_size,
            c"Return the number of bytes that wait to be decrypted.",
        )
}

fn writing_members(members: Members) -> Members {
    type T = SSLProtocolTransport;
    members
        .keywords::<T, _>(c"write(data)", write, c"Write some data; never blocks.")
        .keywords::<T, _>(
            c"writelines(list_of_data)",
            writelines,
            c"Write an iterable of bytes-like objects.",
        )
        .noargs::<T, _>(c"write_eof", write_eof, c"Raise NotImplementedError.")
        .noargs::<T, _>(c"can_write_eof", can_write_eof, c"Return False.")
        .keywords::<T, _>(
            c"set_write_buffer_limits(high=None, low=None)",
            set_write_limits,
            c"Set the high- and low-water marks in bytes. Raises ValueError if low > high.",
        )
        .noargs::<T, _>(
            c"get_write_buffer_limits",
            get_write_limits,
            c"Return the (low, high) water marks in bytes.",
        )
        .noargs::<T, _>(
            c"get_write_buffer_size",
            get_write_buffer_size,
            c"Return the number of bytes that wait to be sent.",
        )
        .one::<T, _>(c"_test__append_write_backlog(data)", append_write_backlog, c"For tests.")
}

fn other_members(members: Members) -> Members {
    type T = SSLProtocolTransport;
    members
        .noargs::<T, _>(c"close", close, c"Close the transport after what is buffered.")
        .noargs::<T, _>(c"abort", abort, c"Close the transport at once; buffered data is lost.")
        .one::<T, _>(c"_force_close(exc)", force_close, c"Close the transport at once.")
        .noargs::<T, _>(c"is_closing", is_closing, c"Return True if it is closing or closed.")
        .noargs::<T, _>(c"get_protocol", get_protocol, c"Return the current protocol.")
        .keywords::<T, _>(c"set_protocol(protocol)", set_protocol, c"Set a new protocol.")
        .keywords::<T, _>(
            c"get_extra_info(name, default=None)",
            get_extra_info,
            c"Return information about the transport, or the default.",
        )
}

/// Makes the type.
///
/// # Errors
/// What CPython raises.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = reading_members(writing_members(other_members(attributes(Members::default()))))
        .init::<SSLProtocolTransport, _>(init)
        .finalize::<SSLProtocolTransport, _>(transport::finalize)
        .instance_dict()
        .doc(c"The transport of an application over TLS; see asyncio.Transport.");
    let base = names::FLOW_CONTROL_MIXIN.class(py)?;
    let name = c"asyncio.sslproto._SSLProtocolTransport";
    TRANSPORT.create(py, name, base, members.into_slots())?;
    TRANSPORT.stand_for(py, name, names::SSL_PROTOCOL_TRANSPORT.class(py)?)?;
    let class = SSLProtocolTransport::type_object(py);
    class.setattr("_start_tls_compatible", true)?;
    class.setattr("_sendfile_compatible", names::SENDFILE_MODE.get(py)?.getattr("FALLBACK")?)
}
