//! Writing: at once when nothing waits, and what does not fit when there is room again.

use std::io::ErrorKind;

use ferrio_capi::StateOf;
use ferrio_capi::buffer::{Buffer, BytesRef};
use ferrio_capi::method::{Arguments, Object};
use ferrio_capi::signature::Signature;
use ferrio_core::pipe as system;
use pyo3::exceptions::{PyAssertionError, PyBufferError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyTuple};

use super::write::{HIGH_WATER, PROTOCOL_PAUSED, WritePipe};
use super::{PipeCalls, logger};
use crate::errors;
use crate::loop_state::{Act, Direction};
use crate::names::{self, boolean, none};

/// CPython: _UnixWritePipeTransport.write
pub(super) fn write<'py>(
    this: &Bound<'py, WritePipe>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    let py = this.py();
    let [data] = WRITE.parse(&arguments)?;
    let data = data.cloned().unwrap_or_else(|| none(py));
    if !is_bytes_like(&data) {
        return Err(PyAssertionError::new_err(data.repr()?.unbind()));
    }
    match Buffer::readable(&data) {
        Ok(buffer) if buffer.is_empty() => {}
        _ if ignores_writes(this)? => {}
        Ok(buffer) => write_bytes(this, &data, buffer)?,
        Err(error) if error.is_instance_of::<PyBufferError>(py) => {
            write_pieces(this, &data, error)?;
        }
        Err(error) => return Err(error),
    }
    Ok(none(py))
}

static WRITE: Signature<1> =
    Signature { format: c"O:write", names: [c"data"], positional: 1, required: 1 };

fn is_bytes_like(data: &Bound<'_, PyAny>) -> bool {
    data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
}

/// Counts a write that comes too late, and says so in the log when there were several.
fn ignores_writes(this: &Bound<'_, WritePipe>) -> PyResult<bool> {
    let py = this.py();
    let lost = this.state().lost_writes.get();
    if lost == 0 && !this.pipe().is_closing() {
        return Ok(false);
    }
    let constants = names::CONSTANTS.get(py)?;
    let most: usize = constants.getattr("LOG_THRESHOLD_FOR_CONNLOST_WRITES")?.extract()?;
    if lost >= most {
        let text = "pipe closed by peer or os.write(pipe, data) raised exception.";
        logger(py)?.call_method1("warning", (text,))?;
    }
    this.state().lost_writes.set(lost + 1);
    Ok(true)
}

/// Writes at once when nothing waits, and keeps what does not fit.
fn write_bytes(
    this: &Bound<'_, WritePipe>,
    data: &Bound<'_, PyAny>,
    buffer: Buffer,
) -> PyResult<()> {
    let state = this.state();
    let mut written = 0;
    if state.unwritten.len() == 0 {
        let Some(fd) = this.pipe().fd() else {
            return Err(PyTypeError::new_err("an integer is required"));
        };
        match system::write(fd, buffer.as_slice()) {
            Ok(count) if count == buffer.len() => return Ok(()),
            Ok(count) => written = count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return fail_to_write(this, errors::os_error(this.py(), &error)),
        }
        this.watch(Direction::Write, &WRITE_READY)?;
    }
    if let Ok(bytes) = data.cast::<PyBytes>() {
        state.unwritten.push_bytes(BytesRef::new(bytes.clone()), written);
    } else {
        state.unwritten.push_copy(buffer.as_slice()[written..].to_vec());
    }
    pause_protocol(this)
}

/// A memoryview with gaps, which neither the system call nor stock's buffer takes.
fn write_pieces(
    this: &Bound<'_, WritePipe>,
    data: &Bound<'_, PyAny>,
    error: PyErr,
) -> PyResult<()> {
    let py = this.py();
    if data.len()? == 0 {
        return Ok(());
    }
    if this.state().unwritten.len() == 0 {
        return fail_to_write(this, error);
    }
    // Which raises, in words of its own.
    let joined = PyByteArray::new(py, b"").call_method1(intern!(py, "__iadd__"), (data,))?;
    this.state().unwritten.push_copy(joined.extract()?);
    pause_protocol(this)
}

/// Asks `_maybe_pause_protocol`, when there is more than the high water mark.
fn pause_protocol(this: &Bound<'_, WritePipe>) -> PyResult<()> {
    let py = this.py();
    // SAFETY: an instance of _FlowControlMixin, in which the member was located.
    let high = unsafe { HIGH_WATER.of(this.as_ptr()) }.get_or_none(py);
    if high.extract::<usize>().is_ok_and(|high| this.state().unwritten.len() <= high) {
        return Ok(());
    }
    this.call_method0(intern!(py, "_maybe_pause_protocol")).map(drop)
}

static WRITE_READY: Act = Act {
    run: |this, context| {
        let this = this.cast::<WritePipe>()?;
        let current = this.pipe().is_registered(Direction::Write, context);
        if current { write_ready(this) } else { Ok(()) }
    },
    parts: |this| {
        let py = this.py();
        Ok((this.getattr(intern!(py, "_write_ready"))?, PyTuple::empty(py)))
    },
};

/// CPython: _UnixWritePipeTransport._write_ready
pub(super) fn write_ready(this: &Bound<'_, WritePipe>) -> PyResult<()> {
    let py = this.py();
    let state = this.state();
    if state.unwritten.len() == 0 {
        return Err(PyAssertionError::new_err("Data should not be empty"));
    }
    let Some(fd) = this.pipe().fd() else { return Ok(()) };
    match state.unwritten.flush(fd) {
        Ok(false) => Ok(()),
        Ok(true) => all_written(this),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => {
            state.unwritten.discard();
            this.unwatch(Direction::Write)?;
            fail_to_write(this, errors::os_error(py, &error))
        }
    }
}

fn all_written(this: &Bound<'_, WritePipe>) -> PyResult<()> {
    let py = this.py();
    this.unwatch(Direction::Write)?;
    // SAFETY: an instance of _FlowControlMixin, in which the member was located.
    let paused = unsafe { PROTOCOL_PAUSED.of(this.as_ptr()) };
    if paused.is(&boolean(py, true)) {
        this.call_method0(intern!(py, "_maybe_resume_protocol"))?;
    }
    if this.pipe().is_closing() {
        this.unwatch(Direction::Read)?;
        this.lose_connection(&none(py))?;
    }
    Ok(())
}

fn fail_to_write(this: &Bound<'_, WritePipe>, error: PyErr) -> PyResult<()> {
    let state = this.state();
    state.lost_writes.set(state.lost_writes.get() + 1);
    this.fail(error, "Fatal write error on pipe transport")
}
