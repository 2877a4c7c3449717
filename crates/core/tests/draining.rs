//! Black-box tests of readers that drain: when a wait that may sleep is to be preceded by one that does not, and
//! what becomes of the order then. That they are told as others are shows `prop_draining.rs`.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use ferrio_core::reactor::{Events, Interests, Poller, Timeout};

struct Bench {
    poller: Poller,
    events: Events,
    interests: Interests<()>,
    pairs: Vec<(UnixStream, UnixStream)>,
}

impl Bench {
    /// So many sockets with a reader that drains.
    fn new(sockets: usize) -> Self {
        let poller = Poller::new().expect("descriptors are to be had");
        let mut interests = Interests::new();
        let pairs: Vec<_> = (0..sockets).map(|_| pair()).collect();
        for (near, _) in &pairs {
            interests
                .set_draining_reader(&poller, near.as_fd(), ())
                .expect("the fd can be watched");
        }
        Self { poller, events: Events::new(), interests, pairs }
    }

    fn send(&mut self, index: usize) {
        self.pairs[index].1.write_all(b"x").expect("the near end is open");
    }

    /// Waits, and reads what has come; the places of the sockets that were told.
    fn ready(&mut self, anew: bool) -> Vec<usize> {
        self.poller.wait(&mut self.events, Timeout::Zero).expect("a wait that does not block");
        self.interests.note_reported(&mut self.events, anew);
        let told: Vec<_> = self.events.iter().map(|event| self.place(event.fd)).collect();
        for place in &told {
            let count = self.pairs[*place].0.read(&mut [0; 16]).expect("it is readable");
            assert_eq!(count, 1);
        }
        told
    }

    fn place(&self, fd: RawFd) -> usize {
        let found = self.pairs.iter().position(|(near, _)| near.as_raw_fd() == fd);
        found.expect("nothing else is registered")
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("sockets are to be had");
    near.set_nonblocking(true).expect("a fresh socket");
    (near, far)
}

#[test]
fn who_was_told_last_time_is_told_first() {
    let mut bench = Bench::new(3);
    for order in [[2, 0, 1], [1, 2, 0]] {
        order.into_iter().for_each(|index| bench.send(index));
        assert_eq!(bench.ready(false), [2, 0, 1]);
    }
}

#[test]
fn what_comes_in_a_sleep_is_told_as_it_came() {
    let mut bench = Bench::new(2);
    bench.send(0);
    bench.send(1);
    assert_eq!(bench.ready(false), [0, 1]);
    bench.send(1);
    bench.send(0);
    assert_eq!(bench.ready(true), [1, 0]);
}

#[test]
fn a_wait_is_preceded_by_one_that_does_not_sleep_while_the_last_report_matters() {
    let mut bench = Bench::new(2);
    assert!(!bench.interests.looks_first(0));
    bench.send(0);
    assert_eq!(bench.ready(false), [0]);
    assert!(bench.interests.looks_first(0));
    // There is nobody but the reader and one of the loop's own.
    assert!(!bench.interests.looks_first(1));
    assert!(bench.ready(false).is_empty());
    assert!(!bench.interests.looks_first(0));
}

#[test]
fn what_somebody_left_is_not_told_to_the_next_of_the_number() {
    let mut bench = Bench::new(1);
    bench.send(0);
    assert_eq!(bench.ready(false), [0]);
    let (near, _) = &bench.pairs[0];
    bench.interests.note_left(near.as_raw_fd());
    let fd = near.as_fd();
    bench.interests.remove_reader(&bench.poller, fd).expect("it is open");
    bench.interests.set_draining_reader(&bench.poller, fd, ()).expect("the fd can be watched");
    bench.interests.tell_left(&bench.poller, |_| panic!("nobody has left anything"));
}
