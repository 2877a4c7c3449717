//! `struct EventLoop` and the calls on it that tasks, futures and handles need: "call this soon",
//! "wake this at". What a user sees of the loop is built on top, in `event_loop`.
//!
//! State: open or closed; when open, running or not (`thread` is set); when running, stopping or not.
//! Fields: `ready`, `timers` and `interests` own what is to be called. `current` mirrors what this
//! loop has put into asyncio's table of current tasks.
//! Safety: no borrow of a `GilCell` is held over a call that can run Python code; what was taken out
//! is dropped after the borrow.
//! Shutdown: `close` empties the three queues; dropping the loop does the same.

mod class;
mod heap;
mod item;
mod outputs;
mod owners;
mod timing;
mod turns;
mod waking;
mod watch;

use std::collections::HashMap;
#[cfg(Py_3_14)]
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::sync::Arc;
#[cfg(Py_3_14)]
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use ferrio_capi::read_space::ReadSpace;
use ferrio_capi::spare_bytes::SpareBytes;
use ferrio_capi::weak_list::WeakList;
use ferrio_capi::{GilCell, Ref, call, runtime};
use ferrio_core::reactor::{Events, Interests, Poller};
use ferrio_core::ready::Ready;
use ferrio_core::timers::{TimerKey, Timers};
use ferrio_core::wake::WakeFlag;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit, intern};

pub use class::{as_native, into_native, remember_class};
pub use item::{Act, CallParts, Item, Watch};
pub use watch::{
    Direction, call_act_soon, call_one_soon, unwatch, watch_act, watch_act_once, watch_draining_act,
};

use crate::handles::{self, Timed};
use crate::{errors, names};

/// The native part of an event loop, the first base of `ferrio.EventLoop`.
#[pyclass(module = "ferrio._ferrio", name = "EventLoop", subclass, frozen)]
#[derive(Debug)]
pub struct EventLoop {
    pub ready: GilCell<Ready<Item>>,
    /// Payloads are TimerHandles and native sleeps.
    pub timers: GilCell<Timers<Ref>>,
    pub interests: GilCell<Interests<Watch>>,
    /// The transports that own descriptors.
    owners: GilCell<HashMap<RawFd, owners::Owner>>,
    /// Native objects that have something to do before the next poll.
    pub before_poll: GilCell<Vec<(Ref, BeforePoll)>>,
    /// The objects that watched descriptors were named by, where it was not a number: a closed one is
    /// found by identity. Invariant: `interests` has each of the descriptors.
    pub files: GilCell<HashMap<RawFd, Ref>>,
    /// None once the loop is closed.
    pub poller: GilCell<Option<Arc<Poller>>>,
    /// The buffer that the next poll fills; taken out while a poll is under way.
    pub events: GilCell<Option<Events>>,
    /// The last snapshot of a caller's context (`handles::snapshot`).
    pub snapshot: GilCell<Option<Ref>>,
    /// Memory that transports read into.
    pub scratch: GilCell<Vec<u8>>,
    /// What the last protocol was given and did not keep.
    pub spare_bytes: GilCell<SpareBytes>,
    /// Memory that TLS connections encrypt into, between two uses.
    outputs: GilCell<outputs::Outputs>,
    /// Turns that have begun, from 1 on: a number for each turn.
    turns: AtomicU32,
    /// The turn in which a TCP transport last wrote.
    wrote_in_turn: AtomicU32,
    /// How often a native transport has given up its descriptor.
    disowned: AtomicU32,
    /// When a write of a turn was last sent, in seconds.
    sent_at: AtomicU64,
    /// The room that the last read of a socket left over.
    pub read_space: GilCell<Option<ReadSpace>>,
    /// The context in which `sock_recv` and its relatives try a socket that became ready.
    pub sock_context: GilCell<Option<Ref>>,
    /// Turns since the last poll.
    pub skipped_turns: AtomicU32,
    /// `add_signal_handler` is in use: signals arrive through the loop's own descriptor.
    pub handles_signals: AtomicBool,
    pub wake: WakeFlag,
    /// The loop's thread is in a poll that may sleep.
    pub asleep: AtomicBool,
    /// `_task_factory`.
    pub task_factory: GilCell<Option<Ref>>,
    /// `_debug`. While set, everything goes through Handles with tracebacks.
    pub debug: AtomicBool,
    pub closed: AtomicBool,
    pub stopping: AtomicBool,
    /// The thread that runs the loop (`threading.get_ident()`), 0 when none does.
    pub thread: AtomicU64,
    /// The head of `_asyncio`'s list of that thread's tasks, once a task of this run was put there;
    /// null before, and when no thread runs the loop.
    #[cfg(Py_3_14)]
    pub task_list: AtomicPtr<c_void>,
    /// A subclass or an assigned attribute replaces `call_soon`: tasks and futures must go through it.
    pub call_soon_overridden: AtomicBool,
    /// The same for `call_at`, which `call_later` must then call.
    pub call_at_overridden: AtomicBool,
    /// The same for `call_later`, which `ferrio.sleep` must then call.
    pub call_later_overridden: AtomicBool,
    /// The same for `_run_once`, which `run_forever` must then call.
    pub run_once_overridden: AtomicBool,
    /// The same for `time`.
    pub time_overridden: AtomicBool,
    /// The same for `create_future`, which `run_in_executor` must then call.
    pub create_future_overridden: AtomicBool,
    /// The same for `create_task`, which `gather` and its relatives must then call.
    pub create_task_overridden: AtomicBool,
    /// The same for `call_soon_threadsafe`, which must then bring the outcome of that.
    pub threadsafe_overridden: AtomicBool,
    /// The same for `is_running`, which an eager task must then call.
    pub is_running_overridden: AtomicBool,
    /// The same for one of the methods by which `sock_recv` and its relatives wait: `_add_reader` and its
    /// like, `create_future`.
    pub sock_waits_overridden: AtomicBool,
    /// The same for one of the other methods that connections are made with.
    pub connect_overridden: AtomicBool,
    /// The version of the loop's class for which the flags above were found.
    pub class_version: AtomicU32,
    /// Somebody put a selector of their own into `_selector`: polls go through its `select`.
    pub selector_replaced: AtomicBool,
    /// The descriptor of `_csock`, plus one: what is written there wakes a selector of somebody's. 0
    /// without one.
    pub self_pipe: AtomicI32,
    /// `_internal_fds`: how many of the watched descriptors are the loop's own.
    pub internal_fds: AtomicU64,
    /// The address of what asyncio's table of current tasks holds though no step is under way: of the
    /// native task that stepped last, or of None after it has finished. 0 when it holds nothing, as
    /// whenever anything else than a native step runs.
    pub lingering: AtomicUsize,
    /// A turn is running its batch: what lingers will be settled.
    pub in_batch: AtomicBool,
    /// What is to be called before the poll is to be called already when this item of the batch ends.
    flush_after_item: AtomicBool,
    /// The unfinished native tasks of this loop, for `asyncio.all_tasks()`.
    pub tasks: GilCell<WeakList>,
}

impl EventLoop {
    /// An open loop that does not run.
    ///
    /// # Errors
    /// OSError when the kernel has no descriptor left.
    pub fn create() -> std::io::Result<Self> {
        heap::keep_free_memory();
        Ok(Self {
            ready: GilCell::new(Ready::new()),
            timers: GilCell::new(Timers::new()),
            interests: GilCell::new(Interests::new()),
            owners: GilCell::new(HashMap::new()),
            before_poll: GilCell::new(Vec::new()),
            files: GilCell::new(HashMap::new()),
            poller: GilCell::new(Some(Arc::new(Poller::new()?))),
            events: GilCell::new(None),
            snapshot: GilCell::new(None),
            scratch: GilCell::new(Vec::new()),
            spare_bytes: GilCell::default(),
            outputs: GilCell::default(),
            turns: AtomicU32::new(0),
            wrote_in_turn: AtomicU32::new(0),
            disowned: AtomicU32::new(0),
            sent_at: AtomicU64::new(0),
            read_space: GilCell::new(None),
            sock_context: GilCell::new(None),
            skipped_turns: AtomicU32::new(0),
            handles_signals: AtomicBool::new(false),
            task_factory: GilCell::new(None),
            wake: WakeFlag::new(),
            asleep: AtomicBool::new(false),
            debug: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            thread: AtomicU64::new(0),
            #[cfg(Py_3_14)]
            task_list: AtomicPtr::new(std::ptr::null_mut()),
            call_soon_overridden: AtomicBool::new(false),
            call_at_overridden: AtomicBool::new(false),
            call_later_overridden: AtomicBool::new(false),
            run_once_overridden: AtomicBool::new(false),
            time_overridden: AtomicBool::new(false),
            create_future_overridden: AtomicBool::new(false),
            create_task_overridden: AtomicBool::new(false),
            threadsafe_overridden: AtomicBool::new(false),
            is_running_overridden: AtomicBool::new(false),
            sock_waits_overridden: AtomicBool::new(false),
            connect_overridden: AtomicBool::new(false),
            class_version: AtomicU32::new(0),
            selector_replaced: AtomicBool::new(false),
            self_pipe: AtomicI32::new(0),
            internal_fds: AtomicU64::new(0),
            lingering: AtomicUsize::new(0),
            in_batch: AtomicBool::new(false),
            flush_after_item: AtomicBool::new(false),
            tasks: GilCell::new(WeakList::new()),
        })
    }

    /// The thread that runs the loop.
    pub fn running_thread(&self) -> Option<u64> {
        match self.thread.load(Ordering::Relaxed) {
            0 => None,
            thread => Some(thread),
        }
    }

    /// Notes which thread runs the loop.
    pub fn set_running_thread(&self, thread: Option<u64>) {
        self.thread.store(thread.unwrap_or(0), Ordering::Relaxed);
        #[cfg(Py_3_14)]
        self.task_list.store(std::ptr::null_mut(), Ordering::Relaxed);
    }

    /// Queues an item behind everything that is ready.
    #[inline]
    pub fn push(&self, py: Python<'_>, item: Item) {
        let item = ManuallyDrop::new(item);
        self.ready.borrow_mut(py).push_undropped(item);
    }

    /// Whether tasks and futures may queue items directly, without calling `call_soon`: nobody
    /// replaced it, the loop is open, and debug mode wants no Handle.
    #[inline]
    pub fn takes_items(&self) -> bool {
        !(get(&self.debug) || get(&self.call_soon_overridden) || get(&self.closed))
    }

    /// Whether tasks may be made past `create_task`: nobody replaced it, there is no task factory, the
    /// loop is open, and debug mode looks at nothing.
    #[inline]
    pub fn makes_tasks(&self, py: Python<'_>) -> bool {
        self.takes_items()
            && !get(&self.create_task_overridden)
            && self.task_factory.borrow_mut(py).is_none()
    }

    /// # Errors
    /// RuntimeError when the loop is closed.
    #[inline]
    pub fn check_closed(&self) -> PyResult<()> {
        if get(&self.closed) { Err(errors::loop_closed()) } else { Ok(()) }
    }

    /// # Errors
    /// RuntimeError when another thread runs the loop. CPython: BaseEventLoop._check_thread
    pub fn check_thread(&self) -> PyResult<()> {
        match self.thread.load(Ordering::Relaxed) {
            0 => Ok(()),
            thread if thread == runtime::thread_ident() => Ok(()),
            _ => Err(errors::wrong_thread()),
        }
    }

    /// Puts something into the heap: a TimerHandle or a native sleep.
    #[inline]
    pub fn push_timer(&self, py: Python<'_>, when: f64, payload: Ref) -> TimerKey {
        self.timers.borrow_mut(py).push(when, payload)
    }

    /// Takes a timer out of the heap before its time; whether it was still there.
    #[inline]
    pub fn cancel_timer<T>(&self, key: TimerKey, payload: &Bound<'_, T>) -> bool {
        let is_it = |held: &Ref| held.as_ptr() == payload.as_ptr();
        let cancelled = self.timers.borrow_mut(payload.py()).cancel(key, is_it);
        cancelled.is_some()
    }
}

/// What a native object does before the next poll; it reports its errors itself.
pub type BeforePoll = fn(&Bound<'_, PyAny>);

/// Reads a flag that only attached threads touch.
#[inline]
pub fn get(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

/// Writes such a flag.
#[inline]
pub fn set(flag: &AtomicBool, value: bool) {
    flag.store(value, Ordering::Relaxed);
}

/// `loop.call_soon(callback, *args, context=context)` through Python, for loops that are not ours or
/// that watch their calls.
pub fn call_soon<'py>(
    event_loop: &Bound<'py, PyAny>,
    callback: &Bound<'py, PyAny>,
    args: &[&Bound<'py, PyAny>],
    context: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = event_loop.py();
    let mut all = Vec::with_capacity(args.len() + 1);
    all.push(callback);
    all.extend_from_slice(args);
    let name = intern!(py, "call_soon");
    call::call_method_with_keyword(event_loop, name, &all, context, names::context_keyword(py))?;
    Ok(())
}

/// Whether `loop.get_debug()` is true, without the call when the loop is ours.
pub fn is_debug(event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
    match as_native(event_loop) {
        Some(native) => Ok(get(&native.get().debug)),
        None => event_loop.call_method0(intern!(event_loop.py(), "get_debug"))?.is_truthy(),
    }
}

impl EventLoop {
    /// Shows every owned reference to the collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if self.running_thread().is_some() {
            // A loop that runs is no garbage, nor is what it holds: nothing needs to be looked at.
            return Ok(());
        }
        let items = self.ready.inspect(|ready| ready.iter().try_for_each(|item| item.visit(visit)));
        let timers = self
            .timers
            .inspect(|timers| timers.iter().try_for_each(|(_, timer)| visit.call(timer.as_py())));
        let interests = self.interests.inspect(|interests| {
            interests.iter().try_for_each(|(_, reader, writer)| {
                reader.into_iter().chain(writer).try_for_each(|watch| watch.visit(visit))
            })
        });
        let factory = self
            .task_factory
            .inspect(|factory| factory.iter().try_for_each(|factory| visit.call(factory.as_py())));
        let files = self
            .files
            .inspect(|files| files.iter().try_for_each(|(_, file)| visit.call(file.as_py())));
        let before_poll = self
            .before_poll
            .inspect(|queue| queue.iter().try_for_each(|(object, _)| visit.call(object.as_py())));
        let snapshot =
            self.snapshot.inspect(|last| last.iter().try_for_each(|last| visit.call(last.as_py())));
        [items, timers, interests, factory, files, before_poll, snapshot]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Shows what is queued to the collector, because the loop stops and may become garbage.
    pub fn track_queues(&self, py: Python<'_>) {
        let ready = self.ready.borrow_mut(py);
        for item in ready.iter() {
            if let Item::Handle(handle) | Item::Due(handle) = item {
                handles::track(&handle.bind(py));
            }
        }
        for (_, timer) in self.timers.borrow_mut(py).iter() {
            handles::track(&timer.bind(py));
        }
    }

    /// Drops everything that is queued. What a drop runs may queue again; that is dropped with the
    /// loop.
    pub fn discard_queues(&self, py: Python<'_>) {
        let ready = self.ready.borrow_mut(py).take_all();
        drop(ready);
        let timers = self.timers.borrow_mut(py).take_all();
        for timer in timers {
            let timer = timer.into_bound(py);
            if let Some(handle) = handles::as_timer_handle(&timer) {
                handle.leave_heap();
            }
        }
        let interests = self.interests.borrow_mut(py).take_all();
        drop(interests);
        let files = std::mem::take(&mut *self.files.borrow_mut(py));
        drop(files);
        let before_poll = std::mem::take(&mut *self.before_poll.borrow_mut(py));
        drop(before_poll);
        let snapshot = self.snapshot.borrow_mut(py).take();
        drop(snapshot);
        let factory = self.task_factory.borrow_mut(py).take();
        drop(factory);
    }
}
