//! The part of `sock_sendfile` that calls sendfile(2) while the socket takes data; the inherited
//! coroutine around it checks the arguments and falls back to reading and sending.

use ferrio_capi::StateOf;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::socket_object::SocketFacts;
use pyo3::exceptions::{PyAttributeError, PyConnectionError, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple, PyType};

use super::{Operation, SockCall, Tried, call, is_not_ready};
use crate::errors;
use crate::loop_state::{Direction, EventLoop};
use crate::names;

/// Begins with the file and (offset, count) in the argument slots, and waits with the file's number and
/// (offset, count, block size, total sent).
pub static SENDFILE: Operation = Operation {
    name: "_sock_sendfile_native",
    qualified_name: "_UnixSelectorEventLoop._sock_sendfile_native",
    callback: "_sock_sendfile_native_impl",
    direction: Direction::Write,
    least: 4,
    most: 4,
    serves: anything,
    start,
    retry,
};

#[expect(clippy::unnecessary_wraps, reason = "the shape of Operation::serves")]
fn anything(_: &SocketFacts, _: &Arguments<'_, '_>) -> PyResult<bool> {
    Ok(true)
}

/// How far a transfer has come.
struct Progress<'py> {
    offset: Bound<'py, PyAny>,
    count: Bound<'py, PyAny>,
    block_size: Bound<'py, PyAny>,
    total: Bound<'py, PyAny>,
}

impl<'py> Progress<'py> {
    fn of(this: &Bound<'py, SockCall>) -> PyResult<Self> {
        let (offset, count, block_size, total) =
            this.state().second.get_or_none(this.py()).extract()?;
        Ok(Self { offset, count, block_size, total })
    }

    fn keep(&self, this: &Bound<'py, SockCall>) -> PyResult<()> {
        let parts = [&self.offset, &self.count, &self.block_size, &self.total];
        this.state().second.set(PyTuple::new(this.py(), parts)?);
        Ok(())
    }
}

/// `asyncio.unix_events.os`, in which programs and tests replace functions.
fn os_module(py: Python<'_>) -> Object<'_> {
    names::UNIX_EVENTS.attribute(intern!(py, "os"))
}

fn not_available(py: Python<'_>, text: &'static str) -> PyErr {
    match names::SENDFILE_NOT_AVAILABLE_ERROR.class(py) {
        Ok(class) => PyErr::from_type(class.clone(), (text,)),
        Err(error) => error,
    }
}

/// CPython: _UnixSelectorEventLoop._sock_sendfile_native
fn start<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let os = os_module(py)?;
    if os.getattr_opt(intern!(py, "sendfile"))?.is_none() {
        return Err(not_available(py, "os.sendfile() is not available"));
    }
    let (offset, count): (Bound<'py, PyAny>, Bound<'py, PyAny>) =
        state.second.get_or_none(py).extract()?;
    let Some(number) = file_number(&state.first(py))? else {
        return Err(not_available(py, "not a regular file"));
    };
    let size = match os.call_method1(intern!(py, "fstat"), (&number,)) {
        Ok(status) => status.getattr(intern!(py, "st_size"))?,
        Err(error) if error.is_instance_of::<PyOSError>(py) => {
            return Err(not_available(py, "not a regular file"));
        }
        Err(error) => return Err(error),
    };
    let block_size = if count.is_truthy()? { count.clone() } else { size };
    let zero = PyInt::new(py, 0).into_any();
    if !block_size.is_truthy()? {
        return Ok(Some(zero));
    }
    state.first.set(number);
    let progress = Progress { offset, count, block_size, total: zero };
    send_block(this, progress, true)
}

/// The number of a file; None when it has none.
fn file_number<'py>(file: &Bound<'py, PyAny>) -> Tried<'py> {
    let py = file.py();
    let unsupported = py.import("io")?.getattr("UnsupportedOperation")?.cast_into::<PyType>()?;
    match file.call_method0(intern!(py, "fileno")) {
        Ok(number) => Ok(Some(number)),
        Err(error)
            if error.is_instance_of::<PyAttributeError>(py)
                || error.is_instance(py, &unsupported) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn retry<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    send_block(this, Progress::of(this)?, false)
}

/// CPython: _UnixSelectorEventLoop._sock_sendfile_native_impl
fn send_block<'py>(
    this: &Bound<'py, SockCall>,
    mut progress: Progress<'py>,
    first: bool,
) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    if progress.count.is_truthy()? {
        progress.block_size = progress.count.sub(&progress.total)?;
        if progress.block_size.le(0)? {
            return finish(this, &progress);
        }
    }
    if progress.block_size.gt(MOST)? {
        progress.block_size = PyInt::new(py, MOST).into_any();
    }
    let fd = state.facts(py)?.fd;
    let arguments = (fd, state.first(py), &progress.offset, &progress.block_size);
    match os_module(py)?.call_method1(intern!(py, "sendfile"), arguments) {
        Ok(sent) if sent.eq(0)? => finish(this, &progress),
        Ok(sent) => {
            progress.offset = progress.offset.add(&sent)?;
            progress.total = progress.total.add(&sent)?;
            progress.keep(this)?;
            Ok(None)
        }
        Err(error) if is_not_ready(py, &error) => {
            progress.keep(this)?;
            Ok(None)
        }
        Err(error) if errors::leaves_the_loop(py, &error) => Err(error),
        Err(error) => {
            set_file_position(this, &progress)?;
            failure(error, &progress, first)
        }
    }
}

/// The largest block that is asked for. CPython: sys.maxsize // 2 + 1
const MOST: isize = isize::MAX / 2 + 1;

fn finish<'py>(this: &Bound<'py, SockCall>, progress: &Progress<'py>) -> Tried<'py> {
    set_file_position(this, progress)?;
    Ok(Some(progress.total.clone()))
}

/// What the caller gets for an error of sendfile.
fn failure<'py>(error: PyErr, progress: &Progress<'py>, first: bool) -> Tried<'py> {
    let py = progress.total.py();
    if !error.is_instance_of::<PyOSError>(py) {
        return Err(error);
    }
    if progress.total.eq(0)? {
        // Perhaps the file cannot be mapped; sending what is read from it may work.
        return Err(not_available(py, "os.sendfile call failed"));
    }
    const ENOTCONN: i32 = 107;
    let plain = error.get_type(py).is(py.get_type::<PyConnectionError>());
    let number = error.value(py).getattr(intern!(py, "errno"))?;
    if first || plain || !number.eq(ENOTCONN)? {
        return Err(error);
    }
    let normal = PyConnectionError::new_err(("socket is not connected", ENOTCONN));
    normal.set_cause(py, Some(error));
    Err(normal)
}

/// Leaves the file's own position behind what was sent. CPython: _sock_sendfile_update_filepos
fn set_file_position<'py>(this: &Bound<'py, SockCall>, progress: &Progress<'py>) -> PyResult<()> {
    let py = this.py();
    if !cfg!(Py_3_14) && !progress.total.gt(0)? {
        return Ok(());
    }
    let os = os_module(py)?;
    let begin = os.getattr(intern!(py, "SEEK_SET"))?;
    let arguments = (this.state().first(py), &progress.offset, begin);
    os.call_method1(intern!(py, "lseek"), arguments).map(drop)
}

/// The arguments of stock's callback after the future.
pub fn callback_arguments<'py>(this: &Bound<'py, SockCall>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let py = this.py();
    let state = this.state();
    let progress = Progress::of(this)?;
    Ok(vec![
        PyInt::new(py, state.fd.get()).into_any(),
        state.sock(py)?,
        state.first(py),
        progress.offset,
        progress.count,
        progress.block_size,
        progress.total,
    ])
}

pub fn methods(members: Members) -> Members {
    members.keywords::<EventLoop, _>(
        c"_sock_sendfile_native(sock, file, offset, count)",
        sock_sendfile_native,
        c"Send a file with os.sendfile().",
    )
}

fn sock_sendfile_native<'py>(
    slf: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let made = call(slf, &arguments, &SENDFILE)?;
    if let (Ok(this), Some(offset), Some(count)) =
        (made.cast_exact::<SockCall>(), arguments.value(2), arguments.value(3))
    {
        this.state().second.set(PyTuple::new(slf.py(), [offset, count])?);
    }
    Ok(made)
}
