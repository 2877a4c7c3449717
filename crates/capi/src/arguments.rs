//! The arguments that CPython passes to a native method or to `__init__`, as they come.
//! Reference: Doc/c-api/structures.rst (METH_FASTCALL | METH_KEYWORDS).

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// Whose method is called; alive while the call is in progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver {
    pub object: *mut ffi::PyObject,
    /// The native class that the method belongs to; null for a function of a module.
    pub class: *mut ffi::PyTypeObject,
}

/// The arguments of a fastcall method.
#[derive(Clone, Copy)]
pub struct Arguments<'a, 'py> {
    py: Python<'py>,
    pub(crate) receiver: Receiver,
    /// Positional values, then the values of `names`.
    items: &'a [*mut ffi::PyObject],
    positional: usize,
    names: *mut ffi::PyObject,
}

impl std::fmt::Debug for Arguments<'_, '_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Arguments({} positional of {})", self.positional, self.items.len())
    }
}

impl<'a, 'py> Arguments<'a, 'py> {
    /// # Safety
    /// The parameters are those of a METH_FASTCALL | METH_KEYWORDS call in progress.
    pub(crate) unsafe fn from_fastcall(
        py: Python<'py>,
        receiver: Receiver,
        items: *const *mut ffi::PyObject,
        positional: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> Self {
        let positional = positional as usize;
        // SAFETY: `names` is null or a tuple with one name for each value after the positional ones.
        unsafe {
            let named = if names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(names) as usize };
            let total = positional + named;
            let items = if total == 0 { &[] } else { std::slice::from_raw_parts(items, total) };
            Self { py, receiver, items, positional, names }
        }
    }

    /// The token.
    #[must_use]
    pub fn py(&self) -> Python<'py> {
        self.py
    }

    /// How many positional arguments there are.
    #[must_use]
    pub fn positional_len(&self) -> usize {
        self.positional
    }

    /// Exactly `N` arguments, all positional, for methods that only Ferrio's own code calls.
    ///
    /// # Errors
    /// TypeError when there are more or fewer, or named ones.
    #[inline]
    pub fn exactly<const N: usize>(&self) -> PyResult<[&'a Bound<'py, PyAny>; N]> {
        self.all_positional()
            .ok_or_else(|| PyTypeError::new_err(format!("expected {N} positional arguments")))
    }

    /// The arguments, if they are `N` and all positional.
    #[inline]
    pub(crate) fn all_positional<const N: usize>(&self) -> Option<[&'a Bound<'py, PyAny>; N]> {
        let items = <&[*mut ffi::PyObject; N]>::try_from(self.items).ok()?;
        // SAFETY: the call in progress keeps its arguments alive.
        let bound = |item| unsafe { Bound::ref_from_ptr(self.py, item) };
        (self.positional == N).then(|| items.each_ref().map(bound))
    }

    /// The positional arguments from `first` on, as a tuple.
    #[inline]
    pub fn rest(&self, first: usize) -> PyResult<Bound<'py, PyTuple>> {
        let rest = self.items.get(first..self.positional).unwrap_or_default();
        if rest.is_empty() {
            return Ok(PyTuple::empty(self.py));
        }
        // SAFETY: a new tuple of that length, every item of which is filled with a new reference to
        // a live argument before anybody sees it.
        unsafe {
            let tuple = ffi::PyTuple_New(rest.len() as ffi::Py_ssize_t);
            let tuple = Bound::<PyAny>::from_owned_ptr_or_err(self.py, tuple)?;
            for (index, item) in rest.iter().enumerate() {
                ffi::Py_INCREF(*item);
                ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index as ffi::Py_ssize_t, *item);
            }
            Ok(tuple.cast_into_unchecked())
        }
    }

    /// The values of keyword-only parameters by their names; None where the caller gave none.
    ///
    /// # Errors
    /// TypeError when there is another keyword, in the words of a Python function `function`.
    #[inline]
    pub fn keyword_only<const N: usize>(
        &self,
        function: &str,
        names: [&str; N],
    ) -> PyResult<[Option<&'a Bound<'py, PyAny>>; N]> {
        let mut values = [None; N];
        let Some(given) = self.names() else {
            return Ok(values);
        };
        for (index, name) in given.cast::<PyTuple>()?.iter_borrowed().enumerate() {
            let name = name.cast::<PyString>()?;
            let name = name.to_str()?;
            match names.iter().position(|known| *known == name) {
                Some(place) => values[place] = self.value(self.positional + index),
                None => {
                    let text = format!("{function}() got an unexpected keyword argument '{name}'");
                    return Err(PyTypeError::new_err(text));
                }
            }
        }
        Ok(values)
    }

    /// The keyword names (a tuple), if any were passed.
    #[must_use]
    pub fn names(&self) -> Option<Bound<'py, PyAny>> {
        // SAFETY: the call in progress keeps the tuple alive.
        unsafe { Bound::from_borrowed_ptr_or_opt(self.py, self.names) }
    }

    /// The value at `index`: positional ones first, then those of the names in order.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<&'a Bound<'py, PyAny>> {
        // SAFETY: the call in progress keeps its arguments alive.
        self.items.get(index).map(|item| unsafe { Bound::ref_from_ptr(self.py, item) })
    }
}

/// The arguments of `__init__`.
#[derive(Debug, Clone, Copy)]
pub struct InitArguments<'a, 'py> {
    pub(crate) receiver: Receiver,
    pub(crate) args: &'a Bound<'py, PyAny>,
    pub(crate) keywords: Option<&'a Bound<'py, PyAny>>,
}

impl<'py> InitArguments<'_, 'py> {
    /// The token.
    #[must_use]
    pub fn py(&self) -> Python<'py> {
        self.args.py()
    }
}
