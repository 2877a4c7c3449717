//! `sock_recv`, `sock_recv_into`, `sock_recvfrom`, `sock_recvfrom_into`.

use std::io;
use std::mem::MaybeUninit;

use ferrio_capi::buffer;
use ferrio_capi::method::{Arguments, Members, Object};
use ferrio_capi::read_space::ReadSpace;
use ferrio_capi::socket_object::SocketFacts;
use ferrio_capi::{StateOf, addresses};
use ferrio_core::{datagram_socket, socket_calls, stream_socket};
use pyo3::exceptions::PyMemoryError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple};

use super::{Operation, SockCall, Tried, ask, call, tried};
use crate::loop_state::{Direction, EventLoop};

/// What they share.
const RECEIVE: Operation = Operation {
    name: "",
    qualified_name: "",
    callback: "",
    direction: Direction::Read,
    least: 2,
    most: 2,
    serves: anything,
    start: recv,
    retry: recv,
};

static RECV: Operation = Operation {
    name: "sock_recv",
    qualified_name: "BaseSelectorEventLoop.sock_recv",
    callback: "_sock_recv",
    ..RECEIVE
};

static RECV_INTO: Operation = Operation {
    name: "sock_recv_into",
    qualified_name: "BaseSelectorEventLoop.sock_recv_into",
    callback: "_sock_recv_into",
    start: recv_into,
    retry: recv_into,
    ..RECEIVE
};

static RECVFROM: Operation = Operation {
    name: "sock_recvfrom",
    qualified_name: "BaseSelectorEventLoop.sock_recvfrom",
    callback: "_sock_recvfrom",
    start: recvfrom,
    retry: recvfrom,
    ..RECEIVE
};

static RECVFROM_INTO: Operation = Operation {
    name: "sock_recvfrom_into",
    qualified_name: "BaseSelectorEventLoop.sock_recvfrom_into",
    callback: "_sock_recvfrom_into",
    most: 3,
    start: start_recvfrom_into,
    retry: recvfrom_into,
    ..RECEIVE
};

#[expect(clippy::unnecessary_wraps, reason = "the shape of Operation::serves")]
fn anything(_: &SocketFacts, _: &Arguments<'_, '_>) -> PyResult<bool> {
    Ok(true)
}

fn recv<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let size = state.first(py);
    let Some(length) = length(&size) else {
        return ask(this, intern!(py, "recv"), (size,));
    };
    let fd = state.descriptor(py)?;
    let event_loop = state.event_loop(py)?;
    let received = read(&event_loop, length, |space| {
        stream_socket::recv_uninit(fd, space).map(|count| (count, ()))
    })?;
    Ok(received.map(|(data, ())| data))
}

fn recv_into<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let target = state.first(py);
    let fd = state.descriptor(py).ok();
    let receive = |space: &mut [u8]| match fd {
        Some(fd) if !space.is_empty() => Some(stream_socket::recv(fd, space)),
        _ => None,
    };
    match buffer::fill(&target, receive) {
        Ok(Some(received)) => {
            Ok(tried(py, received)?.map(|count| PyInt::new(py, count).into_any()))
        }
        Ok(None) | Err(_) => ask(this, intern!(py, "recv_into"), (target,)),
    }
}

fn recvfrom<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let size = state.first(py);
    let (Some(length), true) = (length(&size), is_internet(this)?) else {
        return ask(this, intern!(py, "recvfrom"), (size,));
    };
    let fd = state.descriptor(py)?;
    let event_loop = state.event_loop(py)?;
    let received = read(&event_loop, length, |space| socket_calls::recv_from(fd, space))?;
    let Some((data, sender)) = received else { return Ok(None) };
    let sender =
        addresses::to_object(py, sender.as_ref()).ok_or_else(|| PyMemoryError::new_err(()))?;
    Ok(Some(PyTuple::new(py, [data, sender])?.into_any()))
}

fn start_recvfrom_into<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let given = match state.second.get(py) {
        Some(count) => count.is_truthy()?,
        None => false,
    };
    if !given {
        state.second.set(PyInt::new(py, state.first(py).len()?));
    }
    recvfrom_into(this)
}

fn recvfrom_into<'py>(this: &Bound<'py, SockCall>) -> Tried<'py> {
    let py = this.py();
    let state = this.state();
    let (target, count) = (state.first(py), state.second.get_or_none(py));
    let fd = state.descriptor(py).ok();
    let length = length(&count).filter(|_| is_internet(this).unwrap_or(false));
    let receive = |space: &mut [u8]| {
        let space = space.get_mut(..length?)?;
        Some(datagram_socket::receive(fd?, space))
    };
    let Ok(Some(received)) = buffer::fill(&target, receive) else {
        return ask(this, intern!(py, "recvfrom_into"), (target, count));
    };
    let Some((count, sender)) = tried(py, received)? else { return Ok(None) };
    let sender =
        addresses::to_object(py, sender.as_ref()).ok_or_else(|| PyMemoryError::new_err(()))?;
    Ok(Some(PyTuple::new(py, [PyInt::new(py, count).into_any(), sender])?.into_any()))
}

/// A number of bytes that needs no conversion and no error.
#[inline]
fn length(size: &Bound<'_, PyAny>) -> Option<usize> {
    let size: isize = size.cast_exact::<PyInt>().ok()?.extract().ok()?;
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// Whether addresses of the socket are converted natively, whatever they are: what has been received
/// cannot be received again.
fn is_internet(this: &Bound<'_, SockCall>) -> PyResult<bool> {
    let family = this.state().facts(this.py())?.family;
    let is = |known: addresses::AddressFamily| family == i32::from(known.as_raw());
    Ok(is(addresses::AddressFamily::INET) || is(addresses::AddressFamily::INET6))
}

/// Reads up to `length` bytes into the room that the loop keeps, or into larger one.
#[inline]
fn read<'py, T>(
    event_loop: &Bound<'py, EventLoop>,
    length: usize,
    receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<(usize, T)>,
) -> PyResult<Option<(Bound<'py, PyAny>, T)>> {
    let py = event_loop.py();
    let kept = event_loop.get().read_space.borrow_mut(py).take();
    let mut space = match kept.filter(|space| space.len() >= length) {
        Some(space) => space,
        None => ReadSpace::new(py, length)?,
    };
    let outcome = tried(py, receive(&mut space.memory()[..length]));
    let (received, rest) = match outcome {
        Ok(Some((count, more))) => {
            // SAFETY: `receive` says how many bytes it has written.
            let (data, rest) = unsafe { space.finish(py, count) }?;
            (Ok(Some((data, more))), rest)
        }
        Ok(None) => (Ok(None), Some(space)),
        Err(error) => (Err(error), Some(space)),
    };
    if let Some(rest) = rest.filter(|rest| rest.len() <= MOST_KEPT) {
        *event_loop.get().read_space.borrow_mut(py) = Some(rest);
    }
    received
}

/// The largest room that is kept between reads.
const MOST_KEPT: usize = 256 * 1024;

pub fn methods(members: Members) -> Members {
    members
        .keywords::<EventLoop, _>(
            c"sock_recv(sock, n)",
            sock_recv,
            c"Receive up to n bytes from a socket; return them.",
        )
        .keywords::<EventLoop, _>(
            c"sock_recv_into(sock, buf)",
            sock_recv_into,
            c"Receive from a socket into a buffer; return the number of bytes.",
        )
        .keywords::<EventLoop, _>(
            c"sock_recvfrom(sock, bufsize)",
            sock_recvfrom,
            c"Receive a datagram of up to bufsize bytes; return it with its sender's address.",
        )
        .keywords::<EventLoop, _>(
            c"sock_recvfrom_into(sock, buf, nbytes=0)",
            sock_recvfrom_into,
            c"Receive a datagram into a buffer; return the number of bytes and its sender's address.",
        )
}

fn sock_recv<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    call(slf, &arguments, &RECV)
}

fn sock_recv_into<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    call(slf, &arguments, &RECV_INTO)
}

fn sock_recvfrom<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> Object<'py> {
    call(slf, &arguments, &RECVFROM)
}

fn sock_recvfrom_into<'py>(
    slf: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> Object<'py> {
    call(slf, &arguments, &RECVFROM_INTO)
}
