//! System calls on a connected stream socket that does not block. An interrupted call is made again:
//! no signal handler of Python runs in between, and the caller looks for signals in its turn.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddrV4;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, sockopt,
};

use crate::compact_address::CompactAddress;

/// The next connection of a listening socket, and the address of its peer. It does not block and is
/// close-on-exec. accept4(2)
///
/// # Errors
/// As the system call; `WouldBlock` when nobody waits.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, CompactAddress)> {
    let (connection, peer) =
        net::acceptfrom_with(fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    Ok((connection, peer.map_or_else(CompactAddress::absent, |peer| CompactAddress::of(&peer))))
}

/// The address that a socket is bound to. getsockname(2)
#[must_use]
pub fn local_address(fd: BorrowedFd<'_>) -> CompactAddress {
    net::getsockname(fd)
        .map_or_else(|_| CompactAddress::absent(), |local| CompactAddress::of(&local))
}

/// Whether the connections of a listening socket have its own address: a Unix one, and one that is
/// bound to an IPv4 address and not to all of them.
#[must_use]
pub fn names_its_connections(fd: BorrowedFd<'_>) -> bool {
    let Ok(local) = net::getsockname(fd) else { return false };
    match SocketAddrV4::try_from(local.clone()) {
        Ok(local) => !local.ip().is_unspecified(),
        Err(_) => local.address_family() == AddressFamily::UNIX,
    }
}

/// The address that a socket is connected to. getpeername(2)
#[must_use]
pub fn peer_address(fd: BorrowedFd<'_>) -> CompactAddress {
    match net::getpeername(fd) {
        Ok(Some(peer)) => CompactAddress::of(&peer),
        Ok(None) => CompactAddress::default(),
        Err(_) => CompactAddress::absent(),
    }
}

/// Receives into `buf`; 0 at the end of the stream. recv(2)
///
/// # Errors
/// As the system call; `WouldBlock` when nothing is there.
#[inline]
pub fn recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match net::recv(fd, &mut *buf, RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome.map(|(count, _)| count)?),
        }
    }
}

/// [`recv`] into memory that holds nothing yet; so many bytes of it are written.
///
/// # Errors
/// As [`recv`].
#[inline]
pub fn recv_uninit(fd: BorrowedFd<'_>, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    loop {
        match net::recv(fd, &mut *buf, RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome.map(|((filled, _), _)| filled.len())?),
        }
    }
}

/// The number of TCP. ip(7), IPPROTO_TCP
pub const TCP: u16 = 6;

/// Whether this is TCP itself, and nothing that is like it. socket(7), SO_PROTOCOL
#[must_use]
pub fn is_tcp(fd: BorrowedFd<'_>) -> bool {
    sockopt::socket_protocol(fd).is_ok_and(|protocol| protocol == Some(net::ipproto::TCP))
}

/// Bytes that can be received at once. ioctl(2), FIONREAD
///
/// # Errors
/// As the system call.
pub fn available(fd: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(usize::try_from(rustix::io::ioctl_fionread(fd)?).unwrap_or(usize::MAX))
}

/// Sends what fits. send(2)
///
/// # Errors
/// As the system call; `WouldBlock` when nothing fits.
#[inline]
pub fn send(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    loop {
        match net::send(fd, buf, SendFlags::empty()) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Sends what fits of several pieces. sendmsg(2)
///
/// # Errors
/// As [`send`].
pub fn send_vectored(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut control = SendAncillaryBuffer::default();
    loop {
        match net::sendmsg(fd, pieces, &mut control, SendFlags::empty()) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Ends the sending direction. shutdown(2)
///
/// # Errors
/// As the system call.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(net::shutdown(fd, Shutdown::Write)?)
}

/// Has small writes sent without waiting for acknowledgements (TCP_NODELAY); a socket that is not TCP
/// over IP refuses, which is the caller's to prevent.
///
/// # Errors
/// As setsockopt(2).
pub fn set_nodelay(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(fd, true)?)
}

/// Pieces that one [`send_vectored`] takes. IOV_MAX of the kernel's limits.h
pub const MOST_PIECES: usize = 1024;
