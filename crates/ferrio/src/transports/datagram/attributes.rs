//! The attributes that stock's functions, tests and libraries read and write.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Members, Object};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::DatagramTransport;
use crate::names::{self, boolean};

type This<'py> = Bound<'py, DatagramTransport>;
type Value<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// The value that is assigned; none of the attributes can be deleted.
fn given<'a, 'py>(value: Value<'a, 'py>) -> PyResult<&'a Bound<'py, PyAny>> {
    value.ok_or_else(|| PyAttributeError::new_err("can't delete attribute"))
}

macro_rules! objects {
    ($($name:ident: $get:ident, $set:ident;)*) => {$(
        fn $get<'py>(this: &This<'py>) -> Object<'py> {
            Ok(this.state().$name.get_or_none(this.py()))
        }

        fn $set<'py>(this: &This<'py>, value: Value<'_, 'py>) -> PyResult<()> {
            this.state().$name.set(given(value)?.clone());
            Ok(())
        }
    )*};
}

macro_rules! flags {
    ($($name:ident: $get:ident, $set:ident;)*) => {$(
        fn $get<'py>(this: &This<'py>) -> Object<'py> {
            Ok(boolean(this.py(), this.state().$name.get()))
        }

        fn $set<'py>(this: &This<'py>, value: Value<'_, 'py>) -> PyResult<()> {
            let value = given(value)?.is_truthy()?;
            this.state().$name.set(value);
            Ok(())
        }
    )*};
}

macro_rules! numbers {
    ($($name:ident: $get:ident, $set:ident;)*) => {$(
        fn $get<'py>(this: &This<'py>) -> Object<'py> {
            Ok(PyInt::new(this.py(), this.state().$name.get()).into_any())
        }

        fn $set<'py>(this: &This<'py>, value: Value<'_, 'py>) -> PyResult<()> {
            let value = given(value)?.extract()?;
            this.state().$name.set(value);
            Ok(())
        }
    )*};
}

objects! {
    sock: get_sock, set_sock;
    protocol: get_protocol, set_protocol;
    address: get_address, set_address;
    server: get_server, set_server;
}

flags! {
    closing: get_closing, set_closing;
    paused: get_paused, set_paused;
    protocol_connected: get_protocol_connected, set_protocol_connected;
}

numbers! {
    fd: get_fd, set_fd;
    conn_lost: get_conn_lost, set_conn_lost;
    buffer_size: get_buffer_size, set_buffer_size;
}

/// The deque, which is made when somebody first asks for it.
fn get_buffer<'py>(this: &This<'py>) -> Object<'py> {
    let py = this.py();
    let buffer = &this.state().buffer;
    if !buffer.is_set() {
        buffer.set(names::DEQUE.get(py)?.call0()?);
    }
    Ok(buffer.get_or_none(py))
}

fn set_buffer<'py>(this: &This<'py>, value: Value<'_, 'py>) -> PyResult<()> {
    this.state().buffer.set(given(value)?.clone());
    Ok(())
}

fn is_closing<'py>(this: &This<'py>) -> Object<'py> {
    get_closing(this)
}

/// Adds them to the members of the class.
pub fn add(members: Members) -> Members {
    members
        .get_set::<DatagramTransport, _, _>(c"_sock", get_sock, set_sock)
        .get_set::<DatagramTransport, _, _>(c"_sock_fd", get_fd, set_fd)
        .get_set::<DatagramTransport, _, _>(c"_protocol", get_protocol, set_protocol)
        .get_set::<DatagramTransport, _, _>(
            c"_protocol_connected",
            get_protocol_connected,
            set_protocol_connected,
        )
        .get_set::<DatagramTransport, _, _>(c"_server", get_server, set_server)
        .get_set::<DatagramTransport, _, _>(c"_address", get_address, set_address)
        .get_set::<DatagramTransport, _, _>(c"_buffer", get_buffer, set_buffer)
        .get_set::<DatagramTransport, _, _>(c"_buffer_size", get_buffer_size, set_buffer_size)
        .get_set::<DatagramTransport, _, _>(c"_conn_lost", get_conn_lost, set_conn_lost)
        .get_set::<DatagramTransport, _, _>(c"_closing", get_closing, set_closing)
        .get_set::<DatagramTransport, _, _>(c"_paused", get_paused, set_paused)
        .noargs::<DatagramTransport, _>(
            c"get_write_buffer_size",
            get_buffer_size,
            c"Return the current size of the write buffer.",
        )
        .noargs::<DatagramTransport, _>(
            c"is_closing",
            is_closing,
            c"Return True if the transport is closing or closed.",
        )
        .noargs::<DatagramTransport, _>(
            c"get_protocol",
            get_protocol,
            c"Return the current protocol.",
        )
}
