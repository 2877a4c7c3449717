//! The Python face of `StreamReaderProtocol`: attributes, methods, and the making of the type.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Object};
use pyo3::intern;
use pyo3::prelude::*;

use super::protocol::{self, PROTOCOL, ProtocolState, StreamReaderProtocol};
use super::{draining, serving};
use crate::errors;
use crate::names::{self, boolean, none};

type This<'a, 'py> = &'a Bound<'py, StreamReaderProtocol>;
type Value<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn given<'py>(value: Value<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    value.cloned().ok_or_else(errors::cannot_be_deleted)
}

/// A property that is one slot of the state, None when it is empty.
macro_rules! slot_property {
    ($members:expr, $name:literal, $slot:ident) => {
        $members.get_set::<StreamReaderProtocol, _, _>(
            $name,
            |this: &Bound<'_, StreamReaderProtocol>| Ok(this.state().$slot.get_or_none(this.py())),
            |this: &Bound<'_, StreamReaderProtocol>, value: Option<&Bound<'_, PyAny>>| {
                let value = given(value)?;
                this.state()
                    .$slot
                    .replace(value.py(), Some(value).filter(|value| !value.is_none()));
                Ok(())
            },
        )
    };
}

/// A property that is one flag of the state.
macro_rules! flag_property {
    ($members:expr, $name:literal, $flag:ident) => {
        $members.get_set::<StreamReaderProtocol, _, _>(
            $name,
            |this: &Bound<'_, StreamReaderProtocol>| {
                Ok(boolean(this.py(), this.state().$flag.get()))
            },
            |this: &Bound<'_, StreamReaderProtocol>, value: Option<&Bound<'_, PyAny>>| {
                this.state().$flag.set(given(value)?.is_truthy()?);
                Ok(())
            },
        )
    };
}

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

fn drain_waiters<'py>(this: This<'_, 'py>) -> Object<'py> {
    this.state().drain_waiters.show(this.py())
}

fn set_drain_waiters(this: This<'_, '_>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().drain_waiters.set(&given(value)?);
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

fn pause_writing<'py>(this: This<'_, 'py>) -> Object<'py> {
    protocol::pause_writing(this)?;
    Ok(none(this.py()))
}

fn resume_writing<'py>(this: This<'_, 'py>) -> Object<'py> {
    protocol::resume_writing(this)?;
    Ok(none(this.py()))
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
    let members = slot_property!(members, c"_loop", event_loop);
    let members = slot_property!(members, c"_stream_reader_wr", reader);
    let members = slot_property!(members, c"_client_connected_cb", client_connected);
    let members = slot_property!(members, c"_task", task);
    let members = slot_property!(members, c"_transport", transport);
    let members = slot_property!(members, c"_stream_writer", writer);
    let members = slot_property!(members, c"_source_traceback", source_traceback);
    let members = flag_property!(members, c"_connection_lost", connection_lost);
    let members = flag_property!(members, c"_paused", paused);
    let members = flag_property!(members, c"_over_ssl", over_ssl);
    flag_property!(members, c"_reject_connection", reject_connection)
        .get::<P, _>(c"_stream_reader", stream_reader)
        .get_set::<P, _, _>(c"_strong_reader", strong_reader, set_strong_reader)
        .get_set::<P, _, _>(c"_closed", closed, set_closed)
        .get_set::<P, _, _>(c"_drain_waiters", drain_waiters, set_drain_waiters)
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
        .noargs::<P, _>(c"pause_writing", pause_writing, c"Have drain() wait.")
        .noargs::<P, _>(c"resume_writing", resume_writing, c"Wake who waits in drain().")
        .keywords::<P, _>(c"_get_close_waiter(stream)", close_waiter, c"The future of the end.")
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = draining::protocol_members(methods(attributes(Members::default())))
        .init::<StreamReaderProtocol, _>(protocol::init)
        .finalize::<StreamReaderProtocol, _>(protocol::finalize)
        .instance_dict()
        .doc(c"StreamReaderProtocol(stream_reader, client_connected_cb=None, loop=None)\n--\n\nBetween a transport and a StreamReader; see asyncio.StreamReaderProtocol.");
    let base = names::PROTOCOL.class(py)?;
    let stock = names::STREAM_READER_PROTOCOL.class(py)?;
    let name = c"asyncio.streams.StreamReaderProtocol";
    PROTOCOL.create(py, name, base, members.into_slots())?;
    PROTOCOL.stand_for(py, name, stock)
}
