//! `put`, `put_nowait` and `full`.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use pyo3::intern;
use pyo3::prelude::*;

use super::order::{self, Order, plain_order};
use super::queue::{Limit, Queue};
use super::waiters::{self, Side};
use super::{exceptions, finishing, items};
use crate::coroutine::{self, Coroutine, Kind};
use crate::deque::Deque;
use crate::errors;
use crate::names::{boolean, none};

/// The tasks that put.
struct Putters;

impl Side for Putters {
    #[inline]
    fn at_once<'py>(
        this: &Bound<'py, Coroutine>,
        queue: &Bound<'py, Queue>,
        order: Order,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if queue.state().shut_down.get() || is_full_plainly(queue)? {
            return Ok(None);
        }
        let item = this.state().first.take(queue.py()).unwrap_or_else(|| none(queue.py()));
        items::put(queue, order, item)?;
        count_unfinished(queue)?;
        waiters::wake_up_next_plainly(queue.py(), &queue.state().getters)?;
        Ok(Some(none(queue.py())))
    }

    fn waiters<'a>(queue: &'a Bound<'_, Queue>) -> &'a Deque {
        &queue.state().putters
    }

    #[inline]
    fn is_blocked(queue: &Bound<'_, Queue>) -> PyResult<bool> {
        if plain_order(queue).is_some() {
            return is_full(queue);
        }
        queue.as_any().call_method0(intern!(queue.py(), "full"))?.is_truthy()
    }

    #[inline]
    fn finish<'py>(this: &Bound<'py, Coroutine>, queue: &Bound<'py, Queue>) -> Object<'py> {
        let py = queue.py();
        let item = this.state().first.take(py).unwrap_or_else(|| none(py));
        if plain_order(queue).is_some() {
            return put_now(queue, item);
        }
        queue.as_any().call_method1(intern!(py, "put_nowait"), (item,))
    }

    fn is_refused(queue: &Bound<'_, Queue>) -> PyResult<bool> {
        Ok(queue.state().shut_down.get())
    }
}

static PUT_KIND: Kind = Kind {
    name: "put",
    qualified_name: "Queue.put",
    start: waiters::start::<Putters>,
    resume: waiters::resume::<Putters>,
};

static PUT: Signature<1> =
    Signature { format: c"O:put", names: [c"item"], positional: 1, required: 1 };

fn put<'py>(this: &Bound<'py, Queue>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [item] = PUT.parse(&arguments)?;
    let coroutine = coroutine::new(this, &PUT_KIND)?;
    coroutine.state().first.replace(this.py(), item.cloned());
    Ok(coroutine.into_any())
}

static PUT_NOWAIT: Signature<1> =
    Signature { format: c"O:put_nowait", names: [c"item"], positional: 1, required: 1 };

fn put_nowait<'py>(this: &Bound<'py, Queue>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    match PUT_NOWAIT.parse(&arguments)? {
        [Some(item)] => put_now(this, item.clone()),
        [None] => Ok(none(this.py())),
    }
}

/// `put_nowait(item)`. CPython: Queue.put_nowait
pub fn put_now<'py>(queue: &Bound<'py, Queue>, item: Bound<'py, PyAny>) -> Object<'py> {
    let py = queue.py();
    let state = queue.state();
    if state.shut_down.get() {
        return Err(exceptions::shut_down(py));
    }
    if Putters::is_blocked(queue)? {
        return Err(exceptions::full(py));
    }
    order::put(queue, item)?;
    count_unfinished(queue)?;
    waiters::wake_up_next(queue, &state.getters)?;
    Ok(none(py))
}

/// One more item was put.
#[inline(always)]
fn count_unfinished(queue: &Bound<'_, Queue>) -> PyResult<()> {
    let unfinished = &queue.state().unfinished;
    unfinished.set(unfinished.get().saturating_add(1));
    finishing::tell_unfinished(queue)
}

/// CPython: Queue.full
fn is_full(queue: &Bound<'_, Queue>) -> PyResult<bool> {
    if plain_order(queue).is_some() {
        is_full_plainly(queue)
    } else if queue.state().limit.get() == Limit::None {
        Ok(false)
    } else {
        is_full_by_comparison(queue)
    }
}

/// [`is_full`] for a plain queue.
#[inline]
fn is_full_plainly(queue: &Bound<'_, Queue>) -> PyResult<bool> {
    match queue.state().limit.get() {
        Limit::None => Ok(false),
        Limit::Items(limit) => Ok(items::len(queue)? >= limit),
        Limit::Asked => is_full_by_comparison(queue),
    }
}

/// With a limit that is no small int, or a `qsize` that somebody replaced.
fn is_full_by_comparison(queue: &Bound<'_, Queue>) -> PyResult<bool> {
    let py = queue.py();
    let state = queue.state();
    let limit = state.maxsize.get(py).ok_or_else(|| errors::missing(queue, "_maxsize"))?;
    if limit.le(0)? {
        return Ok(false);
    }
    if plain_order(queue).is_some() {
        return items::len(queue)?.into_pyobject(py)?.ge(limit);
    }
    queue.as_any().call_method0(intern!(py, "qsize"))?.ge(limit)
}

fn full<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    Ok(boolean(this.py(), is_full(this)?))
}

pub fn members(members: Members) -> Members {
    members
        .keywords::<Queue, _>(
            c"put(item)",
            put,
            c"Put an item into the queue; wait until it has room.",
        )
        .keywords::<Queue, _>(
            c"put_nowait(item)",
            put_nowait,
            c"Put an item into the queue, or raise QueueFull.",
        )
        .noargs::<Queue, _>(c"full", full, c"Return True if there are maxsize items in the queue.")
}
