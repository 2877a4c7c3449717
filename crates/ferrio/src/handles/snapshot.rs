//! What handles hold in the place of a copy of the caller's context, while nobody looks and the
//! variables stay the same: one snapshot for all of them. A handle that runs enters a copy of it, so
//! what its callback sets is its own. A copy that nobody else has come to hold, and whose variables
//! are what they were, cannot be told from a new one: the next handle gets it.
//!
//! So a call makes no context, and a burst of calls none that lives until the loop has come to it: the
//! collector would walk over all of them.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::Members;
use ferrio_capi::{
    Class, GilCell, NativeClass, Ref, Slot, State, StateOf, Visit, context, tracking,
};
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
    /// A copy that a handle has run in, for the next one.
    spare: Slot,
}

// SAFETY: empty slots and a zero.
unsafe impl State for SnapshotState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.context)?;
        visit.slot(&self.spare)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.context.take(py));
        drop(self.spare.take(py));
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
#[inline]
pub fn of_current<'py>(
    py: Python<'py>,
    last: &GilCell<Option<Ref>>,
) -> PyResult<Bound<'py, PyAny>> {
    let known = last.borrow_mut(py).as_ref().map(|known| known.bind(py));
    if let Some(known) = known
        && let Some(snapshot) = cast(&known)
        && context::current_variables(py) == Some(snapshot.state().variables.get())
    {
        return Ok(known);
    }
    replace(py, last)
}

/// Makes the snapshot of the current context, where there may be one already.
fn replace<'py>(py: Python<'py>, last: &GilCell<Option<Ref>>) -> PyResult<Bound<'py, PyAny>> {
    let copy = context::copy_current(py)?;
    let Some(variables) = context::variables(&copy) else { return Ok(copy) };
    let snapshot = SNAPSHOT.alloc(py)?;
    snapshot.state().variables.set(variables);
    snapshot.state().context.set(copy);
    let old = last.borrow_mut(py).replace(Ref::new(snapshot.clone()));
    drop(old);
    Ok(snapshot.into_any())
}

/// Lets go of a snapshot that no handle holds, so that the loop keeps no variable alive.
#[inline]
pub fn forget_unused(py: Python<'_>, last: &GilCell<Option<Ref>>) {
    let unused = last.borrow_mut(py).take_if(|last| !last.is_shared(py));
    drop(unused);
}

/// What a handle holds, when it is a snapshot.
#[inline]
pub fn cast<'a, 'py>(held: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Snapshot>> {
    SNAPSHOT.cast_exact(held)
}

/// A copy of the context for one callback; afterwards [`take_back`] gets it.
#[inline]
pub fn lend<'py>(snapshot: &Bound<'py, Snapshot>) -> PyResult<Bound<'py, PyAny>> {
    let state = snapshot.state();
    match state.spare.take(snapshot.py()) {
        Some(spare) => Ok(spare),
        None => context::copy(&state.context.get_or_none(snapshot.py())),
    }
}

/// Keeps a copy for the next callback, unless somebody holds it or its variables were changed.
#[inline]
pub fn take_back<'py>(snapshot: &Bound<'py, Snapshot>, lent: Bound<'py, PyAny>) {
    let state = snapshot.state();
    if !tracking::is_shared(&lent) && context::variables(&lent) == Some(state.variables.get()) {
        state.spare.set(lent);
    }
}

/// The context to run in for what a handle holds: a copy, when that is a snapshot.
#[inline]
pub fn context_of<'py>(held: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match cast(&held) {
        None => Ok(held),
        Some(snapshot) => context::copy(&snapshot.state().context.get_or_none(held.py())),
    }
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    context::locate_variables(py)?;
    context::locate_current(py)?;
    let members = Members::default().doc(c"The variables of a context.");
    SNAPSHOT.create(py, c"ferrio._Snapshot", &py.get_type::<PyAny>(), members.into_slots())
}
