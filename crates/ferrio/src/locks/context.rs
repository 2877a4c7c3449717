//! `acquire`, `release` and `async with`, which Lock, Condition and Semaphore have in common.
//! CPython: asyncio.locks._ContextManagerMixin

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::signature::Signature;
use pyo3::intern;
use pyo3::prelude::*;

use super::waiters::Waited;
use crate::coroutine::{self, Coroutine, Kind, Progress, awaiting};
use crate::names::none;

/// What is acquired and released.
pub trait Acquired: Waited {
    /// `__aenter__`.
    const ENTER: &'static Kind;
    /// `__aexit__`.
    const EXIT: &'static Kind;
    /// `acquire()`.
    const ACQUIRE: &'static Kind;

    /// `release()`.
    ///
    /// # Errors
    /// Those of stock's.
    fn release(this: &Bound<'_, Self>) -> PyResult<()>;
}

/// The kind of `__aenter__`.
pub const fn enter<C: Acquired>() -> Kind {
    Kind {
        name: "__aenter__",
        qualified_name: "_ContextManagerMixin.__aenter__",
        start: begin_to_enter::<C>,
        resume: entered::<C>,
    }
}

/// The kind of `__aexit__`.
pub const fn exit<C: Acquired>() -> Kind {
    Kind {
        name: "__aexit__",
        qualified_name: "_ContextManagerMixin.__aexit__",
        start: leave::<C>,
        resume: coroutine::never_resumed,
    }
}

/// In `number`: somebody replaced `acquire`, and what waits is what theirs gave.
const REPLACED: i64 = 1;

fn begin_to_enter<'py, C: Acquired>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let lock = coroutine::owner::<C>(this)?;
    if C::is_plain(&lock) {
        return (C::ACQUIRE.start)(this).map(without_value);
    }
    this.state().number.set(REPLACED);
    awaiting(lock.as_any().call_method0(intern!(this.py(), "acquire"))?)
}

fn entered<'py, C: Acquired>(
    this: &Bound<'py, Coroutine>,
    outcome: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Progress<'py>> {
    if this.state().number.get() == REPLACED {
        return outcome.map(|_| Progress::Return(none(this.py())));
    }
    (C::ACQUIRE.resume)(this, outcome).map(without_value)
}

fn leave<'py, C: Acquired>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let lock = coroutine::owner::<C>(this)?;
    if C::is_plain(&lock) {
        C::release(&lock)?;
    } else {
        lock.as_any().call_method0(intern!(this.py(), "release"))?;
    }
    Ok(Progress::Return(none(this.py())))
}

fn without_value(progress: Progress<'_>) -> Progress<'_> {
    match progress {
        Progress::Return(value) => Progress::Return(none(value.py())),
        waiting => waiting,
    }
}

fn acquire<'py, C: Acquired>(this: &Bound<'py, C>) -> Object<'py> {
    coroutine::new(this, C::ACQUIRE).map(Bound::into_any)
}

fn release<'py, C: Acquired>(this: &Bound<'py, C>) -> Object<'py> {
    C::release(this)?;
    Ok(none(this.py()))
}

fn aenter<'py, C: Acquired>(this: &Bound<'py, C>) -> Object<'py> {
    coroutine::new(this, C::ENTER).map(Bound::into_any)
}

static EXIT: Signature<3> = Signature {
    format: c"OOO:__aexit__",
    names: [c"exc_type", c"exc", c"tb"],
    positional: 3,
    required: 3,
};

/// Checks the arguments of `__aexit__`.
///
/// # Errors
/// TypeError in stock's words.
pub fn check_exit(arguments: &Arguments<'_, '_>) -> PyResult<()> {
    if arguments.positional_len() == 3 && arguments.names().is_none() {
        return Ok(());
    }
    EXIT.parse(arguments).map(drop)
}

fn aexit<'py, C: Acquired>(this: &Bound<'py, C>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    check_exit(&arguments)?;
    coroutine::new(this, C::EXIT).map(Bound::into_any)
}

/// Adds the methods to the class.
pub fn members<C: Acquired>(members: Members) -> Members {
    members
        .noargs::<C, _>(c"acquire", acquire::<C>, c"Wait until it can be acquired; return True.")
        .noargs::<C, _>(c"release", release::<C>, c"Release it and wake who waits for that.")
        .noargs::<C, _>(c"__aenter__", aenter::<C>, c"Acquire.")
        .keywords::<C, _>(c"__aexit__", aexit::<C>, c"Release.")
}

/// `__aenter__` or `__aexit__` of an object of any class.
type Special = for<'py> fn(&Bound<'py, PyAny>) -> Object<'py>;

/// Has the interpreter bind `__aenter__` and `__aexit__` of the class without an allocation. From 3.14
/// on it calls them without binding them.
///
/// # Errors
/// MemoryError.
pub fn bind_cheaply<C: Acquired>(py: Python<'_>, enter: Special, exit: Special) -> PyResult<()> {
    #[cfg(not(Py_3_14))]
    {
        ferrio_capi::special_method::replace::<C>(py, c"__aenter__", 0, enter)?;
        ferrio_capi::special_method::replace::<C>(py, c"__aexit__", 3, exit)?;
    }
    #[cfg(Py_3_14)]
    let _ = (py, enter, exit);
    Ok(())
}

/// `__aenter__` for [`bind_cheaply`].
pub fn enter_any<'py, C: Acquired>(this: &Bound<'py, PyAny>) -> Object<'py> {
    aenter(this.cast::<C>()?)
}

/// `__aexit__` for [`bind_cheaply`].
pub fn exit_any<'py, C: Acquired>(this: &Bound<'py, PyAny>) -> Object<'py> {
    coroutine::new(this.cast::<C>()?, C::EXIT).map(Bound::into_any)
}
