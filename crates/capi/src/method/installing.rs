//! Methods for a type that exists already.

use std::ffi::CStr;

use pyo3::PyTypeInfo;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::Members;
use crate::dict;

impl Members {
    /// Adds the methods to a type, such as a PyO3 class: these calls then skip PyO3's argument handling.
    /// CPython's method descriptors check the type of `self`.
    pub fn install<C: PyTypeInfo>(self, py: Python<'_>) -> PyResult<()> {
        let class = C::type_object(py);
        for (name, descriptor) in self.descriptors(&class)? {
            class.setattr(name.to_string_lossy().as_ref(), descriptor)?;
        }
        Ok(())
    }

    /// Puts the methods into a type's dict in the place of what is there, past the slots: what the
    /// interpreter itself calls stays.
    pub fn show<C: PyTypeInfo>(self, py: Python<'_>) -> PyResult<()> {
        let class = C::type_object(py);
        for (name, descriptor) in self.descriptors(&class)? {
            dict::change_class(&class, name, Some(&descriptor))?;
        }
        Ok(())
    }

    fn descriptors<'py>(
        self,
        class: &Bound<'py, PyType>,
    ) -> PyResult<Vec<(&'static CStr, Bound<'py, PyAny>)>> {
        let made = self.methods.leak().iter_mut().map(|definition| {
            // SAFETY: the definition lives for ever, its name is a C string, and the trampoline was made
            // for instances of the type that the descriptor checks.
            unsafe {
                let made = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
                let name = CStr::from_ptr(definition.ml_name);
                Bound::from_owned_ptr_or_err(class.py(), made).map(|made| (name, made))
            }
        });
        made.collect()
    }
}
