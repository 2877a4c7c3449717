//! Receiving. Stock takes one datagram a wake-up; here it may be several, as long as a program cannot
//! tell: the datagrams follow each other directly only where nothing else would have run between them.

use std::io::ErrorKind;
use std::os::fd::{AsRawFd, BorrowedFd};

use ferrio_capi::addresses::SocketAddrAny;
use ferrio_capi::call::call_method;
use ferrio_capi::method::Object;
use ferrio_capi::{StateOf, handled};
use ferrio_core::{datagram_socket, turn};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{DatagramState, DatagramTransport, call_stock, native_loop};
use crate::errors;
use crate::loop_state::{EventLoop, get};
use crate::names::none;

/// How many datagrams a wake-up takes at most.
const MOST: u32 = 32;

/// For how long a wake-up goes on taking more, in seconds: as long as a busy loop skips polls. The clock
/// is read after the first, second, fourth, ... datagram: each time costs as much as the whole check.
const LONGEST: f64 = 100e-6;

/// How many wake-ups take one datagram each after one that found no second: a look for nothing costs
/// a system call.
const SINGLES: u8 = 15;

/// Bytes of a datagram that are received, unless `max_size` says otherwise, and the most that it may
/// say here. CPython: _SelectorTransport.max_size
const USUAL: usize = 256 << 10;
const MOST_BYTES: usize = 1 << 20;

/// `_read_ready`. CPython: _SelectorDatagramTransport._read_ready
pub fn read_ready<'py>(this: &Bound<'py, DatagramTransport>) -> Object<'py> {
    let py = this.py();
    let state = this.state();
    if state.conn_lost.get() != 0 {
        return Ok(none(py));
    }
    let size = this.getattr(intern!(py, "max_size"))?.extract().unwrap_or(0);
    let Some(event_loop) = native_loop(this).filter(|_| (1..=MOST_BYTES).contains(&size)) else {
        return call_stock(this, "_read_ready", &[]);
    };
    let round = Round::begin(this, event_loop);
    let mut taken = 0;
    loop {
        let Some(fd) = state.descriptor(py) else {
            return call_stock(this, "_read_ready", &[]);
        };
        match receive(&round, fd, size)? {
            Incoming::Datagram(data, sender) => {
                let name = intern!(py, "datagram_received");
                call_method(&round.protocol, name, [&data, &sender])?;
            }
            Incoming::Nothing => {
                state.singles.set(if taken > 1 { 0 } else { SINGLES });
                return Ok(none(py));
            }
            Incoming::Error(error) => {
                error_received(&round.protocol, &error)?;
                return Ok(none(py));
            }
        }
        taken += 1;
        if taken == MOST || !round.goes_on(fd, taken) {
            return Ok(none(py));
        }
    }
}

/// `protocol.error_received(exc)`, inside the handling of the exception.
pub fn error_received(protocol: &Bound<'_, PyAny>, error: &std::io::Error) -> PyResult<()> {
    let py = protocol.py();
    let exception = errors::os_error(py, error).into_value(py).into_bound(py);
    let name = intern!(py, "error_received");
    handled::while_handling(&exception, || call_method(protocol, name, [exception.as_any()]))?;
    Ok(())
}

/// One wake-up.
struct Round<'a, 'py> {
    this: &'a Bound<'py, DatagramTransport>,
    state: &'a DatagramState,
    event_loop: Bound<'py, EventLoop>,
    protocol: Bound<'py, PyAny>,
    /// When it must end. None when it takes one datagram.
    deadline: Option<f64>,
}

impl<'a, 'py> Round<'a, 'py> {
    fn begin(this: &'a Bound<'py, DatagramTransport>, event_loop: Bound<'py, EventLoop>) -> Self {
        let py = this.py();
        let state = this.state();
        let native = event_loop.get();
        let single = state.singles.get() > 0;
        state.singles.set(state.singles.get().saturating_sub(1));
        // In debug mode every datagram is a callback of its own, whose duration is watched; a clock of
        // the program's own cannot be compared with ours.
        let alone = single || get(&native.debug) || get(&native.time_overridden);
        let deadline = if alone { None } else { Some(deadline(py, native)) };
        Self { this, state, event_loop, protocol: state.protocol.get_or_none(py), deadline }
    }

    /// Whether the next datagram may follow at once: it would come next on stock too, since the protocol
    /// and the reader are what they were and nothing is queued; and it is not yet time for others.
    fn goes_on(&self, fd: BorrowedFd<'_>, taken: u32) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let py = self.this.py();
        let native = self.event_loop.get();
        let state = self.state;
        let reads = state.conn_lost.get() == 0 && !state.closing.get() && !state.paused.get();
        reads
            && state.protocol.is(&self.protocol)
            && native.ready.borrow_mut(py).is_empty()
            && native.interests.borrow_mut(py).reader(fd.as_raw_fd()).is_some()
            && !get(&native.stopping)
            && (!taken.is_power_of_two() || turn::monotonic() < deadline)
    }
}

/// The end of a round that begins now; a timer that is due ends it sooner.
fn deadline(py: Python<'_>, native: &EventLoop) -> f64 {
    let latest = turn::monotonic() + LONGEST;
    native.timers.borrow_mut(py).next_when().map_or(latest, |when| when.min(latest))
}

enum Incoming<'py> {
    Datagram(Bound<'py, PyAny>, Bound<'py, PyAny>),
    Nothing,
    Error(std::io::Error),
}

/// `sock.recvfrom(size)`.
fn receive<'py>(
    round: &Round<'_, 'py>,
    fd: BorrowedFd<'_>,
    size: usize,
) -> PyResult<Incoming<'py>> {
    let py = round.this.py();
    let (data, address) = {
        let mut scratch = round.event_loop.get().scratch.borrow_mut(py);
        if scratch.len() < size {
            // New memory is not touched before something is received into it.
            *scratch = vec![0; size.max(USUAL)];
        }
        match datagram_socket::receive(fd, &mut scratch[..size]) {
            Ok((length, address)) => (PyBytes::new(py, &scratch[..length]).into_any(), address),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Incoming::Nothing),
            Err(error) => return Ok(Incoming::Error(error)),
        }
    };
    Ok(Incoming::Datagram(data, sender(py, round.state, address)?))
}

/// The sender as an object.
#[inline]
fn sender<'py>(
    py: Python<'py>,
    state: &DatagramState,
    address: Option<SocketAddrAny>,
) -> Object<'py> {
    let Some(address) = address else { return Ok(none(py)) };
    let mut senders = state.senders.take().unwrap_or_default();
    let object = senders.object(py, address);
    state.senders.set(Some(senders));
    object
}
