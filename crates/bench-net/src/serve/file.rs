//! The bare server of a file: sendfile(2) of the whole file for each request.

use std::fs::File;

use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::streams::{Connection, Next, Service, after};
use crate::Outcome;

/// Bytes that ask for the file once.
pub(super) const REQUEST: usize = 64;

/// Sends the file for every `REQUEST` bytes that came.
pub(super) struct Sender {
    file: File,
    size: u64,
}

impl Sender {
    pub(super) fn of(file: File) -> Outcome<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl Service for Sender {
    fn on_readable(&self, connection: &mut Connection, scratch: &mut Vec<u8>) -> Next {
        match recv(&connection.socket, scratch.as_mut_slice(), RecvFlags::empty()) {
            Ok((0, _)) => Next::Close,
            Ok((count, _)) => {
                connection.asked += count;
                self.on_room(connection)
            }
            Err(errno) => after(errno, Next::Read),
        }
    }

    fn on_room(&self, connection: &mut Connection) -> Next {
        while connection.asked >= REQUEST {
            let rest = (self.size - connection.file_offset) as usize;
            let offset = Some(&mut connection.file_offset);
            match sendfile(&connection.socket, &self.file, offset, rest) {
                Ok(_) if connection.file_offset == self.size => {
                    connection.file_offset = 0;
                    connection.asked -= REQUEST;
                }
                Ok(0) => return Next::Close,
                Ok(_) => {}
                Err(Errno::AGAIN) => return Next::Write,
                Err(_) => return Next::Close,
            }
        }
        Next::Read
    }
}
