//! `Queue` as an object: its state. CPython: asyncio.queues.Queue

use std::cell::Cell;
use std::ffi::c_int;

use ferrio_capi::method::InitArguments;
use ferrio_capi::signature::Signature;
use ferrio_capi::{Class, NativeClass, Slot, State, StateOf, Visit};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyInt};
use pyo3::{PyTypeInfo, ffi};

use super::items::Items;
use super::order;
use crate::deque::Deque;

pub(super) static QUEUE: Class<Queue> = Class::new();

/// `asyncio.Queue`.
#[derive(Debug)]
pub struct Queue;

/// The native part of a queue. All-zero is one whose `__init__` did not run.
#[derive(Debug)]
pub struct QueueState {
    /// `_maxsize`.
    pub maxsize: Slot,
    /// What `maxsize` means; changes together with it.
    pub limit: Cell<Limit>,
    pub items: Items,
    pub getters: Deque,
    pub putters: Deque,
    /// `_unfinished_tasks`.
    pub unfinished: Cell<i64>,
    /// `_finished`, once somebody needed it.
    pub finished: Slot,
    /// What `_finished` would say if it were there.
    pub all_finished: Cell<bool>,
    /// `_loop`.
    pub event_loop: Slot,
    /// `_is_shutdown`.
    pub shut_down: Cell<bool>,
}

/// How many items a queue takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, usize)]
pub enum Limit {
    /// `_maxsize` is no small int: it must be compared with.
    Asked = 0,
    /// Any number.
    None,
    /// So many.
    Items(usize),
}

// SAFETY: empty slots, empty queues, `Limit::Asked`, zero and false are all-zero.
unsafe impl State for QueueState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))?;
        self.items.traverse(visit)?;
        self.getters.traverse(visit)?;
        self.putters.traverse(visit)
    }

    fn clear(&self, py: Python<'_>) {
        self.items.clear(py);
        self.getters.clear(py);
        self.putters.clear(py);
        for slot in self.slots() {
            drop(slot.take(py));
        }
    }
}

impl QueueState {
    fn slots(&self) -> [&Slot; 3] {
        [&self.maxsize, &self.finished, &self.event_loop]
    }

    /// `self._maxsize = maxsize`.
    pub fn set_maxsize(&self, maxsize: Bound<'_, PyAny>) {
        let limit = match maxsize.cast_exact::<PyInt>() {
            Ok(number) => match number.extract::<isize>() {
                Ok(number) => usize::try_from(number).map_or(Limit::None, Limit::from_count),
                Err(_) => Limit::Asked,
            },
            Err(_) => Limit::Asked,
        };
        self.limit.set(limit);
        self.maxsize.set(maxsize);
    }
}

impl Limit {
    fn from_count(count: usize) -> Self {
        if count == 0 { Self::None } else { Self::Items(count) }
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for Queue {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        QUEUE.type_ptr()
    }
}

impl DerefToPyAny for Queue {}

impl NativeClass for Queue {
    type State = QueueState;
    const KEPT: usize = 16;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &QUEUE
    }

    fn may_nest(_: &QueueState) -> bool {
        true
    }
}

static INIT: Signature<1> =
    Signature { format: c"|O:Queue", names: [c"maxsize"], positional: 1, required: 0 };

pub fn init<'py>(this: &Bound<'py, Queue>, arguments: InitArguments<'_, 'py>) -> PyResult<()> {
    let [maxsize] = INIT.parse_init(&arguments)?;
    begin(this, maxsize)
}

/// `Queue()`.
///
/// # Errors
/// MemoryError.
pub fn new(py: Python<'_>) -> PyResult<Bound<'_, Queue>> {
    let this = QUEUE.alloc(py)?;
    begin(&this, None)?;
    Ok(this)
}

/// CPython: Queue.__init__
fn begin<'py>(this: &Bound<'py, Queue>, maxsize: Option<Bound<'py, PyAny>>) -> PyResult<()> {
    let py = this.py();
    let maxsize = match maxsize {
        Some(maxsize) => maxsize,
        None => 0_i32.into_pyobject(py)?.into_any(),
    };
    let state = this.state();
    state.set_maxsize(maxsize.clone());
    state.getters.clear(py);
    state.putters.clear(py);
    state.unfinished.set(0);
    drop(state.finished.take(py));
    state.all_finished.set(true);
    order::init(this, &maxsize)?;
    state.shut_down.set(false);
    Ok(())
}
