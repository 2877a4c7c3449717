//! `run_in_executor` with a ThreadPoolExecutor as the standard library made it: the work goes into the
//! executor's own queue and is done by its own threads, but as a native item that brings its outcome
//! straight to the loop. Any other executor, and any that somebody changed, is used as stock uses it.

use ferrio_capi::{dict, runtime};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFunction, PyTuple};

use super::lifecycle::inherited;
use super::work_queue::WorkQueue;
use super::{overrides, work_item};
use crate::futures::{Future, methods as futures};
use crate::loop_state::{EventLoop, get};
use crate::names::{self, owned};

/// `run_in_executor`. CPython: BaseEventLoop.run_in_executor
pub fn run<'py>(
    slf: &Bound<'py, EventLoop>,
    executor: Bound<'py, PyAny>,
    function: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let native = slf.get();
    native.check_closed()?;
    overrides::refresh(slf)?;
    if native.takes_items()
        && !get(&native.create_future_overridden)
        && !get(&native.threadsafe_overridden)
        && let Some(executor) = usable_executor(slf, &executor)?
        && let Some(future) = submit(slf, &executor, &function, &args)?
    {
        return Ok(future.into_any());
    }
    let mut all = vec![executor, function];
    all.extend(args.iter());
    inherited(slf)?.call_method1(intern!(py, "run_in_executor"), PyTuple::new(py, all)?)
}

/// The executor that is meant, when native work can be given to it. The default one is made here, so
/// that it gets a queue of ours before anybody can see it.
fn usable_executor<'py>(
    slf: &Bound<'py, EventLoop>,
    given: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = slf.py();
    if !given.is_none() {
        return Ok(is_stock(given)?.then(|| given.clone()));
    }
    if slf.getattr(intern!(py, "_executor_shutdown_called"))?.is_truthy()? {
        return Ok(None);
    }
    let default = slf.getattr(intern!(py, "_default_executor"))?;
    if !default.is_none() {
        return Ok(is_stock(&default)?.then_some(default));
    }
    let Some(made) = make_default_executor(py)? else {
        return Ok(None);
    };
    slf.setattr(intern!(py, "_default_executor"), &made)?;
    Ok(Some(made))
}

/// CPython: BaseEventLoop.run_in_executor
#[cold]
fn make_default_executor(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let class = py.import("concurrent.futures")?.getattr("ThreadPoolExecutor")?;
    if !class.is(names::THREAD_POOL_EXECUTOR.get(py)?) {
        return Ok(None);
    }
    let keywords = PyDict::new(py);
    keywords.set_item("thread_name_prefix", "asyncio")?;
    let executor = class.call((), Some(&keywords))?;
    if !is_stock(&executor)? {
        return Ok(None);
    }
    let queue = executor.getattr("_work_queue")?;
    if queue.get_type().is(names::SIMPLE_QUEUE.get(py)?) {
        executor.setattr("_work_queue", Bound::new(py, WorkQueue::new())?)?;
    }
    Ok(Some(executor))
}

/// What of the standard library native work takes the place of, as it was when first used.
struct Stock {
    module: Py<PyModule>,
    submit: Py<PyAny>,
    adjust: Py<PyAny>,
    work_item_version: u32,
}

impl Stock {
    fn get(py: Python<'_>) -> PyResult<Option<&Self>> {
        static STOCK: PyOnceLock<Option<Stock>> = PyOnceLock::new();
        STOCK.get_or_try_init(py, || Self::find(py)).map(Option::as_ref)
    }

    /// None when something is not the standard library's own.
    fn find(py: Python<'_>) -> PyResult<Option<Self>> {
        let module = py.import("concurrent.futures.thread")?;
        let class = names::THREAD_POOL_EXECUTOR.get(py)?;
        let item = names::WORK_ITEM.class(py)?;
        let (submit, adjust) = (class.getattr("submit")?, class.getattr("_adjust_thread_count")?);
        let own = [
            (&submit, "ThreadPoolExecutor.submit"),
            (&adjust, "ThreadPoolExecutor._adjust_thread_count"),
            (&item.getattr("__init__")?, "_WorkItem.__init__"),
            (&item.getattr("run")?, "_WorkItem.run"),
        ];
        for (function, name) in own {
            if !is_own(&module, function, name)? {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            submit: submit.unbind(),
            adjust: adjust.unbind(),
            work_item_version: dict::class_version(item),
            module: module.unbind(),
        }))
    }
}

/// Whether the function's code is what its name in the module's source stands for.
fn is_own(module: &Bound<'_, PyModule>, function: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    if !function.is_exact_instance_of::<PyFunction>() {
        return Ok(false);
    }
    let globals = function.getattr("__globals__")?;
    let code_name = function.getattr("__code__")?.getattr("co_qualname")?;
    Ok(globals.is(module.dict()) && code_name.eq(name)?)
}

/// Whether the executor is a ThreadPoolExecutor, no subclass, and nobody replaced what native work does
/// not go through: for this one, or for all of them.
fn is_stock(executor: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = executor.py();
    if !executor.get_type().is(names::THREAD_POOL_EXECUTOR.get(py)?) {
        return Ok(false);
    }
    let Some(stock) = Stock::get(py)? else {
        return Ok(false);
    };
    let item = names::WORK_ITEM.class(py)?;
    Ok(is_method(executor.getattr(intern!(py, "submit"))?, &stock.submit)
        && is_method(executor.getattr(intern!(py, "_adjust_thread_count"))?, &stock.adjust)
        && stock.module.bind(py).getattr(intern!(py, "_WorkItem"))?.is(item)
        && dict::class_version(item) == stock.work_item_version)
}

fn is_method(bound: Bound<'_, PyAny>, function: &Py<PyAny>) -> bool {
    bound.getattr(intern!(bound.py(), "__func__")).is_ok_and(|own| own.is(function))
}

/// Gives the work to the executor; None, with nothing done, when the executor takes no more: stock
/// then has the words. CPython: ThreadPoolExecutor.submit, asyncio.wrap_future
fn submit<'py>(
    slf: &Bound<'py, EventLoop>,
    executor: &Bound<'py, PyAny>,
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Option<Bound<'py, Future>>> {
    let py = slf.py();
    let Some(stock) = Stock::get(py)? else {
        return Ok(None);
    };
    let module = stock.module.bind(py);
    let future = futures::new(slf)?;
    let item = work_item::new(executor, function, args, &future)?;
    let queue = executor.getattr(intern!(py, "_work_queue"))?;
    let own_lock = executor.getattr(intern!(py, "_shutdown_lock"))?;
    let global_lock = module.getattr(intern!(py, "_global_shutdown_lock"))?;
    let mut put = false;
    let adjusted = holding(&own_lock, || {
        holding(&global_lock, || {
            if refuses(executor, module)? {
                return Ok(());
            }
            match queue.cast::<WorkQueue>() {
                Ok(own) => own.get().push(py, owned(item.as_any())),
                Err(_) => queue.call_method1(intern!(py, "put"), (&item,)).map(drop)?,
            }
            put = true;
            adjust_thread_count(executor)
        })
    });
    if put && let Ok(own) = queue.cast::<WorkQueue>() {
        own.get().wake_one(py, is_idle(slf));
    }
    if let Err(error) = adjusted {
        work_item::detach(&item);
        return Err(error);
    }
    Ok(put.then_some(future))
}

fn refuses(executor: &Bound<'_, PyAny>, module: &Bound<'_, PyModule>) -> PyResult<bool> {
    let py = executor.py();
    Ok(executor.getattr(intern!(py, "_broken"))?.is_truthy()?
        || executor.getattr(intern!(py, "_shutdown"))?.is_truthy()?
        || module.getattr(intern!(py, "_shutdown"))?.is_truthy()?)
}

/// Whether the loop has nothing to do after the present callback: a thread that is woken now may have
/// the GIL at once. In the middle of a batch it would hold up what waits there.
fn is_idle(slf: &Bound<'_, EventLoop>) -> bool {
    let native = slf.get();
    get(&native.in_batch)
        && native.running_thread() == Some(runtime::thread_ident())
        && native.ready.borrow_mut(slf.py()).is_empty()
}

/// CPython: ThreadPoolExecutor._adjust_thread_count
fn adjust_thread_count(executor: &Bound<'_, PyAny>) -> PyResult<()> {
    if take_idle_worker(executor)? {
        return Ok(());
    }
    executor.call_method0(intern!(executor.py(), "_adjust_thread_count")).map(drop)
}

/// `_idle_semaphore.acquire(timeout=0)` where it succeeds. CPython: threading.Semaphore.acquire
fn take_idle_worker(executor: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = executor.py();
    let semaphore = executor.getattr(intern!(py, "_idle_semaphore"))?;
    if !semaphore.get_type().is(names::THREADING_SEMAPHORE.get(py)?) {
        return Ok(false);
    }
    let value = intern!(py, "_value");
    holding(&semaphore.getattr(intern!(py, "_cond"))?.getattr(intern!(py, "_lock"))?, || {
        let idle = semaphore.getattr(value)?.extract::<i64>()?;
        if idle > 0 {
            semaphore.setattr(value, idle - 1)?;
        }
        Ok(idle > 0)
    })
}

/// `with lock: body()`.
fn holding<R>(lock: &Bound<'_, PyAny>, body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    struct Held<'a, 'py>(&'a Bound<'py, PyAny>);
    impl Drop for Held<'_, '_> {
        fn drop(&mut self) {
            let py = self.0.py();
            if let Err(error) = self.0.call_method0(intern!(py, "release")) {
                error.write_unraisable(py, Some(self.0));
            }
        }
    }
    lock.call_method0(intern!(lock.py(), "acquire"))?;
    let held = Held(lock);
    let outcome = body();
    drop(held);
    outcome
}
