//! What handles hold in the place of a copy of the caller's context, while nobody looks and the
//! variables stay the same: one snapshot for all of them. A handle that runs enters a copy of it, so
//! what its callback sets is its own.
//!
//! A burst of calls makes no object for each that lives until the loop has come to it: the collector
//! would walk over all of them.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::Members;
use ferrio_capi::{Class, GilCell, NativeClass, Ref, Slot, State, StateOf, Visit, context};
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

static SNAPSHOT: Class<Snapshot> = Class::new();

/// A context that nobody enters.
#[derive(Debug)]
pub struct Snapshot;

/// The native part of a snapshot.
#[derive(Debug)]
pub struct SnapshotState {
    context: Slot,
    /// What `context::variables` gives for it.
    variables: Cell<usize>,
}

// SAFETY: an empty slot and a zero.
unsafe impl State for SnapshotState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.context)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.context.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Snapshot {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        SNAPSHOT.type_ptr()
    }
}

impl DerefToPyAny for Snapshot {}

impl NativeClass for Snapshot {
    type State = SnapshotState;
    const KEPT: usize = 16;

    fn class() -> &'static Class<Self> {
        &SNAPSHOT
    }
}

/// The snapshot of the current context: the last one, when the variables are still the same. A copy of
/// the context where that cannot be told.
pub fn of_current<'py>(
    py: Python<'py>,
    last: &GilCell<Option<Ref>>,
) -> PyResult<Bound<'py, PyAny>> {
    let copy = context::copy_current(py)?;
    let Some(variables) = context::variables(&copy) else { return Ok(copy) };
    let known = last.borrow_mut(py).as_ref().map(|known| known.bind(py));
    if let Some(known) = known
        && let Some(snapshot) = SNAPSHOT.cast_exact(&known)
        && snapshot.state().variables.get() == variables
    {
        return Ok(known);
    }
    let snapshot = SNAPSHOT.alloc(py)?;
    snapshot.state().variables.set(variables);
    snapshot.state().context.set(copy);
    let old = last.borrow_mut(py).replace(Ref::new(snapshot.clone()));
    drop(old);
    Ok(snapshot.into_any())
}

/// Whether a handle holds a snapshot.
#[inline]
pub fn is_snapshot(held: &Bound<'_, PyAny>) -> bool {
    SNAPSHOT.cast_exact(held).is_some()
}

/// The context to run in for what a handle holds: a copy, when that is a snapshot.
#[inline]
pub fn context_of<'py>(held: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match SNAPSHOT.cast_exact(&held) {
        None => Ok(held),
        Some(snapshot) => context::copy(&snapshot.state().context.get_or_none(held.py())),
    }
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    context::locate_variables(py)?;
    let members = Members::default().doc(c"The variables of a context.");
    SNAPSHOT.create(py, c"ferrio._Snapshot", &py.get_type::<PyAny>(), members.into_slots())
}
