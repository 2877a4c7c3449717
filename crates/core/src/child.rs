//! The end of a child process: taking its status from the kernel, and the number that Python shows
//! for it. waitpid(2), pidfd_open(2)

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, waitpid};

/// A descriptor that becomes readable when the process ends; close-on-exec. pidfd_open(2)
///
/// # Errors
/// As the system call: ESRCH when the process was reaped, ENOSYS or EPERM where it is not to be had.
pub fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    let Some(pid) = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
        return Err(Errno::INVAL.into());
    };
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// What there is to know about a child that was expected to have ended.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaped {
    /// It has ended, and the kernel has let go of it: what `os.waitstatus_to_exitcode` gives.
    Ended(i32),
    /// Its status cannot be taken yet. A debugger that follows a child gets to see its end first.
    NotYet,
    /// Somebody else has taken its status, or it was no child of this process.
    Unknown,
}

/// Takes the status of a child that has ended. Does not block.
///
/// # Errors
/// None that a valid call gives; what the system call says.
pub fn reap(pid: i32) -> io::Result<Reaped> {
    take_status(pid, WaitOptions::NOHANG)
}

/// [`reap`], which waits for the end: never gives [`Reaped::NotYet`].
///
/// # Errors
/// As [`reap`].
pub fn wait(pid: i32) -> io::Result<Reaped> {
    take_status(pid, WaitOptions::empty())
}

fn take_status(pid: i32, options: WaitOptions) -> io::Result<Reaped> {
    // A number that is not positive would name a group of processes.
    let Some(pid) = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
        return Ok(Reaped::Unknown);
    };
    loop {
        match waitpid(Some(pid), options) {
            Ok(Some((_, status))) => return Ok(Reaped::Ended(exit_code(status))),
            Ok(None) => return Ok(Reaped::NotYet),
            Err(Errno::CHILD) => return Ok(Reaped::Unknown),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The exit status, or minus the signal that ended the process.
/// CPython: unix_events.waitstatus_to_exitcode
fn exit_code(status: WaitStatus) -> i32 {
    let signal = || status.terminating_signal().map(|signal| -signal);
    status.exit_status().or_else(signal).unwrap_or_else(|| status.as_raw())
}
