//! Waiting for the end of child processes on the loop's own reactor, through a pidfd: no thread, and
//! no handler of SIGCHLD. CPython: unix_events.PidfdChildWatcher; before 3.12, where it is the default,
//! ThreadedChildWatcher.
//!
//! State: watched -> done (the child was reaped) or abandoned (the loop forgot the watch before).
//! Fields: `pidfd` is there while the watch is neither; the table of the loop holds the watch then.
//! Shutdown: dropping the watch closes the pidfd. A child that lives on belongs to `when_abandoned`,
//! where there is one.

use std::os::fd::{AsFd, OwnedFd};

#[cfg(not(Py_3_12))]
use ferrio_capi::context;
use ferrio_capi::{GilCell, runtime};
use ferrio_core::child::{self, Reaped};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit, intern};

use super::pipe;
use crate::errors;
use crate::loop_state::{self, Act, Direction, EventLoop};

/// One child that a loop waits for.
#[pyclass(module = "ferrio._ferrio", frozen)]
#[derive(Debug)]
pub struct ChildWatch {
    event_loop: Py<EventLoop>,
    /// The subprocess transport.
    transport: Py<PyAny>,
    /// Called with the transport when the loop is closed before the child has ended.
    when_abandoned: Option<Py<PyAny>>,
    pid: i32,
    pidfd: GilCell<Option<OwnedFd>>,
}

/// Has `loop._child_watcher_callback` called with the process id, the exit code and the transport when
/// the child of a subprocess transport ends.
///
/// # Errors
/// OSError when the kernel gives no pidfd: nobody watches the child then.
pub fn watch_child(
    event_loop: &Bound<'_, EventLoop>,
    transport: &Bound<'_, PyAny>,
    when_abandoned: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = event_loop.py();
    let pid = transport.call_method0(intern!(py, "get_pid"))?.extract()?;
    let pidfd = child::open_pidfd(pid).map_err(|error| errors::os_error(py, &error))?;
    // The watch owns the descriptor once it is registered, and forgets no child before.
    let watch = ChildWatch {
        event_loop: event_loop.clone().unbind(),
        transport: transport.clone().unbind(),
        when_abandoned: when_abandoned.map(Bound::unbind),
        pid,
        pidfd: GilCell::new(None),
    };
    let watch = Bound::new(py, watch)?;
    loop_state::watch_act(event_loop, Direction::Read, pidfd.as_fd(), watch.as_any(), &ENDED)?;
    *watch.get().pidfd.borrow_mut(py) = Some(pidfd);
    Ok(())
}

static ENDED: Act = Act {
    run: |watch, _| reap(watch.cast::<ChildWatch>()?),
    parts: |watch| {
        let py = watch.py();
        Ok((watch.getattr(intern!(py, "_do_wait"))?, PyTuple::empty(py)))
    },
};

/// CPython: PidfdChildWatcher._do_wait
fn reap(this: &Bound<'_, ChildWatch>) -> PyResult<()> {
    let py = this.py();
    let watch = this.get();
    let Some(pidfd) = watch.pidfd.borrow_mut(py).take() else { return Ok(()) };
    let event_loop = watch.event_loop.bind(py);
    loop_state::unwatch(event_loop, Direction::Read, pidfd.as_fd())?;
    let reaped = match child::reap(watch.pid) {
        // SAFETY: the system call touches no Python object.
        Ok(Reaped::NotYet) => unsafe { runtime::without_gil(py, || child::wait(watch.pid)) },
        outcome => outcome,
    };
    drop(pidfd);
    match reaped.map_err(|error| errors::os_error(py, &error))? {
        Reaped::Ended(code) => {
            watch.note_end(py, code)?;
            watch.call_back(py, code)
        }
        Reaped::Unknown | Reaped::NotYet => match watch.known_code(py)? {
            Some(code) => watch.call_back(py, code),
            None => {
                pipe::logger(py)?.call_method1("warning", (STATUS_LOST, watch.pid))?;
                watch.call_back(py, STATUS_LOST_CODE)
            }
        },
    }
}

#[cfg(Py_3_12)]
impl ChildWatch {
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "before 3.12 it does something"
    )]
    fn note_end(&self, _: Python<'_>, _: i32) -> PyResult<()> {
        Ok(())
    }

    /// Stock asks nobody.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "before 3.12 it does something"
    )]
    fn known_code(&self, _: Python<'_>) -> PyResult<Option<i32>> {
        Ok(None)
    }

    fn call_back(&self, py: Python<'_>, code: i32) -> PyResult<()> {
        self.call_loop(py, code)
    }
}

/// What stock's thread does.
#[cfg(not(Py_3_12))]
impl ChildWatch {
    fn note_end(&self, py: Python<'_>, code: i32) -> PyResult<()> {
        if !loop_state::is_debug(self.event_loop.bind(py).as_any())? {
            return Ok(());
        }
        let arguments = ("process %s exited with returncode %s", self.pid, code);
        pipe::logger(py)?.call_method1("debug", arguments).map(drop)
    }

    /// The status that the Popen object took: `send_signal` and `close` of a transport make it look.
    /// Stock's thread has taken it long before the loop has time for them.
    fn known_code(&self, py: Python<'_>) -> PyResult<Option<i32>> {
        let process = self.transport.bind(py).getattr(intern!(py, "_proc"))?;
        process.getattr_opt(intern!(py, "returncode"))?.map_or(Ok(None), |code| code.extract())
    }

    /// A new thread has an empty context.
    fn call_back(&self, py: Python<'_>, code: i32) -> PyResult<()> {
        let empty = py.import("contextvars")?.call_method0("Context")?;
        context::run_fallible_in(&empty, || self.call_loop(py, code))
    }
}

impl ChildWatch {
    fn call_loop(&self, py: Python<'_>, code: i32) -> PyResult<()> {
        let arguments = (self.pid, code, &self.transport);
        let name = intern!(py, "_child_watcher_callback");
        self.event_loop.bind(py).call_method1(name, arguments).map(drop)
    }
}

#[pymethods]
impl ChildWatch {
    fn _do_wait(slf: &Bound<'_, Self>) -> PyResult<()> {
        reap(slf)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.transport)?;
        visit.call(&self.when_abandoned)
    }
}

impl Drop for ChildWatch {
    fn drop(&mut self) {
        let Some(when_abandoned) = self.when_abandoned.take() else { return };
        Python::attach(|py| {
            let pidfd = self.pidfd.borrow_mut(py).take();
            if pidfd.is_none() || runtime::is_finalizing(py) {
                return;
            }
            if let Err(error) = when_abandoned.call1(py, (&self.transport,)) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// The number that stands for a status that nobody knows.
const STATUS_LOST_CODE: i32 = 255;

#[cfg(Py_3_12)]
const STATUS_LOST: &str =
    "child process pid %d exit status already read:  will report returncode 255";

#[cfg(not(Py_3_12))]
const STATUS_LOST: &str = "Unknown child process pid %d, will report returncode 255";
