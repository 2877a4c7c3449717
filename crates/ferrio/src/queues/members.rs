//! The Python face of queues: attributes, and the making of the types.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Members, Object};
use pyo3::PyTypeInfo;
use pyo3::prelude::*;

use super::queue::{self, QUEUE, Queue};
use super::{finishing, format, getting, items, order, putting, waiters};
use crate::errors;
use crate::locks::waiting;
use crate::names::{self, boolean, none};

type Value<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn given<'a, 'py>(value: Value<'a, 'py>) -> PyResult<&'a Bound<'py, PyAny>> {
    value.ok_or_else(errors::cannot_be_deleted)
}

fn maxsize<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    let maxsize = this.state().maxsize.get(this.py());
    maxsize.ok_or_else(|| errors::missing(this, "_maxsize"))
}

fn set_maxsize(this: &Bound<'_, Queue>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().set_maxsize(given(value)?.clone());
    Ok(())
}

fn set_queue(this: &Bound<'_, Queue>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().items.set_object(given(value)?.clone());
    Ok(())
}

fn getters<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    this.state().getters.show(this.py())
}

fn set_getters(this: &Bound<'_, Queue>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().getters.set(given(value)?);
    Ok(())
}

fn putters<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    this.state().putters.show(this.py())
}

fn set_putters(this: &Bound<'_, Queue>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().putters.set(given(value)?);
    Ok(())
}

fn unfinished<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    Ok(this.state().unfinished.get().into_pyobject(this.py())?.into_any())
}

fn set_unfinished(this: &Bound<'_, Queue>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().unfinished.set(given(value)?.extract()?);
    Ok(())
}

fn set_finished(this: &Bound<'_, Queue>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().finished.set(given(value)?.clone());
    Ok(())
}

fn event_loop<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    Ok(this.state().event_loop.get_or_none(this.py()))
}

fn set_event_loop(this: &Bound<'_, Queue>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().event_loop.set(given(value)?.clone());
    Ok(())
}

fn is_shut_down<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().shut_down.get()))
}

fn set_shut_down(this: &Bound<'_, Queue>, value: Value<'_, '_>) -> PyResult<()> {
    this.state().shut_down.set(given(value)?.is_truthy()?);
    Ok(())
}

fn get_loop<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    waiting::get_loop(this, &this.state().event_loop)
}

fn wakeup_next<'py>(this: &Bound<'py, Queue>, queued: &Bound<'py, PyAny>) -> Object<'py> {
    waiters::wake_up_next_of(queued)?;
    Ok(none(this.py()))
}

fn attributes(members: Members) -> Members {
    members
        .get::<Queue, _>(c"maxsize", maxsize)
        .get_set::<Queue, _, _>(c"_maxsize", maxsize, set_maxsize)
        .get_set::<Queue, _, _>(c"_queue", items::attribute, set_queue)
        .get_set::<Queue, _, _>(c"_getters", getters, set_getters)
        .get_set::<Queue, _, _>(c"_putters", putters, set_putters)
        .get_set::<Queue, _, _>(c"_unfinished_tasks", unfinished, set_unfinished)
        .get_set::<Queue, _, _>(c"_finished", finishing::finished, set_finished)
        .get_set::<Queue, _, _>(c"_loop", event_loop, set_event_loop)
        .get_set::<Queue, _, _>(c"_is_shutdown", is_shut_down, set_shut_down)
        .noargs::<Queue, _>(c"_get_loop", get_loop, c"The loop that the queue belongs to.")
        .one::<Queue, _>(
            c"_wakeup_next(waiters)",
            wakeup_next,
            c"Wake the next waiter that is not done.",
        )
}

/// Makes the types.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let parts = [attributes, putting::members, getting::members, finishing::members];
    let members = parts.into_iter().fold(Members::default(), |members, add| add(members));
    let members = format::members(order::members(members))
        .init::<Queue, _>(queue::init)
        .instance_dict()
        .class_getitem()
        .doc(c"Queue(maxsize=0)\n--\n\nA queue between tasks; see asyncio.Queue.");
    let stock = names::QUEUE.class(py)?;
    QUEUE.create_instead_of(py, c"asyncio.queues.Queue", stock, members.into_slots())?;
    order::create(&Queue::type_object(py))
}
