//! A socket address in as few bytes as a connection should keep for it: a `sockaddr_storage` has 128.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

/// The address of one end of a connection. Its default, all-zero value is [`Known::Unknown`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CompactAddress {
    kind: u8,
    /// Address, port, flow label, scope: in this order, as far as the kind has them.
    bytes: [u8; 26],
}

/// What is known of an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Known {
    /// Nothing, or it has no compact form: ask the socket.
    Unknown,
    /// That there is none.
    Absent,
    /// The address.
    Address(SocketAddrAny),
}

const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const INET: u8 = 2;
const INET6: u8 = 3;
const UNNAMED: u8 = 4;

impl CompactAddress {
    /// The value that says that there is no address.
    #[must_use]
    pub fn absent() -> Self {
        Self { kind: ABSENT, bytes: [0; 26] }
    }

    /// An address; one without a compact form becomes unknown.
    #[must_use]
    pub fn of(address: &SocketAddrAny) -> Self {
        let mut compact = Self::default();
        match address.address_family() {
            AddressFamily::INET => {
                let Ok(address) = SocketAddrV4::try_from(address.clone()) else { return compact };
                compact.kind = INET;
                compact.bytes[..4].copy_from_slice(&address.ip().octets());
                compact.bytes[4..6].copy_from_slice(&address.port().to_ne_bytes());
            }
            AddressFamily::INET6 => {
                let Ok(address) = SocketAddrV6::try_from(address.clone()) else { return compact };
                compact.kind = INET6;
                compact.bytes[..16].copy_from_slice(&address.ip().octets());
                compact.bytes[16..18].copy_from_slice(&address.port().to_ne_bytes());
                compact.bytes[18..22].copy_from_slice(&address.flowinfo().to_ne_bytes());
                compact.bytes[22..].copy_from_slice(&address.scope_id().to_ne_bytes());
            }
            AddressFamily::UNIX => {
                // Nothing follows the family. unix(7)
                let unnamed = address.addr_len() as usize == size_of::<u16>();
                compact.kind = if unnamed { UNNAMED } else { UNKNOWN };
            }
            _ => {}
        }
        compact
    }

    /// Whether the socket must be asked.
    #[must_use]
    pub fn is_unknown(self) -> bool {
        self.kind == UNKNOWN
    }

    /// Whether it is an address of IP.
    #[must_use]
    pub fn is_ip(self) -> bool {
        matches!(self.kind, INET | INET6)
    }

    /// What is known.
    #[must_use]
    pub fn get(self) -> Known {
        let port = |at: usize| u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]);
        match self.kind {
            ABSENT => Known::Absent,
            INET => {
                let [a, b, c, d, ..] = self.bytes;
                Known::Address(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port(4)).into())
            }
            INET6 => {
                let mut ip = [0; 16];
                ip.copy_from_slice(&self.bytes[..16]);
                let word = |at: usize| {
                    let mut word = [0; 4];
                    word.copy_from_slice(&self.bytes[at..at + 4]);
                    u32::from_ne_bytes(word)
                };
                let ip = Ipv6Addr::from(ip);
                Known::Address(SocketAddrV6::new(ip, port(16), word(18), word(22)).into())
            }
            UNNAMED => Known::Address(SocketAddrUnix::new_unnamed().into()),
            _ => Known::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(address: impl Into<SocketAddrAny>) {
        let address = address.into();
        assert_eq!(CompactAddress::of(&address).get(), Known::Address(address));
    }

    #[test]
    fn internet_addresses_come_back_whole() {
        roundtrip(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 1), 8080));
        roundtrip(SocketAddrV4::new(Ipv4Addr::new(255, 254, 253, 252), 65535));
        roundtrip(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 443, 0xfffff, 7));
    }

    #[test]
    fn an_unnamed_unix_address_comes_back_and_a_path_is_unknown() {
        roundtrip(SocketAddrUnix::new_unnamed());
        let path: SocketAddrAny = SocketAddrUnix::new("/tmp/path").expect("a short path").into();
        assert_eq!(CompactAddress::of(&path).get(), Known::Unknown);
    }

    #[test]
    fn the_default_is_unknown_and_absence_is_known() {
        assert!(CompactAddress::default().is_unknown());
        assert_eq!(CompactAddress::absent().get(), Known::Absent);
        assert!(!CompactAddress::absent().is_unknown());
    }
}
