//! Classes of the interpreter's whose Python functions native code stands for, while they are the module's own.

use std::sync::atomic::{AtomicU32, Ordering};

use ferrio_capi::dict;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::names::Imported;

/// A class, and the functions of it that native code stands for.
pub struct Original {
    class: &'static Imported,
    functions: &'static [&'static str],
    /// The class has its own functions as long as it has this version.
    version: AtomicU32,
}

impl Original {
    /// That class, with those functions.
    pub const fn new(class: &'static Imported, functions: &'static [&'static str]) -> Self {
        Self { class, functions, version: AtomicU32::new(0) }
    }

    /// Whether an object is of exactly this class, in which nobody has replaced a function.
    ///
    /// # Errors
    /// What a look-up raises.
    pub fn is_class_of(&self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        let class = self.class.class(object.py())?;
        Ok(object.get_type().is(class) && self.is_untouched(object.py())?)
    }

    /// Whether nobody has replaced a function of the class.
    ///
    /// # Errors
    /// What a look-up raises.
    pub fn is_untouched(&self, py: Python<'_>) -> PyResult<bool> {
        let class = self.class.class(py)?;
        let version = dict::class_version(class);
        if version != 0 && version == self.version.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let untouched = self.has_own_functions(class)?;
        if untouched {
            self.version.store(dict::class_version(class), Ordering::Relaxed);
        }
        Ok(untouched)
    }

    fn has_own_functions(&self, class: &Bound<'_, PyType>) -> PyResult<bool> {
        let home = self.class.home(class.py())?;
        for name in self.functions {
            let globals = class.getattr(*name)?.getattr_opt("__globals__")?;
            if !globals.is_some_and(|globals| globals.is(&home)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
