//! System calls on sockets of any kind that do not block: receiving with the sender's address, and
//! connecting. An interrupted call is made again, save connect(2), which then goes on by itself.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, Protocol, RawProtocol, RecvFlags, SocketAddrAny, SocketFlags, SocketType,
    sockopt,
};

/// Receives into `buf`: how many bytes of it were written, and who sent them, where the socket knows.
/// recvfrom(2)
///
/// # Errors
/// As the system call; `WouldBlock` when nothing is there.
pub fn recv_from(
    fd: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, Option<SocketAddrAny>)> {
    loop {
        match net::recvfrom(fd, &mut *buf, RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            outcome => {
                let ((filled, _), _, sender) = outcome?;
                return Ok((filled.len(), sender));
            }
        }
    }
}

/// How far an attempt to connect has come.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Attempt {
    /// The socket is connected.
    Connected,
    /// The kernel goes on with it; the socket becomes writable at its end.
    Pending,
}

/// A new stream socket, close-on-exec and not blocking. socket(2)
///
/// # Errors
/// As the system call.
pub fn open_stream(family: AddressFamily, protocol: u32) -> io::Result<OwnedFd> {
    let protocol = RawProtocol::new(protocol).map(Protocol::from_raw);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(net::socket_with(family, SocketType::STREAM, flags, protocol)?)
}

/// Begins to connect. connect(2)
///
/// # Errors
/// As the system call, save those that say that it goes on.
pub fn connect(fd: BorrowedFd<'_>, address: &SocketAddrAny) -> io::Result<Attempt> {
    attempt(net::connect(fd, address))
}

/// How connecting in the background went, once the socket is writable; an error that is pending on the
/// socket is taken off it. SO_ERROR, socket(7)
///
/// # Errors
/// As getsockopt(2).
pub fn connect_outcome(fd: BorrowedFd<'_>) -> io::Result<io::Result<Attempt>> {
    Ok(attempt(sockopt::socket_error(fd)?))
}

/// Python has BlockingIOError and InterruptedError for the errors that say that it goes on, and asyncio
/// waits after them; after the EAGAIN of a Unix socket too. PEP 3151
fn attempt(outcome: Result<(), Errno>) -> io::Result<Attempt> {
    match outcome {
        Ok(()) => Ok(Attempt::Connected),
        Err(Errno::INPROGRESS | Errno::ALREADY | Errno::AGAIN | Errno::INTR) => {
            Ok(Attempt::Pending)
        }
        Err(error) => Err(error.into()),
    }
}
