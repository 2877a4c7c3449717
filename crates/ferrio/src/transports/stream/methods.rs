//! The Python face of the stream transport.

use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{NativeClass, StateOf};
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{StreamTransport, accepting, attributes, closing, flow, info, reading, writing};
use crate::futures;
use crate::names::{self, boolean, none};

type This<'a, 'py> = &'a Bound<'py, StreamTransport>;

/// A method without arguments and result.
macro_rules! acts {
    ($($name:ident = $act:path;)*) => {
        $(fn $name<'py>(this: This<'_, 'py>) -> Object<'py> {
            $act(this)?;
            attributes::nothing(this)
        })*
    };
}

acts! {
    close = closing::close;
    pause_reading = reading::pause;
    resume_reading = reading::resume;
    write_eof = writing::write_eof;
    begin = accepting::begin;
    read_ready = reading::ready;
    write_ready = writing::ready;
    maybe_pause_protocol = flow::maybe_pause;
    maybe_resume_protocol = flow::maybe_resume;
}

fn write<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    writing::write(this, arguments.named("write", "data")?)?;
    Ok(none(this.py()))
}

fn writelines<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    writing::writelines(this, arguments.named("writelines", "list_of_data")?)?;
    Ok(none(this.py()))
}

fn abort<'py>(this: This<'_, 'py>) -> Object<'py> {
    writing::flush(this)?;
    closing::force_close(this, None)?;
    Ok(none(this.py()))
}

fn force_close<'py>(this: This<'_, 'py>, exception: &Bound<'py, PyAny>) -> Object<'py> {
    writing::flush(this)?;
    closing::force_close(this, Some(exception.clone()))?;
    Ok(none(this.py()))
}

fn call_connection_lost<'py>(this: This<'_, 'py>, exception: &Bound<'py, PyAny>) -> Object<'py> {
    closing::connection_lost(this, exception.clone())?;
    Ok(none(this.py()))
}

static FATAL_ERROR: Signature<2> = Signature {
    format: c"O|O:_fatal_error",
    names: [c"exc", c"message"],
    positional: 2,
    required: 1,
};

fn fatal_error<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [exception, message] = FATAL_ERROR.parse(&arguments)?;
    let message = match message {
        Some(message) => message.str()?.to_string(),
        None => "Fatal error on transport".to_owned(),
    };
    if let Some(exception) = exception {
        closing::fatal_error(this, exception, &message)?;
    }
    Ok(none(this.py()))
}

fn add_reader<'py>(this: This<'_, 'py>, _: Arguments<'_, 'py>) -> Object<'py> {
    reading::start(this)?;
    Ok(none(this.py()))
}

fn is_closing<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().closing.get()))
}

fn is_reading<'py>(this: This<'_, 'py>) -> Object<'py> {
    let state = this.state();
    Ok(boolean(this.py(), !state.closing.get() && !state.paused.get()))
}

fn can_write_eof<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), true))
}

fn get_protocol<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(this.state().protocol.get_or_none(this.py()))
}

fn set_protocol<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    flow::set_protocol(this, arguments.named("set_protocol", "protocol")?.clone())?;
    Ok(none(this.py()))
}

fn get_write_buffer_size<'py>(this: This<'_, 'py>) -> Object<'py> {
    writing::flush(this)?;
    Ok(this.state().buffered().into_pyobject(this.py())?.into_any())
}

fn get_write_buffer_limits<'py>(this: This<'_, 'py>) -> Object<'py> {
    let [high, low] = flow::limits(this)?;
    Ok(PyTuple::new(this.py(), [low, high])?.into_any())
}

static SET_LIMITS: Signature<2> = Signature {
    format: c"|OO:set_write_buffer_limits",
    names: [c"high", c"low"],
    positional: 2,
    required: 0,
};

fn set_write_buffer_limits<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [high, low] = SET_LIMITS.parse(&arguments)?;
    flow::set_limits(this, high, low)?;
    flow::maybe_pause(this)?;
    Ok(none(this.py()))
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
    if let Some(method) = info::replaced_method(this)? {
        return match default {
            Some(default) => method.call1((name, default)),
            None => method.call1((name,)),
        };
    }
    let default = default.cloned().unwrap_or_else(|| none(py));
    // Who asks for the socket may act on it: what was written must not come after that.
    writing::flush(this)?;
    match name {
        Some(name) => info::get(this, name, default),
        None => Ok(default),
    }
}

/// `_make_empty_waiter`: a future that is done when all is sent.
fn make_empty_waiter<'py>(this: This<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    if state.empty_waiter.is_set() {
        return Err(PyRuntimeError::new_err("Empty waiter is already set"));
    }
    writing::flush(this)?;
    let waiter = futures::methods::new(&state.native_loop(py)?)?;
    state.empty_waiter.set(waiter.clone());
    if state.buffered() == 0 {
        futures::AsFuture::as_future(&waiter).set_result(none(py))?;
    }
    Ok(waiter.into_any())
}

fn reset_empty_waiter<'py>(this: This<'_, 'py>) -> Object<'py> {
    drop(this.state().empty_waiter.take(this.py()));
    Ok(none(this.py()))
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let base = names::FLOW_CONTROL_MIXIN.class(py)?;
    info::remember_inherited(py)?;
    let slots = private(public(attributes::add(Members::default())))
        .finalize::<StreamTransport, _>(closing::finalize)
        .doc(c"The transport of a stream socket; see asyncio.Transport.");
    let class = StreamTransport::class();
    class.create(py, c"ferrio._SelectorSocketTransport", base, slots.into_slots())?;
    let class = StreamTransport::type_object(py);
    class.setattr("_start_tls_compatible", true)?;
    class.setattr("_sendfile_compatible", names::SENDFILE_MODE.get(py)?.getattr("TRY_NATIVE")?)
}

fn public(members: Members) -> Members {
    type T = StreamTransport;
    members
        .keywords::<T, _>(c"write(data)", write, c"Write some data; never blocks.")
        .keywords::<T, _>(
            c"writelines(list_of_data)",
            writelines,
            c"Write an iterable of bytes-like objects.",
        )
        .noargs::<T, _>(c"write_eof", write_eof, c"Close the write end after what is buffered.")
        .noargs::<T, _>(c"can_write_eof", can_write_eof, c"Return True.")
        .noargs::<T, _>(c"close", close, c"Close the transport after what is buffered.")
        .noargs::<T, _>(c"abort", abort, c"Close the transport at once; buffered data is lost.")
        .noargs::<T, _>(c"is_closing", is_closing, c"Return True if it is closing or closed.")
        .noargs::<T, _>(c"is_reading", is_reading, c"Return True if it is receiving.")
        .noargs::<T, _>(c"pause_reading", pause_reading, c"Pause the receiving end.")
        .noargs::<T, _>(c"resume_reading", resume_reading, c"Resume the receiving end.")
        .noargs::<T, _>(c"get_protocol", get_protocol, c"Return the current protocol.")
        .keywords::<T, _>(c"set_protocol(protocol)", set_protocol, c"Set a new protocol.")
        .keywords::<T, _>(
            c"get_extra_info(name, default=None)",
            get_extra_info,
            c"Return information about the transport, or the default.",
        )
        .noargs::<T, _>(
            c"get_write_buffer_size",
            get_write_buffer_size,
            c"Return the number of bytes that wait to be sent.",
        )
        .noargs::<T, _>(
            c"get_write_buffer_limits",
            get_write_buffer_limits,
            c"Return the (low, high) water marks in bytes.",
        )
        .keywords::<T, _>(
            c"set_write_buffer_limits(high=None, low=None)",
            set_write_buffer_limits,
            c"Set the high- and low-water marks in bytes. Raises ValueError if low > high.",
        )
}

fn private(members: Members) -> Members {
    type T = StreamTransport;
    let doc = c"Part of asyncio's own interface between loop and transport.";
    members
        .keywords::<T, _>(
            c"_set_write_buffer_limits(high=None, low=None)",
            set_write_buffer_limits,
            doc,
        )
        .noargs::<T, _>(c"_maybe_pause_protocol", maybe_pause_protocol, doc)
        .noargs::<T, _>(c"_maybe_resume_protocol", maybe_resume_protocol, doc)
        .one::<T, _>(c"_force_close(exc)", force_close, doc)
        .keywords::<T, _>(
            c"_fatal_error(exc, message='Fatal error on transport')",
            fatal_error,
            doc,
        )
        .one::<T, _>(c"_call_connection_lost(exc)", call_connection_lost, doc)
        .keywords::<T, _>(c"_add_reader(fd, callback, *args)", add_reader, doc)
        .noargs::<T, _>(c"_begin", begin, doc)
        .noargs::<T, _>(c"_read_ready", read_ready, doc)
        .noargs::<T, _>(c"_write_ready", write_ready, doc)
        .noargs::<T, _>(c"_make_empty_waiter", make_empty_waiter, doc)
        .noargs::<T, _>(c"_reset_empty_waiter", reset_empty_waiter, doc)
}
