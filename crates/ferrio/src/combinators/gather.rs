//! `gather`. CPython: asyncio.tasks.gather

use ferrio_capi::StateOf;
use ferrio_capi::context;
use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::callback::{self, Callback, Kind};
use super::ensure_future::{create_task, is_coroutine, running_loop};
use crate::futures::future::{AsFuture, NativeFuture, Status};
use crate::loop_state::EventLoop;
use crate::names;
use crate::tasks::gathering::{self, GatheringFuture};
use crate::tasks::{task, wrapper};

fn gather<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    let return_exceptions = return_exceptions(&arguments)?;
    let event_loop = if arguments.positional_len() == 0 { None } else { common_loop(&arguments)? };
    match (event_loop, return_exceptions) {
        (Some(event_loop), Some(flag)) if event_loop.get().makes_tasks(py) => {
            gather_natively(&event_loop, &arguments, flag)
        }
        _ => {
            let (positional, keywords) = arguments.to_objects()?;
            names::GATHER.get(py)?.call(positional, Some(&keywords))
        }
    }
}

/// Whether exceptions are results; None when the keywords are others than stock's.
#[inline]
fn return_exceptions(arguments: &Arguments<'_, '_>) -> PyResult<Option<bool>> {
    let Some(names) = arguments.names() else { return Ok(Some(false)) };
    let names = names.cast_into::<PyTuple>()?;
    if names.len() != 1 || names.get_item(0)?.cast::<PyString>()?.to_str()? != "return_exceptions" {
        return Ok(None);
    }
    arguments.value(arguments.positional_len()).map(|value| value.is_truthy()).transpose()
}

/// The loop of all arguments, when they are coroutines and futures of ours and that loop is, too.
#[inline]
fn common_loop<'py>(arguments: &Arguments<'_, 'py>) -> PyResult<Option<Bound<'py, EventLoop>>> {
    let py = arguments.py();
    let mut common: Option<Bound<'py, EventLoop>> = None;
    for place in 0..arguments.positional_len() {
        let Some(argument) = arguments.value(place) else { return Ok(None) };
        let found = match wrapper::exact_future(argument) {
            Some(future) => {
                let of_common =
                    |common: &Bound<'_, _>| future.state.event_loop.as_ptr() == common.as_ptr();
                if common.as_ref().is_some_and(of_common) {
                    continue;
                }
                future.state.native_loop(py)
            }
            None if !is_coroutine(argument) => return Ok(None),
            None if common.is_some() => continue,
            None => running_loop(py)?,
        };
        match (found, &common) {
            (Some(found), None) => common = Some(found),
            _ => return Ok(None),
        }
    }
    Ok(common)
}

fn gather_natively<'py>(
    event_loop: &Bound<'py, EventLoop>,
    arguments: &Arguments<'_, 'py>,
    return_exceptions: bool,
) -> Object<'py> {
    let py = event_loop.py();
    let callback = callback::new(py, &DONE)?;
    callback.state().flag.set(return_exceptions);
    #[cfg(Py_3_14)]
    callback.state().first.replace(py, super::awaiting_task(py)?);
    let children = make_children(event_loop, arguments, &callback)?;
    let outer = gathering::new(event_loop, children.list.into_any())?;
    callback.state().owner.set(outer.clone());
    for child in children.done {
        done(&callback, &child)?;
    }
    Ok(outer.into_any())
}

struct Children<'py> {
    list: Bound<'py, PyList>,
    /// Those that were done before and are to be counted at once.
    done: Vec<Bound<'py, PyAny>>,
}

/// A future for each argument, with the callback on each different one.
fn make_children<'py>(
    event_loop: &Bound<'py, EventLoop>,
    arguments: &Arguments<'_, 'py>,
    callback: &Bound<'py, Callback>,
) -> PyResult<Children<'py>> {
    let py = event_loop.py();
    let context = context::copy_current(py)?;
    let originals = first_places(arguments);
    let mut done = Vec::new();
    let mut list: Vec<Bound<'py, PyAny>> = Vec::with_capacity(arguments.positional_len());
    let mut different = 0;
    for place in 0..arguments.positional_len() {
        let Some(argument) = arguments.value(place) else { break };
        let original = originals.as_ref().map_or(place, |originals| originals[place]);
        if original != place {
            list.push(list[original].clone());
            continue;
        }
        let child = match wrapper::exact_future(argument) {
            Some(_) => argument.clone(),
            None => {
                let task = create_task(event_loop, argument)?;
                task.as_future().state.silent_destroy.set(true);
                task.into_any()
            }
        };
        different += 1;
        if cfg!(Py_3_12) && !as_native(&child)?.state.is_pending() {
            done.push(child.clone());
        } else {
            #[cfg(Py_3_14)]
            super::add_awaiting(&child, &callback.state().first)?;
            as_native(&child)?.add_callback(callback.as_any(), context.clone())?;
        }
        list.push(child);
    }
    callback.state().total.set(different);
    Ok(Children { list: PyList::new(py, list)?, done })
}

/// For each argument the place of the first one that is the same object; None when all differ.
fn first_places(arguments: &Arguments<'_, '_>) -> Option<Vec<usize>> {
    let address = |place| arguments.value(place).map_or(0, |value| value.as_ptr() as usize);
    let places = 0..arguments.positional_len();
    let mut sorted: Vec<(usize, usize)> = places.map(|place| (address(place), place)).collect();
    sorted.sort_unstable();
    if sorted.windows(2).all(|pair| pair[0].0 != pair[1].0) {
        return None;
    }
    let mut firsts = vec![0; sorted.len()];
    for same in sorted.chunk_by(|one, other| one.0 == other.0) {
        for (_, place) in same {
            firsts[*place] = same[0].1;
        }
    }
    Some(firsts)
}

static DONE: Kind = Kind {
    qualified_name: "gather.<locals>._done_callback",
    inside: Some(&names::GATHER),
    takes: 1,
    run: done,
};

/// A child is done.
fn done<'py>(this: &Bound<'py, Callback>, child: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    let finished = state.number.get() + 1;
    state.number.set(finished);
    #[cfg(Py_3_14)]
    super::discard_awaiting(child, &state.first)?;
    let outer = state.owner.get(py);
    let outer = outer.as_ref().and_then(gathering::as_exact).filter(|outer| is_pending(outer));
    let child = as_native(child)?;
    let Some(outer) = outer else {
        child.state.log_traceback.set(false);
        return Ok(());
    };
    if !state.flag.get()
        && let Some(exception) = failure(child)?
    {
        #[cfg(Py_3_14)]
        super::discard_awaiting_all(&outer.state().children.get_or_none(py), &state.first)?;
        return outer.as_future().set_exception(&exception);
    }
    if finished == state.total.get() { finish(outer) } else { Ok(()) }
}

#[inline]
fn is_pending(outer: &Bound<'_, GatheringFuture>) -> bool {
    outer.as_future().state.is_pending()
}

/// The exception of a child, a CancelledError included.
#[inline]
fn failure<'py>(child: NativeFuture<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = child.object.py();
    match child.state.status() {
        Status::Result | Status::Pending => Ok(None),
        Status::Cancelled => child.state.make_cancelled_error(py).map(Some),
        Status::Exception => {
            child.state.log_traceback.set(false);
            Ok(child.state.value(py, Status::Exception))
        }
    }
}

/// All children are done.
fn finish(outer: &Bound<'_, GatheringFuture>) -> PyResult<()> {
    let py = outer.py();
    let children = outer.state().children.get_or_none(py).cast_into::<PyList>()?;
    let mut results = Vec::with_capacity(children.len());
    for child in children.iter() {
        results.push(outcome(as_native(&child)?)?);
    }
    if !outer.state().cancel_requested.get() {
        return outer.as_future().set_result(PyList::new(py, results)?.into_any());
    }
    let last = children.get_item(children.len().saturating_sub(1))?;
    let error = as_native(&last)?.state.make_cancelled_error(py)?;
    outer.as_future().set_exception(&error)
}

/// A child's result or exception as a result of the whole.
#[inline]
fn outcome<'py>(child: NativeFuture<'_, 'py>) -> Object<'py> {
    let py = child.object.py();
    match child.state.status() {
        Status::Result => child.result(),
        Status::Cancelled => {
            let message = child.state.cancel_message(py).filter(|message| !message.is_none());
            let message = message.unwrap_or_else(|| PyString::new(py, "").into_any());
            names::CANCELLED_ERROR.get(py)?.call1((message,))
        }
        Status::Exception | Status::Pending => {
            child.state.log_traceback.set(false);
            Ok(child.state.value(py, child.state.status()).unwrap_or_else(|| names::none(py)))
        }
    }
}

/// A child, of which [`common_loop`] found that it is one of ours.
#[inline]
fn as_native<'a, 'py>(child: &'a Bound<'py, PyAny>) -> PyResult<NativeFuture<'a, 'py>> {
    if let Some(task) = task::as_exact(child) {
        return Ok(task.as_future());
    }
    let foreign = || PyRuntimeError::new_err("a child of gather() is no native future");
    wrapper::exact_future(child).ok_or_else(foreign)
}

/// `ferrio.gather`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::GATHER.get(py)?, gather)
}
