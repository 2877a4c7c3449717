//! The entries of a type's tables. Reference: Doc/c-api/structures.rst (PyMethodDef, PyGetSetDef).

use std::ffi::{CStr, c_char, c_int};

use pyo3::ffi;

/// One entry of a method table.
pub(crate) fn method(
    name: &'static CStr,
    function: ffi::PyMethodDefPointer,
    flags: c_int,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: function,
        ml_flags: flags,
        ml_doc: doc.as_ptr(),
    }
}

/// One entry of a property table.
pub(crate) fn property(
    name: &'static CStr,
    get: ffi::getter,
    set: Option<ffi::setter>,
) -> ffi::PyGetSetDef {
    let name: *const c_char = name.as_ptr();
    ffi::PyGetSetDef {
        name,
        get: Some(get),
        set,
        doc: std::ptr::null(),
        closure: std::ptr::null_mut(),
    }
}
