//! The bare servers, as tight as epoll allows: what a loop's server is compared with.

use std::fs::File;

use crate::address::Address;
use crate::arguments::Arguments;
use crate::{Outcome, say};

mod datagrams;
mod file;
mod streams;
mod tls;

/// Listens at `--at`, prints the address, and serves until it is killed: an echo, with
/// `--certificate` over TLS, or `--file` in answer to every request of `file::REQUEST` bytes.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let address: Address = arguments.required("at")?;
    let socket = address.listen()?;
    say(&address.bound_to(&socket)?.to_string())?;
    if let Some(certificate) = arguments.optional::<String>("certificate")? {
        return streams::serve(&socket, &tls::Echo::of(&certificate)?);
    }
    match arguments.optional::<String>("file")? {
        Some(path) => streams::serve(&socket, &file::Sender::of(File::open(path)?)?),
        None if address.is_datagram() => datagrams::serve(&socket),
        None => streams::serve(&socket, &streams::Echo),
    }
}
