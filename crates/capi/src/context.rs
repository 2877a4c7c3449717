//! contextvars from native code. Reference: Include/cpython/context.h.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

/// A copy of the thread's current context, as `contextvars.copy_context()` gives it.
#[inline]
pub fn copy_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached; returns a new reference or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// Whether `object` is a `contextvars.Context`.
#[inline]
#[must_use]
pub fn is_context(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: reads the type of a live object.
    unsafe { ffi::PyContext_CheckExact(object.as_ptr()) != 0 }
}

/// Runs `body` inside `context`, as `Context.run` does, without building its arguments.
///
/// # Errors
/// RuntimeError when the context is already entered, what looking up `run` raises when it is not a
/// context; `body` did not run then.
#[inline]
pub fn run_in<R>(context: &Bound<'_, PyAny>, body: impl FnOnce() -> R) -> PyResult<R> {
    let entered = enter(context)?;
    let outcome = body();
    drop(entered);
    Ok(outcome)
}

/// [`run_in`] of a body that may fail, with one result in the place of one in another: that is copied in
/// pieces that straddle the words just written, which the processor waits for (`perf annotate`).
///
/// # Errors
/// As for [`run_in`], and what `body` raises.
#[inline]
pub fn run_fallible_in<R>(
    context: &Bound<'_, PyAny>,
    body: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    let entered = enter(context)?;
    let outcome = body();
    drop(entered);
    outcome
}

#[inline]
fn enter<'a, 'py>(context: &'a Bound<'py, PyAny>) -> PyResult<Entered<'a, 'py>> {
    if !is_context(context) {
        return Err(not_a_context(context));
    }
    // SAFETY: attached, and the type was checked.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(context.py()));
    }
    Ok(Entered(context))
}

/// CPython: Handle._run, which calls `context.run`.
#[cold]
fn not_a_context(object: &Bound<'_, PyAny>) -> PyErr {
    match object.getattr("run") {
        Err(error) => error,
        Ok(_) => {
            let name = object.get_type().name().map(|name| name.to_string()).unwrap_or_default();
            PyTypeError::new_err(format!("a Context was expected, got '{name}'"))
        }
    }
}

/// Leaves the context on drop, also when `body` panics.
struct Entered<'a, 'py>(&'a Bound<'py, PyAny>);

impl Drop for Entered<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        // PyContext_Exit must not see or lose an exception that the body left set; our bodies
        // return theirs as PyErr, so none is pending here.
        // SAFETY: attached; this guard exists only after a successful PyContext_Enter.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } < 0 {
            PyErr::fetch(self.0.py()).write_unraisable(self.0.py(), Some(self.0));
        }
    }
}

/// A copy of `context`, as its `copy()` gives it.
///
/// # Errors
/// TypeError when it is no context.
#[inline]
pub fn copy<'py>(context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a live object, whose type CPython checks; returns a new reference or null.
    unsafe { Bound::from_owned_ptr_or_err(context.py(), ffi::PyContext_Copy(context.as_ptr())) }
}

/// Bytes from the start of a context to its pointer to its variables; 0 when it was not found.
static VARIABLES: AtomicUsize = AtomicUsize::new(0);

/// A number that two contexts share when, and only when, they have the same variables with the same
/// values, as long as one of both lives: the address of the mapping, which is never changed but
/// replaced. CPython: Python/context.c (PyContextObject.ctx_vars), Python/hamt.c. None when it is not
/// known where it lies, or `context` is none.
#[inline]
#[must_use]
pub fn variables(context: &Bound<'_, PyAny>) -> Option<usize> {
    let offset = VARIABLES.load(Ordering::Relaxed);
    if offset == 0 || !is_context(context) {
        return None;
    }
    // SAFETY: a context, in whose structure `locate_variables` found a word at this offset.
    Some(unsafe { context.as_ptr().byte_add(offset).cast::<usize>().read() })
}

/// Bytes from the start of a thread state to its pointer to the current context; 0 when it was not found.
static CURRENT: AtomicUsize = AtomicUsize::new(0);

/// [`variables`] of the thread's current context, which is not copied for it. None also while the
/// thread has no context yet.
#[inline]
#[must_use]
pub fn current_variables(_: Python<'_>) -> Option<usize> {
    let (current, variables) = (CURRENT.load(Ordering::Relaxed), VARIABLES.load(Ordering::Relaxed));
    if current == 0 || variables == 0 {
        return None;
    }
    // SAFETY: an attached thread has a state, in whose structure `locate_current` found the pointer to
    // its context at this offset; what that points to, if anything, is a context that it keeps alive.
    unsafe {
        let context = ffi::PyThreadState_Get().byte_add(current).cast::<*mut u8>().read();
        (!context.is_null()).then(|| context.add(variables).cast::<usize>().read())
    }
}

/// Finds where a thread state points to the current context: the one word that is the address of a
/// context while that is entered, and only then. CPython: Include/cpython/pystate.h (_ts.context).
///
/// # Errors
/// What contextvars raises.
pub fn locate_current(py: Python<'_>) -> PyResult<()> {
    let probe = py.import("contextvars")?.getattr("Context")?.call0()?;
    let at = |index: usize| {
        // SAFETY: attached; the structure is longer than this on every version that is served.
        unsafe { ffi::PyThreadState_Get().cast::<usize>().add(index).read() }
    };
    let address = probe.as_ptr() as usize;
    let holds = |index: &usize| at(*index) == address;
    let entered: Vec<usize> = run_in(&probe, || (0..THREAD_STATE_WORDS).filter(holds).collect())?;
    if let [index] = entered[..]
        && at(index) != address
    {
        CURRENT.store(index * size_of::<usize>(), Ordering::Relaxed);
    }
    Ok(())
}

/// Words of a thread state that are searched. It has 44 and more from 3.11 to 3.14, and the context is
/// among the first 32.
const THREAD_STATE_WORDS: usize = 40;

/// Finds where a context holds its variables: the one word that copies share, and that a change of a
/// variable changes. Finds nothing in a context of another shape.
///
/// # Errors
/// What contextvars raises.
pub fn locate_variables(py: Python<'_>) -> PyResult<()> {
    let contextvars = py.import("contextvars")?;
    let variable = contextvars.getattr("ContextVar")?.call1(("ferrio",))?;
    let set = variable.getattr("set")?;
    let empty = contextvars.getattr("Context")?.call0()?;
    let one = empty.call_method0("copy")?;
    one.call_method1("run", (&set, 1))?;
    let (same, changed) = (copy(&one)?, copy(&one)?);
    changed.call_method1("run", (&set, 2))?;
    let word = size_of::<usize>();
    // SAFETY: the type of a live object.
    let size = unsafe { (*ffi::Py_TYPE(one.as_ptr())).tp_basicsize };
    let words = usize::try_from(size).unwrap_or_default() / word;
    let at = |context: &Bound<'_, PyAny>, index: usize| {
        // SAFETY: within the instance, which is `basicsize` bytes of pointers and integers.
        unsafe { context.as_ptr().cast::<usize>().add(index).read() }
    };
    let mut found = (size_of::<ffi::PyObject>() / word..words).filter(|index| {
        let mapping = at(&one, *index);
        mapping != 0
            && mapping == at(&same, *index)
            && mapping != at(&changed, *index)
            && mapping != at(&empty, *index)
            && at(&empty, *index) != 0
    });
    if let (Some(index), None) = (found.next(), found.next()) {
        VARIABLES.store(index * word, Ordering::Relaxed);
    }
    Ok(())
}
