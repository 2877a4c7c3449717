//! The texts of a queue: `repr`, `str` and what they have in common.

use std::fmt::Write;

use ferrio_capi::StateOf;
use ferrio_capi::method::{Members, Object};
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{ffi, intern};

use super::items;
use super::order::plain_order;
use super::queue::Queue;
use crate::errors;

/// CPython: Queue._format
fn described(queue: &Bound<'_, Queue>) -> PyResult<String> {
    let (py, state) = (queue.py(), queue.state());
    let maxsize = state.maxsize.get(py).ok_or_else(|| errors::missing(queue, "_maxsize"))?;
    let mut text = format!("maxsize={}", maxsize.repr()?);
    let mut add = |part: std::fmt::Arguments<'_>| text.write_fmt(part).unwrap_or_default();
    if let Some(items) = items::listed(queue)? {
        add(format_args!(" _queue={}", items.repr()?));
    }
    match state.getters.len(py)? {
        0 => {}
        waiting => add(format_args!(" _getters[{waiting}]")),
    }
    match state.putters.len(py)? {
        0 => {}
        waiting => add(format_args!(" _putters[{waiting}]")),
    }
    match state.unfinished.get() {
        0 => {}
        unfinished => add(format_args!(" tasks={unfinished}")),
    }
    if state.shut_down.get() {
        add(format_args!(" shutdown"));
    }
    Ok(text)
}

fn format<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    Ok(PyString::new(this.py(), &described(this)?).into_any())
}

/// `self._format()`, as a text.
fn asked(queue: &Bound<'_, Queue>) -> PyResult<String> {
    if plain_order(queue).is_some() {
        return described(queue);
    }
    queue.as_any().call_method0(intern!(queue.py(), "_format"))?.str()?.extract()
}

fn repr<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    let (kind, place) = (this.get_type().name()?, this.as_ptr() as usize);
    let text = format!("<{kind} at {place:#x} {}>", asked(this)?);
    Ok(PyString::new(this.py(), &text).into_any())
}

fn str<'py>(this: &Bound<'py, Queue>) -> Object<'py> {
    let text = format!("<{} {}>", this.get_type().name()?, asked(this)?);
    Ok(PyString::new(this.py(), &text).into_any())
}

pub fn members(members: Members) -> Members {
    members
        .noargs::<Queue, _>(c"_format", format, c"What repr() and str() have in common.")
        .unary_slot::<Queue, _>(ffi::Py_tp_repr, repr)
        .unary_slot::<Queue, _>(ffi::Py_tp_str, str)
}
