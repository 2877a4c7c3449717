//! What a Rust type promises to stand for a native class, and what the garbage collector gets to see.
//! Reference: Doc/c-api/gcsupport.rst.

use std::ffi::{c_int, c_ulong, c_void};

use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

use crate::Class;
use crate::reference::{Ref, Slot};

/// The native part of an instance.
///
/// # Safety
/// All-zero bytes are a valid value, the empty one.
pub unsafe trait State: 'static {
    /// Reports every reference that the state owns to the garbage collector.
    ///
    /// # Errors
    /// What `visit` answers, passed on at once.
    fn traverse(&self, visit: &Visit) -> Result<(), c_int>;

    /// Gives up every reference (tp_clear).
    fn clear(&self, py: Python<'_>);
}

/// A Rust marker type that stands for a native class.
pub trait NativeClass: PyTypeInfo + DerefToPyAny + 'static {
    /// The native part of its instances.
    type State: State;

    /// Whether new instances are tracked by the garbage collector. One that is not must be tracked
    /// (`tracking::track`) before it can become garbage: while an owner that cannot is alive, it may wait.
    const TRACKED: bool = true;

    /// How many freed instances are kept for reuse.
    const KEPT: usize;

    /// Whether instances take assigned attributes and weak references, for a base that gives neither.
    /// They cost two words.
    const OPEN: bool = false;

    /// Whether instances are called through a vectorcall function, which is the first field of the state.
    const VECTORCALL: bool = false;

    /// Flags of the type beside those of every native class.
    const FLAGS: c_ulong = 0;

    /// The class's static record.
    fn class() -> &'static Class<Self>;

    /// References that lie in the base's part of the instance; most classes have none.
    ///
    /// # Errors
    /// What `visit` answers.
    fn traverse_base(_object: *mut ffi::PyObject, _visit: &Visit) -> Result<(), c_int> {
        Ok(())
    }

    /// Gives up the references that [`NativeClass::traverse_base`] reports, and what else depends on
    /// the state or the memory; called by tp_clear and before an instance is freed, each time while
    /// the state is whole.
    fn clear_base(_object: *mut ffi::PyObject, _py: Python<'_>) {}

    /// Whether an instance may hold another one of such a class, which holds another, and so on: long
    /// chains of them are freed without recursion.
    fn may_nest(_state: &Self::State) -> bool {
        false
    }

    /// Whether the finalizer was called. Who knows it without the collector's mark spares a call.
    ///
    /// # Safety
    /// `object` is an instance whose memory is still there.
    #[inline]
    unsafe fn is_finalized(object: *mut ffi::PyObject, _state: &Self::State) -> bool {
        // SAFETY: the caller's promise; a native class takes part in collection. Nothing marks an object
        // without a finalizer.
        unsafe {
            (*ffi::Py_TYPE(object)).tp_finalize.is_some()
                && ffi::PyObject_GC_IsFinalized(object) != 0
        }
    }

    /// Whether the finalizer has anything to say for this instance; spares the call when not.
    fn needs_finalizer(_state: &Self::State) -> bool {
        false
    }
}

/// Access to the native state behind a reference.
pub trait StateOf {
    /// The state's type.
    type State;

    /// The native state of this instance.
    fn state(&self) -> &Self::State;
}

impl<C: NativeClass> StateOf for Bound<'_, C> {
    type State = C::State;

    #[inline]
    fn state(&self) -> &C::State {
        // SAFETY: a `Bound<C>` is an instance of C's type (PyTypeInfo's contract).
        unsafe { C::class().state_at(self.as_ptr()) }
    }
}

/// The garbage collector's visitor.
#[derive(Debug)]
pub struct Visit {
    pub(crate) visit: ffi::visitproc,
    pub(crate) arg: *mut c_void,
}

impl Visit {
    /// Reports a slot.
    ///
    /// # Errors
    /// The visitor's answer when it wants to stop.
    #[inline]
    pub fn slot(&self, slot: &Slot) -> Result<(), c_int> {
        self.pointer(slot.as_ptr())
    }

    /// Reports an owned reference.
    ///
    /// # Errors
    /// The visitor's answer when it wants to stop.
    #[inline]
    pub fn reference(&self, reference: &Ref) -> Result<(), c_int> {
        self.pointer(reference.as_ptr())
    }

    pub(crate) fn pointer(&self, object: *mut ffi::PyObject) -> Result<(), c_int> {
        if object.is_null() {
            return Ok(());
        }
        // SAFETY: `object` is alive (owned by the object being traversed); `arg` is the visitor's.
        match unsafe { (self.visit)(object, self.arg) } {
            0 => Ok(()),
            stop => Err(stop),
        }
    }
}
