//! A class made of a native one as the statement `class Name(Base)` makes it: with methods of its own
//! and the base's state. Reference: Doc/c-api/typeobj.rst, Doc/library/functions.rst (type).

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyTypeInfo, ffi};

use crate::class::REPLACES;
use crate::dict;
use crate::function::{self, Which};
use crate::method::Members;

/// What is fixed about a derived class.
#[derive(Debug)]
pub struct Derived(AtomicPtr<ffi::PyTypeObject>);

impl Derived {
    /// A class that [`Derived::create`] has still to make.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// The type object; null before `create`.
    #[inline]
    pub fn type_ptr(&self) -> *mut ffi::PyTypeObject {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether `object` is no instance of a subclass and has no attributes of its own
    /// ([`crate::Class::is_plain`]).
    #[inline]
    pub fn is_plain<T>(&self, object: &Bound<'_, T>) -> bool {
        dict::is_plain(object, self.type_ptr())
    }

    /// Makes the type, once, as one that stands for `replaced`. `C` names this type.
    ///
    /// # Errors
    /// What CPython raises.
    pub fn create<C: PyTypeInfo>(
        &'static self,
        base: &Bound<'_, PyType>,
        replaced: &Bound<'_, PyType>,
        doc: &str,
        methods: Members,
    ) -> PyResult<()> {
        let py = base.py();
        if !self.type_ptr().is_null() {
            return Ok(());
        }
        let namespace = PyDict::new(py);
        namespace.set_item("__module__", replaced.module()?)?;
        namespace.set_item("__doc__", doc)?;
        namespace.set_item("__slots__", PyTuple::empty(py))?;
        namespace.set_item(REPLACES.to_string_lossy(), replaced)?;
        let made = py.get_type::<PyType>().call1((replaced.name()?, (base,), namespace))?;
        // The reference is given to the static: the type lives as long as the process.
        self.0.store(made.into_ptr().cast(), Ordering::Relaxed);
        methods.install::<C>(py)?;
        function::stand_for_functions(&C::type_object(py), replaced, Which::All)
    }
}

/// A class of the module `ferrio` that adds nothing to its bases, for a native one that has more than one.
///
/// # Errors
/// TypeError when the bases do not go together.
pub fn join<'py>(
    py: Python<'py>,
    name: &str,
    bases: &[&Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyType>> {
    let namespace = PyDict::new(py);
    namespace.set_item("__slots__", PyTuple::empty(py))?;
    namespace.set_item("__module__", "ferrio")?;
    let made = py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, namespace))?;
    Ok(made.cast_into::<PyType>()?)
}

impl Default for Derived {
    fn default() -> Self {
        Self::new()
    }
}
