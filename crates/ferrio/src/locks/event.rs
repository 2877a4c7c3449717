//! `Event`. CPython: asyncio.locks.Event

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, State, StateOf, Visit};
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

use super::waiters::{self, Waited, Waiters};
use super::waiting;
use crate::coroutine::{self, Coroutine, Kind, Progress};
use crate::errors;
use crate::names::{self, boolean, none};

static EVENT: Class<Event> = Class::new();

/// `asyncio.Event`.
#[derive(Debug)]
pub struct Event;

/// The native part of an event. All-zero is one that is not set and that nobody waits for.
#[derive(Debug)]
pub struct EventState {
    waiters: Waiters,
    value: Cell<bool>,
}

// SAFETY: no waiters and false are all-zero.
unsafe impl State for EventState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.waiters.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.waiters.clear(py);
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Event {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        EVENT.type_ptr()
    }
}

impl DerefToPyAny for Event {}

impl NativeClass for Event {
    type State = EventState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &EVENT
    }
}

impl Waited for Event {
    const QUEUE_FROM_THE_START: bool = true;

    fn waiters(state: &EventState) -> &Waiters {
        &state.waiters
    }
}

static INIT: Signature<0> = Signature { format: c":Event", names: [], positional: 0, required: 0 };

fn init<'py>(this: &Bound<'py, Event>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [] = INIT.parse_init(&arguments)?;
    this.state().waiters.queue.clear(this.py());
    this.state().value.set(false);
    Ok(())
}

static WAIT: Kind =
    Kind { name: "wait", qualified_name: "Event.wait", start: begin_to_wait, resume: waited };

fn begin_to_wait<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let event = coroutine::owner::<Event>(this)?;
    if event.state().value.get() {
        return Ok(Progress::Return(boolean(this.py(), true)));
    }
    waiters::wait(this, &event)
}

fn waited<'py>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    let event = coroutine::owner::<Event>(this)?;
    waiters::leave(this, &event)?;
    outcome.map(|_| Progress::Return(boolean(this.py(), true)))
}

fn wait<'py>(this: &Bound<'py, Event>) -> Object<'py> {
    coroutine::new(this, &WAIT).map(Bound::into_any)
}

fn set<'py>(this: &Bound<'py, Event>) -> Object<'py> {
    let py = this.py();
    if !this.state().value.replace(true) {
        let value = boolean(py, true);
        this.state().waiters.queue.visit(py, |waiter| {
            if !waiting::is_done(waiter)? {
                waiting::wake(waiter, value.clone())?;
            }
            Ok(true)
        })?;
    }
    Ok(none(py))
}

fn clear<'py>(this: &Bound<'py, Event>) -> Object<'py> {
    this.state().value.set(false);
    Ok(none(this.py()))
}

fn is_set<'py>(this: &Bound<'py, Event>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().value.get()))
}

fn set_value(this: &Bound<'_, Event>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let value = value.ok_or_else(errors::cannot_be_deleted)?;
    this.state().value.set(value.is_truthy()?);
    Ok(())
}

fn repr<'py>(this: &Bound<'py, Event>) -> Object<'py> {
    waiters::describe(this, if this.state().value.get() { "set" } else { "unset" })
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = waiters::members::<Event>(Members::default())
        .init::<Event, _>(init)
        .instance_dict()
        .noargs::<Event, _>(c"wait", wait, c"Wait until it is set; return True.")
        .noargs::<Event, _>(c"set", set, c"Set it and wake all who wait.")
        .noargs::<Event, _>(c"clear", clear, c"Have those wait who call wait() from now on.")
        .noargs::<Event, _>(c"is_set", is_set, c"Return True if it is set.")
        .get_set::<Event, _, _>(c"_value", is_set, set_value)
        .unary_slot::<Event, _>(ffi::Py_tp_repr, repr)
        .doc(c"Event()\n--\n\nA flag that tasks wait for; see asyncio.Event.");
    let stock = names::EVENT.class(py)?;
    EVENT.create_instead_of(py, c"asyncio.locks.Event", stock, members.into_slots())
}
