//! Black-box tests of watches for one event, on real sockets: what is told, and what becomes of the
//! registration that is left behind.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ferrio_core::reactor::{Events, Interests, Poller, Timeout};

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

    fn set_reader_once(&mut self, fd: impl AsFd, item: &'static str) -> Option<&'static str> {
        let fd = fd.as_fd();
        self.interests.set_reader_once(&self.poller, fd, item).expect("the fd can be watched")
    }

    fn set_writer_once(&mut self, fd: impl AsFd, item: &'static str) -> Option<&'static str> {
        let fd = fd.as_fd();
        self.interests.set_writer_once(&self.poller, fd, item).expect("the fd can be watched")
    }

    fn remove_reader(&mut self, fd: impl AsFd) -> Option<&'static str> {
        self.interests.remove_reader(&self.poller, fd.as_fd()).expect("it stays open")
    }

    fn rearm(&mut self, fd: impl AsFd, once: bool) -> std::io::Result<()> {
        self.interests.rearm(&self.poller, fd.as_fd(), once)
    }

    /// What is ready now, as a loop would dispatch it.
    fn ready(&mut self) -> Vec<&'static str> {
        self.poller.wait(&mut self.events, Timeout::Zero).expect("a wait that does not block");
        self.interests.note_reported(&mut self.events, false);
        let mut items = Vec::new();
        for event in self.events.iter() {
            items.extend(self.interests.reader(event.fd).filter(|_| event.readable));
            items.extend(self.interests.writer(event.fd).filter(|_| event.writable));
        }
        items
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (near, mut far) = UnixStream::pair().expect("sockets are to be had");
    near.set_nonblocking(true).expect("a fresh socket");
    far.write_all(b"x").expect("an open socket");
    (near, far)
}

#[test]
fn one_event_is_told_once_until_it_is_armed_again() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    assert_eq!(bench.set_reader_once(&near, "read"), None);
    assert_eq!(bench.ready(), ["read"]);
    assert!(bench.ready().is_empty());
    assert_eq!(bench.interests.events_of(near.as_raw_fd()), Some((true, false)));
    bench.rearm(&near, true).expect("the fd can be watched");
    assert_eq!(bench.ready(), ["read"]);
    assert!(bench.ready().is_empty());
    bench.rearm(&near, false).expect("the fd can be watched");
    assert_eq!(bench.ready(), ["read"]);
    assert_eq!(bench.ready(), ["read"]);
}

#[test]
fn the_next_watch_after_a_told_one_is_told() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    bench.set_reader_once(&near, "first");
    assert_eq!(bench.ready(), ["first"]);
    assert_eq!(bench.remove_reader(&near), Some("first"));
    assert!(bench.interests.is_empty());
    assert!(bench.ready().is_empty());
    assert_eq!(bench.set_reader_once(&near, "second"), None);
    assert_eq!(bench.ready(), ["second"]);
    assert_eq!(bench.remove_reader(&near), Some("second"));
    assert_eq!(bench.set_reader(&near, "third"), None);
    assert_eq!(bench.ready(), ["third"]);
    assert_eq!(bench.ready(), ["third"]);
}

#[test]
fn a_watch_that_takes_the_place_of_a_told_one_is_told() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    bench.set_reader_once(&near, "first");
    assert_eq!(bench.ready(), ["first"]);
    assert_eq!(bench.set_reader_once(&near, "second"), Some("first"));
    assert_eq!(bench.ready(), ["second"]);
}

#[test]
fn two_who_want_one_event_each_are_both_told() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    bench.set_reader_once(&near, "read");
    bench.set_writer_once(&near, "write");
    assert_eq!(bench.ready(), ["read", "write"]);
    // Together they are told of every event: that of one must not silence the other.
    assert_eq!(bench.ready(), ["read", "write"]);
    assert_eq!(bench.remove_reader(&near), Some("read"));
    assert_eq!(bench.ready(), ["write"]);
}

#[test]
fn a_socket_that_gets_the_number_of_a_told_one_can_be_watched() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    bench.set_reader_once(&near, "first");
    assert_eq!(bench.ready(), ["first"]);
    bench.remove_reader(&near);
    let mut near = OwnedFd::from(near);
    let (other, _far) = pair();
    // As a close and an accept do, behind the table's back.
    rustix::io::dup2(&other, &mut near).expect("both are open");
    assert_eq!(bench.set_reader_once(&near, "second"), None);
    assert_eq!(bench.ready(), ["second"]);
}

#[test]
fn a_closed_socket_that_another_process_keeps_open_is_silent() {
    let mut bench = Bench::new();
    let (near, far) = pair();
    // Stands for the other process: the open file lives on, and epoll's registration with it.
    let kept = near.try_clone().expect("descriptors are to be had");
    bench.set_reader_once(&near, "read");
    assert_eq!(bench.ready(), ["read"]);
    bench.remove_reader(&near);
    drop(near);
    drop(far);
    bench.poller.wait(&mut bench.events, Timeout::Zero).expect("a wait that does not block");
    assert!(bench.events.is_empty());
    drop(kept);
}

#[test]
fn arming_what_nobody_watches_does_nothing() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    bench.rearm(&near, true).expect("there is nothing to do");
    assert!(bench.ready().is_empty());
    assert!(bench.interests.is_empty());
}

#[test]
fn arming_a_socket_that_was_closed_is_an_error_and_drops_the_watch() {
    let mut bench = Bench::new();
    let (near, _far) = pair();
    bench.set_reader_once(&near, "read");
    assert_eq!(bench.ready(), ["read"]);
    // What the number stands for now, a regular file, cannot be watched.
    let mut near = OwnedFd::from(near);
    let file = std::fs::File::open("/proc/self/exe").expect("the test's own file");
    rustix::io::dup2(&file, &mut near).expect("both are open");
    assert!(bench.rearm(&near, true).is_err());
    assert_eq!(bench.interests.take_lost(), ["read"]);
    assert!(bench.interests.is_empty());
}
