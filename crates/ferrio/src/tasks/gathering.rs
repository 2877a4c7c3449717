//! The future that `gather` gives. It is here because a task that waits for it resumes, and is
//! cancelled, without Python.
//!
//! State: a Future whose outcome is set when its children are done.
//! Fields: `children` is a list, which Python may change.

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{Arguments, InitArguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::prelude::*;
use pyo3::types::DerefToPyAny;
use pyo3::{PyTypeInfo, ffi};

use super::methods::cancel_awaited;
use crate::errors;
#[cfg(Py_3_14)]
use crate::futures::awaited_by;
use crate::futures::{AsFuture, FutureClass, FutureState, methods as futures};
use crate::loop_state::EventLoop;
use crate::names::{self, boolean, none};

static GATHERING: Class<GatheringFuture> = Class::new();

/// `asyncio.tasks._GatheringFuture`.
#[derive(Debug)]
pub struct GatheringFuture;

/// The native part. All-zero is a future whose `__init__` did not run.
pub struct GatheringState {
    future: FutureState,
    pub children: Slot,
    /// `_cancel_requested`: a child has been cancelled by [`cancel_children`].
    pub cancel_requested: Cell<bool>,
}

// SAFETY: the future's part promises the same; an empty slot and false are all-zero.
unsafe impl State for GatheringState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.future.traverse(visit)?;
        visit.slot(&self.children)
    }

    fn clear(&self, py: Python<'_>) {
        self.future.clear(py);
        drop(self.children.take(py));
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for GatheringFuture {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        GATHERING.type_ptr()
    }
}

impl DerefToPyAny for GatheringFuture {}

impl NativeClass for GatheringFuture {
    type State = GatheringState;
    const KEPT: usize = 64;

    fn class() -> &'static Class<Self> {
        &GATHERING
    }

    #[cfg(Py_3_14)]
    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        awaited_by::traverse(object, visit)
    }

    #[cfg(Py_3_14)]
    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        awaited_by::clear(object, py);
    }

    fn needs_finalizer(state: &GatheringState) -> bool {
        state.future.log_traceback.get()
    }
}

impl FutureClass for GatheringFuture {
    fn future(state: &GatheringState) -> &FutureState {
        &state.future
    }
}

/// `object` as a GatheringFuture when it is exactly one.
#[inline]
pub fn as_exact<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, GatheringFuture>> {
    GATHERING.cast_exact(object)
}

/// The future of these children.
pub fn new<'py>(
    event_loop: &Bound<'py, EventLoop>,
    children: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, GatheringFuture>> {
    let this = GATHERING.alloc(event_loop.py())?;
    this.as_future().state.reset(event_loop.py(), event_loop.as_any().clone())?;
    this.state().children.set(children);
    Ok(this)
}

static INIT: Signature<2> = Signature {
    format: c"O$O:_GatheringFuture",
    names: [c"children", c"loop"],
    positional: 1,
    required: 2,
};

fn init<'py>(
    this: &Bound<'py, GatheringFuture>,
    arguments: InitArguments<'_, 'py>,
) -> PyResult<()> {
    let py = this.py();
    let [children, event_loop] = INIT.parse_init(&arguments)?;
    #[cfg(Py_3_14)]
    awaited_by::clear(this.as_ptr(), py);
    this.as_future().state.reset(py, event_loop.unwrap_or_else(|| none(py)))?;
    this.state().children.replace(py, children);
    this.state().cancel_requested.set(false);
    Ok(())
}

fn cancel<'py>(this: &Bound<'py, GatheringFuture>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let message = futures::cancel_message(&arguments)?;
    Ok(boolean(this.py(), cancel_children(this, message)?))
}

/// Cancels the children; whether one of them was still to be cancelled.
/// CPython: _GatheringFuture.cancel
pub fn cancel_children<'py>(
    this: &Bound<'py, GatheringFuture>,
    message: Option<Bound<'py, PyAny>>,
) -> PyResult<bool> {
    let state = this.state();
    if !state.future.is_pending() {
        return Ok(false);
    }
    let mut cancelled = false;
    for child in state.children.get_or_none(this.py()).try_iter()? {
        cancelled |= cancel_awaited(&child?, message.clone())?;
    }
    if cancelled {
        state.cancel_requested.set(true);
    }
    Ok(cancelled)
}

fn children<'py>(this: &Bound<'py, GatheringFuture>) -> Object<'py> {
    Ok(this.state().children.get_or_none(this.py()))
}

fn set_children(
    this: &Bound<'_, GatheringFuture>,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    this.state().children.set(value.ok_or_else(errors::cannot_be_deleted)?.clone());
    Ok(())
}

fn cancel_requested<'py>(this: &Bound<'py, GatheringFuture>) -> Object<'py> {
    Ok(boolean(this.py(), this.state().cancel_requested.get()))
}

fn set_cancel_requested(
    this: &Bound<'_, GatheringFuture>,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let value = value.ok_or_else(errors::cannot_be_deleted)?;
    this.state().cancel_requested.set(value.is_truthy()?);
    Ok(())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = futures::settable::<GatheringFuture>(futures::members::<GatheringFuture>())
        .init::<GatheringFuture, _>(init)
        .keywords::<GatheringFuture, _>(c"cancel(msg=None)", cancel, c"Cancel the children.")
        .get_set::<GatheringFuture, _, _>(c"_children", children, set_children)
        .get_set::<GatheringFuture, _, _>(
            c"_cancel_requested",
            cancel_requested,
            set_cancel_requested,
        )
        .doc(c"The results of several futures; see asyncio.gather.");
    let base = names::STOCK_FUTURE.class(py)?;
    GATHERING.create(py, c"asyncio.tasks._GatheringFuture", base, members.into_slots())
}
