//! Argument lists of native methods: a fast match for calls that fit. Those that do not are given to
//! the overridden method of the base class, or to CPython's own parser where there is none, so that
//! the errors read as stock's. Reference: Doc/c-api/arg.rst.

use std::ffi::{CStr, c_char};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::arguments::{Arguments, InitArguments, Receiver};
use crate::class::REPLACES;

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
    /// The values by parameter; None where the caller gave none. Always inlined: what a function of its own
    /// returns goes through memory, and loading it in pairs right after it was stored one by one stalls the
    /// processor (7 of the 110 ns of a `sleep(0)`).
    ///
    /// # Errors
    /// TypeError, in stock's words, when the arguments do not fit.
    #[inline(always)]
    pub fn parse<'a, 'py>(
        &self,
        arguments: &Arguments<'a, 'py>,
    ) -> PyResult<[Option<&'a Bound<'py, PyAny>>; N]> {
        if N == 1
            && self.positional == 1
            && let Some(values) = arguments.all_positional()
        {
            return Ok(values.map(Some));
        }
        let mut values = [None; N];
        if self.fill(arguments, &mut values) { Ok(values) } else { Err(self.complain(arguments)) }
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
        self.names.iter().position(|known| !known.is_empty() && known.to_bytes() == name.as_bytes())
    }

    #[cold]
    fn complain(&self, arguments: &Arguments<'_, '_>) -> PyErr {
        let format = self.format.to_str().unwrap_or_default();
        let name = format.split_once(':').map_or("", |(_, name)| name);
        let build = || {
            let (args, keywords) = arguments.to_objects()?;
            if let Some(error) = arguments.receiver.stock_words(name, &args, Some(&keywords)) {
                return Err(error);
            }
            self.parse_with_cpython(args.as_any(), Some(keywords.as_any())).map(drop)
        };
        build().err().unwrap_or_else(misfit)
    }

    /// The values of an `__init__` call.
    ///
    /// # Errors
    /// TypeError, in stock's words, when the arguments do not fit.
    pub fn parse_init<'py>(
        &self,
        arguments: &InitArguments<'_, 'py>,
    ) -> PyResult<[Option<Bound<'py, PyAny>>; N]> {
        if let Some(values) = self.fill_init(arguments) {
            return Ok(values);
        }
        self.parse_with_cpython(arguments.args, arguments.keywords)
            .map_err(|error| self.complain_init(arguments).unwrap_or(error))
    }

    /// The values; None where they do not fit.
    fn fill_init<'py>(
        &self,
        arguments: &InitArguments<'_, 'py>,
    ) -> Option<[Option<Bound<'py, PyAny>>; N]> {
        let args =
            arguments.args.cast::<PyTuple>().ok().filter(|args| args.len() <= self.positional)?;
        let mut given = args.iter();
        let mut values = std::array::from_fn(|_| given.next());
        if let Some(keywords) = arguments.keywords {
            for (name, value) in keywords.cast::<PyDict>().ok()? {
                let place = &mut values[self.place(name)?];
                if place.replace(value).is_some() {
                    return None;
                }
            }
        }
        values[..self.required].iter().all(Option::is_some).then_some(values)
    }

    /// Where the base class is a C class, only a call with too many positions has other words there, and
    /// one that it may accept on some Python must not reach it.
    #[cold]
    fn complain_init(&self, arguments: &InitArguments<'_, '_>) -> Option<PyErr> {
        let args = arguments.args.cast::<PyTuple>().ok()?;
        let keywords = arguments.keywords.and_then(|keywords| keywords.cast::<PyDict>().ok());
        if args.len() <= self.positional && !arguments.receiver.replaces_a_class() {
            return None;
        }
        arguments.receiver.stock_words("__init__", args, keywords)
    }

    fn parse_with_cpython<'py>(
        &self,
        args: &Bound<'py, PyAny>,
        keywords: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<[Option<Bound<'py, PyAny>>; N]> {
        const MOST: usize = 9;
        const { assert!(N <= MOST) };
        let py = args.py();
        let mut names: Vec<*const c_char> = self.names.iter().map(|name| name.as_ptr()).collect();
        names.push(std::ptr::null());
        let mut out = [std::ptr::null_mut::<ffi::PyObject>(); MOST];
        let [a, b, c, d, e, f, g, h, i] = &mut out;
        let keywords = keywords.map_or(std::ptr::null_mut(), |keywords| keywords.as_ptr());
        // SAFETY: the format asks for N objects at most, N <= 9 places are passed (C ignores variadic
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
                &raw mut *g,
                &raw mut *h,
                &raw mut *i,
            )
        };
        if fits == 0 {
            return Err(PyErr::fetch(py));
        }
        // SAFETY: the parser stores references borrowed from `args` and `keywords`.
        Ok(std::array::from_fn(|index| unsafe { Bound::from_borrowed_ptr_or_opt(py, out[index]) }))
    }
}

impl<'a, 'py> Arguments<'a, 'py> {
    /// The argument of a method `name` that takes exactly one, by position.
    ///
    /// # Errors
    /// TypeError, in stock's words, when there are more or fewer.
    #[inline]
    pub fn only(&self, name: &str) -> PyResult<&'a Bound<'py, PyAny>> {
        match self.value(0) {
            Some(value) if self.positional_len() == 1 && self.names().is_none() => Ok(value),
            _ => Err(self.complain(name)),
        }
    }

    /// The argument of a method `name` that takes exactly one, by position or as `parameter`.
    ///
    /// # Errors
    /// TypeError, in stock's words, when there are more or fewer.
    #[inline]
    pub fn named(&self, name: &str, parameter: &str) -> PyResult<&'a Bound<'py, PyAny>> {
        match (self.value(0), self.value(1), self.names()) {
            (Some(value), None, None) => Ok(value),
            (Some(value), None, Some(names)) if names.get_item(0)?.eq(parameter)? => Ok(value),
            _ => Err(self.complain(name)),
        }
    }

    /// Checks that a method `name` that takes no arguments was given none.
    ///
    /// # Errors
    /// TypeError, in stock's words, when it was.
    #[inline]
    pub fn nothing(&self, name: &str) -> PyResult<()> {
        if self.value(0).is_none() { Ok(()) } else { Err(self.complain(name)) }
    }

    #[cold]
    fn complain(&self, name: &str) -> PyErr {
        match self.to_objects() {
            Ok((args, keywords)) => {
                self.receiver.stock_words(name, &args, Some(&keywords)).unwrap_or_else(misfit)
            }
            Err(error) => error,
        }
    }

    /// The arguments as a tuple and a dict.
    ///
    /// # Errors
    /// MemoryError.
    pub fn to_objects(&self) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let keywords = PyDict::new(self.py());
        if let Some(names) = self.names() {
            for (index, name) in names.try_iter()?.enumerate() {
                keywords.set_item(name?, self.value(self.positional_len() + index))?;
            }
        }
        Ok((self.rest(0)?, keywords))
    }
}

impl Receiver {
    /// Whether the class stands for another that is not its base ([`crate::class::REPLACES`]).
    fn replaces_a_class(self) -> bool {
        // SAFETY: the class is alive while the call is in progress, which is attached.
        unsafe {
            let has = ffi::PyObject_HasAttrString(self.class.cast(), REPLACES.as_ptr());
            has == 1
        }
    }

    /// What the method `name` of the base class or of the class that is replaced, or the function that is
    /// replaced, says to arguments that do not fit. Its words differ between Python versions, and it looks
    /// at its arguments before anything else. None when there is no such thing, or it has nothing against
    /// the arguments.
    fn stock_words<'py>(
        self,
        name: &str,
        args: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> Option<PyErr> {
        let py = args.py();
        // SAFETY: both are alive while the call is in progress.
        let (object, class) = unsafe {
            (
                Bound::<PyAny>::from_borrowed_ptr_or_opt(py, self.object)?,
                Bound::<PyAny>::from_borrowed_ptr_or_opt(py, self.class.cast()),
            )
        };
        let Some(class) = class else {
            let stock = object.getattr("__wrapped__").ok()?;
            return stock.call(args, keywords).err().filter(|error| is_misfit(py, error));
        };
        let stock = class.getattr(REPLACES.to_str().ok()?).or_else(|_| class.getattr("__base__"));
        let method = stock.and_then(|stock| stock.getattr(name)).ok()?;
        let all = PyTuple::new(py, std::iter::once(object).chain(args).collect::<Vec<_>>()).ok()?;
        method.call(all, keywords).err().filter(|error| is_misfit(py, error))
    }
}

fn is_misfit(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyTypeError>(py)
}

fn misfit() -> PyErr {
    PyTypeError::new_err("invalid arguments")
}
