//! Who awaits a future of any class, from CPython 3.14 on (`futures::awaited_by`).

use pyo3::prelude::*;

use super::wrapper;
use crate::futures::awaited_by;
use crate::names;

/// Notes that `task` awaits `future`.
///
/// # Errors
/// MemoryError.
pub fn add(future: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
    if has_field(future)? && has_field(task)? {
        return awaited_by::add(future, task);
    }
    names::ADD_TO_AWAITED_BY.get(future.py())?.call1((future, task)).map(drop)
}

/// Notes that it does so no more.
///
/// # Errors
/// MemoryError.
pub fn discard(future: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
    if has_field(future)? && has_field(task)? {
        return awaited_by::discard(future, task);
    }
    names::DISCARD_FROM_AWAITED_BY.get(future.py())?.call1((future, task)).map(drop)
}

/// Whether an object is certain to have the field in which that is noted. `_asyncio` looks at others, and
/// notes nothing of those without.
fn has_field(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(wrapper::exact_future(object).is_some() || wrapper::is_stock(object)?)
}
