//! The entries of a type's tables. Reference: Doc/c-api/structures.rst (PyMethodDef, PyGetSetDef).

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use pyo3::ffi;

/// One entry of a method table. It is declared by its name, with its parameters behind it where `inspect`
/// is to see them: `c"put(item)"`. One that takes none need not say so.
pub(crate) fn method(
    declaration: &'static CStr,
    function: ffi::PyMethodDefPointer,
    flags: c_int,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    let (name, doc) = match parts(declaration, flags) {
        Some((name, parameters)) => (
            leaked(name),
            leaked(&[name, b"(", &parameters, b")\n--\n\n", doc.to_bytes()].concat()),
        ),
        None => (declaration, doc),
    };
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: function,
        ml_flags: flags,
        ml_doc: doc.as_ptr(),
    }
}

/// The name of a method and its parameters as CPython reads them from the head of its text, where they
/// are known. CPython: Argument Clinic, _PyType_GetTextSignatureFromInternalDoc
fn parts(declaration: &'static CStr, flags: c_int) -> Option<(&'static [u8], Vec<u8>)> {
    let text = declaration.to_bytes();
    let (name, rest) = match text.iter().position(|byte| *byte == b'(') {
        Some(place) => (&text[..place], text[place + 1..].strip_suffix(b")")?),
        None if flags == ffi::METH_NOARGS => (text, &b""[..]),
        None => return None,
    };
    let comma: &[u8] = if rest.is_empty() { b"" } else { b", " };
    Some((name, [b"$self", comma, rest].concat()))
}

/// A method table's text, which lives as long as the process.
fn leaked(text: &[u8]) -> &'static CStr {
    // Parts of C strings have no zero in them.
    CString::new(text).map_or(c"", |text| Box::leak(text.into_boxed_c_str()))
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
