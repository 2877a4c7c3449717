//! A built-in function bound to an object, the kind that `type(object).method` would give for a C
//! method: its `__self__` is the object and its `__qualname__` begins with the object's class.
//! Reference: Include/methodobject.h.

use std::ffi::CStr;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::method::Object;
use crate::trampoline::guard_object;

/// The function behind a [`BoundFunction`].
pub type Body = for<'py> fn(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> Object<'py>;

/// A function of one argument, to be bound to objects.
pub struct BoundFunction {
    name: &'static CStr,
    function: ffi::PyCFunction,
    definition: OnceLock<Definition>,
}

struct Definition(&'static mut ffi::PyMethodDef);

// SAFETY: the definition is written once and only read by the interpreter.
unsafe impl Send for Definition {}
// SAFETY: as above.
unsafe impl Sync for Definition {}

impl std::fmt::Debug for BoundFunction {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "BoundFunction({:?})", self.name)
    }
}

impl BoundFunction {
    /// `function` is made by [`function_of!`](crate::function_of).
    #[must_use]
    pub const fn new(name: &'static CStr, function: ffi::PyCFunction) -> Self {
        Self { name, function, definition: OnceLock::new() }
    }

    /// The function bound to `object`.
    pub fn bind<'py>(&'static self, object: &Bound<'py, PyAny>) -> Object<'py> {
        let definition = self.definition.get_or_init(|| {
            Definition(Box::leak(Box::new(ffi::PyMethodDef {
                ml_name: self.name.as_ptr(),
                ml_meth: ffi::PyMethodDefPointer { PyCFunction: self.function },
                ml_flags: ffi::METH_O,
                ml_doc: std::ptr::null(),
            })))
        });
        let definition = std::ptr::from_ref(&*definition.0).cast_mut();
        // SAFETY: the definition lives for ever; CPython reads it only.
        unsafe {
            let made = ffi::PyCFunction_NewEx(definition, object.as_ptr(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(object.py(), made)
        }
    }
}

/// Calls a body with what CPython passed.
///
/// # Safety
/// Called by CPython, attached, with live objects.
#[doc(hidden)]
pub unsafe fn call_body(
    body: Body,
    object: *mut ffi::PyObject,
    arg: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        guard_object(|py| body(Bound::ref_from_ptr(py, &object), Bound::ref_from_ptr(py, &arg)))
    }
}

/// The C function for a [`Body`] that is named by a path.
#[macro_export]
macro_rules! function_of {
    ($body:path) => {{
        unsafe extern "C" fn function(
            object: *mut ::pyo3::ffi::PyObject,
            arg: *mut ::pyo3::ffi::PyObject,
        ) -> *mut ::pyo3::ffi::PyObject {
            // SAFETY: CPython calls a METH_O function with its object and one argument.
            unsafe { $crate::bound_function::call_body($body, object, arg) }
        }
        function
    }};
}
