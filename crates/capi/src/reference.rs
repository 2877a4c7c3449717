//! Owned references without a lifetime: [`Ref`] (always set) and [`Slot`] (a field that may be
//! empty). Unlike `pyo3::Py` they are released at once on drop, without looking up whether the
//! thread is attached, so they may only live where drops happen attached: inside Python objects and
//! inside the loop's queues. Reference: Include/refcount.h.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use pyo3::ffi;
use pyo3::prelude::*;

/// A strong reference to a Python object.
///
/// Invariant: created and dropped only by a thread that is attached to the interpreter.
#[repr(transparent)]
#[derive(Debug)]
pub struct Ref(NonNull<ffi::PyObject>);

impl Ref {
    /// Takes over the reference that `object` owns.
    #[inline]
    #[must_use]
    pub fn new<T>(object: Bound<'_, T>) -> Self {
        // SAFETY: `into_ptr` of a Bound gives an owned, non-null pointer.
        Self(unsafe { NonNull::new_unchecked(object.into_ptr()) })
    }

    /// Gives the reference back with a lifetime.
    #[inline]
    #[must_use]
    pub fn into_bound(self, py: Python<'_>) -> Bound<'_, PyAny> {
        let owned = ManuallyDrop::new(self);
        // SAFETY: the reference that `self` owned, whose drop is suppressed, moves to the result.
        unsafe { Bound::from_owned_ptr(py, owned.0.as_ptr()) }
    }

    /// A new reference to the same object.
    #[inline]
    #[must_use]
    pub fn bind<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        // SAFETY: `self` keeps the object alive; `from_borrowed_ptr` adds a reference.
        unsafe { Bound::from_borrowed_ptr(py, self.0.as_ptr()) }
    }

    /// The object's address, for comparisons and for visiting.
    #[inline]
    #[must_use]
    pub fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// Whether there are other references to the object.
    #[inline]
    #[must_use]
    pub fn is_shared(&self, _py: Python<'_>) -> bool {
        // SAFETY: reads the count of a live object.
        unsafe { ffi::Py_REFCNT(self.0.as_ptr()) > 1 }
    }

    /// The same reference as PyO3's type, for its visitor.
    #[must_use]
    pub fn as_py(&self) -> &Py<PyAny> {
        // SAFETY: both are one non-null pointer (`repr(transparent)`), and a shared reference to a
        // `Py` can neither drop nor replace it.
        unsafe { &*std::ptr::from_ref(self).cast::<Py<PyAny>>() }
    }
}

impl Drop for Ref {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the reference is owned, and the type's invariant says that we are attached.
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) }
    }
}

/// A field of a Python object's native state: an owned reference or nothing. All-zero is empty.
#[repr(transparent)]
#[derive(Debug)]
pub struct Slot(Cell<*mut ffi::PyObject>);

impl Slot {
    /// An empty slot.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Cell::new(std::ptr::null_mut()))
    }

    /// Whether something is stored.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.0.get().is_null()
    }

    /// Whether this very object is stored.
    #[inline]
    #[must_use]
    pub fn is<T>(&self, object: &Bound<'_, T>) -> bool {
        self.0.get() == object.as_ptr()
    }

    /// The stored object's address, null when empty.
    #[inline]
    #[must_use]
    pub fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.get()
    }

    /// A new reference to the stored object.
    #[inline]
    #[must_use]
    pub fn get<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        // SAFETY: a stored pointer is owned by the slot, so it is alive now.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, self.0.get()) }
    }

    /// The stored object as PyO3's type, for its visitor.
    #[must_use]
    pub fn as_py(&self) -> Option<&Py<PyAny>> {
        // SAFETY: a non-null pointer that the slot owns has `Py`'s representation; PyO3's visitor
        // reads it before anything else runs.
        self.is_set().then(|| unsafe { &*self.0.as_ptr().cast::<Py<PyAny>>() })
    }

    /// Takes the object out.
    #[inline]
    #[must_use]
    pub fn take<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        // SAFETY: the slot's ownership moves to the result; the slot is empty from here on.
        unsafe { Bound::from_owned_ptr_or_opt(py, self.0.replace(std::ptr::null_mut())) }
    }

    /// Stores `object`. What was there is released after the new value is in place, because a
    /// finalizer may look at this slot.
    #[inline]
    pub fn set<T>(&self, object: Bound<'_, T>) {
        let py = object.py();
        let old = self.0.replace(object.into_ptr());
        // SAFETY: `old` was owned by the slot (or null).
        drop(unsafe { Bound::<PyAny>::from_owned_ptr_or_opt(py, old) });
    }

    /// Stores an object, or empties the slot for `None` (Rust's).
    #[inline]
    pub fn replace(&self, py: Python<'_>, object: Option<Bound<'_, PyAny>>) {
        match object {
            Some(object) => self.set(object),
            None => drop(self.take(py)),
        }
    }

    /// The stored object, or Python's None.
    #[inline]
    #[must_use]
    pub fn get_or_none<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.get(py).unwrap_or_else(|| py.None().into_bound(py))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: slots live in states of Python objects, which are dropped by tp_dealloc, attached.
        unsafe { ffi::Py_XDECREF(self.0.replace(std::ptr::null_mut())) }
    }
}
