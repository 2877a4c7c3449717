//! The bare server of datagrams: each goes back to where it came from.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};

use crate::Outcome;
use crate::readiness::Readiness;

const LARGEST: usize = 64 * 1024;

/// Answers until the process is killed. A reply that finds no room is lost, as datagrams are.
pub(super) fn serve(socket: &OwnedFd) -> Outcome {
    let mut readiness = Readiness::new()?;
    let mut scratch = vec![0; LARGEST];
    readiness.add(socket, 0, EventFlags::IN)?;
    loop {
        readiness.wait(None)?;
        loop {
            match recvfrom(socket, &mut *scratch, RecvFlags::empty()) {
                Ok((count, _, Some(peer))) => {
                    match sendto(socket, &scratch[..count], SendFlags::NOSIGNAL, &peer) {
                        Ok(_) | Err(Errno::AGAIN | Errno::CONNREFUSED) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                }
                Err(Errno::AGAIN) => break,
                Ok((_, _, None)) | Err(Errno::INTR | Errno::CONNREFUSED) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
