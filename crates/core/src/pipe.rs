//! System calls on what a pipe transport takes: pipes, sockets and character devices that do not
//! block. An interrupted call is made again: no signal handler of Python runs in between, and the
//! loop looks for signals in its turn.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::{self, FileType};
use rustix::io::Errno;

/// What a descriptor leads to, as far as a pipe transport takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A pipe, named or not.
    Fifo,
    /// A socket of any family.
    Socket,
    /// A terminal, `/dev/null` and the like.
    CharacterDevice,
}

/// What the descriptor leads to; None for a file, a directory or a disk. fstat(2)
///
/// # Errors
/// As the system call.
pub fn kind(fd: BorrowedFd<'_>) -> io::Result<Option<Kind>> {
    Ok(match FileType::from_raw_mode(fs::fstat(fd)?.st_mode) {
        FileType::Fifo => Some(Kind::Fifo),
        FileType::Socket => Some(Kind::Socket),
        FileType::CharacterDevice => Some(Kind::CharacterDevice),
        _ => None,
    })
}

/// Has calls fail with `WouldBlock` where they would wait. ioctl(2), FIONBIO
///
/// # Errors
/// As the system call.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

/// Reads what is there; so many bytes of `buf` are written. 0 at the end. read(2)
///
/// # Errors
/// As the system call; `WouldBlock` when nothing is there.
pub fn read(fd: BorrowedFd<'_>, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    loop {
        match rustix::io::read(fd, &mut *buf) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome.map(|(filled, _)| filled.len())?),
        }
    }
}

/// Writes what fits. write(2)
///
/// # Errors
/// As the system call; `WouldBlock` when nothing fits.
pub fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(fd, buf) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Writes what fits of several pieces. writev(2)
///
/// # Errors
/// As [`write`].
pub fn write_vectored(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match rustix::io::writev(fd, pieces) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Pieces that one [`write_vectored`] takes. IOV_MAX of the kernel's limits.h
pub const MOST_PIECES: usize = 1024;
