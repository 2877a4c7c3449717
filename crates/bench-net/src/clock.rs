//! Time and place of a measurement: CLOCK_MONOTONIC, short waits, the core to stay on.

use std::io;

use rustix::event::{Timespec, poll};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC.
pub(crate) fn now_ns() -> u64 {
    to_ns(clock_gettime(ClockId::Monotonic))
}

/// Nanoseconds of CPU that this process has used, all threads, children not counted.
pub(crate) fn own_cpu_ns() -> u64 {
    to_ns(clock_gettime(ClockId::ProcessCPUTime))
}

/// Waits for so long and for nothing else.
pub(crate) fn pause(duration_ns: u64) -> io::Result<()> {
    poll(&mut [], Some(&timespec(duration_ns)))?;
    Ok(())
}

/// The duration as epoll and poll take it.
pub(crate) fn timespec(duration_ns: u64) -> Timespec {
    Timespec { tv_sec: (duration_ns / SECOND_NS) as i64, tv_nsec: (duration_ns % SECOND_NS) as i64 }
}

/// The duration in nanoseconds of a number of seconds from the command line.
pub(crate) fn seconds_to_ns(seconds: f64) -> u64 {
    (seconds * SECOND_NS as f64) as u64
}

/// Keeps this process, and children it starts, on one core.
pub(crate) fn pin_to_core(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

fn to_ns(time: Timespec) -> u64 {
    time.tv_sec as u64 * SECOND_NS + time.tv_nsec as u64
}

/// Nanoseconds of a second.
pub(crate) const SECOND_NS: u64 = 1_000_000_000;
