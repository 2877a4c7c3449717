//! System calls on sockets of any kind that do not block: receiving with the sender's address, and the
//! error that an attempt to connect has left. An interrupted call is made again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SocketAddrAny, sockopt};

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

/// The error that is pending on a socket, which is taken off it: how connect(2) in the background
/// ended. SO_ERROR, socket(7)
///
/// # Errors
/// As the system call.
pub fn take_error(fd: BorrowedFd<'_>) -> io::Result<Result<(), io::Error>> {
    Ok(sockopt::socket_error(fd)?.map_err(io::Error::from))
}
