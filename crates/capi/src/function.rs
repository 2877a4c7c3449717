//! A native function as an object that is what Python's functions are to those who look: it takes
//! attributes, is bound by the objects of a class, and has the `__wrapped__` and `__code__` of stock's, by
//! which `inspect` and `unittest.mock` tell that it gives a coroutine. A built-in one has none of these.
//! Reference: Doc/c-api/call.rst (vectorcall), Doc/c-api/typeobj.rst (Py_TPFLAGS_METHOD_DESCRIPTOR).

use std::cell::Cell;
use std::ffi::{c_int, c_ulong, c_void};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyString, PyType};
use pyo3::{PyTypeInfo, ffi};

use crate::Class;
use crate::arguments::{Arguments, Receiver};
use crate::definition::slot;
use crate::method::{Members, Object};
use crate::native_class::{NativeClass, State, StateOf, Visit};
use crate::reference::Slot;
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
    /// What a module's function does.
    body: Cell<Option<Body>>,
    /// CPython's own descriptor of a method.
    method: Slot,
}

// SAFETY: no function and an empty slot are all-zero.
unsafe impl State for FunctionState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.method)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.method.take(py));
    }
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
    /// The interpreter remembers where it found a descriptor only if that one's class cannot change.
    const FLAGS: c_ulong = ffi::Py_TPFLAGS_METHOD_DESCRIPTOR | ffi::Py_TPFLAGS_IMMUTABLETYPE;

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
    let this = FUNCTION.alloc(stock.py())?;
    this.state().entry.set(Some(enter));
    this.state().body.set(Some(body));
    resemble(&this, stock)?;
    Ok(this)
}

/// Include/cpython/code.h
const CO_COROUTINE: c_int = 0x80;

/// Which methods of a class are to be functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// All that are functions on stock.
    All,
    /// Those that are coroutine functions. The others are left as they are, because the interpreter calls
    /// a method of a C class some nanoseconds faster.
    Coroutines,
}

/// Has methods of a native class that stand for functions of `stock` be functions to who looks.
///
/// # Errors
/// MemoryError, and what `functools.update_wrapper` raises.
pub fn stand_for_functions(
    class: &Bound<'_, PyType>,
    stock: &Bound<'_, PyType>,
    which: Which,
) -> PyResult<()> {
    for name in class.getattr("__dict__")?.call_method0("copy")?.try_iter()? {
        let name = name?.cast_into::<PyString>()?;
        let method = class.getattr(&name)?;
        let Some(entry) = entry_of(&method) else { continue };
        let Ok(function) = stock.getattr(&name) else { continue };
        let Ok(code) = function.getattr("__code__") else { continue };
        let flags: c_int = code.getattr("co_flags")?.extract()?;
        if which == Which::Coroutines && flags & CO_COROUTINE == 0 {
            continue;
        }
        let this = FUNCTION.alloc(class.py())?;
        this.state().entry.set(Some(entry));
        this.state().method.set(method);
        resemble(&this, &function)?;
        class.setattr(name, this)?;
    }
    Ok(())
}

/// What `inspect` asks of whatever may be a function. CPython: inspect._signature_is_functionlike
fn resemble(this: &Bound<'_, Function>, stock: &Bound<'_, PyAny>) -> PyResult<()> {
    stock.py().import("functools")?.call_method1("update_wrapper", (this, stock))?;
    for name in ["__code__", "__defaults__", "__kwdefaults__"] {
        this.as_any().setattr(name, stock.getattr(name)?)?;
    }
    Ok(())
}

/// How to call a method; None for one that takes its arguments in another way, as special methods do.
fn entry_of(method: &Bound<'_, PyAny>) -> Option<ffi::vectorcallfunc> {
    const KEYWORDS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    // SAFETY: compares the type of a live object; one of that type is a PyMethodDescrObject.
    let flags = unsafe {
        if ffi::Py_TYPE(method.as_ptr()) != &raw mut ffi::PyMethodDescr_Type {
            return None;
        }
        definition(method.as_ptr()).ml_flags
    };
    match flags {
        ffi::METH_NOARGS => Some(enter_without_arguments),
        KEYWORDS => Some(enter_with_arguments),
        _ => None,
    }
}

/// # Safety
/// `method` is a live PyMethodDescrObject.
#[inline]
unsafe fn definition<'a>(method: *mut ffi::PyObject) -> &'a ffi::PyMethodDef {
    // SAFETY: the caller's promise; a method's definition lives as long as it.
    unsafe { &*(*method.cast::<ffi::PyMethodDescrObject>()).d_method }
}

/// Whether `object` is of the class that `method` belongs to.
///
/// # Safety
/// `method` is a live PyMethodDescrObject, `object` a live object.
#[inline]
unsafe fn applies(method: *mut ffi::PyObject, object: *mut ffi::PyObject) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let class = (*method.cast::<ffi::PyMethodDescrObject>()).d_common.d_type;
        ffi::PyObject_TypeCheck(object, class) != 0
    }
}

/// A call of a method that takes no arguments. CPython: method_vectorcall_NOARGS
unsafe extern "C" fn enter_without_arguments(
    callable: *mut ffi::PyObject,
    items: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this with the object that holds the pointer, an instance of our class, and
    // with the arguments of a vectorcall; `stand_for_functions` has set a method of this kind.
    unsafe {
        let method = FUNCTION.state_at(callable).method.as_ptr();
        if ffi::PyVectorcall_NARGS(count) == 1 && names.is_null() && applies(method, *items) {
            return (definition(method).ml_meth.PyCFunction)(*items, std::ptr::null_mut());
        }
        misfit(callable, items, count, names)
    }
}

/// What stock's function says to arguments that a method does not take, or, where that has no objection or
/// the object is of another class, what CPython's descriptor says.
///
/// # Safety
/// As for the function that was called.
#[cold]
unsafe fn misfit(
    callable: *mut ffi::PyObject,
    items: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        let method = FUNCTION.state_at(callable).method.as_ptr();
        if ffi::PyVectorcall_NARGS(count) > 0 && applies(method, *items) {
            let stock = ffi::PyObject_GetAttrString(callable, c"__wrapped__".as_ptr());
            if stock.is_null() {
                return stock;
            }
            let result = ffi::PyObject_Vectorcall(stock, items, count, names);
            ffi::Py_DECREF(stock);
            if result.is_null() {
                return result;
            }
            ffi::Py_DECREF(result);
        }
        ffi::PyObject_Vectorcall(method, items, count, names)
    }
}

/// A call of a method that takes arguments. CPython: method_vectorcall_FASTCALL_KEYWORDS
unsafe extern "C" fn enter_with_arguments(
    callable: *mut ffi::PyObject,
    items: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as for the other kind.
    unsafe {
        let method = FUNCTION.state_at(callable).method.as_ptr();
        let given = ffi::PyVectorcall_NARGS(count);
        if given > 0 && applies(method, *items) {
            let function = definition(method).ml_meth.PyCFunctionFastWithKeywords;
            return function(*items, items.add(1), given - 1, names);
        }
        ffi::PyObject_Vectorcall(method, items, count, names)
    }
}

/// tp_descr_get. CPython: func_descr_get
unsafe extern "C" fn bind(
    function: *mut ffi::PyObject,
    object: *mut ffi::PyObject,
    _class: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with live objects, of which the second may be null.
    unsafe {
        if object.is_null() || ffi::Py_IsNone(object) != 0 {
            ffi::Py_INCREF(function);
            return function;
        }
        PyMethod_New(function, object)
    }
}

unsafe extern "C" {
    /// Include/cpython/classobject.h
    fn PyMethod_New(function: *mut ffi::PyObject, object: *mut ffi::PyObject)
    -> *mut ffi::PyObject;
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

/// `__annotations__`, which `functools.update_wrapper` copies before 3.14, where evaluating them can wait.
fn annotations<'py>(this: &Bound<'py, Function>) -> Object<'py> {
    this.as_any().getattr("__wrapped__")?.getattr("__annotations__")
}

/// Makes the type.
///
/// # Errors
/// What CPython raises.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let mut members = Members::default()
        .instance_dict()
        .noargs::<Function, _>(c"__reduce__", reduce, c"Its name, for pickle.")
        .unary_slot::<Function, _>(ffi::Py_tp_repr, repr);
    if cfg!(Py_3_14) {
        members = members.get::<Function, _>(c"__annotations__", annotations);
    }
    let mut slots = members.into_slots();
    slots.push(slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void));
    slots.push(slot(ffi::Py_tp_descr_get, bind as *mut c_void));
    FUNCTION.create(py, c"ferrio.Function", &py.get_type::<PyAny>(), slots)
}
