//! `Lock` and its relatives: what asyncio's module `locks` holds.

mod barrier;
mod bounded_semaphore;
mod condition;
mod context;
mod count;
mod event;
mod lock;
mod semaphore;
mod waiters;
pub mod waiting;

use pyo3::PyTypeInfo;
use pyo3::prelude::*;

use barrier::Barrier;
use bounded_semaphore::BoundedSemaphore;
use condition::Condition;
use event::Event;
use lock::Lock;
use semaphore::Semaphore;

/// Makes the types and adds them to the module.
pub fn create(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    #[cfg(not(Py_3_14))]
    ferrio_capi::special_method::create(py)?;
    lock::create(py)?;
    event::create(py)?;
    condition::create(py)?;
    barrier::create(py)?;
    semaphore::create(py)?;
    bounded_semaphore::create(py)?;
    module.add("Lock", Lock::type_object(py))?;
    module.add("Event", Event::type_object(py))?;
    module.add("Condition", Condition::type_object(py))?;
    module.add("Barrier", Barrier::type_object(py))?;
    module.add("Semaphore", Semaphore::type_object(py))?;
    module.add("BoundedSemaphore", BoundedSemaphore::type_object(py))
}
