//! The Python face of `Future`. Functions that Task shares are generic over the class.

use std::ffi::c_int;

use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, Visit, context, handled};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyDict};
use pyo3::{PyTypeInfo, ffi, intern};

#[cfg(Py_3_14)]
use super::awaited_by;
use super::future::{AsFuture, FutureClass, FutureState, Status};
use super::{attributes, iterator};
use crate::errors;
use crate::loop_state::{EventLoop, as_native, get};
use crate::names::{self, boolean, none};

static FUTURE: Class<Future> = Class::new();

/// `ferrio.Future`.
#[derive(Debug)]
pub struct Future;

// SAFETY: empty slots, `None`, false and `Status::Pending` are all-zero.
unsafe impl State for FutureState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        Self::traverse(self, visit)
    }

    fn clear(&self, py: Python<'_>) {
        Self::clear(self, py);
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Future {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        FUTURE.type_ptr()
    }
}

impl DerefToPyAny for Future {}

impl NativeClass for Future {
    type State = FutureState;
    const KEPT: usize = 256;

    fn class() -> &'static Class<Self> {
        &FUTURE
    }

    #[cfg(Py_3_14)]
    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        awaited_by::traverse(object, visit)
    }

    #[cfg(Py_3_14)]
    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        awaited_by::clear(object, py);
    }

    fn needs_finalizer(state: &FutureState) -> bool {
        state.log_traceback.get()
    }
}

impl FutureClass for Future {
    fn future(state: &FutureState) -> &FutureState {
        state
    }
}

/// `object` as a Future when it is exactly one.
#[inline]
pub fn as_exact<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Future>> {
    FUTURE.cast_exact(object)
}

/// What `slot` holds, when it is exactly a native Future.
#[inline]
pub fn held_in<'py>(slot: &Slot, py: Python<'py>) -> Option<Bound<'py, Future>> {
    FUTURE.state_in(slot)?;
    // SAFETY: its class was just compared.
    slot.get(py).map(|future| unsafe { future.cast_into_unchecked() })
}

/// `loop.create_future()`.
pub fn new<'py>(event_loop: &Bound<'py, EventLoop>) -> PyResult<Bound<'py, Future>> {
    let py = event_loop.py();
    let future = FUTURE.alloc(py)?;
    if get(&event_loop.get().debug) {
        future.as_future().state.reset(py, event_loop.as_any().clone())?;
    } else {
        future.as_future().state.begin(event_loop);
    }
    Ok(future)
}

/// `loop.create_future()` of any loop: past Python where nobody replaced it and debug mode wants no
/// traceback.
#[inline]
pub fn create_for<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match as_native(event_loop) {
        Some(native)
            if !get(&native.get().create_future_overridden) && !get(&native.get().debug) =>
        {
            new(native).map(Bound::into_any)
        }
        _ => event_loop.call_method0(intern!(event_loop.py(), "create_future")),
    }
}

static INIT: Signature<1> =
    Signature { format: c"|$O:Future", names: [c"loop"], positional: 0, required: 0 };

fn init<'py>(this: &Bound<'py, Future>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [event_loop] = INIT.parse_init(&arguments)?;
    let event_loop = loop_or_default(this.py(), event_loop)?;
    #[cfg(Py_3_14)]
    awaited_by::clear(this.as_ptr(), this.py());
    this.as_future().state.reset(this.py(), event_loop)
}

/// The loop that was named, or the current one.
pub fn loop_or_default<'py>(
    py: Python<'py>,
    event_loop: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    match event_loop {
        Some(event_loop) if !event_loop.is_none() => Ok(event_loop),
        _ => names::GET_EVENT_LOOP.get(py)?.call0(),
    }
}

/// `result()`.
pub fn result<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    this.as_future().result()
}

/// `exception()`. CPython: _asyncio_Future_exception_impl
pub fn exception<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    arguments.nothing("exception")?;
    let py = this.py();
    let state = this.as_future().state;
    match state.status() {
        Status::Pending if !state.event_loop.is_set() => {
            Err(errors::invalid_state(py, "Future object is not initialized."))
        }
        Status::Pending => Err(errors::invalid_state(py, "Exception is not set.")),
        Status::Cancelled => Err(handled::raise(py, &state.make_cancelled_error(py)?)),
        Status::Result => Ok(none(py)),
        Status::Exception => {
            state.log_traceback.set(false);
            Ok(state.value(py, Status::Exception).unwrap_or_else(|| none(py)))
        }
    }
}

/// `set_result(result)`.
pub fn set_result<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let value = arguments.only("set_result")?;
    this.as_future().set_result(value.clone())?;
    Ok(none(this.py()))
}

/// `set_exception(exception)`.
pub fn set_exception<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let value = arguments.only("set_exception")?;
    this.as_future().set_exception(value)?;
    Ok(none(this.py()))
}

static ADD_DONE_CALLBACK: Signature<2> = Signature {
    format: c"O|$O:add_done_callback",
    names: [c"", c"context"],
    positional: 1,
    required: 1,
};

/// `add_done_callback(fn, /, *, context=<current>)`.
pub fn add_done_callback<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let py = this.py();
    let [Some(callback), context] = ADD_DONE_CALLBACK.parse(&arguments)? else {
        return Err(errors::uninitialized());
    };
    let future = this.as_future();
    if !future.state.event_loop.is_set() {
        return Err(PyRuntimeError::new_err("uninitialized Future object"));
    }
    let context = match context {
        Some(context) => context.clone(),
        None => context::copy_current(py)?,
    };
    future.add_callback(callback, context)?;
    Ok(none(py))
}

/// `remove_done_callback(fn)`: how many were removed.
pub fn remove_done_callback<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let function = arguments.only("remove_done_callback")?;
    let future = this.as_future();
    future.state.ensure_alive()?;
    let removed = future.state.callbacks.remove(function)?;
    Ok(removed.into_pyobject(this.py())?.into_any())
}

static CANCEL: Signature<1> =
    Signature { format: c"|O:cancel", names: [c"msg"], positional: 1, required: 0 };

/// The `msg` of a `cancel(msg=None)` call.
pub fn cancel_message<'py>(arguments: &Arguments<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let [message] = CANCEL.parse(arguments)?;
    Ok(message.filter(|message| !message.is_none()).cloned())
}

fn cancel<'py>(this: &Bound<'py, Future>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let message = cancel_message(&arguments)?;
    let future = this.as_future();
    future.state.ensure_alive()?;
    Ok(boolean(this.py(), future.cancel(message)?))
}

fn cancelled<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    Ok(boolean(this.py(), this.as_future().state.status() == Status::Cancelled))
}

fn done<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    Ok(boolean(this.py(), !this.as_future().state.is_pending()))
}

fn get_loop<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    arguments.nothing("get_loop")?;
    this.as_future().state.event_loop.get(this.py()).ok_or_else(errors::uninitialized)
}

fn make_cancelled_error<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    arguments.nothing("_make_cancelled_error")?;
    this.as_future().state.make_cancelled_error(this.py())
}

/// The repr of a future that is no task.
pub fn repr<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    this.as_future().state.ensure_alive()?;
    names::FUTURE_REPR.get(this.py())?.call1((this.as_any(),))
}

/// tp_finalize: reports an exception that nobody retrieved. CPython: FutureObj_finalize
pub fn finalize<C: FutureClass>(this: &Bound<'_, C>) -> PyResult<()> {
    let py = this.py();
    let state = this.as_future().state;
    if !state.log_traceback.replace(false) {
        return Ok(());
    }
    let Some(event_loop) = state.event_loop.get(py) else {
        return Ok(());
    };
    let report = PyDict::new(py);
    let name = this.get_type().name()?;
    report.set_item("message", format!("{name} exception was never retrieved"))?;
    report.set_item("exception", state.value(py, Status::Exception))?;
    report.set_item("future", this.as_any())?;
    if let Some(stack) = state.source_traceback(py) {
        report.set_item("source_traceback", stack)?;
    }
    event_loop.call_method1(intern!(py, "call_exception_handler"), (report,))?;
    Ok(())
}

/// The methods and properties that Future and Task share.
pub fn members<C: FutureClass>() -> Members {
    attributes::add::<C>(Members::default())
        .noargs::<C, _>(c"result", result::<C>, c"Return the result, or raise the exception.")
        .keywords::<C, _>(
            c"exception()",
            exception::<C>,
            c"Return the exception that was set, or None.",
        )
        .keywords::<C, _>(
            c"add_done_callback(fn, /, *, context=None)",
            add_done_callback::<C>,
            c"Add a callback to be run when the future becomes done.",
        )
        .keywords::<C, _>(
            c"remove_done_callback(fn, /)",
            remove_done_callback::<C>,
            c"Remove all instances of a callback; return how many there were.",
        )
        .noargs::<C, _>(c"cancelled", cancelled::<C>, c"Return True if the future was cancelled.")
        .noargs::<C, _>(c"done", done::<C>, c"Return True if the future is done.")
        .keywords::<C, _>(
            c"get_loop()",
            get_loop::<C>,
            c"Return the event loop the future is bound to.",
        )
        .keywords::<C, _>(
            c"_make_cancelled_error()",
            make_cancelled_error::<C>,
            c"Create the CancelledError to raise if the future is cancelled.",
        )
        .class_getitem()
        .unary_slot::<C, _>(ffi::Py_tp_iter, iterator::new::<C>)
        .unary_slot::<C, _>(ffi::Py_am_await, iterator::new::<C>)
}

/// Adds what a future has whose outcome anybody sets.
pub fn settable<C: FutureClass>(members: Members) -> Members {
    members
        .keywords::<C, _>(
            c"set_result(result, /)",
            set_result::<C>,
            c"Mark the future done and set its result.",
        )
        .keywords::<C, _>(
            c"set_exception(exception, /)",
            set_exception::<C>,
            c"Mark the future done and set an exception.",
        )
        .unary_slot::<C, _>(ffi::Py_tp_repr, repr::<C>)
        .finalize::<C, _>(finalize::<C>)
}

/// Makes the types of this folder.
pub fn create(py: Python<'_>) -> PyResult<()> {
    iterator::create(py)?;
    let members = settable::<Future>(members::<Future>())
        .init::<Future, _>(init)
        .keywords::<Future, _>(
            c"cancel(msg=None)",
            cancel,
            c"Cancel the future and schedule its callbacks; False when it is already done.",
        )
        .doc(c"Future(*, loop=None)\n--\n\nA result that will be there later; see asyncio.Future.");
    let base = names::STOCK_FUTURE.class(py)?;
    FUTURE.create(py, c"ferrio.Future", base, members.into_slots())
}
