//! The Python face of the loop: the methods that Rust serves. Everything else of asyncio's loop is
//! inherited from `asyncio.SelectorEventLoop`, which comes next in `ferrio.EventLoop`'s bases. The
//! methods that programs call per callback or task are in `hot_methods`.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use super::ready_queue::ReadyQueue;
use super::transports_by_fd::TransportsByFd;
use super::{
    call, connect, debug, executor, fd, lifecycle, overrides, run, serve, signals, transport_fds,
};
use crate::loop_state::{Direction, EventLoop, get, set};
use crate::transports::{datagram, pipe, process, stream::Parts};

#[pymethods]
impl EventLoop {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(
        cls: &Bound<'_, PyType>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        lifecycle::new(cls)
    }

    /// Run until stop() is called.
    fn run_forever(slf: &Bound<'_, Self>) -> PyResult<()> {
        lifecycle::run_forever(slf)
    }

    /// Run one full iteration of the event loop.
    fn _run_once(slf: &Bound<'_, Self>) -> PyResult<()> {
        run::turn(slf)
    }

    /// Stop running the event loop: the current batch of callbacks is finished first.
    fn stop(&self) {
        set(&self.stopping, true);
    }

    /// Close the event loop: clears the queues and shuts down the default executor.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        lifecycle::close(slf)
    }

    /// Return True if the event loop is running.
    fn is_running(&self) -> bool {
        self.running_thread().is_some()
    }

    /// Return True if the event loop was closed.
    fn is_closed(&self) -> bool {
        get(&self.closed)
    }

    /// Return the debug mode of the event loop.
    fn get_debug(&self) -> bool {
        get(&self.debug)
    }

    /// Set the debug mode of the event loop.
    fn set_debug(slf: &Bound<'_, Self>, enabled: &Bound<'_, PyAny>) -> PyResult<()> {
        debug::set_debug(slf, enabled)
    }

    /// Add a handler for a signal (UNIX only). Raises as asyncio's.
    #[pyo3(signature = (sig, callback, *args))]
    fn add_signal_handler<'py>(
        slf: &Bound<'py, Self>,
        sig: Bound<'py, PyAny>,
        callback: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<()> {
        signals::add(slf, sig, callback, args)
    }

    /// Remove the handler of a signal; return True if there was one.
    fn remove_signal_handler<'py>(
        slf: &Bound<'py, Self>,
        sig: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        signals::remove(slf, sig)
    }

    /// Arrange for `func(*args)` to be called in the executor, None for the default one; return a
    /// Future for its result.
    #[pyo3(signature = (executor, func, *args))]
    fn run_in_executor<'py>(
        slf: &Bound<'py, Self>,
        executor: Bound<'py, PyAny>,
        func: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        executor::run(slf, executor, func, args)
    }

    #[pyo3(signature = (fd, callback, *args))]
    fn _add_reader<'py>(
        slf: &Bound<'py, Self>,
        fd: &Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        fd::add(slf, Direction::Read, fd, callback, args)
    }

    #[pyo3(signature = (fd, callback, *args))]
    fn _add_writer<'py>(
        slf: &Bound<'py, Self>,
        fd: &Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        fd::add(slf, Direction::Write, fd, callback, args)
    }

    fn _remove_reader(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        fd::remove(slf, Direction::Read, fd)
    }

    fn _remove_writer(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        fd::remove(slf, Direction::Write, fd)
    }

    fn _ensure_fd_no_transport(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<()> {
        transport_fds::ensure_none(slf, fd)
    }

    fn _add_callback(slf: &Bound<'_, Self>, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        call::add_callback(slf, handle)
    }

    fn _add_callback_signalsafe(slf: &Bound<'_, Self>, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        call::add_callback(slf, handle)?;
        slf.get().interrupt_sleep(slf.py())
    }

    fn _write_to_self(&self, py: Python<'_>) -> PyResult<()> {
        self.interrupt_sleep(py)
    }

    fn _timer_handle_cancelled(slf: &Bound<'_, Self>, handle: &Bound<'_, PyAny>) {
        call::timer_handle_cancelled(slf, handle);
    }

    #[pyo3(signature = (sock, protocol, waiter=None, *, extra=None, server=None))]
    fn _make_socket_transport<'py>(
        slf: &Bound<'py, Self>,
        sock: Bound<'py, PyAny>,
        protocol: Bound<'py, PyAny>,
        waiter: Option<Bound<'py, PyAny>>,
        extra: Option<Bound<'py, PyDict>>,
        server: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        connect::make_socket_transport(slf, Parts { sock, protocol, waiter, extra, server })
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is asyncio's")]
    #[pyo3(signature = (rawsock, protocol, sslcontext, waiter=None, *, extra=None, server=None, **ssl))]
    fn _make_ssl_transport<'py>(
        slf: &Bound<'py, Self>,
        rawsock: Bound<'py, PyAny>,
        protocol: Bound<'py, PyAny>,
        sslcontext: Bound<'py, PyAny>,
        waiter: Option<Bound<'py, PyAny>>,
        extra: Option<Bound<'py, PyDict>>,
        server: Option<Bound<'py, PyAny>>,
        ssl: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let parts = Parts { sock: rawsock, protocol, waiter, extra, server };
        connect::make_ssl_transport(slf, parts, &sslcontext, ssl)
    }

    #[pyo3(signature = (*args, **keywords))]
    fn _start_serving(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        serve::start(slf, args, keywords)
    }

    #[getter]
    fn _transports(slf: &Bound<'_, Self>) -> TransportsByFd {
        TransportsByFd::new(slf)
    }

    #[setter(_transports)]
    fn assign_transports(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        debug::refuse_queue("_transports", value)
    }

    #[pyo3(signature = (sock, protocol, address=None, waiter=None, extra=None))]
    fn _make_datagram_transport<'py>(
        slf: &Bound<'py, Self>,
        sock: Bound<'py, PyAny>,
        protocol: Bound<'py, PyAny>,
        address: Option<Bound<'py, PyAny>>,
        waiter: Option<Bound<'py, PyAny>>,
        extra: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let parts = datagram::Parts { sock, protocol, address, waiter, extra };
        connect::make_datagram_transport(slf, parts)
    }

    #[pyo3(signature = (pipe, protocol, waiter=None, extra=None))]
    fn _make_read_pipe_transport<'py>(
        slf: &Bound<'py, Self>,
        pipe: Bound<'py, PyAny>,
        protocol: Bound<'py, PyAny>,
        waiter: Option<Bound<'py, PyAny>>,
        extra: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = slf.as_any().clone();
        pipe::read::new(slf.py(), &pipe::Parts { event_loop, pipe, protocol, waiter, extra })
    }

    #[pyo3(signature = (pipe, protocol, waiter=None, extra=None))]
    fn _make_write_pipe_transport<'py>(
        slf: &Bound<'py, Self>,
        pipe: Bound<'py, PyAny>,
        protocol: Bound<'py, PyAny>,
        waiter: Option<Bound<'py, PyAny>>,
        extra: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = slf.as_any().clone();
        pipe::write::new(slf.py(), &pipe::Parts { event_loop, pipe, protocol, waiter, extra })
    }

    /// Watch the child of a subprocess transport; raise OSError where that needs a thread.
    #[pyo3(signature = (transport, when_abandoned=None))]
    fn _watch_child<'py>(
        slf: &Bound<'py, Self>,
        transport: &Bound<'py, PyAny>,
        when_abandoned: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        process::watch_child(slf, transport, when_abandoned)
    }

    /// The unfinished native tasks of this loop.
    fn _live_tasks<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        self.tasks.borrow_mut(py).members(py)
    }

    #[getter]
    fn _ready(slf: &Bound<'_, Self>) -> ReadyQueue {
        ReadyQueue::new(slf)
    }

    #[setter(_ready)]
    fn assign_ready(&self, queue: &Bound<'_, PyAny>) -> PyResult<()> {
        debug::refuse_queue("_ready", queue)
    }

    #[getter]
    fn _scheduled<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        debug::scheduled_handles(slf)
    }

    #[setter(_scheduled)]
    fn assign_scheduled(&self, queue: &Bound<'_, PyAny>) -> PyResult<()> {
        debug::refuse_queue("_scheduled", queue)
    }

    #[getter]
    fn _task_factory<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.task_factory.borrow_mut(py).as_ref().map(|factory| factory.bind(py))
    }

    #[setter(_task_factory)]
    fn assign_task_factory(&self, py: Python<'_>, factory: Option<Bound<'_, PyAny>>) {
        let old = std::mem::replace(
            &mut *self.task_factory.borrow_mut(py),
            factory.map(ferrio_capi::Ref::new),
        );
        drop(old);
    }

    #[getter]
    fn _debug(&self) -> bool {
        get(&self.debug)
    }

    #[setter(_debug)]
    fn assign_debug(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        set(&self.debug, value.is_truthy()?);
        Ok(())
    }

    #[getter]
    fn _closed(&self) -> bool {
        get(&self.closed)
    }

    #[setter(_closed)]
    fn assign_closed(&self, value: bool) {
        set(&self.closed, value);
    }

    #[getter]
    fn _stopping(&self) -> bool {
        get(&self.stopping)
    }

    #[setter(_stopping)]
    fn assign_stopping(&self, value: bool) {
        set(&self.stopping, value);
    }

    #[getter]
    fn _internal_fds(&self) -> u64 {
        self.internal_fds.load(Ordering::Relaxed)
    }

    #[setter(_internal_fds)]
    fn assign_internal_fds(&self, value: u64) {
        self.internal_fds.store(value, Ordering::Relaxed);
    }

    #[getter]
    fn _thread_id(&self) -> Option<u64> {
        self.running_thread()
    }

    #[setter(_thread_id)]
    fn assign_thread_id(&self, value: Option<u64>) {
        self.set_running_thread(value);
    }

    fn __setattr__(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        overrides::set_attribute(slf, name, Some(value))
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyAny>) -> PyResult<()> {
        overrides::set_attribute(slf, name, None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.traverse(&visit)
    }

    fn __clear__(slf: &Bound<'_, Self>) {
        slf.get().discard_queues(slf.py());
    }
}
