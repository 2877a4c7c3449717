//! Random acts on the interest table and its sockets, against a model of who must be told what.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use ferrio_core::reactor::{Events, Interests, Poller, Timeout};
use proptest::prelude::*;

const SOCKETS: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Act {
    SetReader,
    SetWriter,
    SetReaderOnce,
    SetWriterOnce,
    RemoveReader,
    RemoveWriter,
    /// Whoever wants one event wants one again.
    RearmOnce,
    Rearm,
    /// The far end sends one byte.
    Send,
    /// The near end reads all there is.
    Drain,
    /// The far end closes.
    HangUp,
    Wake,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::SetReader),
        4 => Just(Act::SetWriter),
        3 => Just(Act::SetReaderOnce),
        3 => Just(Act::SetWriterOnce),
        2 => Just(Act::RearmOnce),
        1 => Just(Act::Rearm),
        3 => Just(Act::RemoveReader),
        3 => Just(Act::RemoveWriter),
        4 => Just(Act::Send),
        2 => Just(Act::Drain),
        1 => Just(Act::HangUp),
        2 => Just(Act::Wake),
    ]
}

/// How long those who wait are told of events. Irrelevant while nobody waits, but kept: the kernel
/// keeps it as well.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Told {
    #[default]
    Always,
    Once,
    NoLonger,
}

/// What the model knows of one socket.
#[derive(Default)]
struct Expected {
    reader: Option<usize>,
    writer: Option<usize>,
    told: Told,
    has_data: bool,
    hung_up: bool,
}

struct Socket {
    near: UnixStream,
    far: Option<UnixStream>,
    expected: Expected,
}

impl Expected {
    fn waiting(&self) -> usize {
        usize::from(self.reader.is_some()) + usize::from(self.writer.is_some())
    }

    /// After a side was set, with or without `once`.
    fn note_set(&mut self, once: bool, before: usize) {
        // One who wants a single event and joins or replaces somebody is told as that one was.
        let kept = before > 0 && self.told == Told::Always;
        self.told = if once && self.waiting() == 1 && !kept { Told::Once } else { Told::Always };
    }

    /// After a side was removed.
    fn note_removed(&mut self, removed: bool) {
        // What is silent stays so until somebody waits again.
        if removed && self.waiting() == 1 {
            self.told = Told::Always;
        }
    }
}

impl Socket {
    fn new() -> Self {
        let (near, far) = UnixStream::pair().expect("sockets are to be had");
        near.set_nonblocking(true).expect("a fresh socket");
        Self { near, far: Some(far), expected: Expected::default() }
    }

    fn send(&mut self) {
        if let Some(far) = &mut self.far {
            far.write_all(b"x").expect("the near end is open");
            self.expected.has_data = true;
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; 4096];
        while matches!(self.near.read(&mut buf), Ok(1..)) {}
        self.expected.has_data = false;
    }

    fn hang_up(&mut self) {
        self.far = None;
        self.expected.hung_up = true;
    }
}

struct Bench {
    poller: Poller,
    events: Events,
    interests: Interests<usize>,
    sockets: Vec<Socket>,
}

impl Bench {
    fn new() -> Self {
        Self {
            poller: Poller::new().expect("descriptors are to be had"),
            events: Events::new(),
            interests: Interests::new(),
            sockets: (0..SOCKETS).map(|_| Socket::new()).collect(),
        }
    }

    fn apply(&mut self, item: usize, index: usize, act: Act) {
        let Self { poller, interests, sockets, .. } = self;
        let socket = &mut sockets[index];
        let fd = socket.near.as_fd();
        let expected = &mut socket.expected;
        let before = expected.waiting();
        match act {
            Act::SetReader | Act::SetReaderOnce => {
                let once = matches!(act, Act::SetReaderOnce);
                let replaced = match once {
                    true => interests.set_reader_once(poller, fd, item),
                    false => interests.set_reader(poller, fd, item),
                };
                assert_eq!(replaced.ok(), Some(expected.reader.replace(item)));
                expected.note_set(once, before);
            }
            Act::SetWriter | Act::SetWriterOnce => {
                let once = matches!(act, Act::SetWriterOnce);
                let replaced = match once {
                    true => interests.set_writer_once(poller, fd, item),
                    false => interests.set_writer(poller, fd, item),
                };
                assert_eq!(replaced.ok(), Some(expected.writer.replace(item)));
                expected.note_set(once, before);
            }
            Act::RemoveReader => {
                let removed = interests.remove_reader(poller, fd);
                expected.note_removed(expected.reader.is_some());
                assert_eq!(removed.ok(), Some(expected.reader.take()));
            }
            Act::RemoveWriter => {
                let removed = interests.remove_writer(poller, fd);
                expected.note_removed(expected.writer.is_some());
                assert_eq!(removed.ok(), Some(expected.writer.take()));
            }
            Act::RearmOnce | Act::Rearm => {
                let once = matches!(act, Act::RearmOnce);
                interests.rearm(poller, fd, once).expect("the fd can be watched");
                if before > 0 {
                    expected.note_set(once, before);
                }
            }
            Act::Send => socket.send(),
            Act::Drain => socket.drain(),
            Act::HangUp => socket.hang_up(),
            Act::Wake => poller.wake().expect("the eventfd is open"),
        }
    }

    fn check_table(&self) {
        let expected: BTreeMap<_, _> = self
            .sockets
            .iter()
            .map(|socket| (socket.near.as_raw_fd(), &socket.expected))
            .filter(|(_, expected)| expected.reader.is_some() || expected.writer.is_some())
            .map(|(fd, expected)| (fd, (expected.reader, expected.writer)))
            .collect();
        let shown: BTreeMap<_, _> = self
            .interests
            .iter()
            .map(|(fd, reader, writer)| (fd, (reader.copied(), writer.copied())))
            .collect();
        assert_eq!(shown, expected);
        assert_eq!(self.interests.len(), expected.len());
        assert_eq!(self.interests.is_empty(), expected.is_empty());
        for socket in &self.sockets {
            let fd = socket.near.as_raw_fd();
            let sides =
                expected.get(&fd).map(|(reader, writer)| (reader.is_some(), writer.is_some()));
            assert_eq!(self.interests.events_of(fd), sides);
        }
    }

    fn check_readiness(&mut self) {
        self.poller.wait(&mut self.events, Timeout::Zero).expect("a wait that does not block");
        self.interests.note_reported(&mut self.events, false);
        let mut told: Vec<usize> = Vec::new();
        for event in self.events.iter() {
            told.extend(self.interests.reader(event.fd).filter(|_| event.readable));
            told.extend(self.interests.writer(event.fd).filter(|_| event.writable));
        }
        told.sort_unstable();
        let mut expected = Vec::new();
        for Socket { expected: socket, .. } in &mut self.sockets {
            if socket.told == Told::NoLonger {
                continue;
            }
            let ready = socket.has_data || socket.hung_up;
            if socket.told == Told::Once
                && (socket.writer.is_some() || (socket.reader.is_some() && ready))
            {
                socket.told = Told::NoLonger;
            }
            expected.extend(socket.reader.filter(|_| ready));
            // The few bytes of a test never fill a socket's buffer.
            expected.extend(socket.writer);
        }
        expected.sort_unstable();
        assert_eq!(told, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everyone_who_waits_is_told_and_nobody_else(
        acts in prop::collection::vec((0..SOCKETS, act()), 0..80)
    ) {
        let mut bench = Bench::new();
        for (item, (index, act)) in acts.into_iter().enumerate() {
            bench.apply(item, index, act);
            bench.check_table();
            bench.check_readiness();
        }
        let waiting = bench.interests.iter().map(|(_, reader, writer)| {
            usize::from(reader.is_some()) + usize::from(writer.is_some())
        });
        let waiting: usize = waiting.sum();
        assert_eq!(bench.interests.take_all().len(), waiting);
    }
}
