//! System calls on a datagram socket. None of them waits, whatever mode the socket is in. An
//! interrupted call is made again: no signal handler of Python runs in between, and the caller looks
//! for signals in its turn.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{self, RecvFlags, SendFlags, SocketAddrAny};

/// Receives one datagram into `buf`, which cuts off what does not fit: its length there, and its
/// sender, if that has an address. recvfrom(2)
///
/// # Errors
/// As the system call; `WouldBlock` when none has come.
#[inline]
pub fn receive(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, Option<SocketAddrAny>)> {
    loop {
        match net::recvfrom(fd, &mut *buf, RecvFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome.map(|(length, _, address)| (length, address))?),
        }
    }
}

/// Sends one datagram to an address. sendto(2)
///
/// # Errors
/// As the system call; `WouldBlock` when there is no room for it.
#[inline]
pub fn send_to(fd: BorrowedFd<'_>, data: &[u8], to: &impl SocketAddrArg) -> io::Result<()> {
    loop {
        match net::sendto(fd, data, SendFlags::DONTWAIT, to) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome.map(drop)?),
        }
    }
}

/// Sends one datagram to where the socket is connected. send(2)
///
/// # Errors
/// As [`send_to`].
#[inline]
pub fn send(fd: BorrowedFd<'_>, data: &[u8]) -> io::Result<()> {
    loop {
        match net::send(fd, data, SendFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome.map(drop)?),
        }
    }
}
