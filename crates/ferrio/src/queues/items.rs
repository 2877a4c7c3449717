//! What a queue holds: the container that Python sees as `_queue`. A FIFO queue's is a Rust one until
//! somebody looks at it; the others' are lists from the beginning. A subclass may put anything there.
//! What each `put` and `get` calls is always inlined, here and in `deque`: as functions they took, with the
//! way of the arguments, a tenth of an item's time (168 ns on an EPYC, 151 without).

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::{Slot, StateOf, Visit};
use pyo3::exceptions::PyIndexError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::order::{Order, plain_order};
use super::queue::Queue;
use crate::deque::Deque;
use crate::errors;
use crate::names;

/// The container. All-zero is none at all.
///
/// Invariant: `native` is empty unless it is held, `object` is set exactly when it is held.
#[derive(Debug)]
pub struct Items {
    held: Cell<Held>,
    native: Deque,
    object: Slot,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Held {
    /// `_queue` was never set.
    Nothing = 0,
    Native,
    Object,
}

impl Items {
    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.object)?;
        self.native.traverse(visit)
    }

    pub fn clear(&self, py: Python<'_>) {
        self.held.set(Held::Nothing);
        self.native.clear(py);
        drop(self.object.take(py));
    }

    fn set_native(&self, py: Python<'_>) {
        self.clear(py);
        self.held.set(Held::Native);
    }

    /// Puts an object of Python's in the place of what was held.
    pub fn set_object(&self, object: Bound<'_, PyAny>) {
        let py = object.py();
        let old = self.object.take(py);
        self.object.set(object);
        self.held.set(Held::Object);
        self.native.clear(py);
        drop(old);
    }
}

/// The Rust container, if that is held.
#[inline]
fn native<'a>(queue: &'a Bound<'_, Queue>) -> Option<&'a Deque> {
    let items = &queue.state().items;
    (items.held.get() == Held::Native).then_some(&items.native)
}

/// What Python sees in `_queue`; None where there is no such attribute. A Rust container becomes a
/// `collections.deque`.
pub fn shown<'py>(queue: &Bound<'py, Queue>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Some(native) = native(queue) {
        let deque = native.show(queue.py())?;
        queue.state().items.set_object(deque);
    }
    Ok(queue.state().items.object.get(queue.py()))
}

/// `self._queue`, also where the class of the queue hides ours by an attribute of that name.
pub fn object<'py>(queue: &Bound<'py, Queue>) -> PyResult<Bound<'py, PyAny>> {
    match shown(queue)? {
        Some(object) => Ok(object),
        None => queue.as_any().getattr(intern!(queue.py(), "_queue")),
    }
}

/// `_init`.
pub fn begin(queue: &Bound<'_, Queue>, order: Order) -> PyResult<()> {
    let py = queue.py();
    let items = &queue.state().items;
    if plain_order(queue).is_none() {
        let container = match order {
            Order::Fifo => names::DEQUE.get(py)?.call0()?,
            Order::Lifo | Order::Priority => PyList::empty(py).into_any(),
        };
        return queue.as_any().setattr(intern!(py, "_queue"), container);
    }
    match order {
        Order::Fifo => items.set_native(py),
        Order::Lifo | Order::Priority => items.set_object(PyList::empty(py).into_any()),
    }
    Ok(())
}

/// `_put`.
#[inline(always)]
pub fn put<'py>(queue: &Bound<'py, Queue>, order: Order, item: Bound<'py, PyAny>) -> PyResult<()> {
    if let (Order::Fifo, Some(native)) = (order, native(queue)) {
        return native.push_back(item);
    }
    let py = queue.py();
    let object = object(queue)?;
    if order == Order::Priority {
        return names::HEAPPUSH.get(py)?.call1((object, item)).map(drop);
    }
    match object.cast_exact::<PyList>() {
        Ok(list) => list.append(item),
        Err(_) => object.call_method1(intern!(py, "append"), (item,)).map(drop),
    }
}

/// `_get`.
#[inline]
pub fn get<'py>(queue: &Bound<'py, Queue>, order: Order) -> PyResult<Bound<'py, PyAny>> {
    let py = queue.py();
    if let (Order::Fifo, Some(native)) = (order, native(queue)) {
        let item = native.pop_front(py)?;
        return item.ok_or_else(|| PyIndexError::new_err("pop from an empty deque"));
    }
    let object = object(queue)?;
    match order {
        Order::Fifo => object.call_method0(intern!(py, "popleft")),
        Order::Lifo => pop(&object),
        Order::Priority => names::HEAPPOP.get(py)?.call1((object,)),
    }
}

/// [`get`] of a plain queue; None when it is empty.
#[inline(always)]
pub fn get_if_any<'py>(
    queue: &Bound<'py, Queue>,
    order: Order,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match native(queue) {
        Some(native) => native.pop_front(queue.py()),
        None if is_empty(queue)? => Ok(None),
        None => get(queue, order).map(Some),
    }
}

/// `object.pop()`.
fn pop<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match object.cast_exact::<PyList>() {
        Ok(list) if !list.is_empty() => {
            let last = list.len() - 1;
            let item = list.get_item(last)?;
            list.del_item(last)?;
            Ok(item)
        }
        _ => object.call_method0(intern!(object.py(), "pop")),
    }
}

/// `len(self._queue)`.
#[inline(always)]
pub fn len(queue: &Bound<'_, Queue>) -> PyResult<usize> {
    match native(queue) {
        Some(native) => native.len(queue.py()),
        None => object(queue)?.len(),
    }
}

/// `not self._queue`.
#[inline]
pub fn is_empty(queue: &Bound<'_, Queue>) -> PyResult<bool> {
    match native(queue) {
        Some(native) => native.len(queue.py()).map(|len| len == 0),
        None => Ok(!object(queue)?.is_truthy()?),
    }
}

/// The items as a list, for the repr; None where there are none. Does not turn a Rust container into
/// a deque.
pub fn listed<'py>(queue: &Bound<'py, Queue>) -> PyResult<Option<Bound<'py, PyList>>> {
    let py = queue.py();
    if let Some(native) = native(queue) {
        let items = native.copied(py);
        return if items.is_empty() { Ok(None) } else { PyList::new(py, items).map(Some) };
    }
    match queue.as_any().getattr_opt(intern!(py, "_queue"))? {
        Some(object) if object.is_truthy()? => object.try_iter()?.collect::<PyResult<Vec<_>>>(),
        _ => return Ok(None),
    }
    .and_then(|items| PyList::new(py, items).map(Some))
}

/// The attribute `_queue`.
pub fn attribute<'py>(queue: &Bound<'py, Queue>) -> PyResult<Bound<'py, PyAny>> {
    shown(queue)?.ok_or_else(|| errors::missing(queue, "_queue"))
}
