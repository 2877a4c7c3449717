//! `Queue`, `PriorityQueue` and `LifoQueue`: what asyncio's module `queues` holds. `shutdown()` is there
//! on every Python; asyncio has it from 3.13 on.
//!
//! A plain queue (`order::plain_order`) is served by native code alone. Of any other, one of a subclass
//! or with attributes of its own, each method that stock calls on `self` is called on it, so that one
//! that somebody replaced is asked.

mod exceptions;
mod finishing;
mod format;
mod getting;
mod items;
mod members;
mod order;
mod putting;
mod queue;
mod waiters;

use pyo3::PyTypeInfo;
use pyo3::prelude::*;

pub use getting::{get, get_at_once};
pub use putting::put_now;
pub use queue::{Queue, new};

use order::{LifoQueue, PriorityQueue};

/// Makes the types and adds them to the module.
pub fn create(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    members::create(py)?;
    module.add("Queue", Queue::type_object(py))?;
    module.add("LifoQueue", LifoQueue::type_object(py))?;
    module.add("PriorityQueue", PriorityQueue::type_object(py))?;
    module.add("QueueShutDown", exceptions::shut_down_class(py)?)
}
