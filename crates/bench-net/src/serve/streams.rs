//! The bare server of streams: accepts, and lets a `Service` answer each readable connection.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

use crate::Outcome;
use crate::readiness::Readiness;
use crate::tls::Tls;

/// The token of the listening socket; connections have their place in the table.
const LISTENER: usize = usize::MAX;
const SCRATCH: usize = 256 * 1024;

/// A connection, and what it still has to send.
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    /// Bytes of an echo that found no room.
    pub(super) unsent: Vec<u8>,
    /// Bytes of requests not answered yet, and of the file sent so far, when files are served.
    pub(super) asked: usize,
    pub(super) file_offset: u64,
    /// The TLS of the connection, where that is spoken.
    pub(super) tls: Option<Tls>,
}

/// What a connection needs before it can go on.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Read,
    Write,
    Close,
}

/// What the server does with the bytes of a connection.
pub(super) trait Service {
    /// Answers what is readable.
    fn on_readable(&self, connection: &mut Connection, scratch: &mut Vec<u8>) -> Next;
    /// Goes on with what found no room.
    fn on_room(&self, connection: &mut Connection) -> Next;
}

/// Sends back what came.
pub(super) struct Echo;

impl Service for Echo {
    fn on_readable(&self, connection: &mut Connection, scratch: &mut Vec<u8>) -> Next {
        let count = match recv(&connection.socket, scratch.as_mut_slice(), RecvFlags::empty()) {
            Ok((0, _)) => return Next::Close,
            Ok((count, _)) => count,
            Err(errno) => return after(errno, Next::Read),
        };
        match send(&connection.socket, &scratch[..count], SendFlags::NOSIGNAL) {
            Ok(sent) if sent == count => Next::Read,
            Ok(sent) => {
                connection.unsent.extend_from_slice(&scratch[sent..count]);
                Next::Write
            }
            Err(Errno::AGAIN) => {
                connection.unsent.extend_from_slice(&scratch[..count]);
                Next::Write
            }
            Err(_) => Next::Close,
        }
    }

    fn on_room(&self, connection: &mut Connection) -> Next {
        match send(&connection.socket, &connection.unsent, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                connection.unsent.drain(..sent);
                if connection.unsent.is_empty() { Next::Read } else { Next::Write }
            }
            Err(errno) => after(errno, Next::Write),
        }
    }
}

/// Waits on where the system call would have blocked; any other error ends the connection.
pub(super) fn after(errno: Errno, wait: Next) -> Next {
    if matches!(errno, Errno::AGAIN | Errno::INTR) { wait } else { Next::Close }
}

/// Accepts and serves until the process is killed.
pub(super) fn serve(listener: &OwnedFd, service: &impl Service) -> Outcome {
    let mut table = Table { readiness: Readiness::new()?, places: Vec::new(), free: Vec::new() };
    let mut scratch = vec![0; SCRATCH];
    table.readiness.add(listener, LISTENER, EventFlags::IN)?;
    loop {
        for number in 0..table.readiness.wait(None)? {
            match table.readiness.event(number) {
                (LISTENER, _) => table.accept_all(listener)?,
                (place, flags) => table.on_event(place, flags, service, &mut scratch)?,
            }
        }
    }
}

struct Table {
    readiness: Readiness,
    places: Vec<Option<Connection>>,
    free: Vec<usize>,
}

impl Table {
    fn accept_all(&mut self, listener: &OwnedFd) -> Outcome {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            let socket = match accept_with(listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            // A Unix socket has no such option, and no such delay.
            let _ = sockopt::set_tcp_nodelay(&socket, true);
            let place = self.free.pop().unwrap_or(self.places.len());
            if place == self.places.len() {
                self.places.push(None);
            }
            self.readiness.add(&socket, place, EventFlags::IN)?;
            self.places[place] = Some(Connection {
                socket,
                unsent: Vec::new(),
                asked: 0,
                file_offset: 0,
                tls: None,
            });
        }
    }

    fn on_event(
        &mut self,
        place: usize,
        flags: EventFlags,
        service: &impl Service,
        scratch: &mut Vec<u8>,
    ) -> Outcome {
        let Some(connection) = &mut self.places[place] else { return Ok(()) };
        let is_room = flags.contains(EventFlags::OUT);
        let next = if is_room {
            service.on_room(connection)
        } else {
            service.on_readable(connection, scratch)
        };
        match (next, is_room) {
            (Next::Read, true) => {
                self.readiness.change(&connection.socket, place, EventFlags::IN)?;
            }
            (Next::Write, false) => {
                self.readiness.change(&connection.socket, place, EventFlags::OUT)?;
            }
            (Next::Close, _) => {
                self.places[place] = None;
                self.free.push(place);
            }
            (Next::Read, false) | (Next::Write, true) => {}
        }
        Ok(())
    }
}
