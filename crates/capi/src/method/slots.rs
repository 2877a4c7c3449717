//! Slots of plain shapes: one object in, one out, and tp_call. Reference: Doc/c-api/typeobj.rst.

use std::ffi::{c_int, c_void};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{Members, Object, the, this};
use crate::definition::slot;
use crate::native_class::NativeClass;
use crate::trampoline::guard_object;

impl Members {
    /// A slot of shape `object -> object`: tp_repr, tp_iter, am_await.
    #[must_use]
    pub fn unary_slot<C: NativeClass, F>(mut self, id: c_int, _f: F) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
    {
        unsafe extern "C" fn call<C: NativeClass, F>(
            object: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
        {
            // SAFETY: called by CPython with an instance; F proven by `unary_slot`.
            unsafe { guard_object(|py| the::<F>()(this::<C>(py, &object))) }
        }
        self.slots.push(slot(id, call::<C, F> as *mut c_void));
        self
    }

    /// tp_call without arguments.
    #[must_use]
    pub fn call_nothing<C: NativeClass, F>(mut self, _f: F) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
    {
        unsafe extern "C" fn call<C: NativeClass, F>(
            object: *mut ffi::PyObject,
            args: *mut ffi::PyObject,
            keywords: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
        {
            // SAFETY: called by CPython with an instance, a tuple, and a dict or null; F proven.
            unsafe {
                guard_object(|py| {
                    let args = Bound::ref_from_ptr(py, &args).cast_unchecked::<PyTuple>();
                    if !args.is_empty() || !keywords.is_null() {
                        return Err(PyTypeError::new_err("no argument is expected"));
                    }
                    the::<F>()(this::<C>(py, &object))
                })
            }
        }
        self.slots.push(slot(ffi::Py_tp_call, call::<C, F> as *mut c_void));
        self
    }

    /// tp_call with exactly one positional argument, which is what a callback gets.
    #[must_use]
    pub fn call_one<C: NativeClass, F>(self, _f: F) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>, &Bound<'py, PyAny>) -> Object<'py> + Copy,
    {
        fn call<'py, C: NativeClass, F>(
            this: &Bound<'py, C>,
            args: &Bound<'py, PyTuple>,
        ) -> Object<'py>
        where
            F: for<'a> Fn(&Bound<'a, C>, &Bound<'a, PyAny>) -> Object<'a> + Copy,
        {
            if args.len() != 1 {
                return Err(PyTypeError::new_err("exactly one argument is expected"));
            }
            // SAFETY: F proven by `call_one`.
            unsafe { the::<F>()(this, &args.get_item(0)?) }
        }
        self.call_positional::<C, _>(call::<C, F>)
    }

    /// tp_call with positional arguments.
    #[must_use]
    pub fn call_positional<C: NativeClass, F>(mut self, _f: F) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>, &Bound<'py, PyTuple>) -> Object<'py> + Copy,
    {
        unsafe extern "C" fn call<C: NativeClass, F>(
            object: *mut ffi::PyObject,
            args: *mut ffi::PyObject,
            keywords: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'py> Fn(&Bound<'py, C>, &Bound<'py, PyTuple>) -> Object<'py> + Copy,
        {
            // SAFETY: called by CPython with an instance, a tuple, and a dict or null; F proven.
            unsafe {
                guard_object(|py| {
                    if !keywords.is_null() && ffi::PyDict_Size(keywords) != 0 {
                        return Err(PyTypeError::new_err("no keyword argument is expected"));
                    }
                    let args = Bound::ref_from_ptr(py, &args).cast_unchecked::<PyTuple>();
                    the::<F>()(this::<C>(py, &object), args)
                })
            }
        }
        self.slots.push(slot(ffi::Py_tp_call, call::<C, F> as *mut c_void));
        self
    }
}
