"""Addresses of datagrams, and the socket under a transport: as the socket module has them."""

import asyncio
import contextlib
import gc
import os
import socket
import warnings
import weakref

import pytest


class Collect(asyncio.DatagramProtocol):
    """Puts what it gets into a queue."""

    def __init__(self):
        self.received = asyncio.Queue()
        self.errors = []

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))

    def error_received(self, exc):
        self.errors.append(exc)


def bound(family, address):
    """A datagram socket with that name or, for None, without; skips where there cannot be one."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if address is not None:
            sock.bind(address)
    except OSError as exc:
        sock.close()
        pytest.skip(f"no such address on this machine: {exc}")
    sock.settimeout(10)
    return sock


def unix_names(folder):
    """Names of every kind that a Unix socket can have."""
    long = os.path.join(folder, "")
    return {
        "path": os.path.join(folder, "path"),
        "longest path": long + "x" * (107 - len(long)),
        "path of other letters": os.path.join(folder, "grün"),
        "path of bytes": os.fsencode(os.path.join(folder, "")) + b"\xff\xfe",
        "abstract": b"\0ferrio-%d-a" % os.getpid(),
        "abstract with a zero": b"\0ferrio-%d\0b\xff" % os.getpid(),
        "longest abstract": (b"\0ferrio-%d" % os.getpid()).ljust(108, b"y"),
        "chosen by the kernel": "",
        "none": None,
    }


KINDS = list(unix_names(""))
INTERNET = [
    (socket.AF_INET, ("127.0.0.1", 0)),
    (socket.AF_INET, ("127.100.200.255", 0)),
    (socket.AF_INET6, ("::1", 0)),
    (socket.AF_INET6, ("::ffff:127.0.0.1", 0)),
]


async def exchange(loop, near, far):
    """Send both ways between an endpoint over `near` and the socket `far`; what each side saw."""
    transport, protocol = await loop.create_datagram_endpoint(Collect, sock=near)
    names = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    assert names == (near.getsockname(), None)
    seen = []
    for data in (b"one", b"two"):
        far.sendto(data, near.getsockname())
        got, sender = await protocol.received.get()
        assert (got, sender) == (data, far.getsockname() or None)
        seen.append(sender)
    if seen[0]:
        for address in (seen[1], far.getsockname()):
            transport.sendto(b"answer", address)
            assert far.recvfrom(100) == (b"answer", near.getsockname())
    assert protocol.errors == []
    transport.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize(("family", "address"), INTERNET)
def test_internet_addresses_are_those_of_the_socket_module(loop, run, family, address):
    with bound(family, address) as near, bound(family, address) as far:
        run(exchange(loop, near, far))


@pytest.mark.parametrize("kind", KINDS)
def test_unix_addresses_are_those_of_the_socket_module(loop, run, tmp_path, kind):
    near = bound(socket.AF_UNIX, "")
    with near, bound(socket.AF_UNIX, unix_names(str(tmp_path))[kind]) as far:
        run(exchange(loop, near, far))


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_a_unix_endpoint_has_the_name_that_its_socket_has(loop, run, tmp_path, kind):
    far = bound(socket.AF_UNIX, "")
    with far, bound(socket.AF_UNIX, unix_names(str(tmp_path))[kind]) as near:
        run(exchange(loop, near, far))


def test_a_link_local_address_keeps_its_scope(loop, run):
    def link_local():
        with open("/proc/net/if_inet6") as lines:
            for line in lines:
                digits, index, _, scope, *_ = line.split()
                if scope == "20":
                    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)), int(index, 16)
        raise OSError("no link-local address")

    try:
        host, index = link_local()
    except OSError as exc:
        pytest.skip(str(exc))
    name = (host, 0, 0, index)
    with bound(socket.AF_INET6, name) as near, bound(socket.AF_INET6, name) as far:
        assert far.getsockname()[3] == index
        run(exchange(loop, near, far))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_many_peers_keep_their_addresses_apart(loop, run, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    class Echo(Collect):
        def datagram_received(self, data, addr):
            assert data == b"%d" % addr[1]
            self.transport.sendto(b"to " + data, addr)

        def connection_made(self, transport):
            self.transport = transport

    async def answered(far):
        assert await loop.sock_recv(far, 100) == b"to %d" % far.getsockname()[1]

    async def main(near, peers):
        for far in peers:
            far.setblocking(False)
        transport, protocol = await loop.create_datagram_endpoint(Echo, sock=near)
        for _ in range(2):
            for start in range(0, len(peers), 20):
                for far in peers[start : start + 20]:
                    far.sendto(b"%d" % far.getsockname()[1], near.getsockname())
                await asyncio.gather(*(answered(far) for far in peers[start : start + 20]))
        assert protocol.errors == []
        transport.close()
        await asyncio.sleep(0)

    with contextlib.ExitStack() as stack:
        near, *peers = (stack.enter_context(bound(family, (host, 0))) for _ in range(301))
        run(main(near, peers))


@pytest.mark.parametrize(
    "address",
    [
        ("127.0.0.1", 65536),
        ("127.0.0.1", -1),
        ("127.0.0.1", True),
        ["127.0.0.1", 9],
        (b"127.0.0.1", 9),
        ("127.0.0.1\0", 9),
        ("", 9),
        ("<broadcast>", 9),
        ("127.1", 9),
        ("127.0.0.01", 9),
        ("127.0.0.1", 9, 0),
        ("127.0.0.1", 9.0),
        "/path",
        object(),
    ],
)
def test_an_address_that_is_not_plain_does_what_the_socket_says(same_as_stock, address):
    def scenario(loop, _):
        async def main():
            reported = []
            loop.set_exception_handler(lambda _, context: reported.append(context))
            transport, protocol = await loop.create_datagram_endpoint(
                Collect, local_addr=("127.0.0.1", 0)
            )
            try:
                transport.sendto(b"data", address)
                outcome = "sent"
            except Exception as exc:
                outcome = repr(exc)
            closing = transport.is_closing()
            transport.abort()
            await asyncio.sleep(0)
            errors = [repr(exc) for exc in protocol.errors]
            return outcome, closing, errors, [repr(c["exception"]) for c in reported]

        return loop.run_until_complete(main())

    same_as_stock(scenario)


class Wrapped(socket.socket):
    """A socket whose methods note that they were called."""

    calls = ()

    def recvfrom(self, *args):
        self.calls += ("recvfrom",)
        return super().recvfrom(*args)

    def sendto(self, *args):
        self.calls += ("sendto",)
        return super().sendto(*args)


def test_methods_of_a_sockets_own_class_are_called(loop, run):
    async def main():
        near = Wrapped(socket.AF_INET, socket.SOCK_DGRAM)
        near.bind(("127.0.0.1", 0))
        transport, protocol = await loop.create_datagram_endpoint(Collect, sock=near)
        transport.sendto(b"data", near.getsockname())
        assert await protocol.received.get() == (b"data", near.getsockname())
        assert near.calls[:2] == ("sendto", "recvfrom")
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_a_socket_that_somebody_closed_is_not_mistaken_for_another(loop, run):
    async def main():
        transport, protocol = await loop.create_datagram_endpoint(
            Collect, local_addr=("127.0.0.1", 0)
        )
        number = transport._sock.fileno()
        loop._remove_reader(number)
        transport._sock.close()
        with bound(socket.AF_INET, ("127.0.0.1", 0)) as far:
            assert far.fileno() == number
            for _ in range(2):
                transport.sendto(b"data", far.getsockname())
            transport._read_ready()
            far.setblocking(False)
            with pytest.raises(BlockingIOError):
                far.recv(10)
        assert [exc.errno for exc in protocol.errors] == [9, 9, 9]
        transport.abort()
        await asyncio.sleep(0)

    run(main())


def test_a_socket_that_somebody_made_blocking_does_not_block_the_loop(loop, run):
    async def main():
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with far:
            transport, protocol = await loop.create_datagram_endpoint(Collect, sock=near)
            near.setblocking(True)
            for number in range(3):
                far.send(b"%d" % number)
            got = [(await protocol.received.get())[0] for _ in range(3)]
            assert got == [b"0", b"1", b"2"]
            transport.close()
            await asyncio.sleep(0)

    run(main())


def test_a_transport_that_nobody_closed_warns_when_it_is_collected(engine):
    class Keep(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

    loop = engine.new_loop()
    make = loop.create_datagram_endpoint(Keep, local_addr=("127.0.0.1", 0))
    transport, _ = loop.run_until_complete(make)
    transport.extra = transport
    number, gone = transport._sock_fd, weakref.ref(transport)
    loop.close()
    del transport, _, make, loop
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    text = f"unclosed transport <_SelectorDatagramTransport fd={number}"
    assert [str(warning.message)[: len(text)] for warning in caught].count(text) == 1
    assert gone() is None
    with pytest.raises(OSError):
        os.fstat(number)


def test_max_size_cuts_datagrams_off(loop, run):
    async def main():
        transport, protocol = await loop.create_datagram_endpoint(
            Collect, local_addr=("127.0.0.1", 0)
        )
        address = transport.get_extra_info("sockname")
        assert transport.max_size == 256 * 1024
        for size in (5, 1, 1 << 21):
            transport.max_size = size
            transport.sendto(b"x" * 1000, address)
            data, _ = await protocol.received.get()
            assert len(data) == min(size, 1000)
        transport.close()
        await asyncio.sleep(0)

    run(main())
