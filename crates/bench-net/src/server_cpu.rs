//! CPU time of the server under load. Relies on /proc/PID/task/*/schedstat (sched-stats.rst of the
//! kernel): the nanoseconds a thread ran, those it waited for a core, and how often it ran.

use std::fs;
use std::ops::Sub;

use rustix::io::Errno;

use crate::Outcome;
use crate::clock::pause;

/// How long the server must have used no CPU to count as idle, and how often we look.
const QUIET_NS: u64 = 2_000_000;
const ATTEMPTS: usize = 100;

/// The process whose CPU time is read, if one is watched.
pub(crate) struct ServerCpu(Option<u32>);

/// Nanoseconds that all threads of a process have run, and waited because others held the core.
#[derive(Copy, Clone, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    pub(crate) ran_ns: u64,
    pub(crate) waited_ns: u64,
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { ran_ns: self.ran_ns - before.ran_ns, waited_ns: self.waited_ns - before.waited_ns }
    }
}

impl ServerCpu {
    pub(crate) fn of(pid: Option<u32>) -> Self {
        Self(pid)
    }

    /// Read once the process has gone to sleep: the kernel adds a running thread's time at its next
    /// tick, so a busy one would be read short.
    pub(crate) fn when_idle(&self) -> Outcome<CpuTime> {
        let Some(pid) = self.0 else { return Ok(CpuTime::default()) };
        let mut before = all_threads(pid)?;
        for _ in 0..ATTEMPTS {
            pause(QUIET_NS)?;
            let after = all_threads(pid)?;
            if after == before {
                return Ok(after);
            }
            before = after;
        }
        Err(format!("the server, process {pid}, does not come to rest").into())
    }
}

fn all_threads(pid: u32) -> Outcome<CpuTime> {
    let mut sum = CpuTime::default();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        match fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(text) => {
                let mut numbers = text.split_whitespace().map(str::parse::<u64>);
                sum.ran_ns += numbers.next().ok_or("schedstat is empty")??;
                sum.waited_ns += numbers.next().ok_or("schedstat lacks the wait")??;
            }
            Err(error) => match Errno::from_io_error(&error) {
                // A thread that ended after it was listed.
                Some(Errno::NOENT | Errno::SRCH) => {}
                _ => return Err(error.into()),
            },
        }
    }
    Ok(sum)
}
