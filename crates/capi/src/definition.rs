//! The entries of a type's tables. Reference: Doc/c-api/structures.rst (PyMethodDef, PyGetSetDef).

use std::ffi::{CStr, c_char, c_int, c_void};

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

/// One entry of a type's slot table.
pub(crate) fn slot(id: c_int, function: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot: id, pfunc: function }
}

/// The members by which CPython finds the dict, the list of weak references and the function of an
/// instance. Leaked: types live as long as the process.
pub(crate) fn offset_members(offsets: &[(&'static CStr, usize)]) -> *mut c_void {
    let mut members: Vec<ffi::PyMemberDef> = offsets
        .iter()
        .map(|(name, offset)| ffi::PyMemberDef {
            name: name.as_ptr(),
            type_code: ffi::Py_T_PYSSIZET,
            offset: *offset as ffi::Py_ssize_t,
            flags: ffi::Py_READONLY,
            doc: std::ptr::null(),
        })
        .collect();
    // SAFETY: all-zero is the sentinel that ends a PyMemberDef table.
    members.push(unsafe { std::mem::zeroed() });
    members.leak().as_mut_ptr().cast()
}
