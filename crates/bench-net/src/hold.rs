//! Connections that do nothing, for the memory of a server that has many.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::io::ioctl_fionbio;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::address::{Address, Sources};
use crate::arguments::Arguments;
use crate::{Outcome, say};

/// Makes the connections, with one echo of `--size` bytes on each if that is given, says so, and
/// keeps them until stdin ends.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let address: Address = arguments.required("to")?;
    let count: u64 = arguments.required("connections")?;
    let size = arguments.optional("size")?;
    let mut sources = Sources::new();
    let held = (0..count).map(|_| address.connect(&mut sources)).collect::<Outcome<Vec<_>>>()?;
    if let Some(size) = size {
        held.iter().try_for_each(|socket| echo(socket, size))?;
    }
    say(&format!("held {}", held.len()))?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Sends so many bytes and waits until they have come back.
fn echo(socket: &OwnedFd, size: usize) -> Outcome {
    let (sent, mut received) = (vec![b'x'; size], vec![0; size]);
    ioctl_fionbio(socket, false)?;
    let written = send(socket, &sent, SendFlags::NOSIGNAL)?;
    let (read, _) = recv(socket, &mut received[..], RecvFlags::WAITALL)?;
    if written < size || read < size || sent != received {
        return Err(format!("{read} bytes of an echo of {size} came back").into());
    }
    Ok(())
}
