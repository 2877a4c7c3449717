//! The extension module `ferrio._ferrio`: Python's asyncio with its engine in Rust. Modules from low
//! to high: names, errors, originals, properties, handles, loop_state, futures, tasks, coroutine, locks, queues,
//! combinators, transports, tls, dns, event_loop, streams; each uses lower ones only.

mod combinators;
mod coroutine;
mod deque;
mod dns;
mod errors;
mod event_loop;
mod futures;
mod handles;
mod locks;
mod loop_state;
mod names;
mod originals;
mod properties;
mod queues;
mod running;
mod streams;
mod tasks;
mod tls;
mod transports;

use pyo3::prelude::*;

/// The native part of Ferrio; import `ferrio` instead.
#[pymodule(gil_used = true)]
mod _ferrio {
    use std::collections::BTreeMap;

    use ferrio_capi::bound_function::BoundFunction;
    use ferrio_capi::function_of;
    use pyo3::PyTypeInfo;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::event_loop::connect_parts::remember;
    #[pymodule_export]
    use crate::event_loop::selector::EpollSelector;
    #[pymodule_export]
    use crate::loop_state::EventLoop;
    #[pymodule_export]
    use crate::tls::{locate, set_engine};

    /// How this extension was built and what it uses: version, Python, profile, reactor, the way of TLS to
    /// OpenSSL ("openssl": straight; "ssl": through `ssl.SSLObject`) and why it is not the straight one.
    #[pyfunction]
    fn build_info(py: Python<'_>) -> BTreeMap<&'static str, String> {
        let (tls, reason) = crate::tls::path(py);
        let version = py.version_info();
        BTreeMap::from([
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("python", format!("{}.{}.{}", version.major, version.minor, version.patch)),
            ("profile", if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()),
            ("reactor", "epoll".to_owned()),
            ("tls", tls.to_owned()),
            ("tls_reason", reason.to_owned()),
        ])
    }

    /// Panics, so that a test can see a panic become an exception. It goes through the same border as
    /// every native method (`capi::trampoline`).
    fn panic<'py>(
        _: &Bound<'py, PyAny>,
        message: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        panic!("{message}")
    }

    static PANIC: BoundFunction = BoundFunction::new(c"_panic", function_of!(panic));

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        // A task that is destroyed at the interpreter's end shows where it stood.
        py.import("ferrio._frames")?;
        crate::names::look_up_loaded(py)?;
        crate::names::import_modules(py)?;
        ferrio_capi::socket_object::locate(py)?;
        ferrio_capi::function::create(py)?;
        crate::tasks::coroutine_wrapper::create(py)?;
        crate::handles::snapshot::create(py)?;
        crate::handles::create(
            py,
            crate::event_loop::call::cancel_handle,
            crate::event_loop::call::cancel_timer,
        )?;
        #[cfg(Py_3_14)]
        crate::handles::thread_safe::create(py, crate::event_loop::call::cancel_thread_safe)?;
        crate::event_loop::hot_methods::install(py)?;
        crate::event_loop::resolve::install(py)?;
        crate::event_loop::sock::create(py)?;
        crate::event_loop::connecting::create(py)?;
        crate::futures::methods::create(py)?;
        crate::tasks::methods::create(py)?;
        ferrio_capi::stop_iteration::create(py)?;
        crate::tasks::sleep::create(py)?;
        crate::coroutine::create(py)?;
        crate::transports::stream::create(py)?;
        crate::transports::pipe::read::create(py)?;
        crate::transports::pipe::write::create(py)?;
        crate::transports::datagram::create(py)?;
        crate::tls::create(module)?;
        crate::event_loop::work_item::create(py)?;
        module.setattr("_panic", PANIC.bind(module.as_any())?)?;
        module.add("Handle", crate::handles::Handle::type_object(py))?;
        module.add("TimerHandle", crate::handles::TimerHandle::type_object(py))?;
        module.add("Future", crate::futures::Future::type_object(py))?;
        module.add("sleep", crate::tasks::sleep::function(py)?)?;
        crate::locks::create(module)?;
        crate::queues::create(module)?;
        crate::combinators::create(module)?;
        crate::streams::create(module)?;
        module.add("Task", crate::tasks::Task::type_object(py))
    }
}
