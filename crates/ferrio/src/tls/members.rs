//! The attributes that stock's protocol has and programs read.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Members, Object};
use pyo3::prelude::*;

use super::protocol::SSLProtocol;
use super::{engine, flow, methods, reading};
use crate::names::{boolean, none};
use crate::properties::{flag_property, given, slot_property};

type This<'a, 'py> = &'a Bound<'py, SSLProtocol>;
type Value<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// A property that shows one water mark, or whether somebody is paused by it.
macro_rules! mark_property {
    ($members:expr, $name:literal, $marks:ident . $which:tt) => {
        $members.get::<SSLProtocol, _>($name, |this: &Bound<'_, SSLProtocol>| {
            flow::limit(this.py(), this.state().$marks.get().$which)
        })
    };
    ($members:expr, $name:literal, $marks:ident) => {
        $members.get_set::<SSLProtocol, _, _>(
            $name,
            |this: &Bound<'_, SSLProtocol>| Ok(boolean(this.py(), this.state().$marks.is_paused())),
            |this: &Bound<'_, SSLProtocol>, value: Option<&Bound<'_, PyAny>>| {
                this.state().$marks.set_paused(given(value)?.is_truthy()?);
                Ok(())
            },
        )
    };
}

/// A property that is one of the MemoryBIOs.
macro_rules! bio_property {
    ($members:expr, $name:literal, $slot:ident) => {
        $members.get_set::<SSLProtocol, _, _>(
            $name,
            |this: &Bound<'_, SSLProtocol>| engine::memory_bio(&this.state().$slot, this.py()),
            |this: &Bound<'_, SSLProtocol>, value: Option<&Bound<'_, PyAny>>| {
                this.state().$slot.set(given(value)?);
                Ok(())
            },
        )
    };
}

fn set_ssl_object(this: This<'_, '_>, value: Value<'_, '_>) -> PyResult<()> {
    engine::replace_object(this, given(value)?);
    Ok(())
}

fn ssl_object<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().ssl_object.get_or_none(this.py()))
}

fn conn_lost<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().conn_lost.get().into_pyobject(this.py())?.into_any())
}

fn backlog<'py>(this: This<'_, 'py>) -> Object<'py> {
    this.state().backlog.show(this.py())
}

fn backlog_size<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().backlog_size.get().into_pyobject(this.py())?.into_any())
}

fn set_backlog_size(this: This<'_, '_>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().backlog_size.set(given(value)?.extract()?);
    Ok(())
}

fn ssl_buffer<'py>(this: This<'_, 'py>) -> Object<'py> {
    reading::get_buffer(this)?;
    Ok(this.state().buffer.get_or_none(this.py()))
}

fn buffer_view<'py>(this: This<'_, 'py>) -> Object<'py> {
    reading::get_buffer(this)
}

fn server_hostname<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().server_hostname.get(this.py()).unwrap_or_else(|| none(this.py())))
}

/// Adds the attributes to the class.
pub fn add(members: Members) -> Members {
    let members = slot_property!(members, SSLProtocol, c"_loop", event_loop);
    let members = slot_property!(members, SSLProtocol, c"_app_protocol", app_protocol);
    let members = slot_property!(members, SSLProtocol, c"_app_transport", app_transport);
    let members = slot_property!(members, SSLProtocol, c"_transport", transport);
    let members = slot_property!(members, SSLProtocol, c"_sslcontext", context);
    let members = bio_property!(members, c"_incoming", incoming);
    let members = bio_property!(members, c"_outgoing", outgoing);
    let members = slot_property!(members, SSLProtocol, c"_extra", extra);
    let members = slot_property!(members, SSLProtocol, c"_waiter", waiter);
    let members =
        slot_property!(members, SSLProtocol, c"_ssl_handshake_timeout", handshake_timeout);
    let members = slot_property!(members, SSLProtocol, c"_ssl_shutdown_timeout", shutdown_timeout);
    let members =
        slot_property!(members, SSLProtocol, c"_handshake_timeout_handle", handshake_timer);
    let members = slot_property!(members, SSLProtocol, c"_shutdown_timeout_handle", shutdown_timer);
    let members = slot_property!(members, SSLProtocol, c"_handshake_start_time", handshake_start);
    flags(members)
        .get_set::<SSLProtocol, _, _>(c"_sslobj", ssl_object, set_ssl_object)
        .get_set::<SSLProtocol, _, _>(c"_state", methods::phase, methods::set_phase)
        .get::<SSLProtocol, _>(c"_app_state", methods::told)
        .get::<SSLProtocol, _>(c"_conn_lost", conn_lost)
        .get::<SSLProtocol, _>(c"_write_backlog", backlog)
        .get_set::<SSLProtocol, _, _>(c"_write_buffer_size", backlog_size, set_backlog_size)
        .get::<SSLProtocol, _>(c"_ssl_buffer", ssl_buffer)
        .get::<SSLProtocol, _>(c"_ssl_buffer_view", buffer_view)
        .get::<SSLProtocol, _>(c"_server_hostname", server_hostname)
}

fn flags(members: Members) -> Members {
    let members = flag_property!(members, SSLProtocol, c"_server_side", server_side);
    let members =
        flag_property!(members, SSLProtocol, c"_app_transport_created", transport_created);
    let members = flag_property!(members, SSLProtocol, c"_app_protocol_is_buffer", app_is_buffered);
    let members = flag_property!(members, SSLProtocol, c"_ssl_writing_paused", transport_full);
    let members = flag_property!(members, SSLProtocol, c"_app_reading_paused", app_reading_paused);
    let members = flag_property!(members, SSLProtocol, c"_eof_received", eof_received);
    let members = mark_property!(members, c"_app_writing_paused", writing);
    let members = mark_property!(members, c"_ssl_reading_paused", reading);
    let members = mark_property!(members, c"_outgoing_high_water", writing.0);
    let members = mark_property!(members, c"_outgoing_low_water", writing.1);
    let members = mark_property!(members, c"_incoming_high_water", reading.0);
    mark_property!(members, c"_incoming_low_water", reading.1)
}
