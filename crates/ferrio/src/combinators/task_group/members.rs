//! The Python face of `TaskGroup`.

use ferrio_capi::call::call_method;
use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, context};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PySet, PyString, PyTuple};
use pyo3::{ffi, intern};

use super::exiting::aexit;
use super::{TASK_GROUP, TaskGroup, any_future, cancel, cancel_tasks, done_callback, on_task_done};
use crate::coroutine::{self, Coroutine, Kind, Progress};
use crate::loop_state::{EventLoop, as_native};
use crate::names::{self, none};
use crate::properties::{flag_property, given, slot_property};
use crate::running;
use crate::tasks::task::{self, Parts};
use crate::tasks::{current, name};

static INIT: Signature<0> =
    Signature { format: c":TaskGroup", names: [], positional: 0, required: 0 };

fn init<'py>(this: &Bound<'py, TaskGroup>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [] = INIT.parse_init(&arguments)?;
    let py = this.py();
    let state = this.state();
    ferrio_capi::State::clear(state, py);
    state.tasks.set(PyDict::new(py).into_any());
    state.errors.set(PyList::empty(py));
    for flag in [
        &state.entered,
        &state.exiting,
        &state.aborting,
        &state.parent_cancel_requested,
        &state.cancel_on_enter,
        &state.cancelled,
    ] {
        flag.set(false);
    }
    Ok(())
}

static ENTER: Kind = Kind {
    name: "__aenter__",
    qualified_name: "TaskGroup.__aenter__",
    start: enter,
    resume: coroutine::never_resumed,
};

fn enter<'py>(this: &Bound<'py, Coroutine>) -> PyResult<Progress<'py>> {
    let py = this.py();
    let group = coroutine::owner::<TaskGroup>(this)?;
    let state = group.state();
    if state.entered.get() {
        let text = format!("TaskGroup {} has already been entered", group.as_any().repr()?);
        return Err(PyRuntimeError::new_err(text));
    }
    if !super::is_something(&state.event_loop, py) {
        state.event_loop.set(running::get(py)?);
    }
    let parent = current::task_of(&state.event_loop.get_or_none(py))?;
    state.parent_task.replace(py, parent.clone());
    if parent.is_none() {
        let text = format!("TaskGroup {} cannot determine the parent task", group.as_any().repr()?);
        return Err(PyRuntimeError::new_err(text));
    }
    state.entered.set(true);
    if state.cancel_on_enter.get() {
        group.as_any().call_method0(intern!(py, "cancel"))?;
    }
    Ok(Progress::Return(group.into_any()))
}

fn aenter<'py>(this: &Bound<'py, TaskGroup>) -> Object<'py> {
    coroutine::new(this, &ENTER).map(Bound::into_any)
}

/// `create_task`. What is not the common case is stock's, whose function works with any object that has
/// these attributes.
#[inline]
fn create_task<'py>(this: &Bound<'py, TaskGroup>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    if let Some(parts) = Parts::of_plain_call(&arguments)
        && let Some(task) = create_natively(this, parts)?
    {
        return Ok(task);
    }
    let py = this.py();
    let (positional, keywords) = arguments.to_objects()?;
    let all = std::iter::once(this.as_any().clone()).chain(positional.iter());
    let all = PyTuple::new(py, all.collect::<Vec<_>>())?;
    let stock = names::TASK_GROUP.get(py)?.getattr(intern!(py, "create_task"))?;
    let task = stock.call(all, Some(&keywords))?;
    // Stock's function has added it to the set that it got from `_tasks`, which is a copy.
    if !ends_at_once(&task)? {
        this.state().tasks(py)?.set_item(&task, none(py))?;
    }
    Ok(task)
}

fn create_natively<'py>(
    this: &Bound<'py, TaskGroup>,
    parts: Parts<'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = this.py();
    let state = this.state();
    let event_loop = state.event_loop.get_or_none(py);
    let Some(native) = as_native(&event_loop).filter(|native| native.get().takes_items()) else {
        return Ok(None);
    };
    let spawns = native.get().makes_tasks(py);
    let tasks = state.tasks(py)?;
    if !state.entered.get()
        || state.aborting.get()
        || (state.exiting.get() && tasks.is_empty())
        || !TASK_GROUP.is_plain(this)
        || !(spawns || (parts.name.is_none() && parts.context.is_none() && parts.eager.is_none()))
    {
        return Ok(None);
    }
    let may_end_at_once = parts.eager == Some(true) || !spawns;
    let task = if spawns { spawn(native, parts)? } else { create_by_method(native, &parts.coro)? };
    #[cfg(Py_3_14)]
    super::super::add_awaiting(&task, &state.parent_task)?;
    if may_end_at_once && ends_at_once(&task)? {
        on_task_done(this, &task)?;
        return Ok(Some(task));
    }
    tasks.set_item(&task, none(py))?;
    any_future::add_callback(&task, &done_callback(this)?, &context::copy_current(py)?)?;
    Ok(Some(task))
}

fn spawn<'py>(native: &Bound<'py, EventLoop>, mut parts: Parts<'py>) -> Object<'py> {
    // Before 3.13 the task first gets a name of its own, which takes a number.
    let later = if cfg!(Py_3_13) { None } else { parts.name.take() };
    let task = task::spawn(native, parts)?;
    if let Some(later) = later.filter(|name| !name.is_none()) {
        name::set(&task, &later)?;
    }
    Ok(task.into_any())
}

/// What the loop's own method makes, with its task factory for instance.
fn create_by_method<'py>(native: &Bound<'py, EventLoop>, coro: &Bound<'py, PyAny>) -> Object<'py> {
    let py = native.py();
    let name = intern!(py, "create_task");
    if !traits(py)?.passes_name {
        return call_method(native.as_any(), name, [coro]);
    }
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "name"), none(py))?;
    native.call_method(name, (coro,), Some(&keywords))
}

/// Whether stock takes a task that is done already to its end without a callback.
fn ends_at_once(task: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(traits(task.py())?.asks_whether_done && any_future::is_done(task)?)
}

/// In what the `create_task` of this Python's TaskGroup differs from that of others, also of its own
/// series: 3.12.9 and 3.13.2 changed it.
struct Traits {
    /// It calls `task.done()`.
    asks_whether_done: bool,
    /// It passes `name=None` on.
    passes_name: bool,
}

fn traits(py: Python<'_>) -> PyResult<&Traits> {
    static TRAITS: PyOnceLock<Traits> = PyOnceLock::new();
    const VAR_KEYWORDS: u32 = 0x08;
    TRAITS.get_or_try_init(py, || {
        let function = names::TASK_GROUP.get(py)?.getattr(intern!(py, "create_task"))?;
        let code = function.getattr("__code__")?;
        let flags = code.getattr("co_flags")?.extract::<u32>()?;
        Ok(Traits {
            asks_whether_done: code.getattr("co_names")?.contains("done")?,
            passes_name: cfg!(Py_3_13) && flags & VAR_KEYWORDS == 0,
        })
    })
}

fn task_done<'py>(this: &Bound<'py, TaskGroup>, task: &Bound<'py, PyAny>) -> Object<'py> {
    on_task_done(this, task)?;
    Ok(none(this.py()))
}

fn cancel_group<'py>(this: &Bound<'py, TaskGroup>) -> Object<'py> {
    cancel(this)?;
    Ok(none(this.py()))
}

fn abort<'py>(this: &Bound<'py, TaskGroup>) -> Object<'py> {
    cancel_tasks(this)?;
    Ok(none(this.py()))
}

fn is_base_error<'py>(this: &Bound<'py, TaskGroup>, error: &Bound<'py, PyAny>) -> Object<'py> {
    let stock = names::TASK_GROUP.get(this.py())?.getattr(intern!(this.py(), "_is_base_error"))?;
    stock.call1((this, error))
}

fn repr<'py>(this: &Bound<'py, TaskGroup>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    let mut text = String::from("<TaskGroup");
    let tasks = state.tasks(py)?.len();
    if tasks > 0 {
        text += &format!(" tasks={tasks}");
    }
    if state.has_errors(py)? {
        text += &format!(" errors={}", state.errors.get_or_none(py).len()?);
    }
    if state.aborting.get() {
        text += " cancelling";
    } else if state.entered.get() {
        text += " entered";
    }
    Ok(PyString::new(py, &(text + ">")).into_any())
}

/// A set made when it is asked for.
fn tasks<'py>(this: &Bound<'py, TaskGroup>) -> Object<'py> {
    let tasks = this.state().tasks(this.py())?;
    Ok(PySet::new(this.py(), tasks.keys())?.into_any())
}

fn set_tasks<'py>(this: &Bound<'py, TaskGroup>, value: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
    let tasks = PyDict::new(this.py());
    for task in given(value)?.try_iter()? {
        tasks.set_item(task?, none(this.py()))?;
    }
    this.state().tasks.set(tasks.into_any());
    Ok(())
}

fn attributes(members: Members) -> Members {
    let members = slot_property!(members, TaskGroup, c"_loop", event_loop);
    let members = slot_property!(members, TaskGroup, c"_parent_task", parent_task);
    let members = members.get_set::<TaskGroup, _, _>(c"_tasks", tasks, set_tasks);
    let members = slot_property!(members, TaskGroup, c"_errors", errors);
    let members = slot_property!(members, TaskGroup, c"_base_error", base_error);
    let members = slot_property!(members, TaskGroup, c"_on_completed_fut", on_completed);
    let members = flag_property!(members, TaskGroup, c"_entered", entered);
    let members = flag_property!(members, TaskGroup, c"_exiting", exiting);
    let members = flag_property!(members, TaskGroup, c"_aborting", aborting);
    let members = flag_property!(members, TaskGroup, c"_cancel_on_enter", cancel_on_enter);
    flag_property!(members, TaskGroup, c"_parent_cancel_requested", parent_cancel_requested)
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = attributes(Members::default())
        .init::<TaskGroup, _>(init)
        .instance_dict()
        .noargs::<TaskGroup, _>(c"__aenter__", aenter, c"Begin the group.")
        .keywords::<TaskGroup, _>(c"__aexit__(et, exc, tb)", aexit, c"Wait for the tasks.")
        .keywords::<TaskGroup, _>(
            c"create_task(coro, *, name=None, context=None)",
            create_task,
            c"Create a new task in this group and return it.",
        )
        .noargs::<TaskGroup, _>(c"cancel", cancel_group, c"End the group early.")
        .noargs::<TaskGroup, _>(c"_abort", abort, c"Cancel the tasks.")
        .one::<TaskGroup, _>(c"_on_task_done(task)", task_done, c"A task is done.")
        .one::<TaskGroup, _>(c"_is_base_error(exc)", is_base_error, c"Whether it ends the program.")
        .unary_slot::<TaskGroup, _>(ffi::Py_tp_repr, repr)
        .doc(c"TaskGroup()\n--\n\nTasks that end before the block does; see asyncio.TaskGroup.");
    let stock = names::TASK_GROUP.class(py)?;
    TASK_GROUP.create_instead_of(py, c"asyncio.taskgroups.TaskGroup", stock, members.into_slots())
}
