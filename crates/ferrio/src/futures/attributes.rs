//! The private attributes of Future and Task that other libraries read: `_state`, `_callbacks` and the
//! like, with stock's meaning.

use ferrio_capi::method::{Members, Object};
use pyo3::exceptions::{PyAttributeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::future::{AsFuture, FutureClass, Status};
use crate::names::{self, boolean, none};

/// Adds the attributes to a class.
pub fn add<C: FutureClass>(members: Members) -> Members {
    members
        .get::<C, _>(c"_state", get_state::<C>)
        .get::<C, _>(c"_loop", get_loop_attribute::<C>)
        .get::<C, _>(c"_callbacks", get_callbacks::<C>)
        .get::<C, _>(c"_result", get_result::<C>)
        .get::<C, _>(c"_exception", get_exception::<C>)
        .get::<C, _>(c"_source_traceback", get_source_traceback::<C>)
        .get_set::<C, _, _>(c"_cancel_message", get_cancel_message::<C>, set_cancel_message::<C>)
        .get_set::<C, _, _>(c"_asyncio_future_blocking", get_blocking::<C>, set_blocking::<C>)
        .get_set::<C, _, _>(c"_log_traceback", get_log_traceback::<C>, set_log_traceback::<C>)
}

fn get_state<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    let py = this.py();
    let state = this.as_future().state;
    state.ensure_alive()?;
    let name: &Bound<'py, PyString> = match state.status() {
        Status::Pending => intern!(py, "PENDING"),
        Status::Cancelled => intern!(py, "CANCELLED"),
        Status::Result | Status::Exception => intern!(py, "FINISHED"),
    };
    Ok(name.as_any().clone())
}

fn get_loop_attribute<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    Ok(this.as_future().state.event_loop.get_or_none(this.py()))
}

fn get_callbacks<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    let py = this.py();
    let state = this.as_future().state;
    state.ensure_alive()?;
    state.callbacks.to_list(py, |task| task.call_method0(intern!(py, "get_context")))
}

fn get_result<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    this.as_future().state.ensure_alive()?;
    let value = this.as_future().state.value(this.py(), Status::Result);
    Ok(value.unwrap_or_else(|| none(this.py())))
}

fn get_exception<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    this.as_future().state.ensure_alive()?;
    let value = this.as_future().state.value(this.py(), Status::Exception);
    Ok(value.unwrap_or_else(|| none(this.py())))
}

fn get_source_traceback<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    let py = this.py();
    Ok(this.as_future().state.source_traceback(py).unwrap_or_else(|| none(py)))
}

fn get_cancel_message<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    let py = this.py();
    Ok(this.as_future().state.cancel_message(py).unwrap_or_else(|| none(py)))
}

fn set_cancel_message<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let value = value.ok_or_else(|| cannot_delete(this.as_any(), "_cancel_message"))?;
    this.as_future().state.set_cancel_message(this.py(), Some(value.clone()));
    Ok(())
}

fn get_blocking<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    let state = this.as_future().state;
    Ok(boolean(this.py(), state.event_loop.is_set() && state.blocking.get()))
}

fn set_blocking<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let state = this.as_future().state;
    state.ensure_alive()?;
    let refuse = || cannot_delete(this.as_any(), "_asyncio_future_blocking");
    state.blocking.set(value.ok_or_else(refuse)?.is_truthy()?);
    Ok(())
}

fn get_log_traceback<'py, C: FutureClass>(this: &Bound<'py, C>) -> Object<'py> {
    let state = this.as_future().state;
    state.ensure_alive()?;
    Ok(boolean(this.py(), state.log_traceback.get()))
}

fn set_log_traceback<'py, C: FutureClass>(
    this: &Bound<'py, C>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let refuse = || cannot_delete(this.as_any(), "_log_traceback");
    if value.ok_or_else(refuse)?.is_truthy()? {
        return Err(PyValueError::new_err("_log_traceback can only be set to False"));
    }
    this.as_future().state.log_traceback.set(false);
    Ok(())
}

/// Stock's own refusal to delete an attribute: its words differ between versions.
pub fn cannot_delete(this: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let py = this.py();
    let refuse = || {
        let task = names::STOCK_TASK.get(py)?;
        let class = if this.is_instance(task)? { task } else { names::STOCK_FUTURE.get(py)? };
        class.getattr(name)?.call_method1(intern!(py, "__delete__"), (this,))
    };
    match refuse() {
        Err(error) if error.is_instance_of::<PyAttributeError>(py) => error,
        // Stock's part of ours is not initialised, which it may find out first.
        _ => PyAttributeError::new_err("cannot delete attribute"),
    }
}
