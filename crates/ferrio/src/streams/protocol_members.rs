//! The Python face of `StreamReaderProtocol`: attributes, methods, and the making of the type.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Object};
use pyo3::intern;
use pyo3::prelude::*;

use super::protocol::{self, PROTOCOL, ProtocolState, StreamReaderProtocol};
use super::{draining, flow_control, serving};
use crate::errors;
use crate::names::{self, boolean, none};
use crate::properties::{flag_property, given, slot_property};

type This<'a, 'py> = &'a Bound<'py, StreamReaderProtocol>;
type Value<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn stream_reader<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(protocol::living_reader(this)?.unwrap_or_else(|| none(this.py())))
}

/// Only the protocol of a server's connection has it.
fn strong_reader<'py>(this: This<'_, 'py>) -> Object<'py> {
    let py = this.py();
    match this.state().strong_reader.get(py) {
        Some(reader) => Ok(reader),
        None if this.state().client_connected.is_set() => Ok(none(py)),
        None => Err(errors::missing(this, "_strong_reader")),
    }
}

fn set_strong_reader(this: This<'_, '_>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().strong_reader.set(given(value)?);
    Ok(())
}

fn closed<'py>(this: This<'_, 'py>) -> Object<'py> {
    protocol::closed(this)
}

fn set_closed(this: This<'_, '_>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().closed.set(given(value)?);
    Ok(())
}

fn connection_made<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let transport = arguments.named("connection_made", "transport")?;
    serving::connection_made(this, transport)?;
    Ok(none(this.py()))
}

fn connection_lost<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let exception = arguments.named("connection_lost", "exc")?;
    protocol::connection_lost(this, exception)?;
    Ok(none(this.py()))
}

fn data_received<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let data = arguments.named("data_received", "data")?;
    protocol::data_received(this, data)?;
    Ok(none(this.py()))
}

fn eof_received<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), protocol::eof_received(this)?))
}

fn close_waiter<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    arguments.named("_get_close_waiter", "stream")?;
    protocol::closed(this)
}

/// The connection goes on over the transport that `start_tls` made.
fn take_over<'py>(this: This<'_, 'py>, transport: &Bound<'py, PyAny>) -> PyResult<()> {
    let state: &ProtocolState = this.state();
    if cfg!(Py_3_14)
        && let Some(reader) = protocol::stream_reader(this)?
    {
        reader.call_method1(intern!(this.py(), "_replace_transport"), (transport,))?;
    }
    state.transport.set(transport.clone());
    state.over_ssl.set(serving::is_over_ssl(transport)?);
    Ok(())
}

fn replace_transport<'py>(this: This<'_, 'py>, transport: &Bound<'py, PyAny>) -> Object<'py> {
    take_over(this, transport)?;
    Ok(none(this.py()))
}

/// Before 3.13 the writer was handed over.
fn replace_writer<'py>(this: This<'_, 'py>, writer: &Bound<'py, PyAny>) -> Object<'py> {
    take_over(this, &writer.getattr(intern!(this.py(), "transport"))?)?;
    this.state().writer.set(writer.clone());
    Ok(none(this.py()))
}

fn attributes(members: Members) -> Members {
    type P = StreamReaderProtocol;
    let members = slot_property!(members, P, c"_loop", flow.event_loop);
    let members = slot_property!(members, P, c"_stream_reader_wr", reader);
    let members = slot_property!(members, P, c"_client_connected_cb", client_connected);
    let members = slot_property!(members, P, c"_task", task);
    let members = slot_property!(members, P, c"_transport", transport);
    let members = slot_property!(members, P, c"_stream_writer", writer);
    let members = slot_property!(members, P, c"_source_traceback", source_traceback);
    let members = flag_property!(members, P, c"_connection_lost", flow.connection_lost);
    let members = flag_property!(members, P, c"_paused", flow.paused);
    let members = flag_property!(members, P, c"_over_ssl", over_ssl);
    flag_property!(members, P, c"_reject_connection", reject_connection)
        .get::<P, _>(c"_stream_reader", stream_reader)
        .get_set::<P, _, _>(c"_strong_reader", strong_reader, set_strong_reader)
        .get_set::<P, _, _>(c"_closed", closed, set_closed)
}

fn methods(members: Members) -> Members {
    type P = StreamReaderProtocol;
    let replaced = c"The transport that start_tls() made.";
    let members = if cfg!(Py_3_13) {
        members.one::<P, _>(c"_replace_transport(transport)", replace_transport, replaced)
    } else {
        members.one::<P, _>(c"_replace_writer(writer)", replace_writer, replaced)
    };
    members
        .keywords::<P, _>(c"connection_made(transport)", connection_made, c"The connection begins.")
        .keywords::<P, _>(c"connection_lost(exc)", connection_lost, c"The connection is over.")
        .keywords::<P, _>(c"data_received(data)", data_received, c"Feed the reader.")
        .noargs::<P, _>(c"eof_received", eof_received, c"The peer sends no more.")
        .keywords::<P, _>(c"_get_close_waiter(stream)", close_waiter, c"The future of the end.")
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    type P = StreamReaderProtocol;
    let parts = [attributes, methods, flow_control::members::<P>, draining::protocol_members::<P>];
    let members = parts
        .into_iter()
        .fold(Members::default(), |members, add| add(members))
        .init::<P, _>(protocol::init)
        .finalize::<P, _>(protocol::finalize)
        .instance_dict()
        .doc(c"StreamReaderProtocol(stream_reader, client_connected_cb=None, loop=None)\n--\n\nBetween a transport and a StreamReader; see asyncio.StreamReaderProtocol.");
    let base = names::PROTOCOL.class(py)?;
    let stock = names::STREAM_READER_PROTOCOL.class(py)?;
    let name = c"asyncio.streams.StreamReaderProtocol";
    PROTOCOL.create(py, name, base, members.into_slots())?;
    PROTOCOL.stand_for(py, name, stock)
}
