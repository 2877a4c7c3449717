//! The callables that stand for a task's step and wake-up where Python can see them: in handles of
//! debug mode, in foreign loops and in a future's `_callbacks`.

use ferrio_capi::bound_function::BoundFunction;
use ferrio_capi::function_of;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit, intern};

#[cfg(Py_3_14)]
use super::awaiting;
use super::gathering;
use super::step::{self, Resume};
use super::task::{self, Task};
use crate::futures::{AsFuture, future, methods};
use crate::names;

/// A task's next step as a callable. CPython: TaskStepMethWrapper
#[pyclass(module = "ferrio._ferrio", frozen)]
pub struct TaskStepMethWrapper {
    task: Py<Task>,
    exception: Option<Py<PyAny>>,
}

#[pymethods]
impl TaskStepMethWrapper {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        if kwargs.is_some_and(|kwargs| !kwargs.is_empty()) {
            return Err(PyTypeError::new_err("function takes no keyword arguments"));
        }
        if !args.is_empty() {
            return Err(PyTypeError::new_err("function takes no positional arguments"));
        }
        let resume = match &self.exception {
            Some(exception) => Resume::Throw(exception.bind(py).clone()),
            None => Resume::Next,
        };
        step::execute_for_python(self.task.bind(py), resume)
    }

    #[getter(__self__)]
    fn bound_task(&self, py: Python<'_>) -> Py<Task> {
        self.task.clone_ref(py)
    }

    #[getter(__qualname__)]
    fn qualified_name(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let coro = self.task.bind(py).getattr("_coro")?;
        Ok(coro.getattr("__qualname__")?.unbind())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.task)?;
        visit.call(&self.exception)
    }
}

/// The callable for a task's next step.
pub fn step_callable<'py>(
    task: &Bound<'py, Task>,
    exception: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let wrapper = TaskStepMethWrapper {
        task: task.clone().unbind(),
        exception: exception.map(Bound::unbind),
    };
    Ok(Bound::new(task.py(), wrapper)?.into_any())
}

static WAKEUP: BoundFunction = BoundFunction::new(c"task_wakeup", function_of!(wake));

/// The done-callback that wakes a task.
pub fn wakeup_callable<'py>(task: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    WAKEUP.bind(task)
}

fn wake<'py>(task: &Bound<'py, PyAny>, done: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = task.py();
    #[cfg(Py_3_14)]
    awaiting::discard(done, task)?;
    let task = task.cast::<Task>()?;
    let resume = if let Some(native) = exact_future(done) {
        native.outcome()?.map_or(Resume::Next, Resume::Throw)
    } else {
        match done.call_method0(intern!(py, "result")) {
            Ok(_) => Resume::Next,
            Err(error) => Resume::Throw(error.into_value(py).into_bound(py).into_any()),
        }
    };
    step::execute_for_python(task, resume)?;
    Ok(names::none(py))
}

/// Whether `object` is a Future or Task of exactly the standard library's classes in C.
#[inline]
pub fn is_stock(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    let class = object.get_type();
    Ok(class.is(names::STOCK_FUTURE.get(py)?) || class.is(names::STOCK_TASK.get(py)?))
}

/// `futures._get_loop(future)` of one that is none of ours.
pub fn loop_of_foreign<'py>(future: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = future.py();
    if is_stock(future)? {
        return future.call_method0(intern!(py, "get_loop"));
    }
    names::GET_LOOP.get(py)?.call1((future,))
}

/// `object` as a Future, Task or GatheringFuture of exactly our classes.
#[inline]
pub fn exact_future<'a, 'py>(
    object: &'a Bound<'py, PyAny>,
) -> Option<future::NativeFuture<'a, 'py>> {
    if let Some(future) = methods::as_exact(object) {
        return Some(future.as_future());
    }
    match task::as_exact(object) {
        Some(task) => Some(task.as_future()),
        None => gathering::as_exact(object).map(AsFuture::as_future),
    }
}
