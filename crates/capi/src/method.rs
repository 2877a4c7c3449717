//! Methods, properties and slots of native classes, written as plain Rust functions. A function's
//! type is zero-sized, so a generic C trampoline can call it without storing a pointer.
//! Reference: Doc/c-api/structures.rst (PyMethodDef, PyGetSetDef).

use std::ffi::{CStr, c_int, c_void};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::{PyTypeInfo, ffi};

use crate::arguments::Receiver;
pub use crate::arguments::{Arguments, InitArguments};
use crate::definition::{method, property, slot};
use crate::native_class::NativeClass;
pub use crate::send::Next;
use crate::trampoline::{guard, guard_object};

mod installing;
mod slots;

/// The result of everything that answers with an object.
pub type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// Collects the tables of one class; [`Members::into_slots`] hands them to `Class::create`.
#[derive(Default)]
pub struct Members {
    methods: Vec<ffi::PyMethodDef>,
    getset: Vec<ffi::PyGetSetDef>,
    slots: Vec<ffi::PyType_Slot>,
}

impl std::fmt::Debug for Members {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Members({} methods, {} properties)", self.methods.len(), self.getset.len())
    }
}

/// Conjures the value of a zero-sized function type.
///
/// # Safety
/// A value of `F` exists: the table builders take one as proof.
#[inline]
unsafe fn the<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0, "only functions and closures without captures") };
    // SAFETY: reading a zero-sized value touches no memory, and the caller proves that one exists.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}

/// `self` as CPython passed it.
///
/// # Safety
/// CPython calls a method, property or slot of C's type only with instances of it.
#[inline]
unsafe fn this<'a, 'py, C>(py: Python<'py>, object: &'a *mut ffi::PyObject) -> &'a Bound<'py, C> {
    // SAFETY: the caller's promise; the caller of the C function keeps the object alive.
    unsafe { Bound::ref_from_ptr(py, object).cast_unchecked() }
}

impl Members {
    /// A method without arguments.
    #[must_use]
    pub fn noargs<C: PyTypeInfo, F>(
        mut self,
        name: &'static CStr,
        _f: F,
        doc: &'static CStr,
    ) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
    {
        unsafe extern "C" fn call<C: PyTypeInfo, F>(
            object: *mut ffi::PyObject,
            _: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
        {
            // SAFETY: called by CPython with an instance; F was proven by `noargs`.
            unsafe { guard_object(|py| the::<F>()(this::<C>(py, &object))) }
        }
        let function = ffi::PyMethodDefPointer { PyCFunction: call::<C, F> };
        self.methods.push(method(name, function, ffi::METH_NOARGS, doc));
        self
    }

    /// A method with one positional argument.
    #[must_use]
    pub fn one<C: NativeClass, F>(mut self, name: &'static CStr, _f: F, doc: &'static CStr) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>, &Bound<'py, PyAny>) -> Object<'py> + Copy,
    {
        unsafe extern "C" fn call<C: NativeClass, F>(
            object: *mut ffi::PyObject,
            arg: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'py> Fn(&Bound<'py, C>, &Bound<'py, PyAny>) -> Object<'py> + Copy,
        {
            // SAFETY: called by CPython with an instance and a live argument; F proven by `one`.
            unsafe {
                guard_object(|py| the::<F>()(this::<C>(py, &object), Bound::ref_from_ptr(py, &arg)))
            }
        }
        let function = ffi::PyMethodDefPointer { PyCFunction: call::<C, F> };
        self.methods.push(method(name, function, ffi::METH_O, doc));
        self
    }

    /// A method with positional and keyword arguments, which it takes apart with a
    /// [`crate::signature::Signature`].
    #[must_use]
    pub fn keywords<C: PyTypeInfo, F>(
        mut self,
        name: &'static CStr,
        _f: F,
        doc: &'static CStr,
    ) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>, Arguments<'_, 'py>) -> Object<'py> + Copy,
    {
        unsafe extern "C" fn call<C: PyTypeInfo, F>(
            object: *mut ffi::PyObject,
            items: *const *mut ffi::PyObject,
            count: ffi::Py_ssize_t,
            names: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'py> Fn(&Bound<'py, C>, Arguments<'_, 'py>) -> Object<'py> + Copy,
        {
            // SAFETY: called by CPython with an instance and a fastcall array; F proven.
            unsafe {
                guard_object(|py| {
                    let receiver = Receiver { object, class: C::type_object_raw(py) };
                    let arguments = Arguments::from_fastcall(py, receiver, items, count, names);
                    the::<F>()(this::<C>(py, &object), arguments)
                })
            }
        }
        let function = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: call::<C, F> };
        self.methods.push(method(name, function, ffi::METH_FASTCALL | ffi::METH_KEYWORDS, doc));
        self
    }

    /// `__class_getitem__`: the generic alias, as every asyncio class gives.
    #[must_use]
    pub fn class_getitem(mut self) -> Self {
        let function = ffi::PyMethodDefPointer { PyCFunction: ffi::Py_GenericAlias };
        let flags = ffi::METH_O | ffi::METH_CLASS;
        self.methods.push(method(c"__class_getitem__", function, flags, c"See PEP 585"));
        self
    }

    /// `__dict__`, for a class whose instances are open (`NativeClass::OPEN`).
    #[must_use]
    pub fn instance_dict(mut self) -> Self {
        let (get, set) = (ffi::PyObject_GenericGetDict, ffi::PyObject_GenericSetDict);
        self.getset.push(property(c"__dict__", get, Some(set)));
        self
    }

    /// A read-only property.
    #[must_use]
    pub fn get<C: NativeClass, F>(mut self, name: &'static CStr, _f: F) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
    {
        self.getset.push(property(name, getter::<C, F>, None));
        self
    }

    /// A property that can be assigned; the setter gets nothing when it is deleted.
    #[must_use]
    pub fn get_set<C: NativeClass, F, G>(mut self, name: &'static CStr, _f: F, _g: G) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
        G: for<'py> Fn(&Bound<'py, C>, Option<&Bound<'py, PyAny>>) -> PyResult<()> + Copy,
    {
        unsafe extern "C" fn set<C: NativeClass, G>(
            object: *mut ffi::PyObject,
            value: *mut ffi::PyObject,
            _: *mut c_void,
        ) -> c_int
        where
            G: for<'py> Fn(&Bound<'py, C>, Option<&Bound<'py, PyAny>>) -> PyResult<()> + Copy,
        {
            // SAFETY: called by CPython with an instance; null means deletion; G proven.
            unsafe {
                guard(-1, |py| {
                    let value = (!value.is_null()).then(|| Bound::ref_from_ptr(py, &value));
                    the::<G>()(this::<C>(py, &object), value).map(|()| 0)
                })
            }
        }
        self.getset.push(property(name, getter::<C, F>, Some(set::<C, G>)));
        self
    }

    /// tp_iternext: the function says what came out.
    #[must_use]
    pub fn iternext<C: NativeClass, F>(mut self, _f: F) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>) -> PyResult<Next<'py>> + Copy,
    {
        unsafe extern "C" fn call<C: NativeClass, F>(
            object: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'py> Fn(&Bound<'py, C>) -> PyResult<Next<'py>> + Copy,
        {
            // SAFETY: called by CPython with an instance; F proven by `iternext`.
            unsafe {
                guard(std::ptr::null_mut(), |py| {
                    Ok(match the::<F>()(this::<C>(py, &object))? {
                        Next::Yield(item) => item.into_ptr(),
                        Next::Return(value) => crate::send::stop_iteration(value),
                    })
                })
            }
        }
        unsafe extern "C" fn send<C: NativeClass, F>(
            object: *mut ffi::PyObject,
            _sent: *mut ffi::PyObject,
            result: *mut *mut ffi::PyObject,
        ) -> ffi::PySendResult
        where
            F: for<'py> Fn(&Bound<'py, C>) -> PyResult<Next<'py>> + Copy,
        {
            // SAFETY: called by CPython with an instance and a place for the result; F proven.
            unsafe {
                guard(ffi::PySendResult::PYGEN_ERROR, |py| {
                    let (value, kind) = match the::<F>()(this::<C>(py, &object))? {
                        Next::Yield(item) => (item, ffi::PySendResult::PYGEN_NEXT),
                        Next::Return(value) => (value, ffi::PySendResult::PYGEN_RETURN),
                    };
                    result.write(value.into_ptr());
                    Ok(kind)
                })
            }
        }
        unsafe extern "C" fn next<C: NativeClass, F>(
            object: *mut ffi::PyObject,
            _: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'py> Fn(&Bound<'py, C>) -> PyResult<Next<'py>> + Copy,
        {
            // SAFETY: called by CPython with an instance; F proven by `iternext`.
            unsafe {
                guard_object(|py| match the::<F>()(this::<C>(py, &object))? {
                    Next::Yield(item) => Ok(item),
                    Next::Return(value) if value.is_none() => Err(PyStopIteration::new_err(())),
                    Next::Return(value) => {
                        Err(PyErr::from_value(crate::send::new_stop_iteration(&value)?))
                    }
                })
            }
        }
        let function = ffi::PyMethodDefPointer { PyCFunction: next::<C, F> };
        let flags = ffi::METH_NOARGS | ffi::METH_COEXIST;
        self.methods.push(method(c"__next__", function, flags, c"Implement next(self)."));
        self.slots.push(slot(ffi::Py_tp_iternext, call::<C, F> as *mut c_void));
        self.slots.push(slot(ffi::Py_am_send, send::<C, F> as *mut c_void));
        self
    }

    /// tp_init.
    #[must_use]
    pub fn init<C: NativeClass, F>(mut self, _f: F) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>, InitArguments<'_, 'py>) -> PyResult<()> + Copy,
    {
        unsafe extern "C" fn call<C: NativeClass, F>(
            object: *mut ffi::PyObject,
            args: *mut ffi::PyObject,
            keywords: *mut ffi::PyObject,
        ) -> c_int
        where
            F: for<'py> Fn(&Bound<'py, C>, InitArguments<'_, 'py>) -> PyResult<()> + Copy,
        {
            // SAFETY: called by CPython with an instance, a tuple, and a dict or null; F proven.
            unsafe {
                guard(-1, |py| {
                    let arguments = InitArguments {
                        receiver: Receiver { object, class: C::type_object_raw(py) },
                        args: Bound::ref_from_ptr(py, &args),
                        keywords: (!keywords.is_null()).then(|| Bound::ref_from_ptr(py, &keywords)),
                    };
                    the::<F>()(this::<C>(py, &object), arguments).map(|()| 0)
                })
            }
        }
        self.slots.push(slot(ffi::Py_tp_init, call::<C, F> as *mut c_void));
        self
    }

    /// tp_finalize. An exception that was being handled is left as it was; one of the finalizer's
    /// own is reported as unraisable.
    #[must_use]
    pub fn finalize<C: NativeClass, F>(mut self, _f: F) -> Self
    where
        F: for<'py> Fn(&Bound<'py, C>) -> PyResult<()> + Copy,
    {
        unsafe extern "C" fn call<C: NativeClass, F>(object: *mut ffi::PyObject)
        where
            F: for<'py> Fn(&Bound<'py, C>) -> PyResult<()> + Copy,
        {
            // SAFETY: called by CPython, attached, with an instance; F proven by `finalize`.
            unsafe {
                let handled = PyErr::take(Python::assume_attached());
                guard((), |py| {
                    let this = this::<C>(py, &object);
                    if let Err(error) = the::<F>()(this) {
                        error.write_unraisable(py, Some(this.as_any()));
                    }
                    Ok(())
                });
                if let Some(error) = handled {
                    error.restore(Python::assume_attached());
                }
            }
        }
        self.slots.push(slot(ffi::Py_tp_finalize, call::<C, F> as *mut c_void));
        self
    }

    /// The type's `__doc__`.
    #[must_use]
    pub fn doc(mut self, doc: &'static CStr) -> Self {
        self.slots.push(slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()));
        self
    }

    /// The slot table. The method and property tables are leaked: types live as long as the process.
    #[must_use]
    pub fn into_slots(mut self) -> Vec<ffi::PyType_Slot> {
        if !self.methods.is_empty() {
            // SAFETY: all-zero is the sentinel that ends a PyMethodDef table.
            self.methods.push(unsafe { std::mem::zeroed() });
            let table = self.methods.leak().as_mut_ptr();
            self.slots.push(slot(ffi::Py_tp_methods, table.cast()));
        }
        if !self.getset.is_empty() {
            // SAFETY: all-zero is the sentinel that ends a PyGetSetDef table.
            self.getset.push(unsafe { std::mem::zeroed() });
            let table = self.getset.leak().as_mut_ptr();
            self.slots.push(slot(ffi::Py_tp_getset, table.cast()));
        }
        self.slots
    }
}

/// Whether the garbage collector calls this finalizer, and not the end of the last reference. The
/// collector clears weak references before it calls finalizers, tp_dealloc does so after them.
/// CPython: finalize_garbage, PyObject_CallFinalizerFromDealloc
#[must_use]
pub fn finalized_by_collector<C: NativeClass>(object: &Bound<'_, C>) -> bool {
    // The end of the last reference makes the count 1; the collector's own reference comes on top of
    // those of the cycle.
    // SAFETY: reading the count of a live object.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) > 1 }
}

unsafe extern "C" fn getter<C: NativeClass, F>(
    object: *mut ffi::PyObject,
    _: *mut c_void,
) -> *mut ffi::PyObject
where
    F: for<'py> Fn(&Bound<'py, C>) -> Object<'py> + Copy,
{
    // SAFETY: called by CPython with an instance; F proven by `get` or `get_set`.
    unsafe { guard_object(|py| the::<F>()(this::<C>(py, &object))) }
}
