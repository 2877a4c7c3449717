//! One connection of the load: a request on its way out, its reply on its way in, each checked.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::Outcome;
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::tls::{Came, Tls};

/// A connected socket, registered with epoll under its token, and the request it is busy with.
pub(crate) struct Slot {
    socket: OwnedFd,
    tls: Option<Tls>,
    token: usize,
    is_datagram: bool,
    /// Whether epoll watches for room as well: only while a part of the request is unsent.
    waits_for_room: bool,
    sequence: u64,
    sent: usize,
    received: usize,
    /// When the request, or the connection made for it, was begun.
    pub(crate) started_ns: u64,
    /// Whether the reply is still to come.
    pub(crate) is_busy: bool,
}

impl Slot {
    /// Registers the socket; nothing is sent yet.
    pub(crate) fn new(
        socket: OwnedFd,
        token: usize,
        is_datagram: bool,
        tls: Option<Tls>,
        readiness: &Readiness,
    ) -> Outcome<Self> {
        readiness.add(&socket, token, EventFlags::IN)?;
        Ok(Self {
            socket,
            tls,
            token,
            is_datagram,
            waits_for_room: false,
            sequence: 0,
            sent: 0,
            received: 0,
            started_ns: 0,
            is_busy: false,
        })
    }

    /// Sends the request with this number, or as much of it as there is room for.
    pub(crate) fn begin(
        &mut self,
        sequence: u64,
        started_ns: u64,
        payload: &Payload,
        readiness: &Readiness,
    ) -> Outcome {
        self.sequence = sequence;
        self.started_ns = started_ns;
        (self.sent, self.received, self.is_busy) = (0, 0, true);
        self.send_rest(payload, readiness)
    }

    /// Does what the event allows; true when this completed the reply.
    pub(crate) fn on_event(
        &mut self,
        flags: EventFlags,
        payload: &Payload,
        readiness: &Readiness,
        scratch: &mut Vec<u8>,
    ) -> Outcome<bool> {
        if flags.contains(EventFlags::OUT) {
            self.send_rest(payload, readiness)?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            if self.tls.is_some() {
                return self.receive_encrypted(payload, readiness, scratch);
            }
            return self.receive(payload, scratch);
        }
        Ok(false)
    }

    fn send_rest(&mut self, payload: &Payload, readiness: &Readiness) -> Outcome {
        let request = payload.request(self.token as u64, self.sequence);
        if let Some(tls) = &mut self.tls {
            if self.sent < request.len() && tls.write(&request[self.sent..])? {
                self.sent = request.len();
            }
            let all_out = tls.flush(&self.socket)?;
            return self.watch_for_room(!all_out, readiness);
        }
        match send(&self.socket, &request[self.sent..], SendFlags::NOSIGNAL) {
            Ok(count) => self.sent += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(format!("sending: {errno}").into()),
        }
        let lacks_room = self.sent < request.len();
        self.watch_for_room(lacks_room, readiness)
    }

    fn watch_for_room(&mut self, lacks_room: bool, readiness: &Readiness) -> Outcome {
        if lacks_room != self.waits_for_room {
            let room = if lacks_room { EventFlags::OUT } else { EventFlags::empty() };
            readiness.change(&self.socket, self.token, EventFlags::IN | room)?;
            self.waits_for_room = lacks_room;
        }
        Ok(())
    }

    fn receive(&mut self, payload: &Payload, scratch: &mut Vec<u8>) -> Outcome<bool> {
        let count = match recv(&self.socket, scratch.as_mut_slice(), RecvFlags::empty()) {
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(errno) => return Err(format!("receiving: {errno}").into()),
        };
        self.check(payload, &scratch[..count])
    }

    /// Receives ciphertext, which may be what the handshake waits for.
    fn receive_encrypted(
        &mut self,
        payload: &Payload,
        readiness: &Readiness,
        scratch: &mut Vec<u8>,
    ) -> Outcome<bool> {
        let Some(tls) = &mut self.tls else { return Ok(false) };
        match tls.receive(&self.socket, scratch) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(_) => {}
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(errno) => return Err(format!("receiving: {errno}").into()),
        }
        let missing = payload.reply(self.token as u64, self.sequence).len() - self.received;
        let mut data = vec![0; missing + 1];
        let came = tls.read(&mut data);
        tls.give_back(scratch);
        match came? {
            Came::Bytes(count) => self.check(payload, &data[..count]),
            Came::End => self.check(payload, &[]),
            Came::Nothing => self.send_rest(payload, readiness).map(|()| false),
        }
    }

    /// Checks what came of the reply; true when it is complete.
    fn check(&mut self, payload: &Payload, data: &[u8]) -> Outcome<bool> {
        let count = data.len();
        let reply = payload.reply(self.token as u64, self.sequence);
        let missing = reply.len() - self.received;
        if count == 0 && !self.is_datagram {
            return Err(format!("the server closed with {missing} bytes of a reply to come").into());
        }
        if !self.is_busy || count > missing || (self.is_datagram && count != missing) {
            return Err(format!("{count} bytes came where {missing} were due").into());
        }
        if data != &reply[self.received..self.received + count] {
            return Err("the reply is not what was sent".into());
        }
        self.received += count;
        self.is_busy = count < missing;
        Ok(!self.is_busy)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close();
            // Whether it arrives is all the same by now.
            let _ = tls.flush(&self.socket);
        }
    }
}
