//! A task's name. Most are never asked for, so a default one is a number until somebody asks.
//!
//! State: nothing before `__init__`; then a number, which becomes `Task-<number>` when asked for, or
//! a string. From 3.14 on either stands in stock's own field, where debuggers of other processes
//! read it, as stock puts it there.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::task::Task;
use crate::names;

pub use place::Name;

/// Gives the task the next default name.
#[inline]
pub fn reset(task: &Bound<'_, Task>) {
    place::set_number(task, take_number(task.py()));
}

/// The number of the next default name, for a task that stock makes and we do without too: the tasks of
/// the program have the same names then.
#[inline]
pub fn take_number(_: Python<'_>) -> u64 {
    /// The process's counter of default names, as `_asyncio`'s. The GIL orders the changes.
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.load(Ordering::Relaxed);
    NUMBER.store(number + 1, Ordering::Relaxed);
    number
}

/// Makes `str(name)` the task's name.
pub fn set(task: &Bound<'_, Task>, name: &Bound<'_, PyAny>) -> PyResult<()> {
    let name =
        if name.is_exact_instance_of::<PyString>() { name.clone() } else { name.str()?.into_any() };
    place::set_text(task, name);
    Ok(())
}

/// The task's name, None before `__init__`.
pub fn get<'py>(task: &Bound<'py, Task>) -> Bound<'py, PyAny> {
    let py = task.py();
    match place::get(task) {
        Current::Nothing => names::none(py),
        Current::Text(name) => name,
        Current::Number(number) => {
            let name = PyString::new(py, &format!("Task-{number}")).into_any();
            place::set_text(task, name.clone());
            name
        }
    }
}

/// What is stored.
enum Current<'py> {
    Nothing,
    Number(u64),
    Text(Bound<'py, PyAny>),
}

/// Before 3.14: in the task's state.
#[cfg(not(Py_3_14))]
mod place {
    use std::cell::Cell;
    use std::ffi::c_int;

    use ferrio_capi::{Slot, StateOf, Visit};
    use pyo3::prelude::*;

    use super::{Current, Task};

    /// All-zero is no name: numbers begin with one.
    pub struct Name {
        text: Slot,
        number: Cell<u64>,
    }

    impl Name {
        pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
            visit.slot(&self.text)
        }

        pub fn clear(&self, py: Python<'_>) {
            drop(self.text.take(py));
        }
    }

    pub(super) fn set_number(task: &Bound<'_, Task>, number: u64) {
        let name = &task.state().name;
        drop(name.text.take(task.py()));
        name.number.set(number);
    }

    pub(super) fn set_text(task: &Bound<'_, Task>, text: Bound<'_, PyAny>) {
        task.state().name.text.set(text);
    }

    pub(super) fn get<'py>(task: &Bound<'py, Task>) -> Current<'py> {
        let name = &task.state().name;
        match (name.text.get(task.py()), name.number.get()) {
            (Some(text), _) => Current::Text(text),
            (None, 0) => Current::Nothing,
            (None, number) => Current::Number(number),
        }
    }
}

/// Since 3.14: in stock's field, which `Task` traverses and clears.
#[cfg(Py_3_14)]
mod place {
    use std::ffi::c_int;

    use ferrio_capi::Visit;
    use pyo3::prelude::*;
    use pyo3::types::PyInt;

    use super::{Current, Task};
    use crate::tasks::fields;

    /// Nothing: the name is not in the task's state.
    pub struct Name;

    impl Name {
        pub fn traverse(&self, _visit: &Visit) -> Result<(), c_int> {
            Ok(())
        }

        pub fn clear(&self, _py: Python<'_>) {}
    }

    pub(super) fn set_number(task: &Bound<'_, Task>, number: u64) {
        let Ok(number) = number.into_pyobject(task.py());
        fields::name(task).set(number);
    }

    pub(super) fn set_text(task: &Bound<'_, Task>, text: Bound<'_, PyAny>) {
        fields::name(task).set(text);
    }

    pub(super) fn get<'py>(task: &Bound<'py, Task>) -> Current<'py> {
        let Some(name) = fields::name(task).get(task.py()) else {
            return Current::Nothing;
        };
        match name.cast_exact::<PyInt>().map(|number| number.extract()) {
            Ok(Ok(number)) => Current::Number(number),
            _ => Current::Text(name),
        }
    }
}
