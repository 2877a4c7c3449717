//! The bare TLS server: an echo with one system call for what comes and one for what goes.

use rustix::io::Errno;

use super::streams::{Connection, Next, Service, after};
use crate::Outcome;
use crate::tls::{Came, Context, Tls};

/// Bytes of one decryption.
const SPACE: usize = 256 * 1024;

/// Sends back what came, encrypted.
pub(super) struct Echo {
    context: Context,
    space: std::cell::RefCell<Vec<u8>>,
}

impl Echo {
    pub(super) fn of(certificate: &str) -> Outcome<Self> {
        let space = std::cell::RefCell::new(vec![0; SPACE]);
        Ok(Self { context: Context::server(certificate)?, space })
    }

    /// Answers what can be decrypted; an error of TLS ends the connection.
    fn answer(&self, tls: &mut Tls) -> Option<Next> {
        let mut space = self.space.borrow_mut();
        loop {
            match tls.read(&mut space).ok()? {
                Came::Bytes(count) => {
                    tls.write(&space[..count]).ok()?;
                    if count < space.len() {
                        return Some(Next::Read);
                    }
                }
                Came::Nothing => return Some(Next::Read),
                Came::End => return Some(Next::Close),
            }
        }
    }
}

impl Service for Echo {
    fn on_readable(&self, connection: &mut Connection, scratch: &mut Vec<u8>) -> Next {
        if connection.tls.is_none() {
            connection.tls = self.context.connection().ok();
        }
        let Some(tls) = &mut connection.tls else { return Next::Close };
        match tls.receive(&connection.socket, scratch) {
            Ok(0) => return Next::Close,
            Ok(_) => {}
            Err(errno) => return after(errno, Next::Read),
        }
        let next = self.answer(tls);
        tls.give_back(scratch);
        if next == Some(Next::Close) {
            tls.close();
        }
        match (tls.flush(&connection.socket), next) {
            (Ok(true), Some(next)) => next,
            (Ok(false), Some(Next::Read)) => Next::Write,
            _ => Next::Close,
        }
    }

    fn on_room(&self, connection: &mut Connection) -> Next {
        let Some(tls) = &mut connection.tls else { return Next::Close };
        match tls.flush(&connection.socket) {
            Ok(true) => Next::Read,
            Ok(false) | Err(Errno::AGAIN) => Next::Write,
            Err(_) => Next::Close,
        }
    }
}
