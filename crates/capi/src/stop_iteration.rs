//! The StopIteration by which an iterator hands over what `await` gives. The interpreter takes the value
//! out and throws the exception away, so it is of a class of ours that keeps its memory: one of the
//! interpreter's own takes two allocations and an argument list (measured on 3.13: 40 of the 250 ns
//! of an item that is put into a queue and got). Reference: Include/cpython/pyerrors.h,
//! Python/bytecodes.c (SEND).

use std::ffi::c_int;

use pyo3::PyTypeInfo;
use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyTuple};

use crate::Class;
use crate::method::{Members, Object};
use crate::native_class::{NativeClass, State, Visit};

static STOP: Class<Stop> = Class::new();

/// A StopIteration of ours.
#[derive(Debug)]
struct Stop;

/// It adds nothing to the fields of the base.
#[derive(Debug)]
struct Nothing;

// SAFETY: no bytes at all.
unsafe impl State for Nothing {
    fn traverse(&self, _: &Visit) -> Result<(), c_int> {
        Ok(())
    }

    fn clear(&self, _: Python<'_>) {}
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Stop {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        STOP.type_ptr()
    }
}

impl DerefToPyAny for Stop {}

/// The references of the base but its dict, which every class of ours takes care of.
///
/// # Safety
/// `object` is a live instance of StopIteration.
unsafe fn fields<'a>(object: *mut ffi::PyObject) -> [&'a mut *mut ffi::PyObject; 6] {
    // SAFETY: the caller's promise; the fields do not overlap.
    unsafe {
        let object = &mut *object.cast::<ffi::PyStopIterationObject>();
        [
            &mut object.args,
            &mut object.notes,
            &mut object.traceback,
            &mut object.context,
            &mut object.cause,
            &mut object.value,
        ]
    }
}

impl NativeClass for Stop {
    type State = Nothing;
    const KEPT: usize = 16;

    fn class() -> &'static Class<Self> {
        &STOP
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        // SAFETY: CPython traverses a live instance.
        let fields = unsafe { fields(object) };
        fields.into_iter().try_for_each(|field| visit.pointer(*field))
    }

    #[inline]
    fn clear_base(object: *mut ffi::PyObject, _: Python<'_>) {
        // SAFETY: a live instance, or one that is about to be freed; each field owns a reference or is
        // null, and is null before the reference goes.
        unsafe {
            (*object.cast::<ffi::PyStopIterationObject>()).suppress_context = '\0';
            for field in fields(object) {
                ffi::Py_XDECREF(std::mem::replace(field, std::ptr::null_mut()));
            }
        }
    }
}

/// One with a value.
///
/// # Errors
/// MemoryError.
#[inline]
pub(crate) fn new<'py>(value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let stop = STOP.alloc(py)?;
    // SAFETY: a new instance, whose fields are null, takes over two references.
    unsafe {
        let object = &mut *stop.as_ptr().cast::<ffi::PyStopIterationObject>();
        object.args = PyTuple::empty(py).into_ptr();
        object.value = value.into_ptr();
    }
    Ok(stop.into_any())
}

/// `args`, which holds the value in one of the interpreter's own.
fn args<'py>(this: &Bound<'py, Stop>) -> Object<'py> {
    let value = this.as_any().getattr("value")?;
    Ok(PyTuple::new(this.py(), [value])?.into_any())
}

/// Makes the type.
///
/// # Errors
/// What CPython raises.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let slots = Members::default().get::<Stop, _>(c"args", args).into_slots();
    STOP.create(py, c"ferrio.StopIteration", &py.get_type::<PyStopIteration>(), slots)
}
