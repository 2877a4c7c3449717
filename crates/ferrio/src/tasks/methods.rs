//! The Python face of `Task`, beside what it shares with Future.

use std::ffi::CStr;

use ferrio_capi::NativeClass;
use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, InitArguments, Object, finalized_by_collector};
use ferrio_capi::recursion;
use ferrio_capi::signature::Signature;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};

use super::task::{self, Parts, Task};
use super::{fields, gathering, name, registry, wrapper};
use crate::futures::{AsFuture, attributes, callbacks, methods as future_methods};
use crate::names::{self, boolean, none};

#[cfg(Py_3_12)]
static INIT: Signature<5> = Signature {
    format: c"O|$OOOO:Task",
    names: [c"coro", c"loop", c"name", c"context", c"eager_start"],
    positional: 1,
    required: 1,
};

#[cfg(not(Py_3_12))]
static INIT: Signature<4> = Signature {
    format: c"O|$OOO:Task",
    names: [c"coro", c"loop", c"name", c"context"],
    positional: 1,
    required: 1,
};

#[cfg(Py_3_12)]
const DOC: &CStr = c"Task(coro, *, loop=None, name=None, context=None, eager_start=False)\n--\n\nA coroutine that an event loop drives; see asyncio.Task.";

#[cfg(not(Py_3_12))]
const DOC: &CStr = c"Task(coro, *, loop=None, name=None, context=None)\n--\n\nA coroutine that an event loop drives; see asyncio.Task.";

fn init<'py>(this: &Bound<'py, Task>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let py = this.py();
    #[cfg(Py_3_12)]
    let [coro, event_loop, name, context, eager] = INIT.parse_init(&arguments)?;
    #[cfg(not(Py_3_12))]
    let [coro, event_loop, name, context] = INIT.parse_init(&arguments)?;
    let event_loop = future_methods::loop_or_default(py, event_loop)?;
    registry::remove(py, this.as_ptr(), this.state());
    #[cfg(Py_3_14)]
    crate::futures::awaited_by::clear(this.as_ptr(), py);
    this.as_future().state.reset(py, event_loop)?;
    let coro = coro.unwrap_or_else(|| none(py));
    #[cfg(Py_3_12)]
    let eager = eager.map_or(Ok(false), |eager| eager.is_truthy())?;
    #[cfg(not(Py_3_12))]
    let eager = false;
    task::adopt(this, Parts { coro, name, context, eager: Some(eager) })?;
    task::begin(this, eager)
}

fn cancel<'py>(this: &Bound<'py, Task>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let message = future_methods::cancel_message(&arguments)?;
    Ok(boolean(this.py(), cancel_task(this, message)?))
}

/// `Task.cancel`. CPython: _asyncio_Task_cancel_impl
fn cancel_task<'py>(this: &Bound<'py, Task>, message: Option<Bound<'py, PyAny>>) -> PyResult<bool> {
    let future = this.as_future().state;
    future.log_traceback.set(false);
    if !future.is_pending() {
        return Ok(false);
    }
    let state = this.state();
    state.cancel_requests.set(state.cancel_requests.get() + 1);
    if let Some(awaited) = state.waiter.get(this.py())
        && cancel_awaited(&awaited, message.clone())?
    {
        return Ok(true);
    }
    future.must_cancel.set(true);
    future.set_cancel_message(this.py(), message);
    Ok(true)
}

/// `awaited.cancel(msg=message)`.
pub fn cancel_awaited<'py>(
    awaited: &Bound<'py, PyAny>,
    message: Option<Bound<'py, PyAny>>,
) -> PyResult<bool> {
    // What is cancelled may await another, and so on.
    let _level = recursion::enter(awaited.py())?;
    if let Some(task) = task::as_exact(awaited) {
        return cancel_task(task, message);
    }
    if let Some(future) = future_methods::as_exact(awaited) {
        return future.as_future().cancel(message);
    }
    if let Some(gathering) = gathering::as_exact(awaited) {
        return gathering::cancel_children(gathering, message);
    }
    let py = awaited.py();
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "msg"), message)?;
    awaited.call_method(intern!(py, "cancel"), (), Some(&keywords))?.is_truthy()
}

fn cancelling<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    Ok(this.state().cancel_requests.get().into_pyobject(this.py())?.into_any())
}

fn uncancel<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    uncancel_task(this);
    cancelling(this)
}

/// Takes one request to cancel back; how many are left. CPython: _asyncio_Task_uncancel_impl
pub fn uncancel_task(this: &Bound<'_, Task>) -> u32 {
    let requests = &this.state().cancel_requests;
    if requests.get() > 0 {
        requests.set(requests.get() - 1);
        if cfg!(Py_3_13) && requests.get() == 0 {
            this.as_future().state.must_cancel.set(false);
        }
    }
    requests.get()
}

fn get_coro<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    Ok(fields::coro(this).get_or_none(this.py()))
}

fn get_context<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    Ok(fields::context(this).get_or_none(this.py()))
}

fn get_name<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    Ok(name::get(this))
}

fn set_name<'py>(this: &Bound<'py, Task>, value: &Bound<'py, PyAny>) -> Object<'py> {
    name::set(this, value)?;
    Ok(none(this.py()))
}

fn set_result<'py>(_: &Bound<'py, Task>, _: &Bound<'py, PyAny>) -> Object<'py> {
    Err(PyRuntimeError::new_err("Task does not support set_result operation"))
}

fn set_exception<'py>(_: &Bound<'py, Task>, _: &Bound<'py, PyAny>) -> Object<'py> {
    Err(PyRuntimeError::new_err("Task does not support set_exception operation"))
}

static GET_STACK: Signature<1> =
    Signature { format: c"|$O:get_stack", names: [c"limit"], positional: 0, required: 0 };

fn get_stack<'py>(this: &Bound<'py, Task>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [limit] = GET_STACK.parse(&arguments)?;
    names::TASK_GET_STACK.get(this.py())?.call1((this.as_any(), limit))
}

static PRINT_STACK: Signature<2> = Signature {
    format: c"|$OO:print_stack",
    names: [c"limit", c"file"],
    positional: 0,
    required: 0,
};

fn print_stack<'py>(this: &Bound<'py, Task>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    let [limit, file] = PRINT_STACK.parse(&arguments)?;
    names::TASK_PRINT_STACK.get(this.py())?.call1((this.as_any(), limit, file))
}

fn get_waiter<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    Ok(this.state().waiter.get_or_none(this.py()))
}

fn get_must_cancel<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    Ok(boolean(this.py(), this.as_future().state.must_cancel.get()))
}

fn get_log_destroy_pending<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    Ok(boolean(this.py(), !this.as_future().state.silent_destroy.get()))
}

fn set_log_destroy_pending<'py>(
    this: &Bound<'py, Task>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let refuse = || attributes::cannot_delete(this.as_any(), "_log_destroy_pending");
    let value = value.ok_or_else(refuse)?;
    this.as_future().state.silent_destroy.set(!value.is_truthy()?);
    Ok(())
}

fn repr<'py>(this: &Bound<'py, Task>) -> Object<'py> {
    this.as_future().state.ensure_alive()?;
    names::TASK_REPR.get(this.py())?.call1((this.as_any(),))
}

/// tp_finalize. CPython: TaskObj_finalize
fn finalize(this: &Bound<'_, Task>) -> PyResult<()> {
    if cfg!(not(Py_3_14)) && finalized_by_collector(this) {
        // By now stock's WeakSet has lost the task, also when a finalizer revives it.
        registry::remove(this.py(), this.as_ptr(), this.state());
    }
    report_destroyed(this)?;
    future_methods::finalize(this)
}

fn report_destroyed(this: &Bound<'_, Task>) -> PyResult<()> {
    let py = this.py();
    let state = this.as_future().state;
    if !state.is_pending() || state.silent_destroy.get() {
        return Ok(());
    }
    let Some(event_loop) = state.event_loop.get(py) else {
        return Ok(());
    };
    let report = PyDict::new(py);
    report.set_item("task", this.as_any())?;
    report.set_item("message", "Task was destroyed but it is pending!")?;
    if let Some(stack) = state.source_traceback(py) {
        report.set_item("source_traceback", stack)?;
    }
    event_loop.call_method1(intern!(py, "call_exception_handler"), (report,))?;
    Ok(())
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    callbacks::set_wakeup_factory(wrapper::wakeup_callable);
    fields::locate(py)?;
    let members = future_methods::members::<Task>()
        .init::<Task, _>(init)
        .keywords::<Task, _>(c"cancel(msg=None)", cancel, c"Request that this task cancel itself.")
        .noargs::<Task, _>(
            c"cancelling",
            cancelling,
            c"Return the count of the task's cancellation requests.",
        )
        .noargs::<Task, _>(
            c"uncancel",
            uncancel,
            c"Decrement the count of cancellation requests and return it.",
        )
        .noargs::<Task, _>(c"get_coro", get_coro, c"Return the coroutine.")
        .noargs::<Task, _>(c"get_context", get_context, c"Return the context.")
        .noargs::<Task, _>(c"get_name", get_name, c"Return the name.")
        .one::<Task, _>(c"set_name(value, /)", set_name, c"Set the name, as str(value).")
        .one::<Task, _>(
            c"set_result(result, /)",
            set_result,
            c"Not supported: the coroutine decides.",
        )
        .one::<Task, _>(
            c"set_exception(exception, /)",
            set_exception,
            c"Not supported: the coroutine decides.",
        )
        .keywords::<Task, _>(
            c"get_stack(*, limit=None)",
            get_stack,
            c"Return the stack frames of the coroutine.",
        )
        .keywords::<Task, _>(
            c"print_stack(*, limit=None, file=None)",
            print_stack,
            c"Print the stack or traceback of the coroutine.",
        )
        .get::<Task, _>(c"_coro", get_coro)
        .get::<Task, _>(c"_fut_waiter", get_waiter)
        .get::<Task, _>(c"_must_cancel", get_must_cancel)
        .get::<Task, _>(c"_num_cancels_requested", cancelling)
        .get_set::<Task, _, _>(
            c"_log_destroy_pending",
            get_log_destroy_pending,
            set_log_destroy_pending,
        )
        .unary_slot::<Task, _>(ffi::Py_tp_repr, repr)
        .finalize::<Task, _>(finalize)
        .doc(DOC);
    let base = names::STOCK_TASK.class(py)?;
    Task::class().create(py, c"ferrio.Task", base, members.into_slots())
}
