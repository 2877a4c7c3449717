//! The members that a Python class made of its `__slots__`. Reference: Include/cpython/descrobject.h,
//! Objects/typeobject.c (type_new_slots).

use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Where one of a class's `__slots__` lies in its instances. Filled once, by [`Member::locate`].
#[derive(Debug)]
pub struct Member {
    name: &'static CStr,
    /// Bytes from the object's start; 0 until located (the object header lies there).
    offset: AtomicUsize,
}

impl Member {
    /// A member that is not located yet.
    #[must_use]
    pub const fn new(name: &'static CStr) -> Self {
        Self { name, offset: AtomicUsize::new(0) }
    }

    /// Finds the member in `class` (or a base of it).
    ///
    /// # Errors
    /// TypeError when the class has no such slot: an interpreter whose asyncio differs.
    pub fn locate(&self, class: &Bound<'_, PyType>) -> PyResult<()> {
        let name = self.name.to_string_lossy();
        let descriptor = class.getattr(&*name)?;
        let kind = descriptor.get_type();
        if kind.name()? != "member_descriptor" {
            return Err(PyTypeError::new_err(format!("{class} has no slot {name}")));
        }
        // SAFETY: an object of type member_descriptor is a PyMemberDescrObject.
        let member = unsafe { *(*descriptor.as_ptr().cast::<ffi::PyMemberDescrObject>()).d_member };
        if member.type_code != ffi::Py_T_OBJECT_EX || member.offset <= 0 {
            return Err(PyTypeError::new_err(format!("{class}: {name} is not an object slot")));
        }
        self.offset.store(member.offset as usize, Ordering::Relaxed);
        Ok(())
    }

    /// The member of `object` as a [`crate::Slot`].
    ///
    /// # Safety
    /// `object` is an instance of the class that the member was located in, and `locate` succeeded.
    #[inline]
    #[must_use]
    pub unsafe fn of<'a>(&self, object: *mut ffi::PyObject) -> &'a crate::Slot {
        let offset = self.offset.load(Ordering::Relaxed);
        debug_assert!(offset != 0);
        // SAFETY: an object slot is an owned, possibly null pointer, which is what `Slot` is.
        unsafe { &*object.cast::<u8>().add(offset).cast::<crate::Slot>() }
    }
}
