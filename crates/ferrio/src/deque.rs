//! A queue of objects that Python sees as a `collections.deque` (`Lock._waiters`, `Queue._queue`).
//! While nobody looks it is a Rust one. From the first look on the deque that was given out is the
//! queue, because the program may change it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::c_int;

use ferrio_capi::{Ref, Slot, Visit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::names::{self, none};

/// The queue. All-zero is empty.
///
/// Invariant: `items` is None or empty once `shown` is set.
pub struct Deque {
    items: Cell<Option<Box<Items>>>,
    shown: Slot,
}

/// Behind one pointer, because most locks never have a waiter.
#[derive(Debug, Default)]
struct Items(VecDeque<Ref>);

impl std::fmt::Debug for Deque {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Deque(shown: {:?})", self.shown)
    }
}

impl Deque {
    /// Works on the Rust queue if there is one. `work` runs no Python code, so it drops no reference.
    #[inline(always)]
    fn with<R: Default>(&self, work: impl FnOnce(&mut VecDeque<Ref>) -> R) -> R {
        let mut items = self.items.take();
        let result = items.as_mut().map_or_else(R::default, |items| work(&mut items.0));
        self.items.set(items);
        result
    }

    /// Whether nothing was ever queued or looked at.
    fn is_untouched(&self) -> bool {
        !self.shown.is_set() && self.with(|items| Some(items.capacity())).is_none()
    }

    /// Whether nothing is queued and nobody ever looked.
    #[inline]
    pub fn is_idle(&self) -> bool {
        !self.shown.is_set() && self.with(|items| items.len()) == 0
    }

    /// How many objects are queued.
    #[inline]
    pub fn len(&self, py: Python<'_>) -> PyResult<usize> {
        match self.shown.get(py) {
            None => Ok(self.with(|items| items.len())),
            Some(shown) => shown.len(),
        }
    }

    /// The object at a place, counted from the front.
    #[inline]
    pub fn get<'py>(&self, py: Python<'py>, place: usize) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.shown.get(py) {
            None => Ok(self.with(|items| items.get(place).map(|item| item.bind(py)))),
            Some(shown) if place >= shown.len()? => Ok(None),
            Some(shown) => shown.get_item(place).map(Some),
        }
    }

    /// Shows the objects in order to `look`, until that says false. Python code that it runs may change
    /// the queue; a deque that Python saw then raises RuntimeError.
    ///
    /// # Errors
    /// Those of `look`, and of the deque.
    #[inline]
    pub fn visit<'py>(
        &self,
        py: Python<'py>,
        mut look: impl FnMut(&Bound<'py, PyAny>) -> PyResult<bool>,
    ) -> PyResult<()> {
        if let Some(shown) = self.shown.get(py) {
            for item in shown.try_iter()? {
                if !look(&item?)? {
                    break;
                }
            }
            return Ok(());
        }
        let mut place = 0;
        while let Some(item) = self.get(py, place)? {
            if !look(&item)? {
                break;
            }
            place += 1;
        }
        Ok(())
    }

    /// The first object that `wanted` is true of, found without a reference to any other. None when only
    /// Python code could tell: `wanted`, which runs none, gave None, or the queue was shown.
    #[inline]
    pub fn first_where<'py>(
        &self,
        py: Python<'py>,
        wanted: impl Fn(&Bound<'py, PyAny>) -> Option<bool>,
    ) -> Option<Option<Bound<'py, PyAny>>> {
        if self.shown.is_set() {
            return None;
        }
        let items = self.items.take();
        let mut found = Some(None);
        for item in items.iter().flat_map(|items| items.0.iter()) {
            let item = item.as_py().bind(py);
            let verdict = wanted(item);
            if verdict != Some(false) {
                found = verdict.map(|_| Some(item.clone()));
                break;
            }
        }
        self.items.set(items);
        found
    }

    /// `append`.
    #[inline(always)]
    pub fn push_back(&self, item: Bound<'_, PyAny>) -> PyResult<()> {
        let py = item.py();
        match self.shown.get(py) {
            None => {
                let mut items = self.items.take().unwrap_or_default();
                items.0.push_back(Ref::new(item));
                self.items.set(Some(items));
                Ok(())
            }
            Some(shown) => shown.call_method1(intern!(py, "append"), (item,)).map(drop),
        }
    }

    /// `appendleft`.
    pub fn push_front(&self, item: Bound<'_, PyAny>) -> PyResult<()> {
        let py = item.py();
        match self.shown.get(py) {
            None => {
                let mut items = self.items.take().unwrap_or_default();
                items.0.push_front(Ref::new(item));
                self.items.set(Some(items));
                Ok(())
            }
            Some(shown) => shown.call_method1(intern!(py, "appendleft"), (item,)).map(drop),
        }
    }

    /// `popleft`; None when nothing is queued.
    #[inline(always)]
    pub fn pop_front<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.shown.get(py) {
            None => Ok(self.with(take_first).map(|item| item.into_bound(py))),
            Some(shown) if !shown.is_truthy()? => Ok(None),
            Some(shown) => shown.call_method0(intern!(py, "popleft")).map(Some),
        }
    }

    /// `remove`, of this very object.
    ///
    /// # Errors
    /// What `deque.remove` raises once the deque is shown.
    #[inline]
    pub fn remove(&self, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = item.py();
        if let Some(shown) = self.shown.get(py) {
            return shown.call_method1(intern!(py, "remove"), (item,)).map(drop);
        }
        let removed = self.with(|items| {
            match items.iter().position(|held| held.as_ptr() == item.as_ptr())? {
                0 => take_first(items),
                place => items.remove(place),
            }
        });
        drop(removed);
        Ok(())
    }

    /// What is queued in Rust.
    pub fn copied<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        self.with(|items| items.iter().map(|item| item.bind(py)).collect())
    }

    /// The queue for Python, which may change it from now on.
    pub fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(shown) = self.shown.get(py) {
            return Ok(shown);
        }
        let shown = names::DEQUE.get(py)?.call1((self.copied(py),))?;
        self.set(&shown);
        Ok(shown)
    }

    /// [`Deque::show`], or None where nothing was ever queued: stock makes some queues at first use.
    pub fn show_if_used<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.is_untouched() { Ok(none(py)) } else { self.show(py) }
    }

    /// Python put an object of its own in the queue's place, or None, which stands for no queue.
    pub fn set(&self, object: &Bound<'_, PyAny>) {
        let items = self.items.take();
        self.shown.replace(object.py(), (!object.is_none()).then(|| object.clone()));
        drop(items);
    }

    /// Reports what is queued to the collector.
    pub fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        visit.slot(&self.shown)?;
        let Some(items) = self.items.take() else {
            return Ok(());
        };
        let outcome = items.0.iter().try_for_each(|item| visit.reference(item));
        self.items.set(Some(items));
        outcome
    }

    /// Drops everything.
    pub fn clear(&self, py: Python<'_>) {
        let items = self.items.take();
        drop(self.shown.take(py));
        drop(items);
    }
}

/// Takes the first object out; the memory of a crowd that has gone is given back.
#[inline]
fn take_first(items: &mut VecDeque<Ref>) -> Option<Ref> {
    const KEPT: usize = 64;
    let first = items.pop_front();
    if items.is_empty() && items.capacity() > KEPT {
        items.shrink_to(KEPT);
    }
    first
}
