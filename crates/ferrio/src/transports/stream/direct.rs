//! Calls on what may be a transport of ours, past its Python face when it is, and the one into a protocol
//! of streams.

use std::sync::OnceLock;

use ferrio_capi::call::call_method;
use ferrio_capi::{Slot, StateOf};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::{STREAM_TRANSPORT, StreamTransport, closing, reading, writing};
use crate::loop_state::{Act, call_act_soon};

/// `object` as a transport of ours, no method of which anybody replaced.
#[inline]
pub fn as_plain<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, StreamTransport>> {
    STREAM_TRANSPORT.cast_exact(object).filter(|transport| STREAM_TRANSPORT.is_plain(transport))
}

/// `transport.write(data)`.
///
/// # Errors
/// The transport's.
#[inline]
pub fn write<'py>(transport: &Bound<'py, PyAny>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    match as_plain(transport) {
        Some(plain) => writing::write(plain, data),
        None => call_method(transport, intern!(transport.py(), "write"), [data]).map(drop),
    }
}

/// `transport.write(data)`, of data in memory of ours: what is not needed any more comes back.
///
/// # Errors
/// The transport's.
#[inline]
pub fn write_owned(transport: &Bound<'_, PyAny>, data: Vec<u8>) -> PyResult<Vec<u8>> {
    match as_plain(transport) {
        Some(plain) => writing::write_owned(plain, data),
        None => {
            let bytes = PyBytes::new(transport.py(), &data).into_any();
            call_method(transport, intern!(transport.py(), "write"), [&bytes])?;
            Ok(data)
        }
    }
}

/// `transport.is_closing()` of a transport of ours.
#[inline]
pub fn is_closing(transport: &Bound<'_, PyAny>) -> Option<bool> {
    as_plain(transport).map(|plain| plain.state().closing.get())
}

/// Whether a slot holds a transport of ours that is closing. No Python code runs.
#[inline]
pub fn holds_closing(slot: &Slot) -> bool {
    STREAM_TRANSPORT.state_in(slot).is_some_and(|state| state.closing.get())
}

/// `transport.pause_reading()`.
///
/// # Errors
/// The transport's.
pub fn pause_reading(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    match as_plain(transport) {
        Some(plain) => reading::pause(plain),
        None => transport.call_method0(intern!(transport.py(), "pause_reading")).map(drop),
    }
}

/// `transport.resume_reading()`.
///
/// # Errors
/// The transport's.
pub fn resume_reading(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    match as_plain(transport) {
        Some(plain) => reading::resume(plain),
        None => transport.call_method0(intern!(transport.py(), "resume_reading")).map(drop),
    }
}

/// `loop.call_soon(transport.close)`.
///
/// # Errors
/// The loop's.
pub fn close_soon<'py>(
    event_loop: &Bound<'py, PyAny>,
    transport: &Bound<'py, PyAny>,
) -> PyResult<()> {
    if as_plain(transport).is_some() {
        return call_act_soon(event_loop, transport, &CLOSE);
    }
    let close = transport.getattr(intern!(transport.py(), "close"))?;
    call_method(event_loop, intern!(transport.py(), "call_soon"), [&close]).map(drop)
}

static CLOSE: Act = Act {
    run: |object, _| closing::close(object.cast::<StreamTransport>()?),
    parts: |object| {
        let py = object.py();
        Ok((object.getattr(intern!(py, "close"))?, PyTuple::empty(py)))
    },
};

/// `protocol.data_received(data)` of a protocol of streams, no method of which anybody replaced; None of
/// any other protocol.
pub type Receive = for<'py> fn(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> Option<PyResult<()>>;

static RECEIVE: OnceLock<Receive> = OnceLock::new();

/// Has the transports know how streams take data. They lie lower and cannot ask for it.
pub fn set_receive(receive: Receive) {
    // A second call, of a second interpreter, says the same.
    RECEIVE.get_or_init(|| receive);
}

/// Gives the protocol so many bytes at the beginning of memory, which comes back.
pub type TakeCiphertext = fn(&Bound<'_, PyAny>, Vec<u8>, usize) -> (Vec<u8>, PyResult<()>);

/// What a transport asks of a TLS protocol of ours.
#[derive(Debug)]
pub struct TlsReceiver {
    /// Whether a protocol is one that no Python code has changed.
    pub serves: fn(&Bound<'_, PyAny>) -> bool,
    /// Takes ciphertext.
    pub receive: TakeCiphertext,
}

static TLS_RECEIVER: OnceLock<TlsReceiver> = OnceLock::new();

/// Has the transports know how TLS takes ciphertext.
pub fn set_tls_receiver(receiver: TlsReceiver) {
    // A second call, of a second interpreter, says the same.
    TLS_RECEIVER.get_or_init(|| receiver);
}

/// The receiver, for a protocol that it serves.
#[inline]
pub fn tls_receiver(protocol: &Bound<'_, PyAny>) -> Option<&'static TlsReceiver> {
    TLS_RECEIVER.get().filter(|receiver| (receiver.serves)(protocol))
}

/// `protocol.data_received(data)`.
///
/// # Errors
/// The protocol's.
#[inline]
pub fn data_received<'py>(protocol: &Bound<'py, PyAny>, data: &Bound<'py, PyAny>) -> PyResult<()> {
    if let Some(taken) = RECEIVE.get().and_then(|receive| receive(protocol, data)) {
        return taken;
    }
    call_method(protocol, intern!(protocol.py(), "data_received"), [data]).map(drop)
}
