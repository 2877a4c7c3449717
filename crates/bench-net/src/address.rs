//! Addresses as the bench writes them, and the sockets made from them. Relies on rustix::net.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::str::FromStr;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use crate::Outcome;

/// As long as asyncio's servers of the bench ask for, so that no connect waits for a SYN sent again.
const BACKLOG: i32 = 4096;
/// The ports that connections of one source address take in turn: those that need no privilege.
const FIRST_PORT: u16 = 1024;
const PORTS: u64 = 64_000;
/// Where a server listens. Printed and parsed as `tcp:127.0.0.1:8000`, `udp:...`, `unix:/path`.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Tcp(SocketAddrV4),
    Udp(SocketAddrV4),
    Unix(String),
}

impl Address {
    /// Whether bytes come as datagrams, each by itself, rather than as a stream.
    pub(crate) fn is_datagram(&self) -> bool {
        matches!(self, Self::Udp(_))
    }

    /// A non-blocking socket that is connected to the address, a TCP one from the next source.
    pub(crate) fn connect(&self, sources: &mut Sources) -> Outcome<OwnedFd> {
        let socket = self.socket(SocketFlags::CLOEXEC)?;
        match self {
            Self::Tcp(peer) => {
                sockopt::set_tcp_nodelay(&socket, true)?;
                sources.bind_next(&socket)?;
                net::connect(&socket, peer)?;
            }
            Self::Udp(peer) => net::connect(&socket, peer)?,
            Self::Unix(path) => net::connect(&socket, &SocketAddrUnix::new(path.as_str())?)?,
        }
        ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }

    /// A non-blocking socket bound to the address, which listens unless it takes datagrams.
    pub(crate) fn listen(&self) -> Outcome<OwnedFd> {
        let socket = self.socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        match self {
            Self::Tcp(own) => {
                sockopt::set_socket_reuseaddr(&socket, true)?;
                net::bind(&socket, own)?;
            }
            Self::Udp(own) => net::bind(&socket, own)?,
            Self::Unix(path) => net::bind(&socket, &SocketAddrUnix::new(path.as_str())?)?,
        }
        if !self.is_datagram() {
            net::listen(&socket, BACKLOG)?;
        }
        Ok(socket)
    }

    /// The address with the port that the kernel chose for `socket`.
    pub(crate) fn bound_to(&self, socket: &OwnedFd) -> Outcome<Self> {
        if let Self::Unix(path) = self {
            return Ok(Self::Unix(path.clone()));
        }
        match (self, SocketAddr::try_from(net::getsockname(socket)?)?) {
            (Self::Udp(_), SocketAddr::V4(own)) => Ok(Self::Udp(own)),
            (_, SocketAddr::V4(own)) => Ok(Self::Tcp(own)),
            (_, SocketAddr::V6(_)) => Err(Errno::AFNOSUPPORT.into()),
        }
    }

    fn socket(&self, flags: SocketFlags) -> Outcome<OwnedFd> {
        let (family, kind) = match self {
            Self::Tcp(_) => (AddressFamily::INET, SocketType::STREAM),
            Self::Udp(_) => (AddressFamily::INET, SocketType::DGRAM),
            Self::Unix(_) => (AddressFamily::UNIX, SocketType::STREAM),
        };
        Ok(net::socket_with(family, kind, flags, None)?)
    }
}

/// Addresses and ports of 127.0.0.0/8 that no other connection of the last minute had. Left to
/// itself the kernel takes ports of one address, half of its range at first, and once churn has
/// most of those in TIME_WAIT, each connect searches them all: a tenth of a second.
pub(crate) struct Sources {
    /// How many have been tried.
    tried: u64,
}

impl Sources {
    pub(crate) fn new() -> Self {
        Self { tried: 0 }
    }

    fn bind_next(&mut self, socket: &OwnedFd) -> Outcome {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        loop {
            let host = (self.tried / PORTS % 250) as u8;
            let port = FIRST_PORT + (self.tried % PORTS) as u16;
            let source = SocketAddrV4::new(Ipv4Addr::new(127, 1 + high % 254, low, 1 + host), port);
            self.tried += 1;
            match net::bind(socket, &source) {
                // Somebody listens at this port of every address.
                Err(Errno::ADDRINUSE) => {}
                bound => return Ok(bound?),
            }
        }
    }
}

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            Some(("tcp", rest)) => rest.parse().map(Self::Tcp).map_err(drop),
            Some(("udp", rest)) => rest.parse().map(Self::Udp).map_err(drop),
            Some(("unix", rest)) => Ok(Self::Unix(rest.to_owned())),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "tcp:{address}"),
            Self::Udp(address) => write!(out, "udp:{address}"),
            Self::Unix(path) => write!(out, "unix:{path}"),
        }
    }
}
