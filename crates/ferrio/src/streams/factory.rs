//! The protocol factory of `start_server`: what stock writes as an inner function.

use std::ffi::c_int;

use ferrio_capi::method::{Members, Object};
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyString};
use pyo3::{PyTypeInfo, ffi};

use super::{protocol, reader};

static FACTORY: Class<ProtocolFactory> = Class::new();

/// A callable that makes a reader and its protocol.
#[derive(Debug)]
pub struct ProtocolFactory;

/// The native part of a factory. All-zero is one of protocols that call nobody.
#[derive(Debug)]
pub struct FactoryState {
    event_loop: Slot,
    limit: Slot,
    client_connected: Slot,
    /// The one protocol of `open_connection`.
    protocol: Slot,
}

// SAFETY: empty slots are all-zero.
unsafe impl State for FactoryState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
    }
}

impl FactoryState {
    fn slots(&self) -> [&Slot; 4] {
        [&self.event_loop, &self.limit, &self.client_connected, &self.protocol]
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for ProtocolFactory {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        FACTORY.type_ptr()
    }
}

impl DerefToPyAny for ProtocolFactory {}

impl NativeClass for ProtocolFactory {
    type State = FactoryState;
    const KEPT: usize = 64;

    fn class() -> &'static Class<Self> {
        &FACTORY
    }
}

/// A factory of protocols that call `client_connected`.
pub fn of_server<'py>(
    event_loop: &Bound<'py, PyAny>,
    limit: &Bound<'py, PyAny>,
    client_connected: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, ProtocolFactory>> {
    let this = FACTORY.alloc(event_loop.py())?;
    let state = this.state();
    state.event_loop.set(event_loop.clone());
    state.limit.set(limit.clone());
    state.client_connected.set(client_connected.clone());
    Ok(this)
}

/// A factory that gives this protocol.
pub fn of_protocol<'py, P>(protocol: &Bound<'py, P>) -> PyResult<Bound<'py, ProtocolFactory>> {
    let this = FACTORY.alloc(protocol.py())?;
    this.state().protocol.set(protocol.as_any().clone());
    Ok(this)
}

fn call<'py>(this: &Bound<'py, ProtocolFactory>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    if let Some(protocol) = state.protocol.get(py) {
        return Ok(protocol);
    }
    let event_loop = state.event_loop.get_or_none(py);
    let reader = reader::new(&state.limit.get_or_none(py), &event_loop)?;
    let client_connected = state.client_connected.get(py).filter(|callback| !callback.is_none());
    Ok(protocol::new(&reader, client_connected, &event_loop)?.into_any())
}

fn repr<'py>(this: &Bound<'py, ProtocolFactory>) -> Object<'py> {
    let text = format!("<function start_server.<locals>.factory at {:#x}>", this.as_ptr() as usize);
    Ok(PyString::new(this.py(), &text).into_any())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .call_nothing::<ProtocolFactory, _>(call)
        .unary_slot::<ProtocolFactory, _>(ffi::Py_tp_repr, repr)
        .doc(c"Makes the protocols of a server's streams.");
    FACTORY.create(py, c"ferrio.ProtocolFactory", &py.get_type::<PyAny>(), members.into_slots())
}
