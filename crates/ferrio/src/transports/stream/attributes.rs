//! The attributes that stock's transport has and programs read, its repr among them.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Members, Object};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::{StreamTransport, flow, info, reading, writing};
use crate::loop_state::get;
use crate::names::{boolean, none};

type This<'a, 'py> = &'a Bound<'py, StreamTransport>;

fn event_loop<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().event_loop.get_or_none(this.py()))
}

fn protocol<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().protocol.get_or_none(this.py()))
}

fn server<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().server.get_or_none(this.py()))
}

fn extra<'py>(this: This<'_, 'py>) -> Object<'py> {
    info::extra(this)
}

fn sock<'py>(this: This<'_, 'py>) -> Object<'py> {
    if this.state().is_open() { info::socket(this) } else { Ok(none(this.py())) }
}

fn empty_waiter<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().empty_waiter.get_or_none(this.py()))
}

fn fd<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().fd.get().into_pyobject(this.py())?.into_any())
}

fn conn_lost<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().conn_lost.get().into_pyobject(this.py())?.into_any())
}

fn max_size<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(reading::max_size(this.state()).into_pyobject(this.py())?.into_any())
}

fn set_max_size<'py>(this: This<'_, 'py>, value: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
    let size = value.map_or(Ok(0), |value| value.extract())?;
    this.state().max_size.set(size);
    Ok(())
}

fn closing<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().closing.get()))
}

fn paused<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().paused.get()))
}

fn eof<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().eof.get()))
}

fn protocol_connected<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().protocol_connected.get()))
}

fn protocol_paused<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().protocol_paused.get()))
}

fn high_water<'py>(this: This<'_, 'py>) -> Object<'py> {
    flow::limits(this).map(|[high, _]| high)
}

fn low_water<'py>(this: This<'_, 'py>) -> Object<'py> {
    flow::limits(this).map(|[_, low]| low)
}

/// What waits to be sent, as a list of bytes.
fn buffer<'py>(this: This<'_, 'py>) -> Object<'py> {
    writing::flush(this)?;
    let py = this.py();
    let pieces: Vec<Vec<u8>> = this.state().with_buffer(|buffer| {
        let rest = buffer.iter().skip(1).map(|chunk| chunk.as_ref().to_vec());
        std::iter::once(buffer.first().to_vec())
            .filter(|first| !first.is_empty())
            .chain(rest)
            .collect()
    });
    Ok(PyList::new(py, pieces.iter().map(|piece| PyBytes::new(py, piece)))?.into_any())
}

/// CPython: _SelectorTransport.__repr__
fn repr<'py>(this: This<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    writing::flush(this)?;
    let mut text = format!("<{}", this.get_type().name()?);
    // Not where the finalizer alone has closed the socket, which stock keeps then.
    if !state.is_open() && !state.event_loop.is_set() {
        text.push_str(" closed");
    } else if state.closing.get() {
        text.push_str(" closing");
    }
    text.push_str(&format!(" fd={}", state.fd.get()));
    if let Ok(event_loop) = state.native_loop(py)
        && !get(&event_loop.get().closed)
    {
        let word = |polling: bool, idle: &'static str| if polling { "polling" } else { idle };
        text.push_str(&format!(" read={}", word(state.reader.is_set(), "idle")));
        let (write, size) = (word(state.writer.is_set(), "idle"), state.buffered());
        text.push_str(&format!(" write=<{write}, bufsize={size}>"));
    }
    text.push('>');
    Ok(text.into_pyobject(py)?.into_any())
}

/// Adds the attributes to the class.
pub fn add(members: Members) -> Members {
    members
        .instance_dict()
        .get::<StreamTransport, _>(c"_loop", event_loop)
        .get::<StreamTransport, _>(c"_protocol", protocol)
        .get::<StreamTransport, _>(c"_server", server)
        .get::<StreamTransport, _>(c"_extra", extra)
        .get::<StreamTransport, _>(c"_sock", sock)
        .get::<StreamTransport, _>(c"_sock_fd", fd)
        .get::<StreamTransport, _>(c"_buffer", buffer)
        .get::<StreamTransport, _>(c"_conn_lost", conn_lost)
        .get_set::<StreamTransport, _, _>(c"max_size", max_size, set_max_size)
        .get::<StreamTransport, _>(c"_closing", closing)
        .get::<StreamTransport, _>(c"_paused", paused)
        .get::<StreamTransport, _>(c"_eof", eof)
        .get::<StreamTransport, _>(c"_empty_waiter", empty_waiter)
        .get::<StreamTransport, _>(c"_protocol_connected", protocol_connected)
        .get::<StreamTransport, _>(c"_protocol_paused", protocol_paused)
        .get::<StreamTransport, _>(c"_high_water", high_water)
        .get::<StreamTransport, _>(c"_low_water", low_water)
        .unary_slot::<StreamTransport, _>(ffi::Py_tp_repr, repr)
}

/// None, as the answer of what gives nothing.
pub fn nothing<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(none(this.py()))
}
