//! `BoundedSemaphore`, a native class over another one. CPython: asyncio.locks.BoundedSemaphore

use std::ffi::c_int;

use ferrio_capi::method::{InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, State, StateOf, Visit};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

use super::count::Count;
use super::semaphore::{self, Semaphore};
use crate::errors;
use crate::names::{self, none};

static BOUNDED_SEMAPHORE: Class<BoundedSemaphore> = Class::new();

/// `asyncio.BoundedSemaphore`.
#[derive(Debug)]
pub struct BoundedSemaphore;

/// What it has beside a semaphore's part.
#[derive(Debug)]
pub struct BoundedSemaphoreState {
    bound: Count,
}

// SAFETY: 0 is all-zero.
unsafe impl State for BoundedSemaphoreState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.bound.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.bound.clear(py);
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for BoundedSemaphore {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        BOUNDED_SEMAPHORE.type_ptr()
    }
}

impl DerefToPyAny for BoundedSemaphore {}

impl NativeClass for BoundedSemaphore {
    type State = BoundedSemaphoreState;
    const KEPT: usize = 16;

    fn class() -> &'static Class<Self> {
        &BOUNDED_SEMAPHORE
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        // SAFETY: the collector traverses instances of this class, whose base is Semaphore.
        unsafe { Semaphore::class().state_at(object) }.traverse(visit)
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        // SAFETY: the collector or tp_dealloc calls this for an instance; as above.
        unsafe { Semaphore::class().state_at(object) }.clear(py);
    }
}

/// Whether `this` is exactly one of these, without attributes of its own.
#[inline]
pub fn is_plain(this: &Bound<'_, Semaphore>) -> bool {
    BOUNDED_SEMAPHORE.is_plain(this)
}

static INIT: Signature<1> =
    Signature { format: c"|O:BoundedSemaphore", names: [c"value"], positional: 1, required: 0 };

fn init<'py>(
    this: &Bound<'py, BoundedSemaphore>,
    arguments: InitArguments<'_, 'py>,
) -> PyResult<()> {
    let [value] = INIT.parse_init(&arguments)?;
    let bound = &this.state().bound;
    match &value {
        Some(value) => bound.set(value),
        None => {
            bound.clear(this.py());
            bound.add(this.py(), 1)?;
        }
    }
    semaphore::start(this.as_any().cast::<Semaphore>()?, value.as_ref())
}

/// `BoundedSemaphore.release`.
///
/// # Errors
/// ValueError when that would exceed the first value.
pub fn release(this: &Bound<'_, Semaphore>) -> PyResult<()> {
    let bound = &this.as_any().cast::<BoundedSemaphore>()?.state().bound;
    if this.state().value.reaches(this.py(), bound)? {
        return Err(PyValueError::new_err("BoundedSemaphore released too many times"));
    }
    semaphore::release(this)
}

fn release_method<'py>(this: &Bound<'py, BoundedSemaphore>) -> Object<'py> {
    release(this.as_any().cast::<Semaphore>()?)?;
    Ok(none(this.py()))
}

fn bound<'py>(this: &Bound<'py, BoundedSemaphore>) -> Object<'py> {
    this.state().bound.get(this.py())
}

fn set_bound(this: &Bound<'_, BoundedSemaphore>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    this.state().bound.set(value.ok_or_else(errors::cannot_be_deleted)?);
    Ok(())
}

/// Makes the type, after that of Semaphore.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .init::<BoundedSemaphore, _>(init)
        .noargs::<BoundedSemaphore, _>(c"release", release_method, c"Add one, up to the bound.")
        .get_set::<BoundedSemaphore, _, _>(c"_bound_value", bound, set_bound)
        .doc(c"BoundedSemaphore(value=1)\n--\n\nA semaphore that refuses to exceed its first value; see asyncio.BoundedSemaphore.");
    let (name, base) = (c"asyncio.locks.BoundedSemaphore", Semaphore::type_object(py));
    BOUNDED_SEMAPHORE.create(py, name, &base, members.into_slots())?;
    BOUNDED_SEMAPHORE.stand_for(py, name, names::BOUNDED_SEMAPHORE.class(py)?)
}
