//! `Handle` and `TimerHandle`: native subclasses of asyncio's. Their fields are the very `__slots__`
//! of the base class, so every inherited method, repr and comparison works on them; native are
//! creation, `cancel` and the execution by the loop.
//!
//! Fields: `_callback`, `_args`, `_context`, `_loop`, `_cancelled`, `_repr`, `_source_traceback` in
//! the base's slots, and `_scheduled` for a TimerHandle. Only `_when` lies elsewhere: as a double in
//! the native state, and in its slot too when the caller gave something else than a float.
//! A TimerHandle is compact while `_args` holds a Future instead of a tuple: it is the timer of an
//! `asyncio.sleep`, will resolve that future with None, and has no context yet, since none is needed
//! for that; whoever reads `_args` or `_context` gets what stock would show.
//! Collection: a handle in a queue of a running loop is not tracked by the garbage collector: it is
//! reachable, and a hundred thousand timers need not be looked at in every collection. It is tracked
//! when it leaves the queue while somebody else holds it, when the loop stops, and from the beginning
//! when it is made for a loop that does not run.
//! Shutdown: freeing a handle frees its slots. A scheduled TimerHandle is owned by the loop's heap,
//! so it cannot be freed while its key is live.

mod access;
pub mod resting;
pub mod snapshot;
#[cfg(Py_3_14)]
pub mod thread_safe;

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::{Members, Object};
use ferrio_capi::slots::Member;
use ferrio_capi::{
    Class, NativeClass, Ref, Slot, State, StateOf, Visit, context, runtime, tracking,
};
use ferrio_core::timers::TimerKey;
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyFloat, PyTuple};
use pyo3::{PyTypeInfo, ffi};

pub use access::{AnyHandle, Timed};

use crate::names::{self, boolean, none};

static CALLBACK: Member = Member::new(c"_callback");
static ARGS: Member = Member::new(c"_args");
static CONTEXT: Member = Member::new(c"_context");
static LOOP: Member = Member::new(c"_loop");
static CANCELLED: Member = Member::new(c"_cancelled");
static REPR: Member = Member::new(c"_repr");
static SOURCE_TRACEBACK: Member = Member::new(c"_source_traceback");
static SCHEDULED: Member = Member::new(c"_scheduled");
static WHEN: Member = Member::new(c"_when");

static HANDLE: Class<Handle> = Class::new();
static TIMER_HANDLE: Class<TimerHandle> = Class::new();

/// A callback that the loop is to call: `ferrio.Handle`.
#[derive(Debug)]
pub struct Handle;

/// A callback that the loop is to call at a time: `ferrio.TimerHandle`.
#[derive(Debug)]
pub struct TimerHandle;

/// A Handle has no state beside its slots.
#[derive(Debug)]
pub struct HandleState;

/// What a TimerHandle adds to its slots.
#[derive(Debug)]
pub struct TimerHandleState {
    /// The deadline in seconds of the loop's clock, as the heap orders it.
    when: Cell<f64>,
    /// Where the loop's heap holds this handle. Means something only while `_scheduled` is true.
    key: Cell<TimerKey>,
}

// SAFETY: no bytes.
unsafe impl State for HandleState {
    fn traverse(&self, _: &Visit) -> Result<(), c_int> {
        Ok(())
    }

    fn clear(&self, _: Python<'_>) {}
}

// SAFETY: a double and two integers: zero is a value of each.
unsafe impl State for TimerHandleState {
    fn traverse(&self, _: &Visit) -> Result<(), c_int> {
        Ok(())
    }

    fn clear(&self, _: Python<'_>) {}
}

// SAFETY: the type object is the one that `create` made; instances are recognised by it.
unsafe impl PyTypeInfo for Handle {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        HANDLE.type_ptr()
    }
}

// SAFETY: as for Handle.
unsafe impl PyTypeInfo for TimerHandle {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        TIMER_HANDLE.type_ptr()
    }
}

impl DerefToPyAny for Handle {}

impl NativeClass for Handle {
    type State = HandleState;
    const TRACKED: bool = false;
    const KEPT: usize = KEPT;

    fn class() -> &'static Class<Self> {
        &HANDLE
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        COMMON_SLOTS.iter().try_for_each(|member| visit.slot(slot_of(member, object)))
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        COMMON_SLOTS.iter().for_each(|member| drop(slot_of(member, object).take(py)));
    }
}

impl DerefToPyAny for TimerHandle {}

impl NativeClass for TimerHandle {
    type State = TimerHandleState;
    const TRACKED: bool = false;
    const KEPT: usize = KEPT;

    fn class() -> &'static Class<Self> {
        &TIMER_HANDLE
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        Handle::traverse_base(object, visit)?;
        visit.slot(slot_of(&SCHEDULED, object))?;
        visit.slot(slot_of(&WHEN, object))
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        Handle::clear_base(object, py);
        drop(slot_of(&SCHEDULED, object).take(py));
        drop(slot_of(&WHEN, object).take(py));
    }
}

/// Memory of freed handles of each class that is kept. Most handles are not freed but rest.
const KEPT: usize = 256;

static COMMON_SLOTS: [&Member; 7] =
    [&CALLBACK, &ARGS, &CONTEXT, &LOOP, &CANCELLED, &REPR, &SOURCE_TRACEBACK];

/// A slot of a handle.
fn slot_of<'a>(member: &Member, handle: *mut ffi::PyObject) -> &'a Slot {
    // SAFETY: this module calls it with instances of Handle or TimerHandle only, whose base class
    // every member was located in before the types were made.
    unsafe { member.of(handle) }
}

/// Asks the processor to load the context of a queued handle, which is itself loaded already.
#[inline]
pub fn prefetch_context(handle: &Ref) {
    let object = handle.as_ptr();
    // SAFETY: reads the type of an object that the queue keeps alive.
    let kind = unsafe { ffi::Py_TYPE(object) };
    if kind == HANDLE.type_ptr() || kind == TIMER_HANDLE.type_ptr() {
        runtime::prefetch(slot_of(&CONTEXT, object).as_ptr());
    }
}

/// Shows a queued handle of any class to the collector from now on.
pub fn track(handle: &Bound<'_, PyAny>) {
    if let Some(handle) = as_handle(handle) {
        tracking::track(handle);
    } else if let Some(handle) = as_timer_handle(handle) {
        tracking::track(handle);
    }
    #[cfg(Py_3_14)]
    if let Some(handle) = thread_safe::cast(handle) {
        tracking::track(handle);
    }
}

/// What a handle is made of.
#[derive(Debug)]
pub struct Parts<'a, 'py> {
    /// The function to call.
    pub callback: &'a Bound<'py, PyAny>,
    /// Its positional arguments.
    pub args: Bound<'py, PyTuple>,
    /// The loop it belongs to.
    pub event_loop: &'a Bound<'py, PyAny>,
    /// The context to call it in, or a snapshot; a copy of the current one when None.
    pub context: Option<Bound<'py, PyAny>>,
}

/// A Handle outside of debug mode (no source traceback).
pub fn new_handle<'py>(py: Python<'py>, parts: Parts<'_, 'py>) -> PyResult<Bound<'py, Handle>> {
    let handle = match resting::handle(py) {
        Some(handle) => handle,
        None => with_constants(HANDLE.alloc(py)?),
    };
    fill(&handle, parts)?;
    Ok(handle)
}

/// A TimerHandle outside of debug mode, not scheduled yet. `given` is the caller's deadline when it
/// is not a plain float: `_when` shows it as it came.
pub fn new_timer_handle<'py>(
    py: Python<'py>,
    when: f64,
    given: Option<Bound<'py, PyAny>>,
    parts: Parts<'_, 'py>,
) -> PyResult<Bound<'py, TimerHandle>> {
    let handle = timer(py, when)?;
    fill(&handle, parts)?;
    if let Some(given) = given {
        slot_of(&WHEN, handle.as_ptr()).set(given);
    }
    Ok(handle)
}

/// The compact TimerHandle of an `asyncio.sleep`: `callback(future, None)`.
pub fn new_sleep_handle<'py>(
    when: f64,
    callback: &Bound<'py, PyAny>,
    future: Bound<'py, PyAny>,
    event_loop: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, TimerHandle>> {
    let py = callback.py();
    let handle = timer(py, when)?;
    handle.event_loop().set(event_loop.clone());
    handle.callback().set(callback.clone());
    handle.args().set(future);
    Ok(handle)
}

/// A TimerHandle with nothing to call.
#[inline]
fn timer(py: Python<'_>, when: f64) -> PyResult<Bound<'_, TimerHandle>> {
    let handle = match resting::timer(py) {
        Some(handle) => handle,
        None => {
            let handle = with_constants(TIMER_HANDLE.alloc(py)?);
            slot_of(&SCHEDULED, handle.as_ptr()).set(boolean(py, false));
            handle
        }
    };
    handle.state().when.set(when);
    Ok(handle)
}

/// A handle with the fields that are the same in each new one. CPython: Handle.__init__
fn with_constants<'py, C: NativeClass>(handle: Bound<'py, C>) -> Bound<'py, C>
where
    Bound<'py, C>: AnyHandle<'py>,
{
    let py = handle.py();
    slot_of(&CANCELLED, handle.address()).set(boolean(py, false));
    handle.kept_repr().set(none(py));
    handle.source_traceback().set(none(py));
    handle
}

/// Sets the others. CPython: Handle.__init__
#[inline]
fn fill<'py, H: AnyHandle<'py>>(handle: &H, parts: Parts<'_, 'py>) -> PyResult<()> {
    let context = match parts.context {
        Some(context) if !context.is_none() => context,
        _ => context::copy_current(parts.callback.py())?,
    };
    handle.context().set(context);
    handle.event_loop().set(parts.event_loop.clone());
    handle.callback().set(parts.callback.clone());
    handle.args().set(parts.args);
    Ok(())
}

/// Whether the heap does not hold the timer, and its deadline is in its native state alone.
#[inline]
fn is_unscheduled(timer: &Bound<'_, TimerHandle>) -> bool {
    timer.key().is_none() && !slot_of(&WHEN, timer.as_ptr()).is_set()
}

/// `object` as a Handle when it is exactly one.
#[inline]
pub fn as_handle<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Handle>> {
    HANDLE.cast_exact(object)
}

/// `object` as a TimerHandle when it is exactly one.
#[inline]
pub fn as_timer_handle<'a, 'py>(
    object: &'a Bound<'py, PyAny>,
) -> Option<&'a Bound<'py, TimerHandle>> {
    TIMER_HANDLE.cast_exact(object)
}

fn get_when<'py>(this: &Bound<'py, TimerHandle>) -> Object<'py> {
    let py = this.py();
    let given = slot_of(&WHEN, this.as_ptr()).get(py);
    Ok(given.unwrap_or_else(|| PyFloat::new(py, this.when()).into_any()))
}

fn get_args<'py>(this: &Bound<'py, TimerHandle>) -> Object<'py> {
    let py = this.py();
    match this.args().get(py) {
        Some(args) if args.is_none() || args.is_instance_of::<PyTuple>() => Ok(args),
        Some(future) => Ok(PyTuple::new(py, [future, none(py)])?.into_any()),
        None => Err(PyAttributeError::new_err("_args")),
    }
}

fn set_args<'py>(
    this: &Bound<'py, TimerHandle>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    this.args().replace(this.py(), value.cloned());
    Ok(())
}

fn get_own_context<'py>(this: &Bound<'py, Handle>) -> Object<'py> {
    this.show_context(this.py())
}

fn set_own_context<'py>(
    this: &Bound<'py, Handle>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    AnyHandle::context(this).replace(this.py(), value.cloned());
    Ok(())
}

fn get_context<'py>(this: &Bound<'py, TimerHandle>) -> Object<'py> {
    this.show_context(this.py())
}

fn set_context<'py>(
    this: &Bound<'py, TimerHandle>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    AnyHandle::context(this).replace(this.py(), value.cloned());
    Ok(())
}

fn set_when<'py>(
    this: &Bound<'py, TimerHandle>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let Some(value) = value else {
        return Err(PyAttributeError::new_err("_when"));
    };
    this.state().when.set(value.extract::<f64>()?);
    let given = (!value.is_exact_instance_of::<PyFloat>()).then(|| value.clone());
    slot_of(&WHEN, this.as_ptr()).replace(this.py(), given);
    Ok(())
}

/// Makes both types. Cancelling needs the loop, so the functions that do it come from above.
pub fn create<F, G>(py: Python<'_>, cancel_handle: F, cancel_timer: G) -> PyResult<()>
where
    F: for<'py> Fn(&Bound<'py, Handle>) -> Object<'py> + Copy,
    G: for<'py> Fn(&Bound<'py, TimerHandle>) -> Object<'py> + Copy,
{
    let handle = names::HANDLE.class(py)?;
    let timer = names::TIMER_HANDLE.class(py)?;
    for member in COMMON_SLOTS {
        member.locate(handle)?;
    }
    SCHEDULED.locate(timer)?;
    WHEN.locate(timer)?;
    let cancel_doc = c"Cancel the callback: it will not be called.";
    let cancelled_doc = c"Return True if the callback was cancelled.";
    let members = Members::default()
        .noargs::<Handle, _>(c"cancel", cancel_handle, cancel_doc)
        .noargs::<Handle, _>(c"cancelled", |this| this.show_cancelled(this.py()), cancelled_doc)
        .get_set::<Handle, _, _>(c"_context", get_own_context, set_own_context)
        .doc(c"Object returned by callback registration methods.");
    HANDLE.create(py, c"ferrio.Handle", handle, members.into_slots())?;
    let members = Members::default()
        .noargs::<TimerHandle, _>(c"cancel", cancel_timer, cancel_doc)
        .noargs::<TimerHandle, _>(
            c"cancelled",
            |this| this.show_cancelled(this.py()),
            cancelled_doc,
        )
        .noargs::<TimerHandle, _>(c"when", get_when, c"Return a scheduled callback time.")
        .get_set::<TimerHandle, _, _>(c"_when", get_when, set_when)
        .get_set::<TimerHandle, _, _>(c"_args", get_args, set_args)
        .get_set::<TimerHandle, _, _>(c"_context", get_context, set_context)
        .doc(c"Object returned by timed callback registration methods.");
    TIMER_HANDLE.create(py, c"ferrio.TimerHandle", timer, members.into_slots())
}
