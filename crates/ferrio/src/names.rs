//! Names and objects of the interpreter's own asyncio that the hot paths use, looked up once.

use ferrio_capi::Ref;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule, PyString, PyTuple, PyType};

/// An attribute of a module, imported at first use and kept.
pub struct Imported {
    module: &'static str,
    attribute: &'static str,
    object: PyOnceLock<Py<PyAny>>,
}

impl Imported {
    const fn new(module: &'static str, attribute: &'static str) -> Self {
        Self { module, attribute, object: PyOnceLock::new() }
    }

    /// The object.
    ///
    /// # Errors
    /// What the first import raises.
    #[inline]
    pub fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        self.object.import(py, self.module, self.attribute)
    }

    /// The names of the module that it comes from.
    ///
    /// # Errors
    /// What the import raises.
    pub fn home<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Ok(py.import(self.module)?.dict())
    }

    /// Whether this is the attribute's name.
    pub fn has_name(&self, name: &str) -> bool {
        self.attribute == name
    }

    /// The object, which is a class.
    ///
    /// # Errors
    /// What the first import raises; TypeError when it is no class.
    pub fn class<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        Ok(self.get(py)?.cast::<PyType>()?)
    }
}

macro_rules! imported {
    ($($(#[$cfg:meta])* $name:ident = $module:literal . $attribute:literal;)*) => {
        $($(#[$cfg])* pub static $name: Imported = Imported::new($module, $attribute);)*

        /// Looks up each whose module is loaded. At the interpreter's end nothing can be imported any
        /// more, while finalizers still warn and log.
        ///
        /// # Errors
        /// What a look-up raises.
        pub fn look_up_loaded(py: Python<'_>) -> PyResult<()> {
            let modules = py.import("sys")?.getattr("modules")?;
            $($(#[$cfg])* if modules.contains($module)? {
                $name.get(py)?;
            })*
            Ok(())
        }
    };
}

imported! {
    HANDLE = "asyncio.events"."Handle";
    TIMER_HANDLE = "asyncio.events"."TimerHandle";
    #[cfg(Py_3_14)]
    THREAD_SAFE_HANDLE = "asyncio.events"."_ThreadSafeHandle";
    #[cfg(Py_3_14)]
    THREADING_EVENT = "threading"."Event";
    STOCK_FUTURE = "_asyncio"."Future";
    STOCK_TASK = "_asyncio"."Task";
    COROUTINE_TYPE = "types"."CoroutineType";
    CANCELLED_ERROR = "asyncio.exceptions"."CancelledError";
    INVALID_STATE_ERROR = "asyncio.exceptions"."InvalidStateError";
    GET_EVENT_LOOP = "asyncio.events"."get_event_loop";
    GET_RUNNING_LOOP = "_asyncio"."_get_running_loop";
    SET_RESULT_UNLESS_CANCELLED = "asyncio.futures"."_set_result_unless_cancelled";
    GET_LOOP = "asyncio.futures"."_get_loop";
    IS_FUTURE = "asyncio.base_futures"."isfuture";
    IS_COROUTINE = "asyncio.coroutines"."iscoroutine";
    #[cfg(not(Py_3_14))]
    IS_COROUTINE_FUNCTION = "asyncio.coroutines"."iscoroutinefunction";
    #[cfg(Py_3_14)]
    IS_COROUTINE_FUNCTION = "asyncio.coroutines"."_iscoroutinefunction";
    FORMAT_CALLBACK_SOURCE = "asyncio.format_helpers"."_format_callback_source";
    FORMAT_HANDLE = "asyncio.base_events"."_format_handle";
    TRACEBACK_EXTRACT_STACK = "traceback"."extract_stack";
    FRAME_SUMMARY = "traceback"."FrameSummary";
    FUTURE_REPR = "asyncio.base_futures"."_future_repr";
    TASK_REPR = "asyncio.base_tasks"."_task_repr";
    TASK_GET_STACK = "asyncio.base_tasks"."_task_get_stack";
    TASK_PRINT_STACK = "asyncio.base_tasks"."_task_print_stack";
    REGISTER_TASK = "_asyncio"."_register_task";
    #[cfg(all(Py_3_12, not(Py_3_14)))]
    REGISTER_EAGER_TASK = "_asyncio"."_register_eager_task";
    #[cfg(all(Py_3_12, not(Py_3_14)))]
    UNREGISTER_EAGER_TASK = "_asyncio"."_unregister_eager_task";
    #[cfg(Py_3_14)]
    SWAP_CURRENT_TASK = "_asyncio"."_swap_current_task";
    #[cfg(Py_3_14)]
    ADD_TO_AWAITED_BY = "_asyncio"."future_add_to_awaited_by";
    #[cfg(Py_3_14)]
    DISCARD_FROM_AWAITED_BY = "_asyncio"."future_discard_from_awaited_by";
    #[cfg(Py_3_14)]
    SET_RUNNING_LOOP = "_asyncio"."_set_running_loop";
    #[cfg(not(Py_3_14))]
    CURRENT_TASKS = "_asyncio"."_current_tasks";
    GET_ASYNCGEN_HOOKS = "sys"."get_asyncgen_hooks";
    SET_ASYNCGEN_HOOKS = "sys"."set_asyncgen_hooks";
    SUBPROCESS_PROTOCOL = "asyncio.protocols"."SubprocessProtocol";
    SUBPROCESS_STREAM_PROTOCOL = "asyncio.subprocess"."SubprocessStreamProtocol";
    READ_SUBPROCESS_PIPE_PROTO = "asyncio.base_subprocess"."ReadSubprocessPipeProto";
    UNIX_SUBPROCESS_TRANSPORT = "asyncio.unix_events"."_UnixSubprocessTransport";
    READ_TRANSPORT = "asyncio.transports"."ReadTransport";
    READ_PIPE_TRANSPORT = "asyncio.unix_events"."_UnixReadPipeTransport";
    WRITE_PIPE_TRANSPORT = "asyncio.unix_events"."_UnixWritePipeTransport";
    FILEOBJ_TO_FD = "selectors"."_fileobj_to_fd";
    COPY_FUTURE_STATE = "asyncio.futures"."_copy_future_state";
    CHAIN_FUTURE = "asyncio.futures"."_chain_future";
    CONVERT_FUTURE_EXC = "asyncio.futures"."_convert_future_exc";
    WRAP_FUTURE = "asyncio.futures"."wrap_future";
    CONCURRENT_FUTURE = "concurrent.futures"."Future";
    CONCURRENT_CANCELLED_ERROR = "concurrent.futures"."CancelledError";
    CONCURRENT_INVALID_STATE_ERROR = "concurrent.futures"."InvalidStateError";
    THREAD_POOL_EXECUTOR = "concurrent.futures.thread"."ThreadPoolExecutor";
    WORK_ITEM = "concurrent.futures.thread"."_WorkItem";
    THREADING_SEMAPHORE = "threading"."Semaphore";
    SIMPLE_QUEUE = "_queue"."SimpleQueue";
    QUEUE_EMPTY = "_queue"."Empty";
    C_SOCKET = "_socket"."socket";
    SENDFILE_NOT_AVAILABLE_ERROR = "asyncio.exceptions"."SendfileNotAvailableError";
    SELECTOR_EVENT_LOOP = "asyncio.selector_events"."BaseSelectorEventLoop";
    SELECTOR_KEY = "selectors"."SelectorKey";
    SELECTOR_MAPPING = "selectors"."_SelectorMapping";
    FLOW_CONTROL_MIXIN = "asyncio.transports"."_FlowControlMixin";
    TRANSPORT_SOCKET = "asyncio.trsock"."TransportSocket";
    BUFFERED_PROTOCOL = "asyncio.protocols"."BufferedProtocol";
    SENDFILE_MODE = "asyncio.constants"."_SendfileMode";
    SSL_PROTOCOL = "asyncio.sslproto"."SSLProtocol";
    SSL_PROTOCOL_TRANSPORT = "asyncio.sslproto"."_SSLProtocolTransport";
    SSL_PROTOCOL_STATE = "asyncio.sslproto"."SSLProtocolState";
    APP_PROTOCOL_STATE = "asyncio.sslproto"."AppProtocolState";
    ADD_FLOWCONTROL_DEFAULTS = "asyncio.sslproto"."add_flowcontrol_defaults";
    C_SSL_CONTEXT = "_ssl"."_SSLContext";
    SSL_CONTEXT = "ssl"."SSLContext";
    SSL_OBJECT = "ssl"."SSLObject";
    MEMORY_BIO = "ssl"."MemoryBIO";
    SERVER = "asyncio.base_events"."Server";
    WEAK_SET = "_weakrefset"."WeakSet";
    SSL_ERROR = "ssl"."SSLError";
    SSL_WANT_READ_ERROR = "ssl"."SSLWantReadError";
    SSL_SYSCALL_ERROR = "ssl"."SSLSyscallError";
    SSL_CERTIFICATE_ERROR = "ssl"."CertificateError";
    TIMEOUT_ERROR = "asyncio.exceptions"."TimeoutError";
    BYTEARRAY = "builtins"."bytearray";
    STOCK_SOCKET = "socket"."socket";
    DATAGRAM_TRANSPORT = "asyncio.transports"."DatagramTransport";
    STOCK_TRANSPORT = "asyncio.selector_events"."_SelectorTransport";
    STOCK_DATAGRAM_TRANSPORT = "asyncio.selector_events"."_SelectorDatagramTransport";
    DEQUE = "collections"."deque";
    EXTRACT_STACK = "asyncio.format_helpers"."extract_stack";
    PROTOCOL = "asyncio.protocols"."Protocol";
    STREAM_READER = "asyncio.streams"."StreamReader";
    STREAM_READER_PROTOCOL = "asyncio.streams"."StreamReaderProtocol";
    STREAM_WRITER = "asyncio.streams"."StreamWriter";
    OPEN_CONNECTION = "asyncio.streams"."open_connection";
    OPEN_UNIX_CONNECTION = "asyncio.streams"."open_unix_connection";
    START_SERVER = "asyncio.streams"."start_server";
    START_UNIX_SERVER = "asyncio.streams"."start_unix_server";
    INCOMPLETE_READ_ERROR = "asyncio.exceptions"."IncompleteReadError";
    LIMIT_OVERRUN_ERROR = "asyncio.exceptions"."LimitOverrunError";
    LOCK = "asyncio.locks"."Lock";
    WARN_UNAWAITED_COROUTINE = "warnings"."_warn_unawaited_coroutine";
    EVENT = "asyncio.locks"."Event";
    SEMAPHORE = "asyncio.locks"."Semaphore";
    CONDITION = "asyncio.locks"."Condition";
    BARRIER = "asyncio.locks"."Barrier";
    BARRIER_STATE = "asyncio.locks"."_BarrierState";
    BROKEN_BARRIER_ERROR = "asyncio.exceptions"."BrokenBarrierError";
    BOUNDED_SEMAPHORE = "asyncio.locks"."BoundedSemaphore";
    QUEUE = "asyncio.queues"."Queue";
    LIFO_QUEUE = "asyncio.queues"."LifoQueue";
    PRIORITY_QUEUE = "asyncio.queues"."PriorityQueue";
    QUEUE_IS_EMPTY = "asyncio.queues"."QueueEmpty";
    QUEUE_IS_FULL = "asyncio.queues"."QueueFull";
    #[cfg(Py_3_13)]
    QUEUE_SHUT_DOWN = "asyncio.queues"."QueueShutDown";
    HEAPPUSH = "heapq"."heappush";
    HEAPPOP = "heapq"."heappop";
    CODE_OF_COROUTINE = "ferrio._frames"."code_of";
    FRAME_OF_COROUTINE = "ferrio._frames"."frame_of";
    SLEEP = "asyncio.tasks"."sleep";
    TASK_GROUP = "asyncio.taskgroups"."TaskGroup";
    TIMEOUT = "asyncio.timeouts"."Timeout";
    TIMEOUT_STATE = "asyncio.timeouts"."_State";
    TIMEOUT_FUNCTION = "asyncio.timeouts"."timeout";
    TIMEOUT_AT = "asyncio.timeouts"."timeout_at";
    AS_COMPLETED = "asyncio.tasks"."as_completed";
    SHIELD = "asyncio.tasks"."shield";
    WAIT = "asyncio.tasks"."wait";
    WAIT_ON_SET = "asyncio.tasks"."_wait";
    RELEASE_WAITER = "asyncio.tasks"."_release_waiter";
    WAIT_FOR = "asyncio.tasks"."wait_for";
    RUN_COROUTINE_THREADSAFE = "asyncio.tasks"."run_coroutine_threadsafe";
    TO_THREAD = "asyncio.threads"."to_thread";
    PARTIAL = "functools"."partial";
    #[cfg(not(Py_3_12))]
    CANCEL_AND_WAIT = "asyncio.tasks"."_cancel_and_wait";
    GATHER = "asyncio.tasks"."gather";
    #[cfg(Py_3_12)]
    EAGER_TASK_FACTORY = "asyncio.tasks"."eager_task_factory";
    CREATE_TASK = "asyncio.tasks"."create_task";
    ENSURE_FUTURE = "asyncio.tasks"."ensure_future";
    GET_FRAME = "sys"."_getframe";
    GET_ORIGIN_TRACKING_DEPTH = "sys"."get_coroutine_origin_tracking_depth";
    WARN = "warnings"."warn";
    WARN_UNCLOSED = "ferrio._unclosed"."warn";
    LOGGER = "asyncio.log"."logger";
    REPR = "reprlib"."repr";
    ROUND = "builtins"."round";
    FUNCTION_TYPE = "types"."FunctionType";
    CELL_TYPE = "types"."CellType";
    #[cfg(Py_3_14)]
    CURRENT_TASK = "_asyncio"."current_task";
    #[cfg(not(Py_3_14))]
    CURRENT_TASK = "asyncio.tasks"."current_task";
    #[cfg(all(Py_3_12, not(Py_3_13)))]
    MONITORING = "sys"."monitoring";
}

/// A module of asyncio, for names that programs and tests replace in it: they are looked up at each use.
/// The module itself is kept, as stock's functions hold on to theirs, also at the interpreter's end.
pub struct AsyncioModule {
    name: &'static str,
    module: PyOnceLock<Py<PyModule>>,
}

impl AsyncioModule {
    const fn new(name: &'static str) -> Self {
        Self { name, module: PyOnceLock::new() }
    }

    /// The module.
    ///
    /// # Errors
    /// What the import raises.
    pub fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyModule>> {
        let import = || py.import(self.name).map(Bound::unbind);
        Ok(self.module.get_or_try_init(py, import)?.bind(py))
    }

    /// What is at present under a name.
    ///
    /// # Errors
    /// What the import raises; AttributeError.
    pub fn attribute<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let module = self.get(name.py())?;
        // Past the attributes of the class of modules, which has none of these.
        match module.dict().get_item(name)? {
            Some(found) => Ok(found),
            None => module.getattr(name),
        }
    }
}

macro_rules! asyncio_modules {
    ($($name:ident = $module:literal;)*) => {
        $(pub static $name: AsyncioModule = AsyncioModule::new($module);)*

        /// Imports each, while that is still possible.
        ///
        /// # Errors
        /// What an import raises.
        pub fn import_modules(py: Python<'_>) -> PyResult<()> {
            [$(&$name),*].into_iter().try_for_each(|module| module.get(py).map(drop))
        }
    };
}

asyncio_modules! {
    BASE_EVENTS = "asyncio.base_events";
    CONSTANTS = "asyncio.constants";
    EVENTS = "asyncio.events";
    LOCKS = "asyncio.locks";
    SELECTOR_EVENTS = "asyncio.selector_events";
    SSLPROTO = "asyncio.sslproto";
    TASKS = "asyncio.tasks";
    UNIX_EVENTS = "asyncio.unix_events";
}

/// The interned tuple `("context",)`, the keyword names of a `call_soon` with a context.
pub fn context_keyword(py: Python<'_>) -> &Bound<'_, PyTuple> {
    static NAMES: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    NAMES
        .get_or_init(py, || {
            let name = PyString::intern(py, "context");
            PyTuple::new(py, [name]).expect("a tuple of one string needs only memory").unbind()
        })
        .bind(py)
}

/// A stored reference to None, for slots that stock initialises with it.
pub fn none(py: Python<'_>) -> Bound<'_, PyAny> {
    py.None().into_bound(py)
}

/// True or False as an object.
pub fn boolean(py: Python<'_>, value: bool) -> Bound<'_, PyAny> {
    pyo3::types::PyBool::new(py, value).to_owned().into_any()
}

/// An owned reference out of a borrowed one.
pub fn owned(object: &Bound<'_, PyAny>) -> Ref {
    Ref::new(object.clone())
}
