//! Readers that drain are told as all others are, and in the same order: random acts on two tables over the same
//! sockets, of which one knows that its readers drain and the other does not.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use ferrio_core::reactor::{Events, Interests, Poller, Timeout};
use proptest::prelude::*;

const SOCKETS: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Act {
    SetReader,
    SetDrainingReader,
    SetReaderOnce,
    SetWriter,
    RemoveReader,
    RemoveWriter,
    /// The far end sends one byte.
    Send,
    /// The far end closes.
    HangUp,
    /// A wait. Then more may come, and those that were told read all there is, or leave it.
    Wait {
        comes_more: bool,
        leaves: bool,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::SetReader),
        8 => Just(Act::SetDrainingReader),
        1 => Just(Act::SetReaderOnce),
        1 => Just(Act::SetWriter),
        2 => Just(Act::RemoveReader),
        3 => Just(Act::RemoveWriter),
        12 => Just(Act::Send),
        1 => Just(Act::HangUp),
        12 => (prop::bool::weighted(0.3), prop::bool::weighted(0.2))
            .prop_map(|(comes_more, leaves)| Act::Wait { comes_more, leaves }),
    ]
}

/// One table with its poller.
struct Side {
    poller: Poller,
    events: Events,
    interests: Interests<()>,
    knows: bool,
}

/// Who was told: the socket's descriptor, as reader, as writer.
type Told = Vec<(RawFd, bool, bool)>;

impl Side {
    fn new(knows: bool) -> Self {
        let poller = Poller::new().expect("descriptors are to be had");
        Self { poller, events: Events::new(), interests: Interests::new(), knows }
    }

    fn apply(&mut self, fd: BorrowedFd<'_>, act: Act) {
        let Self { poller, interests, knows, .. } = self;
        let outcome = match act {
            Act::SetDrainingReader if *knows => interests.set_draining_reader(poller, fd, ()),
            Act::SetReader | Act::SetDrainingReader => interests.set_reader(poller, fd, ()),
            // One who joins somebody is told as that one was.
            Act::SetReaderOnce if interests.events_of(fd.as_raw_fd()).is_some() => return,
            Act::SetReaderOnce => interests.set_reader_once(poller, fd, ()),
            Act::SetWriter => interests.set_writer(poller, fd, ()),
            Act::RemoveReader => interests.remove_reader(poller, fd),
            Act::RemoveWriter => interests.remove_writer(poller, fd),
            Act::Send | Act::HangUp | Act::Wait { .. } => return,
        };
        outcome.expect("the socket is open");
    }

    fn wait(&mut self, sockets: &[Socket]) -> Told {
        let borrow = |number| {
            sockets.iter().map(|socket| socket.near.as_fd()).find(|fd| fd.as_raw_fd() == number)
        };
        self.interests.tell_left(&self.poller, borrow);
        self.poller.wait(&mut self.events, Timeout::Zero).expect("a wait that does not block");
        self.interests.note_reported(&mut self.events, false);
        let told = self.events.iter().map(|event| {
            let reads = event.readable && self.interests.reader(event.fd).is_some();
            (event.fd, reads, event.writable && self.interests.writer(event.fd).is_some())
        });
        told.collect()
    }
}

struct Socket {
    near: UnixStream,
    far: Option<UnixStream>,
}

impl Socket {
    fn new() -> Self {
        let (near, far) = UnixStream::pair().expect("sockets are to be had");
        near.set_nonblocking(true).expect("a fresh socket");
        Self { near, far: Some(far) }
    }

    fn send(&mut self) {
        if let Some(far) = &mut self.far {
            far.write_all(b"x").expect("the near end is open");
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; 4096];
        loop {
            match self.near.read(&mut buf) {
                Ok(1..) => {}
                Ok(0) => return,
                Err(error) => return assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn those_that_drain_are_told_as_others_are(
        acts in prop::collection::vec((0..SOCKETS, act()), 0..120)
    ) {
        let mut sockets: Vec<_> = (0..SOCKETS).map(|_| Socket::new()).collect();
        let (mut plain, mut knowing) = (Side::new(false), Side::new(true));
        for (index, act) in acts {
            for side in [&mut plain, &mut knowing] {
                side.apply(sockets[index].near.as_fd(), act);
            }
            match act {
                Act::Send => sockets[index].send(),
                Act::HangUp => sockets[index].far = None,
                Act::Wait { comes_more, leaves } => {
                    let told = plain.wait(&sockets);
                    prop_assert_eq!(&knowing.wait(&sockets), &told);
                    for (fd, reads, _) in told {
                        let socket = sockets.iter_mut().find(|socket| socket.near.as_raw_fd() == fd);
                        let Some(socket) = socket.filter(|_| reads) else { continue };
                        if comes_more {
                            socket.send();
                        }
                        if leaves {
                            knowing.interests.note_left(fd);
                        } else {
                            socket.drain();
                        }
                    }
                }
                _ => {}
            }
        }
    }
}
