//! `get`, `get_nowait`, `qsize` and `empty`.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Members, Object};
use pyo3::intern;
use pyo3::prelude::*;

use super::order::{self, Order, plain_order};
use super::queue::Queue;
use super::waiters::{self, Side};
use super::{exceptions, items};
use crate::coroutine::{self, Coroutine, Kind};
use crate::deque::Deque;
use crate::names::boolean;

/// The tasks that get.
struct Getters;

impl Side for Getters {
    #[inline]
    fn at_once<'py>(
        _: &Bound<'py, Coroutine>,
        queue: &Bound<'py, Queue>,
        order: Order,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        get_plainly(queue, order)
    }

    fn waiters<'a>(queue: &'a Bound<'_, Queue>) -> &'a Deque {
        &queue.state().getters
    }

    #[inline]
    fn is_blocked(queue: &Bound<'_, Queue>) -> PyResult<bool> {
        is_empty(queue)
    }

    #[inline]
    fn finish<'py>(_: &Bound<'py, Coroutine>, queue: &Bound<'py, Queue>) -> Object<'py> {
        if plain_order(queue).is_some() {
            return get_nowait(queue);
        }
        queue.as_any().call_method0(intern!(queue.py(), "get_nowait"))
    }

    fn is_refused(queue: &Bound<'_, Queue>) -> PyResult<bool> {
        Ok(queue.state().shut_down.get() && is_empty(queue)?)
    }
}

static GET_KIND: Kind = Kind {
    name: "get",
    qualified_name: "Queue.get",
    start: waiters::start::<Getters>,
    resume: waiters::resume::<Getters>,
};

/// An item of a plain queue, if it has one.
#[inline(always)]
fn get_plainly<'py>(
    queue: &Bound<'py, Queue>,
    order: Order,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(item) = items::get_if_any(queue, order)? else {
        return Ok(None);
    };
    waiters::wake_up_next_plainly(queue.py(), &queue.state().putters)?;
    Ok(Some(item))
}

/// What `await get()` gives, if it need not wait.
#[inline]
pub fn get_at_once<'py>(queue: &Bound<'py, Queue>) -> PyResult<Option<Bound<'py, PyAny>>> {
    plain_order(queue).map_or(Ok(None), |order| get_plainly(queue, order))
}

/// `get()`.
pub fn get<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    coroutine::new(this, &GET_KIND).map(Bound::into_any)
}

/// CPython: Queue.get_nowait
fn get_nowait<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    if is_empty(this)? {
        let shut_down = state.shut_down.get();
        return Err(if shut_down { exceptions::shut_down(py) } else { exceptions::empty(py) });
    }
    let item = order::get(this)?;
    waiters::wake_up_next(this, &state.putters)?;
    Ok(item)
}

/// `self.empty()`.
#[inline]
pub fn is_empty(queue: &Bound<'_, Queue>) -> PyResult<bool> {
    if plain_order(queue).is_some() {
        return items::is_empty(queue);
    }
    queue.as_any().call_method0(intern!(queue.py(), "empty"))?.is_truthy()
}

fn empty<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    Ok(boolean(this.py(), items::is_empty(this)?))
}

fn qsize<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    Ok(items::len(this)?.into_pyobject(this.py())?.into_any())
}

pub fn members(members: Members) -> Members {
    members
        .noargs::<Queue, _>(c"get", get, c"Take an item out of the queue; wait until it has one.")
        .noargs::<Queue, _>(
            c"get_nowait",
            get_nowait,
            c"Take an item out of the queue, or raise QueueEmpty.",
        )
        .noargs::<Queue, _>(c"empty", empty, c"Return True if the queue is empty.")
        .noargs::<Queue, _>(c"qsize", qsize, c"Number of items in the queue.")
}
