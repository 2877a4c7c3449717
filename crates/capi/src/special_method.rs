//! Special methods that the interpreter binds at each use: `__aenter__` and `__aexit__` before 3.14. The
//! bound method comes off a free list, where CPython allocates its own each time. Whatever is asked of
//! it but to be called is answered by CPython's. Reference: Doc/c-api/typeobj.rst (tp_descr_get).

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};

use pyo3::basic::CompareOp;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

use crate::Class;
use crate::definition::slot;
use crate::method::{Members, Object};
use crate::native_class::{NativeClass, State, StateOf, Visit};
use crate::reference::Slot;
use crate::trampoline::guard_object;

static SPECIAL: Class<SpecialMethod> = Class::new();
static BOUND: Class<BoundMethod> = Class::new();

/// What stands in the class.
#[derive(Debug)]
pub struct SpecialMethod;

/// What an object shows.
#[derive(Debug)]
pub struct BoundMethod;

/// What a method does, whose arguments have no meaning. It checks the object, which may be any.
pub type Body = for<'py> fn(&Bound<'py, PyAny>) -> Object<'py>;

/// The native part of a method. All-zero is one that cannot be bound.
#[derive(Debug)]
pub struct SpecialMethodState {
    /// CPython's own descriptor of the method.
    plain: Slot,
    body: Cell<Option<Body>>,
    /// How many arguments it takes, all by position.
    arguments: Cell<usize>,
}

/// The native part of a bound method. All-zero is one that cannot be called.
#[derive(Debug)]
#[repr(C)]
pub struct BoundMethodState {
    /// Where CPython enters; first, because [`NativeClass::VECTORCALL`] says so.
    entry: Cell<Option<ffi::vectorcallfunc>>,
    body: Cell<Option<Body>>,
    method: Slot,
    owner: Slot,
}

// SAFETY: an empty slot, no function and 0 are all-zero.
unsafe impl State for SpecialMethodState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.plain)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.plain.take(py));
    }
}

// SAFETY: empty slots and no functions are all-zero.
unsafe impl State for BoundMethodState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.method)?;
        visit.slot(&self.owner)
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.method.take(py));
        drop(self.owner.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for SpecialMethod {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        SPECIAL.type_ptr()
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for BoundMethod {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        BOUND.type_ptr()
    }
}

impl DerefToPyAny for SpecialMethod {}
impl DerefToPyAny for BoundMethod {}

impl NativeClass for SpecialMethod {
    type State = SpecialMethodState;
    const KEPT: usize = 0;

    fn class() -> &'static Class<Self> {
        &SPECIAL
    }
}

impl NativeClass for BoundMethod {
    type State = BoundMethodState;
    const KEPT: usize = 16;
    const VECTORCALL: bool = true;

    fn class() -> &'static Class<Self> {
        &BOUND
    }
}

/// Has the class bind its method `name`, which takes so many arguments, in this way.
///
/// # Errors
/// AttributeError when the class has no such method.
pub fn replace<C: NativeClass>(
    py: Python<'_>,
    name: &CStr,
    arguments: usize,
    body: Body,
) -> PyResult<()> {
    let (class, name) = (C::type_object(py), name.to_string_lossy());
    let special = SPECIAL.alloc(py)?;
    special.state().plain.set(class.getattr(name.as_ref())?);
    special.state().body.set(Some(body));
    special.state().arguments.set(arguments);
    class.setattr(name.as_ref(), special)
}

/// tp_descr_get. The class itself shows CPython's own method.
unsafe extern "C" fn bind(
    method: *mut ffi::PyObject,
    owner: *mut ffi::PyObject,
    _class: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with an instance of our class, and a live object or null.
    unsafe {
        guard_object(|py| {
            let state = SPECIAL.state_at(method);
            let Some(owner) = Bound::from_borrowed_ptr_or_opt(py, owner) else {
                return Ok(state.plain.get_or_none(py));
            };
            let bound = BOUND.alloc(py)?;
            bound.state().entry.set(Some(enter));
            bound.state().body.set(state.body.get());
            bound.state().method.set(Bound::<PyAny>::from_borrowed_ptr(py, method));
            bound.state().owner.set(owner);
            Ok(bound.into_any())
        })
    }
}

unsafe extern "C" fn enter(
    callable: *mut ffi::PyObject,
    items: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with the object that holds the pointer, an instance of our
    // class, and with the arguments of a vectorcall, which are passed on as they are.
    unsafe {
        guard_object(|py| {
            let state = BOUND.state_at(callable);
            let (Some(owner), Some(method), Some(body)) =
                (state.owner.get(py), state.method.get(py), state.body.get())
            else {
                return Err(unusable());
            };
            let wanted = method.cast_unchecked::<SpecialMethod>().state().arguments.get();
            if ffi::PyVectorcall_NARGS(count) as usize == wanted && names.is_null() {
                return body(&owner);
            }
            let plain = plain(Bound::ref_from_ptr(py, &callable).cast_unchecked())?;
            let result = ffi::PyObject_Vectorcall(plain.as_ptr(), items, count, names);
            Bound::from_owned_ptr_or_err(py, result)
        })
    }
}

#[cold]
fn unusable() -> PyErr {
    PyRuntimeError::new_err("the method is bound to nothing")
}

/// CPython's own bound method.
fn plain<'py>(this: &Bound<'py, BoundMethod>) -> Object<'py> {
    let py = this.py();
    let (Some(owner), Some(method)) = (this.state().owner.get(py), this.state().method.get(py))
    else {
        return Err(unusable());
    };
    let method = method.cast_into::<SpecialMethod>()?;
    let plain = method.state().plain.get(py).ok_or_else(unusable)?;
    plain.call_method1("__get__", (&owner, owner.get_type()))
}

/// tp_getattro
unsafe extern "C" fn attribute(
    object: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with an instance of our class and a string.
    unsafe {
        guard_object(|py| {
            let plain = plain(Bound::ref_from_ptr(py, &object).cast_unchecked())?;
            let found = ffi::PyObject_GetAttr(plain.as_ptr(), name);
            Bound::from_owned_ptr_or_err(py, found)
        })
    }
}

/// tp_richcompare
unsafe extern "C" fn compare(
    object: *mut ffi::PyObject,
    other: *mut ffi::PyObject,
    operator: c_int,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with an instance of our class and a live object.
    unsafe {
        guard_object(|py| {
            let own = plain(Bound::ref_from_ptr(py, &object).cast_unchecked())?;
            let other = Bound::ref_from_ptr(py, &other);
            let other = match BOUND.cast_exact(other) {
                Some(bound) => plain(bound)?,
                None => other.clone(),
            };
            let operator = CompareOp::from_raw(operator).ok_or_else(unusable)?;
            own.rich_compare(other, operator)
        })
    }
}

/// tp_hash
unsafe extern "C" fn hash(object: *mut ffi::PyObject) -> ffi::Py_hash_t {
    // SAFETY: CPython calls this attached, with an instance of our class.
    unsafe {
        crate::trampoline::guard(-1, |py| {
            plain(Bound::ref_from_ptr(py, &object).cast_unchecked())?.hash()
        })
    }
}

fn repr<'py>(this: &Bound<'py, BoundMethod>) -> Object<'py> {
    Ok(plain(this)?.repr()?.into_any())
}

fn reduce<'py>(this: &Bound<'py, BoundMethod>) -> Object<'py> {
    plain(this)?.call_method0("__reduce__")
}

/// Makes the types.
///
/// # Errors
/// What CPython raises.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let object = py.get_type::<PyAny>();
    let slots = vec![slot(ffi::Py_tp_descr_get, bind as *mut c_void)];
    SPECIAL.create(py, c"ferrio.SpecialMethod", &object, slots)?;
    let mut slots = Members::default()
        .noargs::<BoundMethod, _>(c"__reduce__", reduce, c"As CPython's own method.")
        .unary_slot::<BoundMethod, _>(ffi::Py_tp_repr, repr)
        .into_slots();
    slots.push(slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void));
    slots.push(slot(ffi::Py_tp_getattro, attribute as *mut c_void));
    slots.push(slot(ffi::Py_tp_richcompare, compare as *mut c_void));
    slots.push(slot(ffi::Py_tp_hash, hash as *mut c_void));
    BOUND.create(py, c"ferrio.BoundMethod", &object, slots)
}
