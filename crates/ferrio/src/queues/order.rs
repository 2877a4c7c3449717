//! The three classes of queues differ in what `_init`, `_put` and `_get` do; here are these, and how to
//! tell the classes apart.

use ferrio_capi::NativeClass;
use ferrio_capi::derived::Derived;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{PyTypeInfo, ffi, intern};

use super::items;
use super::queue::Queue;
use crate::names::{self, none};

static LIFO: Derived = Derived::new();
static PRIORITY: Derived = Derived::new();

/// `asyncio.LifoQueue`.
#[derive(Debug)]
pub struct LifoQueue;

/// `asyncio.PriorityQueue`.
#[derive(Debug)]
pub struct PriorityQueue;

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for LifoQueue {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        LIFO.type_ptr()
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for PriorityQueue {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        PRIORITY.type_ptr()
    }
}

/// Which item comes out first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The one that was put first.
    Fifo,
    /// The one that was put last.
    Lifo,
    /// The lowest.
    Priority,
}

/// The order of a plain queue; None for one whose methods must be asked.
#[inline]
pub fn plain_order(queue: &Bound<'_, Queue>) -> Option<Order> {
    if Queue::class().is_plain(queue) {
        Some(Order::Fifo)
    } else if LIFO.is_plain(queue) {
        Some(Order::Lifo)
    } else if PRIORITY.is_plain(queue) {
        Some(Order::Priority)
    } else {
        None
    }
}

/// `self._init(maxsize)`.
pub fn init<'py>(queue: &Bound<'py, Queue>, maxsize: &Bound<'py, PyAny>) -> PyResult<()> {
    match plain_order(queue) {
        Some(order) => items::begin(queue, order),
        None => queue.as_any().call_method1(intern!(queue.py(), "_init"), (maxsize,)).map(drop),
    }
}

/// `self._put(item)`.
#[inline]
pub fn put<'py>(queue: &Bound<'py, Queue>, item: Bound<'py, PyAny>) -> PyResult<()> {
    match plain_order(queue) {
        Some(order) => items::put(queue, order, item),
        None => queue.as_any().call_method1(intern!(queue.py(), "_put"), (item,)).map(drop),
    }
}

/// `self._get()`.
#[inline]
pub fn get<'py>(queue: &Bound<'py, Queue>) -> Object<'py> {
    match plain_order(queue) {
        Some(order) => items::get(queue, order),
        None => queue.as_any().call_method0(intern!(queue.py(), "_get")),
    }
}

/// A class whose queues have an order.
trait Ordered: PyTypeInfo {
    const ORDER: Order;
}

impl Ordered for Queue {
    const ORDER: Order = Order::Fifo;
}

impl Ordered for LifoQueue {
    const ORDER: Order = Order::Lifo;
}

impl Ordered for PriorityQueue {
    const ORDER: Order = Order::Priority;
}

/// A queue of any class as a Queue.
fn as_queue<'a, 'py, C: Ordered>(this: &'a Bound<'py, C>) -> PyResult<&'a Bound<'py, Queue>> {
    Ok(this.as_any().cast::<Queue>()?)
}

static INIT: Signature<1> =
    Signature { format: c"O:_init", names: [c"maxsize"], positional: 1, required: 1 };

fn own_init<'py, C: Ordered>(this: &Bound<'py, C>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    INIT.parse(&arguments)?;
    items::begin(as_queue(this)?, C::ORDER)?;
    Ok(none(this.py()))
}

static PUT: Signature<1> =
    Signature { format: c"O:_put", names: [c"item"], positional: 1, required: 1 };

fn own_put<'py, C: Ordered>(this: &Bound<'py, C>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    if let [Some(item)] = PUT.parse(&arguments)? {
        items::put(as_queue(this)?, C::ORDER, item.clone())?;
    }
    Ok(none(this.py()))
}

static HEAP_PUT: Signature<2> =
    Signature { format: c"O|O:_put", names: [c"item", c"heappush"], positional: 2, required: 1 };

/// Takes another function in the place of `heapq.heappush`, as stock's does.
fn priority_put<'py>(
    this: &Bound<'py, PriorityQueue>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let queue = as_queue(this)?;
    match HEAP_PUT.parse(&arguments)? {
        [Some(item), Some(heappush)] => {
            heappush.call1((items::object(queue)?, item))?;
        }
        [Some(item), None] => items::put(queue, Order::Priority, item.clone())?,
        [None, _] => {}
    }
    Ok(none(this.py()))
}

fn own_get<'py, C: Ordered>(this: &Bound<'py, C>) -> Object<'py> {
    items::get(as_queue(this)?, C::ORDER)
}

static HEAP_GET: Signature<1> =
    Signature { format: c"|O:_get", names: [c"heappop"], positional: 1, required: 0 };

fn priority_get<'py>(
    this: &Bound<'py, PriorityQueue>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let queue = as_queue(this)?;
    match HEAP_GET.parse(&arguments)? {
        [Some(heappop)] => heappop.call1((items::object(queue)?,)),
        [None] => items::get(queue, Order::Priority),
    }
}

/// What a subclass is meant to replace, for Queue itself.
pub fn members(members: Members) -> Members {
    members
        .keywords::<Queue, _>(
            c"_init(maxsize)",
            own_init::<Queue>,
            c"Make the container of the items.",
        )
        .keywords::<Queue, _>(c"_put(item)", own_put::<Queue>, c"Put an item into the container.")
        .noargs::<Queue, _>(c"_get", own_get::<Queue>, c"Take an item out of the container.")
}

/// Makes the types of the other orders.
pub fn create(queue: &Bound<'_, PyType>) -> PyResult<()> {
    let py = queue.py();
    let lifo = Members::default()
        .keywords::<LifoQueue, _>(
            c"_init(maxsize)",
            own_init::<LifoQueue>,
            c"Make the list of the items.",
        )
        .keywords::<LifoQueue, _>(c"_put(item)", own_put::<LifoQueue>, c"Put an item on the list.")
        .noargs::<LifoQueue, _>(c"_get", own_get::<LifoQueue>, c"Take the last item.");
    let doc = "A queue whose newest item comes first; see asyncio.LifoQueue.";
    LIFO.create::<LifoQueue>(queue, names::LIFO_QUEUE.class(py)?, doc, lifo)?;
    let priority = Members::default()
        .keywords::<PriorityQueue, _>(
            c"_init(maxsize)",
            own_init::<PriorityQueue>,
            c"Make the heap of the items.",
        )
        .keywords::<PriorityQueue, _>(c"_put", priority_put, c"Put an item on the heap.")
        .keywords::<PriorityQueue, _>(c"_get", priority_get, c"Take the lowest item.");
    let doc = "A queue whose lowest item comes first; see asyncio.PriorityQueue.";
    PRIORITY.create::<PriorityQueue>(queue, names::PRIORITY_QUEUE.class(py)?, doc, priority)
}
