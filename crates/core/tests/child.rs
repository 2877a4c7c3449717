//! The end of child processes, on real ones.

use std::io;
use std::os::fd::AsFd;
use std::process::{ChildStdin, Command, Stdio};

use ferrio_core::child::{self, Reaped};
use rustix::event::{PollFd, PollFlags, poll};

/// The process id of a new shell, and its input.
#[expect(clippy::zombie_processes, reason = "the tests themselves wait")]
fn shell(script: &str) -> (i32, Option<ChildStdin>) {
    let mut command = Command::new("/bin/sh");
    let mut child = command.args(["-c", script]).stdin(Stdio::piped()).spawn().expect("a shell");
    (child.id().try_into().expect("a process id"), child.stdin.take())
}

#[test]
fn a_pidfd_becomes_readable_when_the_child_has_ended() {
    let (pid, input) = shell("read line; exit 7");
    let pidfd = child::open_pidfd(pid).expect("a pidfd");
    let mut polled = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(poll(&mut polled, Some(&now)).expect("poll"), 0);
    assert_eq!(child::reap(pid).expect("a child"), Reaped::NotYet);
    drop(input);
    assert_eq!(poll(&mut polled, None).expect("poll"), 1);
    assert_eq!(child::reap(pid).expect("a child"), Reaped::Ended(7));
    assert_eq!(child::reap(pid).expect("no error"), Reaped::Unknown);
}

#[test]
fn exit_codes_are_those_of_python() {
    let scripts = [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", -9), ("kill -15 $$", -15)];
    for (script, code) in scripts {
        let (pid, _input) = shell(script);
        assert_eq!(child::wait(pid).expect("a child"), Reaped::Ended(code), "{script}");
    }
}

#[test]
fn no_child_is_unknown() {
    for pid in [1, i32::MAX, 0, -1, i32::MIN] {
        assert_eq!(child::reap(pid).expect("no error"), Reaped::Unknown, "{pid}");
    }
    assert_eq!(
        child::open_pidfd(0).map_err(|error| error.kind()).err(),
        Some(io::ErrorKind::InvalidInput)
    );
    let nobody = child::open_pidfd(i32::MAX).expect_err("no such process");
    assert_eq!(nobody.raw_os_error(), Some(rustix::io::Errno::SRCH.raw_os_error()));
}
