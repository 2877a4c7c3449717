"""getaddrinfo, getnameinfo and resolved addresses of hosts that are numbers: stock's answers."""

import asyncio
import enum
import itertools
import random
import socket
from asyncio import base_events

import pytest

IPV4 = ["127.0.0.1", "0.0.0.0", "255.255.255.255", "8.8.8.8", b"10.1.2.3"]
IPV6 = [
    "::1",
    "::",
    "2001:db8::1",
    "2001:DB8:0:0:1:0:0:1",
    "1:2:3:4:5:6:7::",
    "::ffff:1.2.3.4",
    "::ffff:0.0.1.2",
    "::ffff:0:1.2.3.4",
    "64:ff9b::1.2.3.4",
    "::1.2.3.4",
    "::0.1.0.0",
    "::2",
    b"fe80::ABCD",
]
ZONED = ["fe80::1%lo", "fe80::1%1", "ff02::1%lo", "::1%5", "::1%lo", "fe80::1%", "fe80::1%nowhere"]
# Not numbers in the full form; asked with AI_NUMERICHOST only, so that no server is.
DOUBTFUL = [
    "",
    "127.1",
    "0x7f.1",
    "010.0.0.1",
    "1.2.3.4 ",
    "1.2.3.256",
    "1.2.3.4\0",
    "::1::",
    "a.b",
]
PORTS = [80, 0, 65535, None, "443", b"25", "0080", "", " 80", "+80", "-1", 65536, -1, 1 << 70]
ODD_PORTS = [True, 1.5, "80 ", "99999", "1\0", object]
FAMILIES = [0, socket.AF_INET, socket.AF_INET6, socket.AF_UNIX]
TYPES = [0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, 99]
PROTOCOLS = [0, socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP, 132]
FLAGS = [
    0,
    socket.AI_PASSIVE,
    socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    socket.AI_CANONNAME,
    socket.AI_V4MAPPED | socket.AI_ALL,
    socket.AI_ADDRCONFIG,
]


def outcome(call):
    """What a call returns or raises, with the types of all parts."""
    try:
        result = call()
    except Exception as exc:
        return type(exc), exc.args
    return type(result), [(type(entry), [(type(part), part) for part in entry]) for entry in result]


def assert_same(loop, host, port, family=0, kind=0, proto=0, flags=0):
    expected = outcome(lambda: socket.getaddrinfo(host, port, family, kind, proto, flags))
    hints = {"family": family, "type": kind, "proto": proto, "flags": flags}
    found = outcome(lambda: loop.run_until_complete(loop.getaddrinfo(host, port, **hints)))
    assert found == expected, (host, port, hints)


@pytest.mark.parametrize("host", [*IPV4, *IPV6, None], ids=repr)
def test_a_numeric_host_has_the_entries_of_socket_for_all_hints(loop, host):
    for hints in itertools.product(FAMILIES[:3], TYPES[:4], PROTOCOLS[:3], FLAGS):
        assert_same(loop, host, 80, *hints)


@pytest.mark.parametrize("port", [*PORTS, *ODD_PORTS], ids=repr)
def test_a_port_is_read_as_socket_reads_it(loop, port):
    for host, kind in itertools.product(["127.0.0.1", "::1", None], [0, socket.SOCK_STREAM]):
        for family in FAMILIES[:3]:
            assert_same(loop, host, port, family, kind)


@pytest.mark.parametrize("host", ZONED)
def test_a_zone_gives_the_scope_or_the_error_of_socket(loop, host):
    for family, kind, flags in itertools.product(FAMILIES[:3], TYPES[:3], FLAGS):
        assert_same(loop, host, 80, family, kind, 0, flags)


@pytest.mark.parametrize("host", DOUBTFUL, ids=repr)
def test_a_host_that_only_looks_like_a_number_has_the_outcome_of_socket(loop, host):
    for family in FAMILIES[:3]:
        assert_same(loop, host, 80, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)


def random_ipv6(rng):
    """An IPv6 address of few different groups, in one of its many spellings."""
    groups = [rng.choice([0, 0, 0, 1, 0xFFFF, rng.getrandbits(16)]) for _ in range(8)]
    texts = [rng.choice(["{:x}", "{:X}", "{:04x}"]).format(group) for group in groups]
    if rng.random() < 0.3:
        texts[6:] = [
            ".".join(str(part) for part in (*divmod(groups[6], 256), *divmod(groups[7], 256)))
        ]
    if rng.random() < 0.7:
        start = rng.randrange(len(texts))
        end = start
        while end < min(len(texts), 8) and groups[end] == 0 and "." not in texts[end]:
            end += 1
        if end > start:
            return ":".join(texts[:start]) + "::" + ":".join(texts[end:])
    return ":".join(texts)


def test_random_addresses_have_the_entries_of_socket(loop):
    rng = random.Random(20)
    for _ in range(1500):
        host = random_ipv6(rng)
        if rng.random() < 0.3:
            host = ".".join(str(rng.choice([0, 1, 255, rng.randrange(256)])) for _ in range(4))
        hints = [rng.choice(choices) for choices in (FAMILIES, TYPES, PROTOCOLS, FLAGS)]
        assert_same(loop, host, rng.choice(PORTS[:8]), *hints)


def test_random_near_misses_have_the_outcome_of_socket(loop):
    rng = random.Random(21)
    for _ in range(500):
        host = list(random_ipv6(rng) if rng.random() < 0.7 else "192.168.200.13")
        position = rng.randrange(len(host))
        host[position : position + rng.randrange(2)] = rng.choice("0123456789abcf:.%g x-")
        assert_same(loop, "".join(host), 80, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Kind(enum.IntEnum):
    STREAM = socket.SOCK_STREAM


@pytest.mark.parametrize(
    "arguments",
    [
        (Text("127.0.0.1"), 80),
        (Text("127.0.0.1"), Text("80")),
        ("127.0.0.1", Number(80)),
        ("127.0.0.1", 80, Number(2)),
        ("127.0.0.1", 80, 0, Kind.STREAM),
        ("127.0.0.1", 80, True),
        ("127.0.0.1", 80, 0, 1.0),
        ("127.0.0.1", 80, None),
        ("127.0.0.1", 80, 1 << 40),
        ("127.0.0.1", 80, 0, 0, 0, "4"),
        (bytearray(b"127.0.0.1"), 80),
        (b"\xff", 80),
        ("\ud800", 80),
        ("\u0661.2.3.4", 80, 0, 1, 0, socket.AI_NUMERICHOST),
        (127, 80),
    ],
    ids=repr,
)
def test_odd_arguments_have_the_outcome_of_socket(loop, arguments):
    assert_same(loop, *arguments)


def test_a_numeric_host_needs_no_thread(engine, loop, run):
    async def main():
        await loop.getaddrinfo("127.0.0.1", 80)
        await loop.getaddrinfo("fe80::1%1", "80", type=socket.SOCK_STREAM)
        await loop.getaddrinfo(None, 80, flags=socket.AI_PASSIVE)
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("::1", 80, family=socket.AF_INET)
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        await loop.getnameinfo(("127.0.0.1", 80), numeric)

    run(main())
    assert (loop._default_executor is None) == (engine.name == "ferrio")


@pytest.mark.parametrize(
    "sockaddr",
    [
        ("127.0.0.1", 80),
        ("::1", 80, 0, 0),
        ("fe80::1", 80, 0, 1),
        ("localhost", 80),
        ("127.0.0.1", 65536),
        ("127.0.0.1", "80"),
        ("127.0.0.1",),
        ["127.0.0.1", 80],
        "127.0.0.1",
    ],
    ids=repr,
)
def test_getnameinfo_has_the_outcome_of_socket(loop, sockaddr):
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    for flags in (numeric, numeric | socket.NI_DGRAM, socket.NI_NUMERICHOST, numeric + 0.0):

        def found(flags=flags):
            return [loop.run_until_complete(loop.getnameinfo(sockaddr, flags))]

        assert outcome(found) == outcome(lambda flags=flags: [socket.getnameinfo(sockaddr, flags)])


ADDRESSES = [
    *(
        (host, 80)
        for host in ("1.2.3.4", "::3", "FE80::0:1", "::ffff:1.2.3.4", "::1.2.3.4", b"1.2.3.4")
    ),
    *(("1.2.3.4", port) for port in (None, "", b"", "1", b"1", -1, 1 << 70, True, 1.5, Number(5))),
    ("::3", 80, 7),
    ("::3", 80, 7, 9),
    ("::3", 80, "flow", None),
    ("1.2.3.4", 80, 7, 9),
    (Text("1.2.3.4"), 80),
]


@pytest.mark.parametrize("address", ADDRESSES, ids=repr)
def test_an_address_in_numbers_is_resolved_as_asyncio_does_it(loop, address):
    kinds = [socket.SOCK_STREAM, socket.SOCK_DGRAM, Kind.STREAM, 1, 0, socket.SOCK_RAW]
    for family, kind, proto in itertools.product(FAMILIES, kinds, PROTOCOLS):
        expected = base_events._ipaddr_info(*address[:2], family, kind, proto, *address[2:])
        if expected is None:
            continue
        hints = {"family": family, "type": kind, "proto": proto, "loop": loop}
        found = loop.run_until_complete(loop._ensure_resolved(address, **hints))
        assert outcome(lambda found=found: found) == outcome(lambda e=expected: [e])
        assert outcome(lambda f=found: [f[0][4]]) == outcome(lambda e=expected: [e[4]])


@pytest.mark.parametrize(
    "address", [("1.2.3.4%lo", 80), ("::3%lo", 80), (None, 80), ("a name", 80), ("1.2.3.4", "http")]
)
def test_an_address_that_is_not_in_numbers_goes_to_getaddrinfo(loop, run, address):
    calls = []

    async def getaddrinfo(*args, **keywords):
        calls.append((args, keywords))
        return "the infos"

    loop.getaddrinfo = getaddrinfo
    hints = {"family": socket.AF_INET, "type": socket.SOCK_STREAM, "proto": 6, "flags": 4}
    assert run(loop._ensure_resolved(address, **hints, loop=loop)) == "the infos"
    assert calls == [(address, hints)]


@pytest.mark.parametrize("address", [(), ("1.2.3.4",), None, 5, ("1.2.3.4", 80, 0, 0, 0)], ids=repr)
def test_an_address_of_another_shape_is_refused_as_on_stock(same_as_stock, address):
    def scenario(loop, engine):
        loop.run_until_complete(loop._ensure_resolved(address, loop=loop))

    assert same_as_stock(scenario)[0] == "raised"


def test_a_list_serves_as_an_address(loop, run):
    infos = run(loop._ensure_resolved(["1.2.3.4", 80], loop=loop))
    assert infos == [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.2.3.4", 80))]


def test_a_socket_connects_to_a_numeric_address(loop, run):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setblocking(False)

        async def main():
            await asyncio.wait_for(loop.sock_connect(client, server.getsockname()), 20)

        run(main())
        assert client.getpeername() == server.getsockname()
