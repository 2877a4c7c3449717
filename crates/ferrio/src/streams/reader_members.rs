//! The Python face of `StreamReader`: attributes, repr, and the making of the type.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Object};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::reader::{self, READER, StreamReader};
use super::{lines, reading};
use crate::errors;
use crate::names::{self, boolean, none};
use crate::properties::{flag_property, given, slot_property};

type Value<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn limit<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    this.state().limit.get(this.py()).ok_or_else(|| errors::missing(this, "_limit"))
}

fn set_limit(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().set_limit(given(value)?)
}

fn buffer<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    this.state().content.show(this.py())
}

fn set_buffer(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().content.set(given(value)?)
}

fn private_exception<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    reader::check_initialised(this)?;
    Ok(this.state().exception.get_or_none(this.py()))
}

fn set_private_exception(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().exception.set(given(value)?);
    Ok(())
}

fn set_exception<'py>(
    this: &Bound<'py, StreamReader>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let exception = arguments.named("set_exception", "exc")?;
    reader::set_exception(this, exception)?;
    Ok(none(this.py()))
}

fn set_transport<'py>(
    this: &Bound<'py, StreamReader>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let transport = arguments.named("set_transport", "transport")?;
    reader::set_transport(this, transport)?;
    Ok(none(this.py()))
}

#[cfg(Py_3_14)]
fn replace_transport<'py>(
    this: &Bound<'py, StreamReader>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let transport = arguments.named("_replace_transport", "transport")?;
    if this.state().transport.get_or_none(this.py()).is_none() {
        return Err(pyo3::exceptions::PyAssertionError::new_err("Transport not set"));
    }
    this.state().transport.set(transport.clone());
    Ok(none(this.py()))
}

fn feed_data<'py>(this: &Bound<'py, StreamReader>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let data = arguments.named("feed_data", "data")?;
    reader::feed_data(this, data)?;
    Ok(none(this.py()))
}

fn feed_eof<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    reader::feed_eof(this)?;
    Ok(none(this.py()))
}

fn at_eof<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    let py = this.py();
    reader::check_initialised(this)?;
    let at_eof = this.state().eof.get() && this.state().content.is_empty(py)?;
    Ok(boolean(py, at_eof))
}

fn wake_waiter<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    reader::wake_waiter(this)?;
    Ok(none(this.py()))
}

fn maybe_resume_transport<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    reader::maybe_resume_transport(this)?;
    Ok(none(this.py()))
}

/// CPython: StreamReader.__repr__
fn repr<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    let mut text = String::from("<StreamReader");
    match state.content.len(py)? {
        0 => {}
        len => text += &format!(" {len} bytes"),
    }
    if state.eof.get() {
        text += " eof";
    }
    if state.limit_bytes.get() != f64::from(reader::DEFAULT_LIMIT) {
        text += &format!(" limit={}", limit(this)?.str()?);
    }
    let objects = [
        ("waiter", &state.waiter),
        ("exception", &state.exception),
        ("transport", &state.transport),
    ];
    for (name, slot) in objects {
        let object = slot.get_or_none(py);
        if object.is_truthy()? {
            text += &format!(" {name}={}", object.repr()?);
        }
    }
    if state.paused.get() {
        text += " paused";
    }
    Ok(PyString::new(py, &(text + ">")).into_any())
}

fn attributes(members: Members) -> Members {
    type R = StreamReader;
    let members = slot_property!(members, R, c"_loop", event_loop);
    let members = slot_property!(members, R, c"_waiter", waiter);
    let members = slot_property!(members, R, c"_transport", transport);
    let members = slot_property!(members, R, c"_source_traceback", source_traceback);
    let members = flag_property!(members, R, c"_eof", eof);
    flag_property!(members, R, c"_paused", paused)
        .get_set::<R, _, _>(c"_limit", limit, set_limit)
        .get_set::<R, _, _>(c"_buffer", buffer, set_buffer)
        .get_set::<R, _, _>(c"_exception", private_exception, set_private_exception)
}

fn methods(members: Members) -> Members {
    type R = StreamReader;
    #[cfg(Py_3_14)]
    let members = members.keywords::<R, _>(
        c"_replace_transport",
        replace_transport,
        c"The transport that start_tls() made.",
    );
    members
        .noargs::<R, _>(c"exception", private_exception, c"The exception, or None.")
        .keywords::<R, _>(
            c"set_exception(exc)",
            set_exception,
            c"Have who reads get this exception.",
        )
        .keywords::<R, _>(
            c"set_transport(transport)",
            set_transport,
            c"The transport to pause; only once.",
        )
        .keywords::<R, _>(
            c"feed_data(data)",
            feed_data,
            c"Append bytes, and wake who waits for them.",
        )
        .noargs::<R, _>(c"feed_eof", feed_eof, c"Say that no more bytes come.")
        .noargs::<R, _>(c"at_eof", at_eof, c"Return True if the end came and all was read.")
        .noargs::<R, _>(c"_wakeup_waiter", wake_waiter, c"Wake who waits for data or the end.")
        .noargs::<R, _>(
            c"_maybe_resume_transport",
            maybe_resume_transport,
            c"Resume a paused transport when there is room.",
        )
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let parts = [attributes, methods, reading::members, lines::members];
    let members = parts
        .into_iter()
        .fold(Members::default(), |members, add| add(members))
        .init::<StreamReader, _>(reader::init)
        .instance_dict()
        .unary_slot::<StreamReader, _>(ffi::Py_tp_repr, repr)
        .doc(c"StreamReader(limit=65536, loop=None)\n--\n\nThe reading side of a connection; see asyncio.StreamReader.");
    let stock = names::STREAM_READER.class(py)?;
    READER.create_instead_of(py, c"asyncio.streams.StreamReader", stock, members.into_slots())
}
