//! The Python face of `StreamWriter`: attributes, methods, repr, and the making of the type.

use ferrio_capi::StateOf;
use ferrio_capi::call::call_method;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use pyo3::PyTypeInfo;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::writer::{self, StreamWriter, WRITER};
use super::{draining, transport_calls};
use crate::names::{self, boolean};
use crate::properties::{given, slot_property};
use crate::transports::stream::direct;

type This<'a, 'py> = &'a Bound<'py, StreamWriter>;

fn transport<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(writer::transport(this))
}

fn complete<'py>(this: This<'_, 'py>) -> Object<'py> {
    writer::complete(this)
}

fn set_complete(this: This<'_, '_>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().complete.set(given(value)?);
    Ok(())
}

fn write<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    transport_calls::write(&writer::transport(this), arguments.named("write", "data")?)?;
    Ok(names::none(this.py()))
}

fn writelines<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let data = arguments.named("writelines", "data")?;
    call_method(&writer::transport(this), intern!(this.py(), "writelines"), [data])?;
    Ok(names::none(this.py()))
}

fn write_eof<'py>(this: This<'_, 'py>) -> Object<'py> {
    writer::transport(this).call_method0(intern!(this.py(), "write_eof"))
}

fn can_write_eof<'py>(this: This<'_, 'py>) -> Object<'py> {
    writer::transport(this).call_method0(intern!(this.py(), "can_write_eof"))
}

fn close<'py>(this: This<'_, 'py>) -> Object<'py> {
    writer::transport(this).call_method0(intern!(this.py(), "close"))
}

fn is_closing<'py>(this: This<'_, 'py>) -> Object<'py> {
    let transport = writer::transport(this);
    match direct::is_closing(&transport) {
        Some(closing) => Ok(boolean(this.py(), closing)),
        None => transport.call_method0(intern!(this.py(), "is_closing")),
    }
}

static GET_EXTRA_INFO: Signature<2> = Signature {
    format: c"O|O:get_extra_info",
    names: [c"name", c"default"],
    positional: 2,
    required: 1,
};

fn get_extra_info<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let [name, default] = GET_EXTRA_INFO.parse(&arguments)?;
    let arguments = (name, default.cloned().unwrap_or_else(|| names::none(py)));
    writer::transport(this).call_method1(intern!(py, "get_extra_info"), arguments)
}

/// CPython: StreamWriter.__repr__
fn repr<'py>(this: This<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let name = this.get_type().name()?;
    let mut text = format!("<{name} transport={}", writer::transport(this).repr()?);
    if let Some(reader) = this.state().reader.get(py) {
        text += &format!(" reader={}", reader.repr()?);
    }
    Ok(PyString::new(py, &(text + ">")).into_any())
}

fn attributes(members: Members) -> Members {
    let members = slot_property!(members, StreamWriter, c"_transport", transport);
    let members = slot_property!(members, StreamWriter, c"_protocol", protocol);
    let members = slot_property!(members, StreamWriter, c"_reader", reader);
    slot_property!(members, StreamWriter, c"_loop", event_loop)
        .get_set::<StreamWriter, _, _>(c"_complete_fut", complete, set_complete)
        .get::<StreamWriter, _>(c"transport", transport)
}

fn methods(members: Members) -> Members {
    type W = StreamWriter;
    members
        .keywords::<W, _>(c"write(data)", write, c"Write some bytes; drain() waits for them.")
        .keywords::<W, _>(
            c"writelines(data)",
            writelines,
            c"Write an iterable of bytes-like objects.",
        )
        .noargs::<W, _>(c"write_eof", write_eof, c"Close the write end after what is buffered.")
        .noargs::<W, _>(c"can_write_eof", can_write_eof, c"Whether write_eof() may be called.")
        .noargs::<W, _>(c"close", close, c"Close the connection after what is buffered.")
        .noargs::<W, _>(c"is_closing", is_closing, c"Whether it is closing or closed.")
        .keywords::<W, _>(
            c"get_extra_info(name, default=None)",
            get_extra_info,
            c"Information about the transport, or the default.",
        )
        .unary_slot::<W, _>(ffi::Py_tp_repr, repr)
}

/// Makes the type. `start_tls` is asyncio's own: once a connection, and all of it in public names.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = draining::writer_members(methods(attributes(Members::default())))
        .init::<StreamWriter, _>(writer::init)
        .finalize::<StreamWriter, _>(writer::finalize)
        .instance_dict()
        .doc(c"StreamWriter(transport, protocol, reader, loop)\n--\n\nThe writing side of a connection; see asyncio.StreamWriter.");
    let stock = names::STREAM_WRITER.class(py)?;
    WRITER.create_instead_of(py, c"asyncio.streams.StreamWriter", stock, members.into_slots())?;
    StreamWriter::type_object(py).setattr("start_tls", stock.getattr("start_tls")?)
}
