//! CPU time of the server under load. Relies on /proc/PID/task/*/schedstat (proc_pid_schedstat in
//! the kernel's sched-stats documentation): its first number is the nanoseconds a thread ran.

use std::fs;

use rustix::io::Errno;

use crate::Outcome;
use crate::clock::pause;

/// How long the server must have used no CPU to count as idle, and how long we wait for that.
const QUIET_NS: u64 = 2_000_000;
const ATTEMPTS: usize = 100;

/// The process whose CPU time is read, if one is watched.
pub(crate) struct ServerCpu(Option<u32>);

impl ServerCpu {
    pub(crate) fn of(pid: Option<u32>) -> Self {
        Self(pid)
    }

    /// Nanoseconds that all threads of the process have run, read once it has gone to sleep: the
    /// kernel adds a running thread's time at its next tick, so a busy one would be read short.
    pub(crate) fn when_idle(&self) -> Outcome<u64> {
        let Some(pid) = self.0 else { return Ok(0) };
        let mut before = all_threads_ns(pid)?;
        for _ in 0..ATTEMPTS {
            pause(QUIET_NS)?;
            let after = all_threads_ns(pid)?;
            if after == before {
                return Ok(after);
            }
            before = after;
        }
        Err(format!("the server, process {pid}, does not come to rest").into())
    }
}

fn all_threads_ns(pid: u32) -> Outcome<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        match fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(text) => sum += text.split(' ').next().unwrap_or("").parse::<u64>()?,
            Err(error) => match Errno::from_io_error(&error) {
                // A thread that ended after it was listed.
                Some(Errno::NOENT | Errno::SRCH) => {}
                _ => return Err(error.into()),
            },
        }
    }
    Ok(sum)
}
