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

type Value<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn given<'py>(value: Value<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    value.cloned().ok_or_else(errors::cannot_be_deleted)
}

fn limit<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    this.state().limit.get(this.py()).ok_or_else(|| errors::missing(this, "_limit"))
}

fn set_limit(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().set_limit(given(value)?)
}

fn event_loop<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    Ok(this.state().event_loop.get_or_none(this.py()))
}

fn set_event_loop(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().event_loop.set(given(value)?);
    Ok(())
}

fn buffer<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    this.state().content.show(this.py())
}

fn set_buffer(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().content.set(given(value)?)
}

fn eof<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().eof.get()))
}

fn set_eof(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().eof.set(given(value)?.is_truthy()?);
    Ok(())
}

fn waiter<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    Ok(this.state().waiter.get_or_none(this.py()))
}

fn set_waiter(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().waiter.set(given(value)?);
    Ok(())
}

fn private_exception<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    reader::check_initialised(this)?;
    Ok(this.state().exception.get_or_none(this.py()))
}

fn set_private_exception(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().exception.set(given(value)?);
    Ok(())
}

fn transport<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    Ok(this.state().transport.get_or_none(this.py()))
}

fn set_private_transport(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().transport.set(given(value)?);
    Ok(())
}

fn paused<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().paused.get()))
}

fn set_paused(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().paused.set(given(value)?.is_truthy()?);
    Ok(())
}

fn source_traceback<'py>(this: &Bound<'py, StreamReader>) -> Object<'py> {
    Ok(this.state().source_traceback.get_or_none(this.py()))
}

fn set_source_traceback(this: &Bound<'_, StreamReader>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().source_traceback.set(given(value)?);
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
    members
        .get_set::<R, _, _>(c"_limit", limit, set_limit)
        .get_set::<R, _, _>(c"_loop", event_loop, set_event_loop)
        .get_set::<R, _, _>(c"_buffer", buffer, set_buffer)
        .get_set::<R, _, _>(c"_eof", eof, set_eof)
        .get_set::<R, _, _>(c"_waiter", waiter, set_waiter)
        .get_set::<R, _, _>(c"_exception", private_exception, set_private_exception)
        .get_set::<R, _, _>(c"_transport", transport, set_private_transport)
        .get_set::<R, _, _>(c"_paused", paused, set_paused)
        .get_set::<R, _, _>(c"_source_traceback", source_traceback, set_source_traceback)
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
