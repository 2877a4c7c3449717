//! The poll of a turn: waiting for descriptors, for as long as the loop may sleep.

use std::sync::atomic::Ordering;

use ferrio_capi::runtime;
use ferrio_core::reactor::{Event, Timeout};
use ferrio_core::turn::Poll;
use pyo3::intern;
use pyo3::prelude::*;

use super::fd;
use crate::errors;
use crate::handles;
use crate::loop_state::{EventLoop, get, set};
#[cfg(all(Py_3_12, not(Py_3_13)))]
use crate::names;

/// Polls, and queues the handles of what is ready. The GIL is given up only when the poll may sleep.
pub fn run(slf: &Bound<'_, EventLoop>, decision: Poll) -> PyResult<()> {
    let py = slf.py();
    let native = slf.get();
    if get(&native.selector_replaced) {
        return poll_through_python(slf, decision);
    }
    let timeout = match decision {
        Poll::Skip | Poll::Now => Timeout::Zero,
        Poll::Until(limit) => Timeout::For(limit),
        Poll::Forever => Timeout::Forever,
    };
    let ready = wait(py, native, timeout)?;
    native.skipped_turns.store(0, Ordering::Relaxed);
    ready
        .iter()
        .try_for_each(|event| fd::dispatch(slf, event.fd, event.readable, event.writable))
        .inspect_err(|_| native.interests.borrow_mut(py).note_all_left(&ready))
}

/// One poll of the loop's reactor; a signal ends it early and has its handler run.
pub fn wait(py: Python<'_>, native: &EventLoop, timeout: Timeout) -> PyResult<Vec<Event>> {
    let Some(poller) = native.poller.borrow_mut(py).clone() else {
        return Ok(Vec::new());
    };
    if !matches!(timeout, Timeout::Zero) {
        // A signal that came since the last Python code ran would interrupt no sleep.
        py.check_signals()?;
    }
    let mut events = native.events.borrow_mut(py).take().unwrap_or_default();
    let first = {
        let mut interests = native.interests.borrow_mut(py);
        interests.tell_left(&poller, runtime::borrow_fd);
        events.reserve(interests.len());
        interests.looks_first(native.internal_fds.load(Ordering::Relaxed) as usize)
    };
    let mut slept = false;
    let outcome = match timeout {
        Timeout::Zero => poller.wait(&mut events, timeout),
        Timeout::For(_) | Timeout::Forever => {
            handles::resting::trim(py);
            #[cfg(all(Py_3_12, not(Py_3_13)))]
            note_monitors(py)?;
            native.wake.prepare_sleep();
            set(&native.asleep, true);
            // What was queued since the decision (a replaced `time()` lets other threads in) found the
            // loop awake and did not interrupt this sleep. From here on the GIL is kept until it does.
            let late = !native.ready.borrow_mut(py).is_empty() || get(&native.stopping);
            let timeout = if late { Timeout::Zero } else { timeout };
            let mut wait = || {
                if first && poller.wait(&mut events, Timeout::Zero)? {
                    return Ok(true);
                }
                slept = true;
                poller.wait(&mut events, timeout)
            };
            // SAFETY: the poll touches no Python object.
            let outcome = unsafe { runtime::without_gil(py, &mut wait) };
            set(&native.asleep, false);
            native.wake.awake();
            outcome
        }
    };
    if outcome.is_ok() {
        native.interests.borrow_mut(py).note_reported(&mut events, first && slept);
    }
    let ready = events.iter().collect();
    *native.events.borrow_mut(py) = Some(events);
    match outcome {
        Ok(_) => Ok(ready),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
            py.check_signals()?;
            Ok(Vec::new())
        }
        Err(error) => Err(errors::os_error(py, &error)),
    }
}

/// Whether a debugger monitors the interpreter. On 3.12 that can be asked in Python alone, so it is asked
/// when the loop is about to sleep, as it does while somebody debugs.
#[cfg(all(Py_3_12, not(Py_3_13)))]
fn note_monitors(py: Python<'_>) -> PyResult<()> {
    const DEBUGGER_ID: u8 = 0;
    let tool = names::MONITORING.get(py)?.call_method1(intern!(py, "get_tool"), (DEBUGGER_ID,))?;
    ferrio_capi::observers::note_monitors(!tool.is_none());
    Ok(())
}

/// Polls with the selector that somebody put into `_selector`. CPython: BaseEventLoop._run_once
#[cold]
fn poll_through_python(slf: &Bound<'_, EventLoop>, decision: Poll) -> PyResult<()> {
    let py = slf.py();
    let timeout = match decision {
        Poll::Skip | Poll::Now => Some(0.0),
        Poll::Until(limit) => Some(limit.as_secs_f64()),
        Poll::Forever => None,
    };
    let selector = slf.getattr(intern!(py, "_selector"))?;
    let events = selector.call_method1(intern!(py, "select"), (timeout,))?;
    slf.call_method1(intern!(py, "_process_events"), (events,)).map(drop)
}
