//! The transport of a datagram socket (UDP, Unix): what stock's `_SelectorDatagramTransport` is, as a
//! native subclass of `asyncio.DatagramTransport`. Native is what runs once per datagram. The rest
//! (opening apart) are stock's own functions, put into the class: they work on the attributes, which
//! have stock's names, so they are right on every Python version.
//!
//! State: open -> closing (no more reading; what is buffered is still sent) -> lost (`conn_lost` > 0:
//! connection_lost is scheduled or was called) -> closed (`sock`, `protocol` and the loop are None).
//! Fields: `_loop`, `_extra`, `_protocol_paused` and the two limits lie in the `__slots__` of the base
//! class, where stock has them too.
//! Safety: the state owns what it holds; nothing is borrowed over a call into Python.
//! Shutdown: an instance that is freed while `sock` is set warns and closes it (stock's `__del__`).

mod attributes;
mod making;
mod methods;
mod peers;
mod reading;
mod sending;

use std::cell::Cell;
use std::ffi::c_int;
use std::os::fd::{BorrowedFd, RawFd};

use ferrio_capi::addresses::AddressFamily;
use ferrio_capi::slots::Member;
use ferrio_capi::{Class, NativeClass, Slot, State, Visit, runtime, socket_object};
use pyo3::prelude::*;
use pyo3::types::{DerefToPyAny, PyTuple};
use pyo3::{PyTypeInfo, ffi};

pub use making::{Parts, new, serves};
pub use methods::create;

use self::peers::{Peer, Peers};
use crate::loop_state::{EventLoop, into_native};
use crate::names;

static DATAGRAM_TRANSPORT: Class<DatagramTransport> = Class::new();

static LOOP: Member = Member::new(c"_loop");
static EXTRA: Member = Member::new(c"_extra");
static PROTOCOL_PAUSED: Member = Member::new(c"_protocol_paused");
static HIGH_WATER: Member = Member::new(c"_high_water");
static LOW_WATER: Member = Member::new(c"_low_water");
static BASE_SLOTS: [&Member; 5] = [&LOOP, &EXTRA, &PROTOCOL_PAUSED, &HIGH_WATER, &LOW_WATER];

/// `_SelectorDatagramTransport` of a native loop.
#[derive(Debug)]
pub struct DatagramTransport;

/// The native part of a transport. All-zero is one whose making has not begun.
pub struct DatagramState {
    /// `_sock`: the socket, which this transport owns; None once closed.
    sock: Slot,
    /// `_protocol`: None once closed.
    protocol: Slot,
    /// `_address`: where every datagram goes, None when that is said with each.
    address: Slot,
    /// `_server`: always None, for stock's functions.
    server: Slot,
    /// `_buffer`: a deque of (bytes, address); empty as long as nobody needed it.
    buffer: Slot,
    /// Who sent datagrams; taken out while it is used.
    senders: Cell<Option<Box<Peers>>>,
    /// Where the last datagram was sent, unless that was the last sender.
    receiver: Cell<Option<Box<Peer>>>,
    /// `_buffer_size`: bytes in `buffer`, headers included where stock counts them.
    buffer_size: Cell<isize>,
    /// `_conn_lost`: 1 when connection_lost is scheduled, then one more for each datagram after that.
    conn_lost: Cell<i64>,
    /// `_sock_fd`: the descriptor that the loop watches.
    fd: Cell<RawFd>,
    /// The address family of the socket.
    family: Cell<u16>,
    /// Wake-ups that take a single datagram without looking for a second one.
    singles: Cell<u8>,
    /// `_closing`.
    closing: Cell<bool>,
    /// `_paused`: pause_reading() was called.
    paused: Cell<bool>,
    /// `_protocol_connected`.
    protocol_connected: Cell<bool>,
}

impl std::fmt::Debug for DatagramState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "DatagramState(fd {})", self.fd.get())
    }
}

impl DatagramState {
    fn slots(&self) -> [&Slot; 5] {
        [&self.sock, &self.protocol, &self.address, &self.server, &self.buffer]
    }

    fn family(&self) -> AddressFamily {
        AddressFamily::from_raw(self.family.get())
    }

    /// The descriptor, for a system call. None when somebody closed the socket or put something else
    /// in its place: then stock's functions call its methods.
    #[inline]
    fn descriptor(&self, py: Python<'_>) -> Option<BorrowedFd<'static>> {
        let fd = socket_object::descriptor(&self.sock.get(py)?)?;
        runtime::borrow_fd(fd)
    }

    /// Whether datagrams wait to be sent.
    fn has_buffered(&self, py: Python<'_>) -> PyResult<bool> {
        match self.buffer.get(py) {
            Some(buffer) => Ok(buffer.len()? > 0),
            None => Ok(false),
        }
    }
}

/// A slot of the base class.
fn base_slot<'a>(member: &Member, this: &'a Bound<'_, DatagramTransport>) -> &'a Slot {
    // SAFETY: an instance of a class whose base every member was located in before it was made.
    unsafe { member.of(this.as_ptr()) }
}

/// The loop, while the transport has one of ours.
fn native_loop<'py>(this: &Bound<'py, DatagramTransport>) -> Option<Bound<'py, EventLoop>> {
    base_slot(&LOOP, this).get(this.py()).and_then(into_native)
}

/// Calls stock's own function: for what is rare, for sockets that are not what they were, for errors.
#[cold]
fn call_stock<'py>(
    this: &Bound<'py, DatagramTransport>,
    name: &str,
    args: &[&Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let function = names::STOCK_DATAGRAM_TRANSPORT.get(py)?.getattr(name)?;
    let all: Vec<_> = std::iter::once(this.as_any()).chain(args.iter().copied()).collect();
    function.call1(PyTuple::new(py, all)?)
}

// SAFETY: empty slots, absent boxes, zero numbers and false flags are all-zero bytes.
unsafe impl State for DatagramState {
    fn traverse(&self, visit: &Visit) -> Result<(), c_int> {
        self.slots().into_iter().try_for_each(|slot| visit.slot(slot))
    }

    fn clear(&self, py: Python<'_>) {
        self.slots().into_iter().for_each(|slot| drop(slot.take(py)));
        drop(self.senders.take());
        drop(self.receiver.take());
    }
}

// SAFETY: the type object is the one that `create` made.
unsafe impl PyTypeInfo for DatagramTransport {
    fn type_object_raw(_: Python<'_>) -> *mut ffi::PyTypeObject {
        DATAGRAM_TRANSPORT.type_ptr()
    }
}

impl DerefToPyAny for DatagramTransport {}

impl NativeClass for DatagramTransport {
    type State = DatagramState;
    const KEPT: usize = 0;
    const OPEN: bool = true;

    fn class() -> &'static Class<Self> {
        &DATAGRAM_TRANSPORT
    }

    fn traverse_base(object: *mut ffi::PyObject, visit: &Visit) -> Result<(), c_int> {
        // SAFETY: called with an instance; the members were located in its base.
        BASE_SLOTS.iter().try_for_each(|member| visit.slot(unsafe { member.of(object) }))
    }

    fn clear_base(object: *mut ffi::PyObject, py: Python<'_>) {
        // SAFETY: as for `traverse_base`.
        BASE_SLOTS.iter().for_each(|member| drop(unsafe { member.of(object) }.take(py)));
    }

    fn needs_finalizer(state: &DatagramState) -> bool {
        state.sock.is_set()
    }
}
