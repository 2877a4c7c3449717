//! Black-box tests of the reactor on real sockets: readiness, wake-up, and the interest table.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrio_core::reactor::{Event, Events, Interests, Poller, Timeout};
use ferrio_core::turn::monotonic;
use rustix::io::Errno;

struct Bench {
    poller: Poller,
    events: Events,
    interests: Interests<&'static str>,
}

impl Bench {
    fn new() -> Self {
        Self {
            poller: Poller::new().expect("descriptors are to be had"),
            events: Events::new(),
            interests: Interests::new(),
        }
    }

    fn set_reader(&mut self, fd: impl AsFd, item: &'static str) -> Option<&'static str> {
        self.interests.set_reader(&self.poller, fd.as_fd(), item).expect("the fd can be watched")
    }

    fn set_writer(&mut self, fd: impl AsFd, item: &'static str) -> Option<&'static str> {
        self.interests.set_writer(&self.poller, fd.as_fd(), item).expect("the fd can be watched")
    }

    fn remove_reader(&mut self, fd: impl AsFd) -> std::io::Result<Option<&'static str>> {
        self.interests.remove_reader(&self.poller, fd.as_fd())
    }

    fn remove_writer(&mut self, fd: impl AsFd) -> std::io::Result<Option<&'static str>> {
        self.interests.remove_writer(&self.poller, fd.as_fd())
    }

    /// What is ready now, as a loop would dispatch it.
    fn ready(&mut self) -> Vec<&'static str> {
        self.poller.wait(&mut self.events, Timeout::Zero).expect("a wait that does not block");
        let mut items = Vec::new();
        for event in self.events.iter() {
            items.extend(self.interests.reader(event.fd).filter(|_| event.readable));
            items.extend(self.interests.writer(event.fd).filter(|_| event.writable));
        }
        items
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("sockets are to be had");
    near.set_nonblocking(true).expect("a fresh socket");
    (near, far)
}

fn raw_os_error<T>(outcome: std::io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

/// Puts another open file under the number of `fd`, as a close and an open behind our back do.
fn reopen(fd: &mut OwnedFd, other: impl AsFd) {
    rustix::io::dup2(other, fd).expect("both are open");
}

/// A file that epoll_ctl refuses with EBADF, as it does a number that is not open.
fn bad_fd() -> File {
    const O_PATH: i32 = 0o10_000_000;
    OpenOptions::new().read(true).custom_flags(O_PATH).open("/").expect("the root can be opened")
}

#[test]
fn a_socket_with_data_is_readable_until_the_data_is_read() {
    let mut bench = Bench::new();
    let (mut near, mut far) = pair();
    assert_eq!(bench.set_reader(&near, "read"), None);
    assert!(bench.ready().is_empty());
    far.write_all(b"x").expect("an open socket");
    assert_eq!(bench.ready(), ["read"]);
    assert_eq!(bench.ready(), ["read"]);
    near.read_exact(&mut [0]).expect("the byte is there");
    assert!(bench.ready().is_empty());
}

#[test]
fn reader_and_writer_of_one_fd_are_both_armed() {
    let mut bench = Bench::new();
    let (near, mut far) = pair();
    bench.set_reader(&near, "read");
    bench.set_writer(&near, "write");
    assert_eq!(bench.ready(), ["write"]);
    far.write_all(b"x").expect("an open socket");
    assert_eq!(bench.ready(), ["read", "write"]);
    let fd = near.as_raw_fd();
    assert_eq!(bench.interests.events_of(fd), Some((true, true)));
    assert_eq!(bench.interests.len(), 1);
    assert_eq!(bench.interests.iter().collect::<Vec<_>>(), [(fd, Some(&"read"), Some(&"write"))]);
}

#[test]
fn a_second_reader_replaces_the_first() {
    let mut bench = Bench::new();
    let (near, mut far) = pair();
    bench.set_reader(&near, "first");
    assert_eq!(bench.set_reader(&near, "second"), Some("first"));
    bench.set_writer(&near, "third");
    assert_eq!(bench.set_writer(&near, "fourth"), Some("third"));
    far.write_all(b"x").expect("an open socket");
    assert_eq!(bench.ready(), ["second", "fourth"]);
}

#[test]
fn a_removed_side_is_silent_and_the_other_stays() {
    let mut bench = Bench::new();
    let (near, mut far) = pair();
    far.write_all(b"x").expect("an open socket");
    bench.set_reader(&near, "read");
    bench.set_writer(&near, "write");
    assert_eq!(bench.remove_writer(&near).ok(), Some(Some("write")));
    assert_eq!(bench.ready(), ["read"]);
    assert_eq!(bench.remove_writer(&near).ok(), Some(None));
    assert_eq!(bench.remove_reader(&near).ok(), Some(Some("read")));
    assert_eq!(bench.remove_reader(&near).ok(), Some(None));
    assert!(bench.ready().is_empty());
    assert!(bench.events.is_empty());
    assert!(bench.interests.is_empty());
    assert_eq!(bench.interests.events_of(near.as_raw_fd()), None);
}

#[test]
fn a_hang_up_makes_both_sides_ready() {
    let mut bench = Bench::new();
    let (near, far) = pair();
    bench.set_reader(&near, "read");
    drop(far);
    assert_eq!(bench.ready(), ["read"]);
    let fd = near.as_raw_fd();
    let event = Event { fd, readable: true, writable: true };
    assert_eq!(bench.events.iter().collect::<Vec<_>>(), [event]);
}

#[test]
fn a_hang_up_without_data_makes_a_reader_ready() {
    let mut bench = Bench::new();
    let (near, far) = std::io::pipe().expect("pipes are to be had");
    bench.set_reader(&near, "read");
    assert!(bench.ready().is_empty());
    // A pipe reports EPOLLHUP alone, a socket adds EPOLLIN.
    drop(far);
    assert_eq!(bench.ready(), ["read"]);
}

#[test]
fn a_regular_file_is_refused_as_stock_refuses_it() {
    let mut bench = Bench::new();
    let file = File::open("/proc/self/exe").expect("this test is a file");
    let outcome = bench.interests.set_reader(&bench.poller, file.as_fd(), "read");
    assert_eq!(outcome.as_ref().err().map(std::io::Error::kind), Some(ErrorKind::PermissionDenied));
    assert_eq!(raw_os_error(outcome), Some(Errno::PERM.raw_os_error()));
    assert!(bench.interests.is_empty());
    assert_eq!(bench.interests.take_lost(), ["read"]);
    assert!(bench.interests.take_lost().is_empty());
}

#[test]
fn a_bad_fd_is_refused() {
    let mut bench = Bench::new();
    let outcome = bench.interests.set_writer(&bench.poller, bad_fd().as_fd(), "write");
    assert_eq!(raw_os_error(outcome), Some(Errno::BADF.raw_os_error()));
    assert!(bench.interests.is_empty());
}

#[test]
fn removing_the_last_interest_of_a_closed_fd_is_silent() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    let mut near = OwnedFd::from(near);
    bench.set_reader(&near, "read");
    reopen(&mut near, bad_fd());
    assert_eq!(bench.remove_reader(&near).ok(), Some(Some("read")));
    assert!(bench.interests.is_empty());
}

#[test]
fn changing_the_mask_of_a_closed_fd_is_an_error_and_drops_both_sides() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    let mut near = OwnedFd::from(near);
    bench.set_reader(&near, "read");
    bench.set_writer(&near, "write");
    reopen(&mut near, bad_fd());
    assert_eq!(raw_os_error(bench.remove_writer(&near)), Some(Errno::BADF.raw_os_error()));
    assert!(bench.interests.is_empty());
    assert_eq!(bench.interests.take_lost(), ["read", "write"]);
    assert_eq!(bench.remove_reader(&near).ok(), Some(None));
}

#[test]
fn a_second_side_on_a_reopened_fd_is_an_error_and_drops_the_first() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    let (other, _other_far) = pair();
    let mut near = OwnedFd::from(near);
    bench.set_reader(&near, "read");
    reopen(&mut near, &other);
    let outcome = bench.interests.set_writer(&bench.poller, near.as_fd(), "write");
    assert_eq!(raw_os_error(outcome), Some(Errno::NOENT.raw_os_error()));
    assert!(bench.interests.is_empty());
    assert_eq!(bench.interests.take_lost(), ["read", "write"]);
    assert_eq!(bench.set_writer(&near, "again"), None);
    assert_eq!(bench.ready(), ["again"]);
}

#[test]
fn replacing_a_reader_makes_no_system_call() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    let mut near = OwnedFd::from(near);
    bench.set_reader(&near, "first");
    // Any epoll_ctl on this fd would fail.
    reopen(&mut near, bad_fd());
    assert_eq!(bench.set_reader(&near, "second"), Some("first"));
    assert_eq!(bench.remove_writer(&near).ok(), Some(None));
}

#[test]
fn take_all_hands_over_every_payload() {
    let mut bench = Bench::new();
    let (near, far) = pair();
    bench.set_reader(&near, "near reads");
    bench.set_writer(&near, "near writes");
    bench.set_reader(&far, "far reads");
    let mut items = bench.interests.take_all();
    items.sort_unstable();
    assert_eq!(items, ["far reads", "near reads", "near writes"]);
    assert!(bench.interests.is_empty());
    assert_eq!(bench.interests.iter().count(), 0);
}

#[test]
fn a_wake_before_the_wait_ends_it_at_once_and_only_once() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.poller.wake().expect("the eventfd is open");
    }
    bench.poller.wait(&mut bench.events, Timeout::Forever).expect("a woken wait");
    assert!(bench.events.is_empty());
    let before = monotonic();
    bench
        .poller
        .wait(&mut bench.events, Timeout::For(Duration::from_millis(20)))
        .expect("a wait that times out");
    assert!(monotonic() - before >= 0.02);
}

#[test]
fn another_thread_wakes_a_loop_that_sleeps_for_ever() {
    let poller = Arc::new(Poller::new().expect("descriptors are to be had"));
    let other = Arc::clone(&poller);
    let thread = thread::spawn(move || other.wake());
    let mut events = Events::new();
    poller.wait(&mut events, Timeout::Forever).expect("a woken wait");
    assert!(events.is_empty());
    thread.join().expect("waking does not panic").expect("the eventfd is open");
}

#[test]
fn the_wake_up_is_not_shown_among_the_events() {
    let mut bench = Bench::new();
    let (near, mut far) = pair();
    far.write_all(b"x").expect("an open socket");
    bench.set_reader(&near, "read");
    bench.poller.wake().expect("the eventfd is open");
    assert_eq!(bench.ready(), ["read"]);
    assert_eq!(bench.events.len(), 1);
    assert_eq!(bench.ready(), ["read"]);
}

#[test]
fn a_wait_replaces_the_events_of_the_one_before() {
    let mut bench = Bench::new();
    let (mut near, mut far) = pair();
    far.write_all(b"x").expect("an open socket");
    bench.set_reader(&near, "read");
    assert_eq!(bench.ready(), ["read"]);
    near.read_exact(&mut [0]).expect("the byte is there");
    bench.ready();
    assert!(bench.events.is_empty());
}

#[test]
fn a_timeout_is_kept_to_less_than_a_millisecond() {
    let mut bench = Bench::new();
    // The shortest of many: a busy machine oversleeps now and then.
    let shortest = (0..200).map(|_| {
        let before = monotonic();
        bench
            .poller
            .wait(&mut bench.events, Timeout::For(Duration::from_micros(100)))
            .expect("a wait that times out");
        monotonic() - before
    });
    let shortest = shortest.fold(f64::INFINITY, f64::min);
    assert!((100e-6..1e-3).contains(&shortest), "{shortest}");
}

#[test]
fn the_longest_duration_is_accepted() {
    let mut bench = Bench::new();
    bench.poller.wake().expect("the eventfd is open");
    bench.poller.wait(&mut bench.events, Timeout::For(Duration::MAX)).expect("a woken wait");
}

#[test]
fn one_wait_sees_all_ready_fds_that_the_buffer_has_room_for() {
    let mut bench = Bench::new();
    let pairs: Vec<_> = (0..300).map(|_| pair()).collect();
    for (near, _) in &pairs {
        bench.set_writer(near, "write");
    }
    bench.events.reserve(pairs.len());
    assert_eq!(bench.ready().len(), pairs.len());
}

#[test]
fn the_epoll_descriptor_is_close_on_exec() {
    let poller = Poller::new().expect("descriptors are to be had");
    let flags = rustix::io::fcntl_getfd(&poller).expect("an open descriptor");
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    assert_eq!(poller.epoll_fd(), poller.as_fd().as_raw_fd());
}

#[test]
fn a_poller_can_be_shared_and_sent() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Poller::new().expect("descriptors are to be had"));
    let fd: RawFd = Poller::new().expect("descriptors are to be had").epoll_fd();
    assert!(fd >= 0);
}
