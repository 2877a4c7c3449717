//! The done-callbacks of a future, in order. A future nearly always has one waiter, so the first
//! entry lies inline; and the waiter is nearly always a native task, which needs neither a callable
//! nor a context of its own.
//!
//! Fields: an entry without context is a native task that is to be woken. `rest` is used only after
//! `first`; removing the first entry moves the next one up.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::OnceLock;

use ferrio_capi::{Ref, Slot, Visit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// The callbacks of one pending future. All-zero is empty.
pub struct Callbacks {
    first: Slot,
    first_context: Slot,
    rest: Cell<Option<Box<Rest>>>,
}

/// The entries after the first, behind one pointer: most futures have none.
#[derive(Debug, Default)]
struct Rest(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    callback: Ref,
    context: Option<Ref>,
}

/// One callback on its way out of the list.
#[derive(Debug)]
pub enum Waiter<'py> {
    /// A native task to wake.
    Task(Bound<'py, PyAny>),
    /// A function to call with the future, in a context.
    Function(Bound<'py, PyAny>, Bound<'py, PyAny>),
}

/// Makes the callable that stands for "wake this native task" where Python can see it.
type WakeupFactory = for<'py> fn(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>;

static WAKEUP_FACTORY: OnceLock<WakeupFactory> = OnceLock::new();

/// Tells futures how to show a waiting task as a callable; called once, by `tasks`.
pub fn set_wakeup_factory(factory: WakeupFactory) {
    // A second initialisation of the module brings the same function.
    let _ = WAKEUP_FACTORY.set(factory);
}

/// The callable for "wake this native task".
pub fn wakeup_callable<'py>(task: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    WAKEUP_FACTORY.get().expect("set when the module was initialised")(task)
}

impl Callbacks {
    /// Whether nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.first.is_set()
    }

    /// Appends a function, or a native task when there is no context.
    #[inline]
    pub fn push(&self, callback: Bound<'_, PyAny>, context: Option<Bound<'_, PyAny>>) {
        if !self.first.is_set() {
            if let Some(context) = context {
                self.first_context.set(context);
            }
            self.first.set(callback);
            return;
        }
        let mut rest = self.rest.take().unwrap_or_default();
        rest.0.push(Entry { callback: Ref::new(callback), context: context.map(Ref::new) });
        self.rest.set(Some(rest));
    }

    /// Takes all entries out: the first one at once, the others as a list.
    #[inline]
    pub fn take_all<'py>(&self, py: Python<'py>) -> (Option<Waiter<'py>>, Vec<Waiter<'py>>) {
        let first =
            self.first.take(py).map(|callback| Waiter::new(callback, self.first_context.take(py)));
        let rest = self.rest.take().map_or_else(Vec::new, |rest| {
            rest.0.into_iter().map(|entry| entry.into_waiter(py)).collect()
        });
        (first, rest)
    }

    /// All entries in order, left in place.
    fn entries<'py>(&self, py: Python<'py>) -> Vec<Waiter<'py>> {
        let Some(first) = self.first.get(py) else {
            return Vec::new();
        };
        let mut all = vec![Waiter::new(first, self.first_context.get(py))];
        let rest = self.rest.take();
        for entry in rest.iter().flat_map(|rest| rest.0.iter()) {
            let context = entry.context.as_ref().map(|context| context.bind(py));
            all.push(Waiter::new(entry.callback.bind(py), context));
        }
        self.rest.set(rest);
        all
    }

    /// `_callbacks`: a list of (callback, context), or None when there are none.
    pub fn to_list<'py>(
        &self,
        py: Python<'py>,
        task_context: impl Fn(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let entries = self.entries(py);
        if entries.is_empty() {
            return Ok(py.None().into_bound(py));
        }
        let list = PyList::empty(py);
        for entry in entries {
            let pair = match entry {
                Waiter::Task(task) => (wakeup_callable(&task)?, task_context(&task)?),
                Waiter::Function(callback, context) => (callback, context),
            };
            list.append(PyTuple::new(py, [pair.0, pair.1])?)?;
        }
        Ok(list.into_any())
    }

    /// Removes every entry that equals `function`, and says how many there were. Comparing may run
    /// Python code that changes the list, so the entries found equal are looked up again afterwards.
    pub fn remove(&self, function: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = function.py();
        if self.is_empty() {
            return Ok(0);
        }
        if self.is_only(function) {
            drop((self.first.take(py), self.first_context.take(py)));
            return Ok(1);
        }
        let mut doomed = Vec::new();
        for entry in self.entries(py) {
            let (equal, callback) = match &entry {
                Waiter::Task(task) => (wakeup_callable(task)?.eq(function)?, task),
                Waiter::Function(callback, _) => (callback.eq(function)?, callback),
            };
            if equal {
                doomed.push(callback.as_ptr());
            }
        }
        if doomed.is_empty() {
            return Ok(0);
        }
        let (first, rest) = self.take_all(py);
        let mut removed = Vec::new();
        for waiter in first.into_iter().chain(rest) {
            if doomed.contains(&waiter.callback().as_ptr()) {
                removed.push(waiter);
            } else {
                let (callback, context) = waiter.into_parts();
                self.push(callback, context);
            }
        }
        Ok(removed.len())
    }

    /// Whether this very function is the only entry.
    #[inline]
    fn is_only(&self, function: &Bound<'_, PyAny>) -> bool {
        let rest = self.rest.take();
        let alone = rest.as_ref().is_none_or(|rest| rest.0.is_empty());
        self.rest.set(rest);
        alone && self.first_context.is_set() && self.first.is(function)
    }

    /// Reports the entries to the collector.
    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.first)?;
        visit.slot(&self.first_context)?;
        let rest = self.rest.take();
        let outcome = rest.iter().flat_map(|rest| rest.0.iter()).try_for_each(|entry| {
            visit.reference(&entry.callback)?;
            entry.context.as_ref().map_or(Ok(()), |context| visit.reference(context))
        });
        self.rest.set(rest);
        outcome
    }

    /// Drops all entries.
    pub fn clear(&self, py: Python<'_>) {
        drop(self.take_all(py));
    }
}

impl Entry {
    fn into_waiter(self, py: Python<'_>) -> Waiter<'_> {
        let context = self.context.map(|context| context.into_bound(py));
        Waiter::new(self.callback.into_bound(py), context)
    }
}

impl<'py> Waiter<'py> {
    fn new(callback: Bound<'py, PyAny>, context: Option<Bound<'py, PyAny>>) -> Self {
        match context {
            None => Self::Task(callback),
            Some(context) => Self::Function(callback, context),
        }
    }

    fn callback(&self) -> &Bound<'py, PyAny> {
        match self {
            Self::Task(callback) | Self::Function(callback, _) => callback,
        }
    }

    fn into_parts(self) -> (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>) {
        match self {
            Self::Task(task) => (task, None),
            Self::Function(callback, context) => (callback, Some(context)),
        }
    }
}
