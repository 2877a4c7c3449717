//! The Python face of the protocol, and the making of its type.

use std::ffi::CStr;

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_core::tls::{Phase, Told};
use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyAssertionError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::protocol::{self, SSL_PROTOCOL, SSLProtocol};
use super::{
    ending, engine, errors, flow, handshake, making, members, reading, transport, writing,
};
use crate::names::{self, boolean, none};

type This<'a, 'py> = &'a Bound<'py, SSLProtocol>;

/// A method without arguments and result.
macro_rules! acts {
    ($($name:ident = $act:path;)*) => {
        $(fn $name<'py>(this: This<'_, 'py>) -> Object<'py> {
            $act(this)?;
            Ok(none(this.py()))
        })*
    };
}

acts! {
    start_handshake = handshake::start;
    check_handshake_timeout = handshake::check_timeout;
    do_handshake = handshake::go_on;
    start_shutdown = ending::start;
    check_shutdown_timeout = ending::check_timeout;
    do_flush = ending::flush;
    do_shutdown = ending::shut_down;
    do_write = writing::write_backlog;
    process_outgoing = writing::process_outgoing;
    do_read = reading::read;
    do_read_buffered = reading::fill_buffer;
    do_read_copied = reading::copy;
    call_eof_received = reading::tell_eof;
    resume = reading::resume;
    resume_reading = reading::resume_soon;
    control_app_writing = flow::control_app_writing;
    control_ssl_reading = flow::control_transport_reading;
}

/// The phases and their names in asyncio.
const PHASES: [(Phase, &str); 5] = [
    (Phase::Unwrapped, "UNWRAPPED"),
    (Phase::Handshake, "DO_HANDSHAKE"),
    (Phase::Wrapped, "WRAPPED"),
    (Phase::Flushing, "FLUSHING"),
    (Phase::Shutdown, "SHUTDOWN"),
];

fn phase_object(py: Python<'_>, phase: Phase) -> PyResult<Bound<'_, PyAny>> {
    let name = PHASES.iter().find(|(known, _)| *known == phase).map_or("", |(_, name)| name);
    names::SSL_PROTOCOL_STATE.get(py)?.getattr(name)
}

fn phase_of(object: &Bound<'_, PyAny>) -> PyResult<Phase> {
    let name: String = object.getattr(intern!(object.py(), "name"))?.extract()?;
    let found = PHASES.iter().find(|(_, known)| *known == name);
    found.map(|(phase, _)| *phase).ok_or_else(|| PyRuntimeError::new_err("no such state"))
}

/// `_state`.
pub fn phase<'py>(this: This<'_, 'py>) -> Object<'py> {
    phase_object(this.py(), this.state().machine.phase())
}

/// `_state = ...`, without a question.
pub fn set_phase(this: This<'_, '_>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let value = value.ok_or_else(crate::errors::cannot_be_deleted)?;
    this.state().machine.put(phase_of(value)?);
    Ok(())
}

/// `_app_state`.
pub fn told<'py>(this: This<'_, 'py>) -> Object<'py> {
    let name = match this.state().machine.told() {
        Told::Nothing => "STATE_INIT",
        Told::Made => "STATE_CON_MADE",
        Told::Eof => "STATE_EOF",
        Told::Lost => "STATE_CON_LOST",
    };
    names::APP_PROTOCOL_STATE.get(this.py())?.getattr(name)
}

/// `_set_state`.
///
/// # Errors
/// RuntimeError for a change that does not exist.
pub fn advance(this: This<'_, '_>, to: Phase) -> PyResult<()> {
    this.state().machine.advance(to).map_err(|refused| {
        let py = this.py();
        let name = |phase| phase_object(py, phase).and_then(|object| Ok(object.str()?.to_string()));
        match (name(refused.from), name(refused.to)) {
            (Ok(from), Ok(to)) => {
                PyRuntimeError::new_err(format!("cannot switch state from {from} to {to}"))
            }
            (Err(error), _) | (_, Err(error)) => error,
        }
    })
}

fn set_state<'py>(this: This<'_, 'py>, state: &Bound<'py, PyAny>) -> Object<'py> {
    advance(this, phase_of(state)?)?;
    Ok(none(this.py()))
}

fn connection_made<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    handshake::connection_made(this, arguments.named("connection_made", "transport")?)?;
    Ok(none(this.py()))
}

fn connection_lost<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    ending::connection_lost(this, arguments.named("connection_lost", "exc")?)?;
    Ok(none(this.py()))
}

fn get_buffer<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    arguments.named("get_buffer", "n")?;
    reading::get_buffer(this)
}

fn buffer_updated<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    reading::buffer_updated(this, arguments.named("buffer_updated", "nbytes")?.extract()?)?;
    Ok(none(this.py()))
}

/// True while the transport is to stay open; None as stock otherwise.
fn eof_received<'py>(this: This<'_, 'py>) -> Object<'py> {
    let py = this.py();
    Ok(if ending::eof_received(this)? { boolean(py, true) } else { none(py) })
}

fn pause_writing<'py>(this: This<'_, 'py>) -> Object<'py> {
    if this.state().transport_full.replace(true) {
        return Err(PyAssertionError::new_err(()));
    }
    Ok(none(this.py()))
}

fn resume_writing<'py>(this: This<'_, 'py>) -> Object<'py> {
    if !this.state().transport_full.replace(false) {
        return Err(PyAssertionError::new_err(()));
    }
    writing::process_outgoing(this)?;
    Ok(none(this.py()))
}

fn pause_reading<'py>(this: This<'_, 'py>) -> Object<'py> {
    this.state().app_reading_paused.set(true);
    Ok(none(this.py()))
}

fn set_app_protocol<'py>(this: This<'_, 'py>, protocol: &Bound<'py, PyAny>) -> Object<'py> {
    making::set_app_protocol(this, protocol)?;
    Ok(none(this.py()))
}

fn is_transport_closing<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(boolean(this.py(), protocol::is_transport_closing(this)?))
}

fn get_app_transport<'py>(this: This<'_, 'py>) -> Object<'py> {
    transport::get(this)
}

fn wakeup_waiter<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    handshake::wake_waiter(this, arguments.value(0))?;
    Ok(none(this.py()))
}

/// `_on_handshake_complete(handshake_exc)`.
fn on_handshake_complete<'py>(this: This<'_, 'py>, error: &Bound<'py, PyAny>) -> Object<'py> {
    let error = (!error.is_none()).then(|| ferrio_capi::handled::raise_any(error));
    handshake::complete(this, error)?;
    Ok(none(this.py()))
}

/// `_on_shutdown_complete(shutdown_exc)`.
fn on_shutdown_complete<'py>(this: This<'_, 'py>, error: &Bound<'py, PyAny>) -> Object<'py> {
    if error.is_truthy()? {
        ending::cancel_timer(this)?;
        errors::fatal(this, error, "Fatal error on transport")?;
    } else {
        ending::complete(this)?;
    }
    Ok(none(this.py()))
}

fn abort<'py>(this: This<'_, 'py>, error: &Bound<'py, PyAny>) -> Object<'py> {
    ending::abort(this, error)?;
    Ok(none(this.py()))
}

fn write_appdata<'py>(this: This<'_, 'py>, lines: &Bound<'py, PyAny>) -> Object<'py> {
    writing::write_all(this, lines)?;
    Ok(none(this.py()))
}

/// `_feed(data)`: ciphertext that somebody else has read before.
fn feed<'py>(this: This<'_, 'py>, data: &Bound<'py, PyAny>) -> Object<'py> {
    let data = ferrio_capi::buffer::read(data, <[u8]>::to_vec)?;
    engine::feed(this.state(), this.py(), &data)?;
    Ok(none(this.py()))
}

static GET_EXTRA_INFO: Signature<2> = Signature {
    format: c"O|O:get_extra_info",
    names: [c"name", c"default"],
    positional: 2,
    required: 1,
};

/// `_get_extra_info`.
pub fn get_extra_info<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = this.py();
    let [name, default] = GET_EXTRA_INFO.parse(&arguments)?;
    let default = default.cloned().unwrap_or_else(|| none(py));
    let Some(name) = name else { return Ok(default) };
    let extra = this.state().extra.get_or_none(py);
    if let Some(known) = extra.cast::<PyDict>()?.get_item(name)? {
        return Ok(known);
    }
    match this.state().transport.get(py) {
        Some(transport) => transport.call_method1(intern!(py, "get_extra_info"), (name, default)),
        None => Ok(default),
    }
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
        errors::fatal(this, exception, &message)?;
    }
    Ok(none(this.py()))
}

static LIMITS: Signature<2> =
    Signature { format: c"|OO", names: [c"high", c"low"], positional: 2, required: 0 };

fn set_write_limits<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let marks = &this.state().writing;
    super::transport_methods::set_limits(marks, &LIMITS, &arguments, flow::HIGH_WRITE)?;
    Ok(none(this.py()))
}

fn set_read_limits<'py>(this: This<'_, 'py>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let marks = &this.state().reading;
    super::transport_methods::set_limits(marks, &LIMITS, &arguments, flow::HIGH_READ)?;
    Ok(none(this.py()))
}

fn write_buffer_size<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(flow::write_buffer_size(this)?.into_pyobject(this.py())?.into_any())
}

fn read_buffer_size<'py>(this: This<'_, 'py>) -> Object<'py> {
    Ok(engine::readable(this.state(), this.py())?.into_pyobject(this.py())?.into_any())
}

fn of_a_protocol(members: Members) -> Members {
    type P = SSLProtocol;
    members
        .keywords::<P, _>(c"connection_made(transport)", connection_made, c"Start the handshake.")
        .keywords::<P, _>(c"connection_lost(exc)", connection_lost, c"The transport is gone.")
        .keywords::<P, _>(c"get_buffer(n)", get_buffer, c"A place for ciphertext.")
        .keywords::<P, _>(c"buffer_updated(nbytes)", buffer_updated, c"Ciphertext lies there.")
        .noargs::<P, _>(c"eof_received", eof_received, c"There is no more ciphertext.")
        .noargs::<P, _>(c"pause_writing", pause_writing, c"Send no ciphertext.")
        .noargs::<P, _>(c"resume_writing", resume_writing, c"Send ciphertext again.")
}

fn of_the_ends(members: Members, doc: &'static CStr) -> Members {
    type P = SSLProtocol;
    members
        .one::<P, _>(c"_set_state(new_state)", set_state, doc)
        .noargs::<P, _>(c"_start_handshake", start_handshake, doc)
        .noargs::<P, _>(c"_check_handshake_timeout", check_handshake_timeout, doc)
        .noargs::<P, _>(c"_do_handshake", do_handshake, doc)
        .one::<P, _>(c"_on_handshake_complete(handshake_exc)", on_handshake_complete, doc)
        .noargs::<P, _>(c"_start_shutdown", start_shutdown, doc)
        .noargs::<P, _>(c"_check_shutdown_timeout", check_shutdown_timeout, doc)
        .noargs::<P, _>(c"_do_flush", do_flush, doc)
        .noargs::<P, _>(c"_do_shutdown", do_shutdown, doc)
        .one::<P, _>(c"_on_shutdown_complete(shutdown_exc)", on_shutdown_complete, doc)
        .one::<P, _>(c"_abort(exc)", abort, doc)
        .keywords::<P, _>(
            c"_fatal_error(exc, message='Fatal error on transport')",
            fatal_error,
            doc,
        )
        .keywords::<P, _>(c"_wakeup_waiter(exc=None)", wakeup_waiter, doc)
        .noargs::<P, _>(c"_get_app_transport", get_app_transport, doc)
        .noargs::<P, _>(c"_is_transport_closing", is_transport_closing, doc)
        .one::<P, _>(c"_set_app_protocol(app_protocol)", set_app_protocol, doc)
        .keywords::<P, _>(c"_get_extra_info(name, default=None)", get_extra_info, doc)
}

fn of_the_data(members: Members, doc: &'static CStr) -> Members {
    type P = SSLProtocol;
    members
        .one::<P, _>(c"_write_appdata(list_of_data)", write_appdata, doc)
        .noargs::<P, _>(c"_do_write", do_write, doc)
        .noargs::<P, _>(c"_process_outgoing", process_outgoing, doc)
        .noargs::<P, _>(c"_do_read", do_read, doc)
        .noargs::<P, _>(c"_do_read__buffered", do_read_buffered, doc)
        .noargs::<P, _>(c"_do_read__copied", do_read_copied, doc)
        .noargs::<P, _>(c"_call_eof_received", call_eof_received, doc)
        .noargs::<P, _>(c"_resume", resume, doc)
        .noargs::<P, _>(c"_pause_reading", pause_reading, doc)
        .noargs::<P, _>(c"_resume_reading", resume_reading, doc)
        .noargs::<P, _>(c"_control_app_writing", control_app_writing, doc)
        .noargs::<P, _>(c"_control_ssl_reading", control_ssl_reading, doc)
        .noargs::<P, _>(c"_get_write_buffer_size", write_buffer_size, doc)
        .noargs::<P, _>(c"_get_read_buffer_size", read_buffer_size, doc)
        .keywords::<P, _>(c"_set_write_buffer_limits(high=None, low=None)", set_write_limits, doc)
        .keywords::<P, _>(c"_set_read_buffer_limits(high=None, low=None)", set_read_limits, doc)
        .one::<P, _>(c"_feed", feed, doc)
}

/// Makes the type.
///
/// # Errors
/// What CPython raises.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let doc = c"Part of asyncio's own TLS.";
    let members = of_the_ends(of_a_protocol(members::add(Members::default())), doc);
    let members = of_the_data(members, doc)
        .init::<SSLProtocol, _>(making::init)
        .instance_dict()
        .doc(c"TLS between a transport and an application.");
    let base = names::BUFFERED_PROTOCOL.class(py)?;
    let name = c"asyncio.sslproto.SSLProtocol";
    SSL_PROTOCOL.create(py, name, base, members.into_slots())?;
    SSL_PROTOCOL.stand_for(py, name, names::SSL_PROTOCOL.class(py)?)?;
    SSLProtocol::type_object(py).setattr("max_size", reading::MAX_SIZE)
}
