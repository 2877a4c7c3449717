//! A module's native function as an object that takes attributes, as Python's functions do: a built-in
//! one has no `__wrapped__`, and nothing could tell that it gives a coroutine.
//! Reference: Doc/c-api/call.rst (vectorcall).

use std::cell::Cell;
use std::ffi::c_int;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyString};
use pyo3::{PyTypeInfo, ffi};

use crate::Class;
use crate::arguments::{Arguments, Receiver};
use crate::definition::slot;
use crate::method::{Members, Object};
use crate::native_class::{NativeClass, State, StateOf, Visit};
use crate::trampoline::guard_object;

static FUNCTION: Class<Function> = Class::new();

/// A native function.
#[derive(Debug)]
pub struct Function;

/// What the function does.
pub type Body = for<'py> fn(Arguments<'_, 'py>) -> Object<'py>;

/// The native part of a function. All-zero is one that cannot be called.
#[derive(Debug)]
#[repr(C)]
pub struct FunctionState {
    /// Where CPython enters; first, because [`NativeClass::VECTORCALL`] says so.
    entry: Cell<Option<ffi::vectorcallfunc>>,
    body: Cell<Option<Body>>,
}

// SAFETY: no function is all-zero.
unsafe impl State for FunctionState {
    fn traverse(&self, _: &Visit) -> Result<(), c_int> {
        Ok(())
    }

    fn clear(&self, _: Python<'_>) {}
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Function {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        FUNCTION.type_ptr()
    }
}

impl DerefToPyAny for Function {}

impl NativeClass for Function {
    type State = FunctionState;
    const KEPT: usize = 0;
    const OPEN: bool = true;
    const VECTORCALL: bool = true;

    fn class() -> &'static Class<Self> {
        &FUNCTION
    }
}

/// A function that runs `body` and stands for `stock`, whose name, module, text and attributes it takes
/// over. Errors about its arguments take the words of `stock`.
///
/// # Errors
/// MemoryError, and what `functools.update_wrapper` raises.
pub fn new<'py>(stock: &Bound<'py, PyAny>, body: Body) -> PyResult<Bound<'py, Function>> {
    let py = stock.py();
    let this = FUNCTION.alloc(py)?;
    this.state().entry.set(Some(enter));
    this.state().body.set(Some(body));
    py.import("functools")?.call_method1("update_wrapper", (&this, stock))?;
    Ok(this)
}

unsafe extern "C" fn enter(
    callable: *mut ffi::PyObject,
    items: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this with the object that holds the pointer, an instance of our class, and
    // with the arguments of a vectorcall.
    unsafe {
        guard_object(|py| {
            let Some(body) = FUNCTION.state_at(callable).body.get() else {
                return Err(PyRuntimeError::new_err("the function has no body"));
            };
            let receiver = Receiver { object: callable, class: std::ptr::null_mut() };
            let count = ffi::PyVectorcall_NARGS(count);
            body(Arguments::from_fastcall(py, receiver, items, count, names))
        })
    }
}

fn repr<'py>(this: &Bound<'py, Function>) -> Object<'py> {
    let name = this.as_any().getattr("__qualname__")?;
    let text = format!("<function {name} at {:#x}>", this.as_ptr() as usize);
    Ok(PyString::new(this.py(), &text).into_any())
}

/// Pickled by name, as functions are.
fn reduce<'py>(this: &Bound<'py, Function>) -> Object<'py> {
    this.as_any().getattr("__qualname__")
}

/// Makes the type.
///
/// # Errors
/// What CPython raises.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let mut slots = Members::default()
        .instance_dict()
        .noargs::<Function, _>(c"__reduce__", reduce, c"Its name, for pickle.")
        .unary_slot::<Function, _>(ffi::Py_tp_repr, repr)
        .into_slots();
    slots.push(slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut std::ffi::c_void));
    FUNCTION.create(py, c"ferrio.Function", &py.get_type::<PyAny>(), slots)
}
