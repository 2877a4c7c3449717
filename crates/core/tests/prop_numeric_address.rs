//! The spelling of random addresses against the standard library's, and reading them back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrio_core::numeric_address::{Host, Spelling, host};
use proptest::prelude::*;

/// Many zeros, so that runs of them are the rule.
fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    let group = prop_oneof![5 => Just(0), 1 => Just(0xffff), 1 => 0..0x20_u16, 2 => any::<u16>()];
    prop::array::uniform8(group).prop_map(Ipv6Addr::from)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_spelling_of_an_ipv6_address_is_the_standard_librarys(address in ipv6()) {
        let spelling = Spelling::of(IpAddr::V6(address));
        prop_assert_eq!(spelling.as_str(), address.to_string());
        prop_assert_eq!(host(spelling.as_str()), Some(Host::Address(address.into())));
    }

    #[test]
    fn the_spelling_of_a_mapped_address_is_too(address in any::<Ipv4Addr>()) {
        let address = address.to_ipv6_mapped();
        let spelling = Spelling::of(address.into());
        prop_assert_eq!(spelling.as_str(), address.to_string());
    }

    #[test]
    fn the_spelling_of_an_ipv4_address_is_too(address in any::<Ipv4Addr>()) {
        let spelling = Spelling::of(IpAddr::V4(address));
        prop_assert_eq!(spelling.as_str(), address.to_string());
        prop_assert_eq!(host(spelling.as_str()), Some(Host::Address(address.into())));
    }
}
