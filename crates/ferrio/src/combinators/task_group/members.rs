//! The Python face of `TaskGroup`.

use ferrio_capi::method::{Arguments, InitArguments, Members, Object};
use ferrio_capi::signature::Signature;
use ferrio_capi::{StateOf, context};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString, PyTuple};
use pyo3::{ffi, intern};

use super::exiting::aexit;
use super::{
    TASK_GROUP, TaskGroup, TaskGroupState, any_task, cancel, cancel_tasks, done_callback,
    on_task_done,
};
use crate::coroutine::{self, Coroutine, Kind, Progress};
use crate::errors;
use crate::futures::AsFuture;
use crate::loop_state::as_native;
use crate::names::{self, boolean, none};
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
        state.event_loop.set(any_task::running_loop(py)?);
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
    let over =
        cfg!(all(Py_3_12, not(Py_3_14))) && task.call_method0(intern!(py, "done"))?.is_truthy()?;
    if !over {
        this.state().tasks(py)?.set_item(&task, none(py))?;
    }
    Ok(task)
}

fn create_natively<'py>(
    this: &Bound<'py, TaskGroup>,
    mut parts: Parts<'py>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = this.py();
    let state = this.state();
    let event_loop = state.event_loop.get_or_none(py);
    let Some(native) = as_native(&event_loop).filter(|native| native.get().makes_tasks(py)) else {
        return Ok(None);
    };
    let tasks = state.tasks(py)?;
    if !state.entered.get()
        || state.aborting.get()
        || (state.exiting.get() && tasks.is_empty())
        || !TASK_GROUP.is_plain(this)
    {
        return Ok(None);
    }
    // Before 3.13 the task first gets a name of its own, which takes a number.
    let later = if cfg!(Py_3_13) { None } else { parts.name.take() };
    let task = task::spawn(native, parts)?;
    if let Some(later) = later.filter(|name| !name.is_none()) {
        name::set(&task, &later)?;
    }
    #[cfg(Py_3_14)]
    super::super::add_awaiting(task.as_any(), &state.parent_task)?;
    tasks.set_item(&task, none(py))?;
    task.as_future().add_callback(&done_callback(this)?, context::copy_current(py)?)?;
    Ok(Some(task.into_any()))
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

/// An attribute that is a slot of the state.
macro_rules! slot_attribute {
    ($members:ident, $name:literal, $slot:ident) => {
        $members.get_set::<TaskGroup, _, _>(
            $name,
            |this: &Bound<'_, TaskGroup>| Ok(this.state().$slot.get_or_none(this.py())),
            |this: &Bound<'_, TaskGroup>, value: Option<&Bound<'_, PyAny>>| {
                let value = value.ok_or_else(errors::cannot_be_deleted)?;
                this.state().$slot.set(value.clone());
                Ok(())
            },
        )
    };
}

/// An attribute that is a flag of the state.
macro_rules! flag_attribute {
    ($members:ident, $name:literal, $flag:ident) => {
        $members.get_set::<TaskGroup, _, _>(
            $name,
            |this: &Bound<'_, TaskGroup>| Ok(boolean(this.py(), flag(this, |state| &state.$flag))),
            |this: &Bound<'_, TaskGroup>, value: Option<&Bound<'_, PyAny>>| {
                let value = value.ok_or_else(errors::cannot_be_deleted)?;
                this.state().$flag.set(value.is_truthy()?);
                Ok(())
            },
        )
    };
}

fn flag(
    this: &Bound<'_, TaskGroup>,
    of: impl FnOnce(&TaskGroupState) -> &std::cell::Cell<bool>,
) -> bool {
    of(this.state()).get()
}

/// A set made when it is asked for.
fn tasks<'py>(this: &Bound<'py, TaskGroup>) -> Object<'py> {
    let tasks = this.state().tasks(this.py())?;
    Ok(PySet::new(this.py(), tasks.keys())?.into_any())
}

fn set_tasks<'py>(this: &Bound<'py, TaskGroup>, value: Option<&Bound<'py, PyAny>>) -> PyResult<()> {
    let value = value.ok_or_else(errors::cannot_be_deleted)?;
    let tasks = PyDict::new(this.py());
    for task in value.try_iter()? {
        tasks.set_item(task?, none(this.py()))?;
    }
    this.state().tasks.set(tasks.into_any());
    Ok(())
}

fn attributes(members: Members) -> Members {
    let members = slot_attribute!(members, c"_loop", event_loop);
    let members = slot_attribute!(members, c"_parent_task", parent_task);
    let members = members.get_set::<TaskGroup, _, _>(c"_tasks", tasks, set_tasks);
    let members = slot_attribute!(members, c"_errors", errors);
    let members = slot_attribute!(members, c"_base_error", base_error);
    let members = slot_attribute!(members, c"_on_completed_fut", on_completed);
    let members = flag_attribute!(members, c"_entered", entered);
    let members = flag_attribute!(members, c"_exiting", exiting);
    let members = flag_attribute!(members, c"_aborting", aborting);
    let members = flag_attribute!(members, c"_cancel_on_enter", cancel_on_enter);
    flag_attribute!(members, c"_parent_cancel_requested", parent_cancel_requested)
}

/// Makes the type.
pub fn create(py: Python<'_>) -> PyResult<()> {
    let members = attributes(Members::default())
        .init::<TaskGroup, _>(init)
        .instance_dict()
        .noargs::<TaskGroup, _>(c"__aenter__", aenter, c"Begin the group.")
        .keywords::<TaskGroup, _>(c"__aexit__", aexit, c"Wait for the tasks.")
        .keywords::<TaskGroup, _>(
            c"create_task",
            create_task,
            c"Create a new task in this group and return it.",
        )
        .noargs::<TaskGroup, _>(c"cancel", cancel_group, c"End the group early.")
        .noargs::<TaskGroup, _>(c"_abort", abort, c"Cancel the tasks.")
        .one::<TaskGroup, _>(c"_on_task_done", task_done, c"A task is done.")
        .one::<TaskGroup, _>(c"_is_base_error", is_base_error, c"Whether it ends the program.")
        .unary_slot::<TaskGroup, _>(ffi::Py_tp_repr, repr)
        .doc(c"Tasks that end before the block does; see asyncio.TaskGroup.");
    let stock = names::TASK_GROUP.class(py)?;
    TASK_GROUP.create_instead_of(py, c"asyncio.taskgroups.TaskGroup", stock, members.into_slots())
}
