//! `loop._ready`: the queue of what is ready, with the face of the deque that stock has there. Loops
//! run by other code (nest_asyncio replaces `_run_once`) take their handles out of it.
//!
//! Every item is shown as the handle that stock would have queued. An item that is no handle yet gets
//! one each time it is looked at; taking it out is the only way to keep one.

use ferrio_capi::Ref;
use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyString};
use pyo3::{PyTraverseError, PyVisit};

use super::debug;
use crate::handles::{self, Timed};
use crate::loop_state::{EventLoop, Item};
use crate::names;

/// The ready queue of a loop.
#[pyclass(module = "ferrio._ferrio", frozen, sequence)]
pub struct ReadyQueue {
    event_loop: Py<EventLoop>,
}

impl ReadyQueue {
    /// The queue of `event_loop`.
    pub fn new(event_loop: &Bound<'_, EventLoop>) -> Self {
        Self { event_loop: event_loop.clone().unbind() }
    }

    fn handles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        debug::ready_handles(self.event_loop.bind(py))
    }

    /// A deque of all handles.
    fn deque<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        names::DEQUE.get(py)?.call1((self.handles(py)?,))
    }

    /// Calls a method of a deque of all handles, and queues what is in it then.
    fn change<'py, A>(
        &self,
        py: Python<'py>,
        method: &str,
        arguments: A,
    ) -> PyResult<Bound<'py, PyAny>>
    where
        A: PyCallArgs<'py>,
    {
        let deque = self.deque(py)?;
        let result = deque.call_method1(method, arguments)?;
        self.clear(py);
        self.extend(py, &deque)?;
        Ok(result)
    }
}

#[pymethods]
impl ReadyQueue {
    /// Queue a handle behind all others. A scheduled TimerHandle is no longer scheduled then.
    fn append(&self, py: Python<'_>, handle: Bound<'_, PyAny>) {
        let native = self.event_loop.get();
        if let Some(timer) = handles::as_timer_handle(&handle)
            && let Some(key) = timer.key()
        {
            timer.leave_heap();
            native.cancel_timer(key, &handle);
        }
        native.push(py, Item::Handle(Ref::new(handle)));
    }

    /// Take out the handle that has waited longest. Raises IndexError when the queue is empty.
    fn popleft<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = self.event_loop.bind(py);
        let item = event_loop.get().ready.borrow_mut(py).pop();
        let item = item.ok_or_else(|| PyIndexError::new_err("pop from an empty deque"))?;
        let handle = debug::handle_of(event_loop, item)?;
        handles::track(&handle);
        Ok(handle)
    }

    /// Queue handles behind all others.
    fn extend(&self, py: Python<'_>, handles: &Bound<'_, PyAny>) -> PyResult<()> {
        for handle in handles.try_iter()? {
            self.append(py, handle?);
        }
        Ok(())
    }

    /// Take out the first handle equal to this one. Raises ValueError when there is none.
    fn remove(&self, py: Python<'_>, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        self.change(py, "remove", (handle,)).map(drop)
    }

    /// Queue a handle before all others.
    fn appendleft(&self, py: Python<'_>, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        self.change(py, "appendleft", (handle,)).map(drop)
    }

    /// Queue handles before all others, each before the last.
    fn extendleft(&self, py: Python<'_>, handles: &Bound<'_, PyAny>) -> PyResult<()> {
        self.change(py, "extendleft", (handles,)).map(drop)
    }

    /// Queue a handle before the one at an index.
    fn insert(
        &self,
        py: Python<'_>,
        index: &Bound<'_, PyAny>,
        handle: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.change(py, "insert", (index, handle)).map(drop)
    }

    /// Take out the handle that was queued last. Raises IndexError when the queue is empty.
    fn pop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.change(py, "pop", ())
    }

    /// Move the last `n` handles to the front.
    #[pyo3(signature = (n = 1, /))]
    fn rotate(&self, py: Python<'_>, n: isize) -> PyResult<()> {
        self.change(py, "rotate", (n,)).map(drop)
    }

    /// Turn the order around.
    fn reverse(&self, py: Python<'_>) -> PyResult<()> {
        self.change(py, "reverse", ()).map(drop)
    }

    fn __setitem__(
        &self,
        py: Python<'_>,
        index: &Bound<'_, PyAny>,
        handle: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.change(py, "__setitem__", (index, handle)).map(drop)
    }

    fn __delitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<()> {
        self.change(py, "__delitem__", (index,)).map(drop)
    }

    /// What else a deque has (`copy`, `count`, `index`, `maxlen`), of a deque of all handles.
    fn __getattr__<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.deque(py)?.getattr(name)
    }

    /// Drop every handle.
    fn clear(&self, py: Python<'_>) {
        let items = self.event_loop.get().ready.borrow_mut(py).take_all();
        drop(items);
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.event_loop.get().ready.borrow_mut(py).len()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.handles(py)?.as_any().get_item(index)
    }

    fn __contains__(&self, py: Python<'_>, handle: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.handles(py)?.contains(handle)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.handles(py)?.try_iter()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("deque({})", self.handles(py)?.repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}
