//! What getaddrinfo(3) answers for an address that needs no resolver, as pure functions: reading a
//! numeric host and port, and deciding whether the answer is certain.
//!
//! Certain is what no file, no interface and no setting of the machine can change: an address
//! without a zone, a port that is a number, and hints that every glibc reads alike. All else is for
//! the system's own function; [`Answer::Local`] says that it will not leave the machine for it.
//! The interpreter's `socket.getaddrinfo` is the specification, and `tests/unit/test_names.py`
//! compares with it.

mod spelling;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::{AddressFamily, SocketType, ipproto};

pub use spelling::Spelling;

/// A host that names no machine to be looked up.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// None was given: every interface, or this machine.
    Unspecified,
    /// An address in its numeric form.
    Address(IpAddr),
    /// An IPv6 address with a zone, `fe80::1%eth0`, which only the system can number.
    Zoned,
}

/// What the caller narrows the answer with, as the numbers of netdb.h.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Hints {
    /// `ai_family`.
    pub family: i32,
    /// `ai_socktype`.
    pub socket_type: i32,
    /// `ai_protocol`.
    pub protocol: i32,
    /// `ai_flags`.
    pub flags: i32,
}

/// A socket type together with its protocol.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Transport {
    /// SOCK_STREAM, IPPROTO_TCP.
    Stream,
    /// SOCK_DGRAM, IPPROTO_UDP.
    Datagram,
    /// SOCK_RAW, no protocol.
    Raw,
}

/// The answer to a look-up of a numeric host.
#[must_use]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// This address, once for each transport, in this order, without canonical names.
    Certain(IpAddr, &'static [Transport]),
    /// What the system's function says, an error perhaps; it stays within the machine.
    Local,
    /// What the system's function says; it may take its time.
    Unknown,
}

/// `AI_PASSIVE`: no host stands for every interface.
const PASSIVE: i32 = 0x1;

/// Flags that change nothing for a numeric host of the family that is asked for: `AI_PASSIVE`,
/// `AI_NUMERICHOST`, `AI_V4MAPPED`, `AI_ALL`, `AI_NUMERICSERV` (netdb.h of glibc).
const HARMLESS: i32 = PASSIVE | 0x4 | 0x8 | 0x10 | 0x400;

/// The numeric host that `text` is. None for all that may be a name, the short and the octal forms
/// of inet_aton(3) included.
#[must_use]
pub fn host(text: &str) -> Option<Host> {
    if !text.contains(':') {
        return text.parse().ok().map(|address| Host::Address(IpAddr::V4(address)));
    }
    match text.split_once('%') {
        Some((address, zone)) => {
            (zone.is_ascii() && address.parse::<Ipv6Addr>().is_ok()).then_some(Host::Zoned)
        }
        None => text.parse().ok().map(|address| Host::Address(IpAddr::V6(address))),
    }
}

/// The port that `text` is, when it is one in digits only.
#[must_use]
pub fn port(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// `AI_ADDRCONFIG`: only families that some interface of the machine has.
const CONFIGURED: i32 = 0x20;

/// What is known about `host`; `has_port` tells whether a port was given.
pub fn answer(host: Host, has_port: bool, hints: Hints) -> Answer {
    // `AI_CANONNAME` made older C libraries ask for the address's name, others may do what they want.
    if hints.flags & !(HARMLESS | CONFIGURED) != 0 {
        return Answer::Unknown;
    }
    let certain = || {
        let address = certain_address(host, has_port, hints)?;
        Some(Answer::Certain(address, transports(hints)?))
    };
    certain().unwrap_or(Answer::Local)
}

fn certain_address(host: Host, has_port: bool, hints: Hints) -> Option<IpAddr> {
    // Other C libraries list other transports; theirs are not known here.
    if !cfg!(target_env = "gnu") || hints.flags & CONFIGURED != 0 {
        return None;
    }
    let address = match host {
        Host::Address(address) => address,
        Host::Unspecified if has_port => own_address(hints)?,
        Host::Unspecified | Host::Zoned => return None,
    };
    let written_alike = !matches!(address, IpAddr::V6(address) if may_be_written_as_ipv4(address));
    (written_alike && is_of(address, hints.family)).then_some(address)
}

/// Whether an `ai_family` allows this address.
#[must_use]
pub fn is_of(address: IpAddr, family: i32) -> bool {
    let own = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    family == i32::from(AddressFamily::UNSPEC.as_raw()) || family == i32::from(own.as_raw())
}

/// The address that no host stands for. Without a family there are two, in an order that the system's
/// configuration decides.
fn own_address(hints: Hints) -> Option<IpAddr> {
    let passive = hints.flags & PASSIVE != 0;
    let is = |family: AddressFamily| hints.family == i32::from(family.as_raw());
    if is(AddressFamily::INET) {
        Some(IpAddr::V4(if passive { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST }))
    } else if is(AddressFamily::INET6) {
        Some(IpAddr::V6(if passive { Ipv6Addr::UNSPECIFIED } else { Ipv6Addr::LOCALHOST }))
    } else {
        None
    }
}

/// Whether inet_ntop(3) may write this address in dotted form, where Rust does not: the IPv4-compatible
/// ones, `::1.2.3.4`. Of the mapped ones, `::ffff:1.2.3.4`, both write so.
fn may_be_written_as_ipv4(address: Ipv6Addr) -> bool {
    let compatible = matches!(address.segments(), [0, 0, 0, 0, 0, 0, _, _]);
    compatible && !address.is_unspecified() && !address.is_loopback()
}

const TCP: i32 = ipproto::TCP.as_raw().get() as i32;
const UDP: i32 = ipproto::UDP.as_raw().get() as i32;
const ANY: i32 = 0;
const STREAM: i32 = SocketType::STREAM.as_raw() as i32;
const DATAGRAM: i32 = SocketType::DGRAM.as_raw() as i32;

/// What the hints choose, in glibc's order. None for combinations with other protocols, and for raw
/// sockets asked for alone, which take no port.
fn transports(hints: Hints) -> Option<&'static [Transport]> {
    match (hints.socket_type, hints.protocol) {
        (ANY, 0) => Some(&[Transport::Stream, Transport::Datagram, Transport::Raw]),
        (STREAM, 0 | TCP) | (ANY, TCP) => Some(&[Transport::Stream]),
        (DATAGRAM, 0 | UDP) | (ANY, UDP) => Some(&[Transport::Datagram]),
        _ => None,
    }
}

/// The transport of a socket type, as asyncio takes it where it calls no getaddrinfo: of the usual
/// protocols it lets any pass. CPython: _ipaddr_info
#[must_use]
pub fn transport_of(socket_type: i32, protocol: i32) -> Option<Transport> {
    match (socket_type, protocol) {
        (STREAM, 0 | TCP | UDP) => Some(Transport::Stream),
        (DATAGRAM, 0 | TCP | UDP) => Some(Transport::Datagram),
        _ => None,
    }
}
