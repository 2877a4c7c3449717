//! Black-box tests of numeric hosts and ports, and of what is certain about them. That the answers are
//! the C library's is shown in Python, where its function is at hand (tests/unit/test_names.py).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferrio_core::numeric_address::{Answer, Hints, Host, Transport, answer, host, port};

const IPV4: i32 = 2;
const IPV6: i32 = 10;
const STREAM: i32 = 1;
const PASSIVE: i32 = 1;
const CANONICAL_NAME: i32 = 2;
const CONFIGURED: i32 = 0x20;

fn v4(text: &str) -> IpAddr {
    text.parse::<Ipv4Addr>().expect("the test gives an address").into()
}

fn v6(text: &str) -> IpAddr {
    text.parse::<Ipv6Addr>().expect("the test gives an address").into()
}

fn stream() -> Hints {
    Hints { socket_type: STREAM, ..Hints::default() }
}

fn ask(text: &str, hints: Hints) -> Answer {
    answer(host(text).expect("the test gives a numeric host"), true, hints)
}

#[test]
fn addresses_are_read_in_their_full_numeric_forms() {
    assert_eq!(host("127.0.0.1"), Some(Host::Address(v4("127.0.0.1"))));
    assert_eq!(host("255.255.255.255"), Some(Host::Address(v4("255.255.255.255"))));
    assert_eq!(host("::"), Some(Host::Address(v6("::"))));
    assert_eq!(host("FE80::1"), Some(Host::Address(v6("fe80::1"))));
    assert_eq!(host("::ffff:1.2.3.4"), Some(Host::Address(v6("::ffff:1.2.3.4"))));
}

#[test]
fn a_zone_makes_an_address_zoned_whatever_it_is() {
    assert_eq!(host("fe80::1%eth0"), Some(Host::Zoned));
    assert_eq!(host("::1%"), Some(Host::Zoned));
    assert_eq!(host("::1%no%sense"), Some(Host::Zoned));
    assert_eq!(host("::1%\u{e9}"), None);
}

#[test]
fn what_may_be_a_name_or_has_another_meaning_is_not_numeric() {
    for text in [
        "",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "010.0.0.1",
        "1.2.3.4.",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.256",
        "1.2.3.4%eth0",
        "1.2.3.4\0",
        "1:2",
        ":::",
        "1::2::3",
        "[::1]",
        "::1 ",
        "12345::",
        "1:2:3:4:5:6:7:8:9",
        "::1.2.3",
        "::01.2.3.4",
        "%eth0",
        "\u{661}.2.3.4",
    ] {
        assert_eq!(host(text), None, "{text:?}");
    }
}

#[test]
fn ports_are_digits_within_sixteen_bits() {
    assert_eq!(port("0"), Some(0));
    assert_eq!(port("0080"), Some(80));
    assert_eq!(port("65535"), Some(65535));
    for text in ["", "65536", "99999999999999999999", "+80", "-1", " 80", "80 ", "http", "0x50"] {
        assert_eq!(port(text), None, "{text:?}");
    }
}

#[test]
fn without_hints_there_is_an_entry_for_each_transport() {
    let all = &[Transport::Stream, Transport::Datagram, Transport::Raw];
    assert_eq!(ask("1.2.3.4", Hints::default()), Answer::Certain(v4("1.2.3.4"), all));
    assert_eq!(ask("::1", Hints::default()), Answer::Certain(v6("::1"), all));
}

#[test]
fn a_type_and_a_protocol_choose_the_same_transport_together_and_alone() {
    for (socket_type, protocol, expected) in [
        (1, 0, Transport::Stream),
        (1, 6, Transport::Stream),
        (0, 6, Transport::Stream),
        (2, 0, Transport::Datagram),
        (2, 17, Transport::Datagram),
        (0, 17, Transport::Datagram),
    ] {
        let hints = Hints { socket_type, protocol, ..Hints::default() };
        let Answer::Certain(_, transports) = ask("1.2.3.4", hints) else {
            panic!("{hints:?} is certain");
        };
        assert_eq!(transports, [expected]);
    }
}

#[test]
fn other_pairs_of_type_and_protocol_are_left_to_the_system() {
    for (socket_type, protocol) in
        [(3, 0), (3, 1), (1, 17), (2, 6), (0, 132), (5, 0), (4, 0), (0, 1)]
    {
        let hints = Hints { socket_type, protocol, ..Hints::default() };
        assert_eq!(ask("1.2.3.4", hints), Answer::Local, "{hints:?}");
    }
}

#[test]
fn a_family_that_the_address_is_not_of_is_left_to_the_system() {
    assert_eq!(ask("1.2.3.4", Hints { family: IPV6, ..stream() }), Answer::Local);
    assert_eq!(ask("::ffff:1.2.3.4", Hints { family: IPV4, ..stream() }), Answer::Local);
    assert_eq!(ask("::1", Hints { family: 1, ..stream() }), Answer::Local);
}

#[test]
fn no_host_stands_for_one_address_when_a_family_is_given() {
    let own = |family, flags| answer(Host::Unspecified, true, Hints { family, flags, ..stream() });
    let transports = &[Transport::Stream];
    assert_eq!(own(IPV4, 0), Answer::Certain(v4("127.0.0.1"), transports));
    assert_eq!(own(IPV6, 0), Answer::Certain(v6("::1"), transports));
    assert_eq!(own(IPV4, PASSIVE), Answer::Certain(v4("0.0.0.0"), transports));
    assert_eq!(own(IPV6, PASSIVE), Answer::Certain(v6("::"), transports));
    assert_eq!(own(0, PASSIVE), Answer::Local);
    assert_eq!(own(1, 0), Answer::Local);
}

#[test]
fn neither_host_nor_port_is_an_error_that_the_system_words() {
    let hints = Hints { family: IPV4, ..stream() };
    assert_eq!(answer(Host::Unspecified, false, hints), Answer::Local);
}

#[test]
fn what_depends_on_the_interfaces_is_left_to_the_system() {
    assert_eq!(ask("1.2.3.4", Hints { flags: CONFIGURED, ..stream() }), Answer::Local);
    assert_eq!(answer(Host::Zoned, true, stream()), Answer::Local);
}

#[test]
fn flags_that_may_ask_a_server_are_not_answered_in_place() {
    for flags in [CANONICAL_NAME, 0x40, 0x80, 0x800, -1, i32::MIN] {
        assert_eq!(ask("1.2.3.4", Hints { flags, ..stream() }), Answer::Unknown, "{flags:#x}");
    }
}

#[test]
fn an_address_that_rust_and_c_may_write_differently_is_left_to_the_system() {
    assert_eq!(ask("::1.2.3.4", stream()), Answer::Local);
    assert_eq!(ask("::0.1.0.0", stream()), Answer::Local);
    assert_eq!(ask("::2", stream()), Answer::Local);
    let certain = |text| Answer::Certain(v6(text), &[Transport::Stream]);
    for text in ["::ffff:1.2.3.4", "::", "::1", "::ffff:0:1.2.3.4"] {
        assert_eq!(ask(text, stream()), certain(text));
    }
}
