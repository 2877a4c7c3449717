//! The done-callbacks that combinators put on futures: what stock writes as an inner function. On a
//! loop of ours they run without a call through Python. A [`Kind`] says what one does.
//!
//! Fields: `owner`, `first`, `second`, `number`, `total` and `flag` belong to the kind.

use std::cell::Cell;
use std::ffi::c_int;
use std::fmt::Write;

use ferrio_capi::method::{Members, Object};
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyDict, PyString, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

use crate::names::{self, Imported, none};

static CALLBACK: Class<Callback> = Class::new();

/// A native callback.
#[derive(Debug)]
pub struct Callback;

/// What a callback does.
pub struct Kind {
    /// The `__qualname__` of stock's.
    pub qualified_name: &'static str,
    /// Stock's function, or the one in which it is written, where that has a place to show. With an owner
    /// stock's is a `functools.partial` of the function, and the owner its argument.
    pub inside: Option<&'static Imported>,
    /// How many arguments stock's takes. The first is for `run`; the callback has what else it needs.
    pub takes: usize,
    /// Does it, with the future that is done.
    pub run: for<'py> fn(&Bound<'py, Callback>, &Bound<'py, PyAny>) -> PyResult<()>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Kind({})", self.qualified_name)
    }
}

/// The native part of a callback. All-zero is one without kind, which cannot be called.
#[derive(Debug)]
pub struct CallbackState {
    kind: Cell<Option<&'static Kind>>,
    pub owner: Slot,
    pub first: Slot,
    pub second: Slot,
    pub number: Cell<usize>,
    pub total: Cell<usize>,
    pub flag: Cell<bool>,
}

// SAFETY: `None`, empty slots, zeroes and false are all-zero.
unsafe impl State for CallbackState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        [&self.owner, &self.first, &self.second].into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.owner.take(py));
        drop(self.first.take(py));
        drop(self.second.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Callback {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        CALLBACK.type_ptr()
    }
}

impl DerefToPyAny for Callback {}

impl NativeClass for Callback {
    type State = CallbackState;
    const KEPT: usize = 64;

    fn class() -> &'static Class<Self> {
        &CALLBACK
    }
}

/// A callback of `kind`.
#[inline]
pub fn new<'py>(py: Python<'py>, kind: &'static Kind) -> PyResult<Bound<'py, Callback>> {
    let this = CALLBACK.alloc(py)?;
    this.state().kind.set(Some(kind));
    Ok(this)
}

/// `object` as a callback of ours.
#[inline]
pub fn as_callback<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Callback>> {
    CALLBACK.cast_exact(object)
}

/// `callback(future)`.
///
/// # Errors
/// Those of its kind.
#[inline]
pub fn run<'py>(this: &Bound<'py, Callback>, future: &Bound<'py, PyAny>) -> PyResult<()> {
    (kind(this)?.run)(this, future)
}

fn kind(this: &Bound<'_, Callback>) -> PyResult<&'static Kind> {
    this.state().kind.get().ok_or_else(|| PyRuntimeError::new_err("the callback has no body"))
}

fn call<'py>(this: &Bound<'py, Callback>, args: &Bound<'py, PyTuple>) -> Object<'py> {
    let py = this.py();
    let kind = kind(this)?;
    if args.len() != kind.takes {
        let name = kind.qualified_name;
        let text = format!("{name}() takes {} positional arguments", kind.takes);
        return Err(PyTypeError::new_err(text));
    }
    let first = if args.is_empty() { none(py) } else { args.get_item(0)? };
    (kind.run)(this, &first)?;
    Ok(none(py))
}

/// Of a partial, with its argument, as reprs have it.
fn qualified_name<'py>(this: &Bound<'py, Callback>) -> Object<'py> {
    let py = this.py();
    let kind = kind(this)?;
    let mut name = kind.qualified_name.to_owned();
    if kind.inside.is_some_and(|inside| inside.has_name(&name))
        && let Some(owner) = this.state().owner.get(py)
    {
        // CPython: format_helpers._format_args_and_kwargs
        let short = names::REPR.get(py)?.call1((owner,))?;
        write!(name, "({short})").unwrap_or_default();
    }
    Ok(PyString::new(py, &name).into_any())
}

fn short_name(kind: &Kind) -> &'static str {
    kind.qualified_name.rsplit('.').next().unwrap_or_default()
}

fn name<'py>(this: &Bound<'py, Callback>) -> Object<'py> {
    Ok(PyString::new(this.py(), short_name(kind(this)?)).into_any())
}

fn repr<'py>(this: &Bound<'py, Callback>) -> Object<'py> {
    let name = kind(this)?.qualified_name;
    let text = format!("<function {name} at {:#x}>", this.as_ptr() as usize);
    Ok(PyString::new(this.py(), &text).into_any())
}

/// The function that stock would have put here, as far as reprs look at it: its file and line.
fn wrapped<'py>(this: &Bound<'py, Callback>) -> Object<'py> {
    let py = this.py();
    let missing = || PyAttributeError::new_err("__wrapped__");
    let kind = kind(this)?;
    let mut stock = kind.inside.ok_or_else(missing)?.get(py)?.clone();
    // Of a class it is a method that the function lies in.
    for part in kind.qualified_name.split('.').skip(1).take_while(|part| *part != "<locals>") {
        stock = stock.getattr(part)?;
    }
    if stock.getattr(intern!(py, "__name__"))?.eq(short_name(kind))? {
        return Ok(stock);
    }
    let code = stock.getattr(intern!(py, "__code__"))?;
    for constant in code.getattr("co_consts")?.try_iter()? {
        let constant = constant?;
        let Ok(name) = constant.getattr("co_name") else { continue };
        if name.extract::<String>()? != short_name(kind) {
            continue;
        }
        let cell = names::CELL_TYPE.get(py)?;
        let free = constant.getattr("co_freevars")?.len()?;
        let cells = (0..free).map(|_| cell.call0()).collect::<PyResult<Vec<_>>>()?;
        let cells = PyTuple::new(py, cells)?;
        let arguments = (constant, PyDict::new(py), name, none(py), cells);
        return names::FUNCTION_TYPE.get(py)?.call1(arguments);
    }
    Err(missing())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = Members::default()
        .call_positional::<Callback, _>(call)
        .get::<Callback, _>(c"__name__", name)
        .get::<Callback, _>(c"__qualname__", qualified_name)
        .get::<Callback, _>(c"__wrapped__", wrapped)
        .unary_slot::<Callback, _>(ffi::Py_tp_repr, repr)
        .doc(c"A done-callback of a combinator.");
    CALLBACK.create(py, c"ferrio.Callback", &py.get_type::<PyAny>(), members.into_slots())
}
