//! How another thread that has queued something makes the loop look at it. Relies on the GIL, which
//! orders what the threads do, and on the wake flag, which they share without it (`core::wake`).

use std::sync::atomic::Ordering;

use ferrio_capi::{ending_thread, runtime};
use ferrio_core::pipe;
use ferrio_core::wake::Wake;
use pyo3::prelude::*;

use super::{EventLoop, get};
use crate::errors;

/// How many callbacks a thread may be ahead of the loop before it lets the loop in: as many handles
/// as stay in a processor's second-level cache.
const MOST_AHEAD: usize = 1024;

impl EventLoop {
    /// Wakes the loop when it sleeps in the poll.
    ///
    /// # Errors
    /// OSError from the eventfd.
    pub fn interrupt_sleep(&self, py: Python<'_>) -> PyResult<()> {
        if get(&self.selector_replaced) {
            self.write_to_self_pipe();
            return Ok(());
        }
        // The GIL orders this after the loop thread's own store: it is set before that thread gives
        // the GIL up to sleep, and cleared when it has it back.
        if !get(&self.asleep) || self.wake.request() == Wake::AlreadyAwake {
            return Ok(());
        }
        let Some(poller) = self.poller.borrow_mut(py).clone() else { return Ok(()) };
        poller.wake().map_err(|error| errors::os_error(py, &error))
    }

    /// Wakes the selector that somebody put into `_selector`, which watches the other end. One that cannot
    /// take a byte has others to wake up for. CPython: BaseSelectorEventLoop._write_to_self
    #[cold]
    fn write_to_self_pipe(&self) {
        if let Some(socket) = runtime::borrow_fd(self.self_pipe.load(Ordering::Relaxed) - 1) {
            let _ = pipe::write(socket, &[0]);
        }
    }

    /// Lets the loop have the GIL when another thread has got so far ahead of it that what is queued
    /// would leave the processor's cache before the loop comes to it. Stock gives it up in each call, to
    /// write to its self-pipe.
    #[inline]
    pub fn give_way(&self, py: Python<'_>) {
        let queued = self.ready.borrow_mut(py).len();
        if queued % MOST_AHEAD == MOST_AHEAD - 1
            && self.running_thread() != Some(runtime::thread_ident())
        {
            ending_thread::stop_at_exit();
            runtime::yield_gil(py);
        }
    }
}
