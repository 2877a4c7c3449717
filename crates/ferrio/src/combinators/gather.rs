//! `gather`. CPython: asyncio.tasks.gather

use ferrio_capi::StateOf;
use ferrio_capi::context;
use ferrio_capi::function::{self, Function};
use ferrio_capi::method::{Arguments, Object};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::any_future;
use super::callback::{self, Callback, Kind};
use super::ensure_future::{create_task, is_coroutine, running_loop};
use crate::futures::AsFuture;
use crate::loop_state::EventLoop;
use crate::names;
use crate::running;
use crate::tasks::gathering::{self, GatheringFuture};
use crate::tasks::wrapper;

fn gather<'py>(arguments: Arguments<'_, 'py>) -> Object<'py> {
    let py = arguments.py();
    let return_exceptions = return_exceptions(&arguments)?;
    let event_loop = if arguments.positional_len() == 0 { None } else { common_loop(&arguments)? };
    match (event_loop, return_exceptions) {
        (Some(event_loop), Some(flag))
            if event_loop.get().takes_items() && suits_the_caller(&event_loop)? =>
        {
            gather_natively(&event_loop, &arguments, flag)
        }
        _ => {
            let (positional, keywords) = arguments.to_objects()?;
            names::GATHER.get(py)?.call(positional, Some(&keywords))
        }
    }
}

/// Since 3.14 the futures must belong to the running loop, if one runs.
fn suits_the_caller(event_loop: &Bound<'_, EventLoop>) -> PyResult<bool> {
    if cfg!(not(Py_3_14)) {
        return Ok(true);
    }
    let running = running::get_or_none(event_loop.py())?;
    Ok(running.is_none() || running.is(event_loop))
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
    let mut context = context::copy_current(py)?;
    let spawns = event_loop.get().makes_tasks(py);
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
        let child = make_child(event_loop, argument)?;
        if !spawns {
            // What made the task may have changed the current context.
            context = context::copy_current(py)?;
        }
        different += 1;
        if cfg!(Py_3_12) && any_future::is_done(&child)? {
            done.push(child.clone());
        } else {
            #[cfg(Py_3_14)]
            super::add_awaiting(&child, &callback.state().first)?;
            any_future::add_callback(&child, callback, &context)?;
        }
        list.push(child);
    }
    callback.state().total.set(different);
    Ok(Children { list: PyList::new(py, list)?, done })
}

#[inline]
fn make_child<'py>(
    event_loop: &Bound<'py, EventLoop>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if wrapper::exact_future(argument).is_some() {
        return Ok(argument.clone());
    }
    let task = create_task(event_loop, argument)?;
    any_future::silence_destruction(&task)?;
    Ok(task)
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
    let Some(outer) = outer else {
        // Its exception counts as seen.
        return if any_future::is_cancelled(child)? {
            Ok(())
        } else {
            any_future::exception(child).map(drop)
        };
    };
    if !state.flag.get()
        && let Some(exception) = any_future::failure(child)?
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

/// All children are done.
fn finish(outer: &Bound<'_, GatheringFuture>) -> PyResult<()> {
    let py = outer.py();
    let children = outer.state().children.get_or_none(py).cast_into::<PyList>()?;
    let mut results = Vec::with_capacity(children.len());
    for child in children.iter() {
        results.push(outcome(&child)?);
    }
    if !outer.state().cancel_requested.get() {
        return outer.as_future().set_result(PyList::new(py, results)?.into_any());
    }
    let last = children.get_item(children.len().saturating_sub(1))?;
    outer.as_future().set_exception(&any_future::cancelled_error(&last)?)
}

/// A child's result or exception as a result of the whole.
#[inline]
fn outcome<'py>(child: &Bound<'py, PyAny>) -> Object<'py> {
    let py = child.py();
    if any_future::is_cancelled(child)? {
        let message = any_future::cancel_message(child)?;
        let message = message.unwrap_or_else(|| PyString::new(py, "").into_any());
        return names::CANCELLED_ERROR.get(py)?.call1((message,));
    }
    match any_future::exception(child)? {
        Some(exception) => Ok(exception),
        None => any_future::result(child),
    }
}

/// `ferrio.gather`.
pub fn function(py: Python<'_>) -> PyResult<Bound<'_, Function>> {
    function::new(names::GATHER.get(py)?, gather)
}
