//! The queue between a loop and the threads of its default executor: `queue.SimpleQueue`'s methods,
//! and a wake-up that can be had apart from the putting.
//!
//! A thread that waits in `SimpleQueue.get` is woken while the caller of `put` has the GIL, which the
//! woken thread wants next: it wakes, finds the GIL taken and sleeps again, then is woken by the mutex
//! of the GIL once or twice more (three switches of threads to and fro for one item, on one core).
//! Here the loop can give up the GIL for the wake-up itself, and the woken thread goes through.
//!
//! State: items are handed out in the order in which they came. A sleeper stands in `sleepers` until
//! it is woken or stops waiting; who is taken off that list is woken, and looks at `items` again.
//! Safety: both lists are touched with the GIL held, so no item comes between a look and a sleep.
//! Shutdown: dropping the queue drops its items; nobody can be waiting then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ferrio_capi::{GilCell, Ref, runtime};
use ferrio_core::parker::{Parked, Parker};
use ferrio_core::turn;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::names;

/// An unbounded queue of work.
#[pyclass(module = "ferrio._ferrio", name = "_WorkQueue", frozen, weakref)]
pub struct WorkQueue {
    items: GilCell<VecDeque<Ref>>,
    /// The last one is woken first: its stack and its caches are warm.
    sleepers: GilCell<Vec<Sleeper>>,
}

/// A thread that waits for an item.
struct Sleeper {
    parker: Arc<Parker>,
    /// A child process has the list of its parent, not the threads.
    process: u32,
}

impl WorkQueue {
    /// Appends an item and wakes nobody: [`WorkQueue::wake_one`] must follow.
    pub fn push(&self, py: Python<'_>, item: Ref) {
        self.items.borrow_mut(py).push_back(item);
    }

    /// Wakes a thread that waits, if one does; with `hand_over`, while the GIL is free for it.
    pub fn wake_one(&self, py: Python<'_>, hand_over: bool) {
        let Some(parker) = self.pop_sleeper(py) else {
            return;
        };
        if hand_over {
            // SAFETY: the wake-up touches no Python object.
            unsafe { runtime::without_gil(py, || parker.unpark()) }
        } else {
            parker.unpark();
        }
    }

    fn pop_sleeper(&self, py: Python<'_>) -> Option<Arc<Parker>> {
        let mut sleepers = self.sleepers.borrow_mut(py);
        if sleepers.is_empty() {
            return None;
        }
        let process = std::process::id();
        while let Some(sleeper) = sleepers.pop() {
            if sleeper.process == process {
                return Some(sleeper.parker);
            }
        }
        None
    }

    fn pop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let item = self.items.borrow_mut(py).pop_front();
        item.map(|item| item.into_bound(py))
    }

    /// The next item, once there is one; None when the time is over.
    fn wait<'py>(
        &self,
        py: Python<'py>,
        deadline: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        loop {
            if let Some(item) = self.pop(py) {
                return Ok(Some(item));
            }
            let left = deadline.map(|deadline| deadline - turn::monotonic());
            if left.is_some_and(|left| left <= 0.0) {
                return Ok(None);
            }
            if self.sleep(py, left.map(Duration::from_secs_f64)) == Parked::Interrupted
                && let Err(error) = py.check_signals()
            {
                self.pass_on(py);
                return Err(error);
            }
        }
    }

    fn sleep(&self, py: Python<'_>, limit: Option<Duration>) -> Parked {
        let parker = Arc::new(Parker::new());
        let sleeper = Sleeper { parker: Arc::clone(&parker), process: std::process::id() };
        self.sleepers.borrow_mut(py).push(sleeper);
        // SAFETY: the sleep touches no Python object.
        let parked = unsafe { runtime::without_gil(py, || parker.park(limit)) };
        if parked != Parked::Woken {
            self.sleepers.borrow_mut(py).retain(|other| !Arc::ptr_eq(&other.parker, &parker));
        }
        parked
    }

    /// Wakes another thread in the place of one that leaves though it may have been woken.
    fn pass_on(&self, py: Python<'_>) {
        if !self.items.borrow_mut(py).is_empty() {
            self.wake_one(py, false);
        }
    }
}

#[pymethods]
impl WorkQueue {
    /// An empty queue.
    #[new]
    pub fn new() -> Self {
        Self { items: GilCell::new(VecDeque::new()), sleepers: GilCell::new(Vec::new()) }
    }

    /// Put the item on the queue. It never blocks; the other arguments are those of queue.Queue.
    #[pyo3(signature = (item, block=true, timeout=None))]
    fn put(&self, item: Bound<'_, PyAny>, block: bool, timeout: Option<&Bound<'_, PyAny>>) {
        let (py, _) = (item.py(), (block, timeout));
        self.push(py, Ref::new(item));
        self.wake_one(py, false);
    }

    /// Put the item on the queue.
    fn put_nowait(&self, item: Bound<'_, PyAny>) {
        self.put(item, true, None);
    }

    /// Remove and return an item, waiting for one if necessary. Raises queue.Empty when none came
    /// within `timeout` seconds, or is there when `block` is false; ValueError when `timeout` is
    /// negative.
    #[pyo3(signature = (block=true, timeout=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !block {
            return self.get_nowait(py);
        }
        let item = self.wait(py, timeout.map(deadline).transpose()?)?;
        item.map_or_else(|| Err(empty(py)), Ok)
    }

    /// Remove and return an item. Raises queue.Empty when there is none.
    fn get_nowait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pop(py).map_or_else(|| Err(empty(py)), Ok)
    }

    /// Return True if the queue is empty.
    fn empty(&self, py: Python<'_>) -> bool {
        self.items.borrow_mut(py).is_empty()
    }

    /// Return the number of items.
    fn qsize(&self, py: Python<'_>) -> usize {
        self.items.borrow_mut(py).len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let visited =
            self.items.inspect(|items| items.iter().try_for_each(|item| visit.call(item.as_py())));
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(slf: &Bound<'_, Self>) {
        let items = std::mem::take(&mut *slf.get().items.borrow_mut(slf.py()));
        drop(items);
    }
}

/// CPython: _queue_SimpleQueue_get_impl
fn deadline(timeout: f64) -> PyResult<f64> {
    if timeout < 0.0 {
        return Err(PyValueError::new_err("'timeout' must be a non-negative number"));
    }
    if timeout.is_nan() {
        return Err(PyValueError::new_err("Invalid value NaN (not a number)"));
    }
    if timeout >= LONGEST_WAIT {
        return Err(PyOverflowError::new_err("timeout value is too large"));
    }
    Ok(turn::monotonic() + timeout)
}

fn empty(py: Python<'_>) -> PyErr {
    match names::QUEUE_EMPTY.class(py) {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

/// What `threading.TIMEOUT_MAX` is on Linux, in seconds.
const LONGEST_WAIT: f64 = 9_223_372_036.0;
