//! Argument lists of native methods: a fast match for calls that fit, and CPython's own parser for
//! those that do not, so that the errors read as stock's. Reference: Doc/c-api/arg.rst.

use std::ffi::{CStr, c_char};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::method::{Arguments, InitArguments};

/// The parameters of one method.
#[derive(Debug)]
pub struct Signature<const N: usize> {
    /// CPython's format for the whole list, e.g. `c"O|$O:add_done_callback"`.
    pub format: &'static CStr,
    /// Parameter names in order; an empty name marks a positional-only one.
    pub names: [&'static CStr; N],
    /// How many may be passed by position.
    pub positional: usize,
    /// How many, from the first, must be there.
    pub required: usize,
}

impl<const N: usize> Signature<N> {
    /// The values by parameter; None where the caller gave none.
    ///
    /// # Errors
    /// TypeError, in CPython's words, when the arguments do not fit.
    #[inline]
    pub fn parse<'a, 'py>(
        &self,
        arguments: &Arguments<'a, 'py>,
    ) -> PyResult<[Option<&'a Bound<'py, PyAny>>; N]> {
        let mut values = [None; N];
        if self.fill(arguments, &mut values) {
            Ok(values)
        } else {
            Err(self.complain(arguments))
        }
    }

    fn fill<'a, 'py>(
        &self,
        arguments: &Arguments<'a, 'py>,
        values: &mut [Option<&'a Bound<'py, PyAny>>; N],
    ) -> bool {
        let given = arguments.positional_len();
        if given > self.positional {
            return false;
        }
        for (index, value) in values.iter_mut().enumerate().take(given) {
            *value = arguments.value(index);
        }
        if let Some(names) = arguments.names() {
            let Ok(names) = names.cast_into::<PyTuple>() else {
                return false;
            };
            for (index, name) in names.iter_borrowed().enumerate() {
                let Some(place) = self.place(name.to_owned()) else {
                    return false;
                };
                if values[place].is_some() {
                    return false;
                }
                values[place] = arguments.value(given + index);
            }
        }
        values[..self.required].iter().all(Option::is_some)
    }

    fn place(&self, name: Bound<'_, PyAny>) -> Option<usize> {
        let name = name.cast_into::<PyString>().ok()?;
        let name = name.to_str().ok()?;
        self.names
            .iter()
            .position(|known| !known.is_empty() && known.to_bytes() == name.as_bytes())
    }

    #[cold]
    fn complain(&self, arguments: &Arguments<'_, '_>) -> PyErr {
        let py = arguments.py();
        let given = arguments.positional_len();
        let build = || {
            let positional = (0..given).filter_map(|index| arguments.value(index));
            let args = PyTuple::new(py, positional.collect::<Vec<_>>())?;
            let keywords = PyDict::new(py);
            if let Some(names) = arguments.names() {
                for (index, name) in names.try_iter()?.enumerate() {
                    keywords.set_item(name?, arguments.value(given + index))?;
                }
            }
            self.parse_with_cpython(args.as_any(), Some(keywords.as_any()))
                .map(drop)
        };
        build()
            .err()
            .unwrap_or_else(|| PyTypeError::new_err("invalid arguments"))
    }

    /// The values of an `__init__` call.
    ///
    /// # Errors
    /// TypeError, in CPython's words, when the arguments do not fit.
    pub fn parse_init<'py>(
        &self,
        arguments: &InitArguments<'_, 'py>,
    ) -> PyResult<[Option<Bound<'py, PyAny>>; N]> {
        self.parse_with_cpython(arguments.args, arguments.keywords)
    }

    fn parse_with_cpython<'py>(
        &self,
        args: &Bound<'py, PyAny>,
        keywords: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<[Option<Bound<'py, PyAny>>; N]> {
        const MOST: usize = 6;
        const { assert!(N <= MOST) };
        let py = args.py();
        let mut names: Vec<*const c_char> = self.names.iter().map(|name| name.as_ptr()).collect();
        names.push(std::ptr::null());
        let mut out = [std::ptr::null_mut::<ffi::PyObject>(); MOST];
        let [a, b, c, d, e, f] = &mut out;
        let keywords = keywords.map_or(std::ptr::null_mut(), |keywords| keywords.as_ptr());
        // SAFETY: the format asks for N objects at most, N <= 6 places are passed (C ignores variadic
        // arguments that the format does not ask for), and `names` ends with null.
        let fits = unsafe {
            ffi::PyArg_ParseTupleAndKeywords(
                args.as_ptr(),
                keywords,
                self.format.as_ptr(),
                names.as_mut_ptr().cast(),
                &raw mut *a,
                &raw mut *b,
                &raw mut *c,
                &raw mut *d,
                &raw mut *e,
                &raw mut *f,
            )
        };
        if fits == 0 {
            return Err(PyErr::fetch(py));
        }
        // SAFETY: the parser stores references borrowed from `args` and `keywords`.
        Ok(std::array::from_fn(|index| unsafe {
            Bound::from_borrowed_ptr_or_opt(py, out[index])
        }))
    }
}
