//! Calls that avoid building argument tuples. Reference: Include/cpython/abstract.h (vectorcall).

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

/// `callable(*args)`, reading the arguments straight out of the tuple.
#[inline]
pub fn call_tuple<'py>(
    callable: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a tuple's items are a C array of live references which `args` keeps alive.
    unsafe {
        let items = (&raw mut (*args.as_ptr().cast::<ffi::PyTupleObject>()).ob_item).cast();
        let count = ffi::PyTuple_GET_SIZE(args.as_ptr()) as usize;
        let result =
            ffi::PyObject_Vectorcall(callable.as_ptr(), items, count, std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(callable.py(), result)
    }
}

/// `callable(arg)`.
#[inline]
pub fn call_one<'py>(
    callable: &Bound<'py, PyAny>,
    arg: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let stack = [std::ptr::null_mut(), arg.as_ptr()];
    let count = 1 | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
    // SAFETY: one live argument; the element before it may be used by the callee (the offset flag).
    unsafe {
        let result = ffi::PyObject_Vectorcall(
            callable.as_ptr(),
            stack.as_ptr().add(1),
            count,
            std::ptr::null_mut(),
        );
        Bound::from_owned_ptr_or_err(callable.py(), result)
    }
}

/// `object.name(*args)`, without making a bound method; `name` is interned.
#[inline]
pub fn call_method<'py, const N: usize>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    args: [&Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    const MOST: usize = 4;
    const { assert!(N < MOST) };
    let mut stack = [std::ptr::null_mut(); MOST];
    stack[0] = object.as_ptr();
    for (place, arg) in stack[1..].iter_mut().zip(args) {
        *place = arg.as_ptr();
    }
    // SAFETY: the object and N live arguments; CPython may use the first element during the call (the
    // offset flag), as it is an argument of the method.
    unsafe {
        let result = ffi::PyObject_VectorcallMethod(
            name.as_ptr(),
            stack.as_ptr(),
            (N + 1) | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
            std::ptr::null_mut(),
        );
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}

/// `class.__new__(class)`.
///
/// # Errors
/// What the constructor raises; TypeError for a class without one.
pub fn call_new<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
    let (py, no_arguments) = (class.py(), PyTuple::empty(class.py()));
    // SAFETY: the slot of a live, ready type is called with that type and a tuple; it gives a new reference or
    // null with an exception.
    unsafe {
        let Some(new) = (*class.as_type_ptr()).tp_new else {
            return Err(PyTypeError::new_err(format!("cannot create {} instances", class.name()?)));
        };
        let made = new(class.as_type_ptr(), no_arguments.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, made)
    }
}

/// `descriptor.__get__(object)`, of a descriptor that has the slot, as all C attributes of a class have.
///
/// # Errors
/// What the descriptor raises; TypeError when there is no such slot.
pub fn call_descriptor<'py>(
    descriptor: &Bound<'py, PyAny>,
    object: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the slot of the type of a live object is called with that and another one and the type of
    // that, all of them live; it gives a new reference or null with an exception.
    unsafe {
        let Some(get) = (*ffi::Py_TYPE(descriptor.as_ptr())).tp_descr_get else {
            return Err(PyTypeError::new_err("this is no descriptor"));
        };
        let kind = ffi::Py_TYPE(object.as_ptr());
        let found = get(descriptor.as_ptr(), object.as_ptr(), kind.cast());
        Bound::from_owned_ptr_or_err(object.py(), found)
    }
}

/// `object.name(*args, keyword=value)`; `keyword` is an interned tuple of one name.
pub fn call_method_with_keyword<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    args: &[&Bound<'py, PyAny>],
    value: &Bound<'py, PyAny>,
    keyword: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let all = std::iter::once(object).chain(args.iter().copied()).chain([value]);
    let stack: Vec<*mut ffi::PyObject> = all.map(|each| each.as_ptr()).collect();
    // SAFETY: `stack` holds the object, `args.len()` live positional arguments and one keyword value;
    // CPython may use the first element during the call, as for `call_method`.
    unsafe {
        let result = ffi::PyObject_VectorcallMethod(
            name.as_ptr(),
            stack.as_ptr(),
            (args.len() + 1) | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
            keyword.as_ptr(),
        );
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}
