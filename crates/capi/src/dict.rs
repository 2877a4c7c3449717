//! Dictionaries without PyO3's conversions, and the `__dict__` and weak references of instances.
//! Reference: Include/dictobject.h, Include/cpython/object.h (managed dictionaries since 3.13).

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

/// `dict[key] = value` for an exact dict.
#[inline]
pub fn set_item(
    dict: &Bound<'_, PyAny>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: live objects; PyDict_SetItem reports a non-dict as an error.
    match unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(dict.py())),
    }
}

/// `dict.pop(key, None)` for an exact dict, without the value.
#[inline]
pub fn discard_item(dict: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: live objects.
    if unsafe { ffi::PyDict_DelItem(dict.as_ptr(), key.as_ptr()) } == 0 {
        return Ok(());
    }
    let error = PyErr::fetch(dict.py());
    if error.is_instance_of::<pyo3::exceptions::PyKeyError>(dict.py()) {
        Ok(())
    } else {
        Err(error)
    }
}

/// `dict.get(key)` for an exact dict.
#[inline]
pub fn get_item<'py>(
    dict: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = dict.py();
    // SAFETY: live objects; the result is borrowed, and a reference is added at once.
    let found = unsafe {
        Bound::from_borrowed_ptr_or_opt(
            py,
            ffi::PyDict_GetItemWithError(dict.as_ptr(), key.as_ptr()),
        )
    };
    match found {
        None => PyErr::take(py).map_or(Ok(None), Err),
        found => Ok(found),
    }
}

/// Changes a name in the dict of a class past its slots: what the interpreter itself calls stays.
///
/// # Errors
/// MemoryError; KeyError when a name without a new value is not there.
pub(crate) fn change_class(
    class: &Bound<'_, PyType>,
    name: &CStr,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    // SAFETY: a live heap type's dict and a live object; the type forgets what it has looked up.
    let changed = unsafe {
        let dict = (*class.as_type_ptr()).tp_dict;
        let changed = match value {
            Some(value) => ffi::PyDict_SetItemString(dict, name.as_ptr(), value.as_ptr()),
            None => ffi::PyDict_DelItemString(dict, name.as_ptr()),
        };
        ffi::PyType_Modified(class.as_type_ptr());
        changed
    };
    if changed == 0 { Ok(()) } else { Err(PyErr::fetch(class.py())) }
}

/// A number that changes when an attribute of the class or of one of its bases changes; 0 when the
/// interpreter has none for it at present.
#[must_use]
pub fn class_version(class: &Bound<'_, PyType>) -> u32 {
    // SAFETY: reads a field of a live type object, attached.
    unsafe { (*class.as_type_ptr()).tp_version_tag }
}

/// [`class_version`] of the class of `object`.
#[inline]
#[must_use]
pub fn class_version_of(object: &Bound<'_, PyAny>) -> u32 {
    // SAFETY: reads the type of a live object, and a field of that live type, attached.
    unsafe { (*ffi::Py_TYPE(object.as_ptr())).tp_version_tag }
}

/// The `__dict__` of an instance whose class keeps it in a field, if there is one yet.
#[inline]
#[must_use]
pub fn of_instance<'py>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    // SAFETY: reads the type of a live object; a positive offset names a field of it that holds the
    // dict or null.
    unsafe {
        let offset = (*ffi::Py_TYPE(object.as_ptr())).tp_dictoffset;
        if offset <= 0 {
            return None;
        }
        let field = object.as_ptr().byte_offset(offset);
        Bound::from_borrowed_ptr_or_opt(object.py(), *field.cast::<*mut ffi::PyObject>())
    }
}

/// The `__dict__` of an instance; one is made if there is none yet.
///
/// # Errors
/// AttributeError when its class gives instances none; MemoryError.
pub fn of_object<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: a live object, attached; the answer is a new reference or null with an exception.
    let found = unsafe {
        let found = ffi::PyObject_GenericGetDict(object.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(object.py(), found)?
    };
    Ok(found.cast_into()?)
}

/// Whether `object` is of this very type, which has a field for the `__dict__`, and has no attributes of
/// its own.
#[inline]
#[must_use]
pub(crate) fn is_plain<T>(object: &Bound<'_, T>, kind: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: reads a live object and its type; a positive offset names the field that holds the dict
    // or null.
    unsafe {
        ffi::Py_TYPE(object.as_ptr()) == kind
            && match (*kind).tp_dictoffset {
                offset if offset > 0 => {
                    let field = object.as_ptr().byte_offset(offset);
                    (*field.cast::<*mut ffi::PyObject>()).is_null()
                }
                _ => false,
            }
    }
}

/// Reports an instance's `__dict__` to the collector.
///
/// # Safety
/// `object` is alive and an instance of `kind` or of a subclass.
///
/// # Errors
/// The visitor's answer when it wants to stop.
pub(crate) unsafe fn traverse_instance(
    object: *mut ffi::PyObject,
    kind: *mut ffi::PyTypeObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> Result<(), c_int> {
    // SAFETY: the caller's promise; a positive offset names a field that holds the dict or null.
    let answer = unsafe {
        match (*kind).tp_dictoffset {
            0 => 0,
            offset if offset > 0 => {
                let dict = *object.byte_offset(offset).cast::<*mut ffi::PyObject>();
                if dict.is_null() { 0 } else { visit(dict, arg) }
            }
            _ => managed::visit(object, visit, arg),
        }
    };
    if answer == 0 { Ok(()) } else { Err(answer) }
}

/// Drops an instance's `__dict__`.
///
/// # Safety
/// As for [`traverse_instance`], and the thread is attached.
pub(crate) unsafe fn clear_instance(object: *mut ffi::PyObject, kind: *mut ffi::PyTypeObject) {
    // SAFETY: the caller's promise; the field is emptied before the dict is released.
    unsafe {
        match (*kind).tp_dictoffset {
            0 => {}
            offset if offset > 0 => {
                let field = object.byte_offset(offset).cast::<*mut ffi::PyObject>();
                ffi::Py_XDECREF(field.replace(std::ptr::null_mut()));
            }
            _ => managed::clear(object),
        }
    }
}

/// Tells the weak references to a dying instance.
///
/// # Safety
/// `object` is an instance of exactly `kind`, its count is zero, the thread is attached.
pub(crate) unsafe fn clear_weakrefs(object: *mut ffi::PyObject, kind: *mut ffi::PyTypeObject) {
    // SAFETY: the caller's promise.
    unsafe {
        if weakrefs_of(object, kind) {
            ffi::PyObject_ClearWeakRefs(object);
        }
    }
}

/// Whether there is a weak reference to the object.
#[inline]
#[must_use]
pub fn has_weakrefs<T>(object: &Bound<'_, T>) -> bool {
    // SAFETY: a live object and its type.
    unsafe { weakrefs_of(object.as_ptr(), ffi::Py_TYPE(object.as_ptr())) }
}

/// # Safety
/// The memory of `object` is that of an instance of `kind`.
#[inline]
unsafe fn weakrefs_of(object: *mut ffi::PyObject, kind: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a non-zero offset (negative: before the object) names the head of the list or null.
    unsafe {
        let offset = (*kind).tp_weaklistoffset;
        offset != 0 && !(*object.byte_offset(offset).cast::<*mut ffi::PyObject>()).is_null()
    }
}

/// Dictionaries that the interpreter keeps before the object.
#[cfg(Py_3_13)]
mod managed {
    use super::{c_int, c_void, ffi};

    unsafe extern "C" {
        fn PyObject_VisitManagedDict(
            object: *mut ffi::PyObject,
            visit: ffi::visitproc,
            arg: *mut c_void,
        ) -> c_int;
        fn PyObject_ClearManagedDict(object: *mut ffi::PyObject);
    }

    /// # Safety
    /// `object` is alive and its type has a managed dict.
    pub(super) unsafe fn visit(
        object: *mut ffi::PyObject,
        visit: ffi::visitproc,
        arg: *mut c_void,
    ) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { PyObject_VisitManagedDict(object, visit, arg) }
    }

    /// # Safety
    /// As for `visit`, attached.
    pub(super) unsafe fn clear(object: *mut ffi::PyObject) {
        // SAFETY: the caller's promise.
        unsafe { PyObject_ClearManagedDict(object) }
    }
}

/// Before 3.13 `_asyncio`'s types hold their dict in a field, and no class of ours extends another
/// kind of class that has one.
#[cfg(not(Py_3_13))]
mod managed {
    use super::{c_int, c_void, ffi};

    /// # Safety
    /// None: nothing is read.
    pub(super) unsafe fn visit(_: *mut ffi::PyObject, _: ffi::visitproc, _: *mut c_void) -> c_int {
        0
    }

    /// # Safety
    /// None: nothing is read.
    pub(super) unsafe fn clear(_: *mut ffi::PyObject) {}
}

/// `object.name = value` (or `del object.name`) as `object.__setattr__` does it.
pub fn generic_setattr(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyAny>,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let value = value.map_or(std::ptr::null_mut(), |value| value.as_ptr());
    // SAFETY: live objects; a null value means deletion.
    match unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(object.py())),
    }
}
