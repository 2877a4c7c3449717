"""Peers of a scene: plain sockets, no loop. Usage: peers.py KIND ADDRESS ARGUMENTS, both JSON.

Like a scene, it hears words on standard input and tells facts, as JSON lines, on standard output.
"""

import contextlib
import hashlib
import json
import resource
import select
import socket
import ssl
import struct
import sys
import threading
import time

TIMEOUT_S = 60
RETRY_S = 0.1
BIG = bytes(range(256)) * 256 * 64  # what connection_scenes.py sends
ENOUGH = threading.Event()
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def tell(**facts):
    """Write the facts to the test."""
    print(json.dumps(facts), flush=True)


def cue():
    """Wait for the next word from the test; empty at the end of its words."""
    return sys.stdin.readline().strip()


def connect(address):
    """A blocking socket that is connected to the address: a path, or host and port."""
    sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    sock.settimeout(TIMEOUT_S)
    sock.connect(address if isinstance(address, str) else tuple(address))
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def receive(sock, size):
    """Exactly `size` bytes."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError(f"the stream ended after {len(data)} of {size} bytes")
        data += more
    return data


def receive_to_end(sock):
    """All bytes up to the end of the stream."""
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(sock, message):
    """Send the message and get it back."""
    sock.sendall(message)
    if (answer := receive(sock, len(message))) != message:
        raise ValueError(f"sent {message!r}, got {answer!r}")


def reset(sock):
    """Close so that the other side gets a reset."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()


def hold(address, number):
    """`number` connections open at once, in crowds: each word from the test makes a new one.

    The word `leave` lets half of a crowd end its stream and wait for the server's end, and resets
    the rest.
    """
    while cue() == "come":
        socks = []
        for index in range(number):
            socks.append(connect(address))
            exchange(socks[-1], b"%016d" % index)
        tell(open=len(socks))
        cue()
        # All of them have something under way at once.
        for index, sock in enumerate(socks):
            sock.sendall(b"%016d" % (index * 7))
        for index, sock in enumerate(socks):
            if receive(sock, 16) != b"%016d" % (index * 7):
                raise ValueError(f"connection {index} got the bytes of another")
        for sock in socks[::2]:
            sock.shutdown(socket.SHUT_WR)
        for sock in socks[::2]:
            receive_to_end(sock)
            sock.close()
        for sock in socks[1::2]:
            reset(sock)
        tell(served=len(socks))


def misbehave(address, each):
    """`each` peers of every kind of MANNERS at once, each in a thread of its own.

    Who stalls goes on when the others are done and the test says a word.
    """
    failed = []

    def behave(manner, seed):
        try:
            with connect(address) as sock:
                sock.sendall(manner.__name__.encode() + b"\n")
                manner(sock, seed)
        except Exception as exc:
            failed.append(f"{manner.__name__}: {exc!r}")

    threads = [
        threading.Thread(target=behave, args=(manner, seed), name=manner.__name__)
        for seed in range(each)
        for manner in MANNERS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        if "big_stall" not in thread.name:
            thread.join()
    tell(failed=failed)
    cue()
    ENOUGH.set()
    for thread in threads:
        thread.join()
    tell(failed=failed)


def well_behaved(sock, seed):
    """Says something and waits for the answer, all the time."""
    for turn in range(50):
        exchange(sock, bytes([seed % 256]) * (1 + turn * 37))


def byte_by_byte(sock, seed):
    """Sends each byte by itself: first waiting for each answer, then not."""
    message = bytes((seed + index) % 256 for index in range(200))
    for index in range(len(message)):
        exchange(sock, message[index : index + 1])
    for index in range(len(message)):
        sock.send(message[index : index + 1])
    if receive(sock, len(message)) != message:
        raise ValueError("the bytes came back in disorder")


def half_closing(sock, seed):
    """Ends its stream at once and waits for all that it sent to come back."""
    message = bytes([seed % 256]) * 100_000
    sender = threading.Thread(target=lambda: (sock.sendall(message), sock.shutdown(socket.SHUT_WR)))
    sender.start()
    answer = receive_to_end(sock)
    sender.join()
    if answer != message:
        raise ValueError(f"{len(answer)} of {len(message)} bytes came back")


def resetting(sock, seed):
    """Resets the connection while the server waits for more."""
    exchange(sock, bytes([seed % 256]) * 10)
    reset(sock)


def big_reset(sock, seed):
    """Resets the connection in the middle of what the server sends."""
    receive(sock, 1 + seed)
    reset(sock)


def big_slow(sock, seed):
    """Reads little by little, with long pauses at the beginning, to the end."""
    data = b""
    for _ in range(10):
        data += receive(sock, 1 + seed % 3)
        time.sleep(0.01)
    data += receive_to_end(sock)
    if data != BIG:
        raise ValueError(f"{len(data)} bytes came, or others than were sent")


def big_stall(sock, seed):
    """Reads nothing before the server has given it up; what comes then is a part of the whole."""
    ENOUGH.wait(TIMEOUT_S)
    data = receive_to_end(sock)
    if len(data) == len(BIG) or not BIG.startswith(data):
        raise ValueError(f"{len(data)} bytes came, or others than were sent")


MANNERS = (well_behaved, byte_by_byte, half_closing, resetting, big_reset, big_slow, big_stall)


def churn(address, width):
    """Connections that come and go, `width` at a time. A word is how many; `done` answers it.

    In turn they are ended by a reset, by the server, and now and then by this side's own end.
    """
    while word := cue():
        total = int(word)
        for start in range(0, total, width):
            socks = [connect(address) for _ in range(width)]
            for index, sock in enumerate(socks):
                sock.sendall(b"%d" % (start + index))
            for index, sock in enumerate(socks):
                message = b"%d" % (start + index)
                if receive(sock, len(message)) != message:
                    raise ValueError("a connection got the bytes of another")
                leave(sock, start + index)
        tell(done=total)


def tls_connect(address):
    """A blocking TLS connection; the certificate is not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connect(address))


def tls_exchange(sock, index):
    """Say a number of one's own and hear it again."""
    message = b"%016d" % index
    sock.sendall(message)
    if receive(sock, len(message)) != message:
        raise ValueError("a connection got the bytes of another")


def tls_leave(sock, index):
    """End a connection: in good order, by the server's hand, or with a reset."""
    if index % 3 == 0:
        sock.unwrap().close()
    elif index % 3 == 1:
        sock.sendall(b"bye")
        if receive_to_end(sock) != b"bye":
            raise ValueError("bytes were lost before the end")
        sock.close()
    else:
        reset(sock)


def tls_churn(address):
    """TLS connections one after another. A word is how many; `done` answers it."""
    while word := cue():
        for index in range(int(word)):
            sock = tls_connect(address)
            tls_exchange(sock, index)
            tls_leave(sock, index)
        tell(done=int(word))


def tls_hold(address, number):
    """`number` TLS connections open at once; as `hold`."""
    while cue() == "come":
        socks = []
        for index in range(number):
            socks.append(tls_connect(address))
            tls_exchange(socks[-1], index)
        tell(open=len(socks))
        cue()
        for index, sock in enumerate(socks):
            tls_exchange(sock, index * 7)
        for index, sock in enumerate(socks):
            tls_leave(sock, index)
        tell(served=len(socks))


def read_late(address, number):
    """`number` clients that read nothing at first.

    On the word `read` every third reads its stream to the end, on `close` every third goes away
    with everything unread, on `end` the rest does.
    """
    socks = []
    for _ in range(number):
        sock = connect(address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        socks.append(sock)
    tell(connected=number)
    while word := cue():
        if word == "read":
            tell(read=[stream_digest(sock) for sock in socks[0::3]])
        elif word == "close":
            for sock in socks[1::3]:
                sock.close()
            tell(closed=len(socks[1::3]))
    for sock in socks:
        sock.close()


def stream_digest(sock):
    """The digest of all bytes up to the end of the stream, of which none is kept."""
    digest = hashlib.sha256()
    while part := sock.recv(65536):
        digest.update(part)
    return digest.hexdigest()


def queue_up(address, number, places):
    """`number` clients of a server that has `places`.

    Tells when as many were served as have a place. On the word `leave` these make room, and the
    rest is waited for in the same way.
    """
    waiting = {}
    poll = select.poll()
    for index in range(number):
        sock = connect(address)
        sock.sendall(b"%08d" % index)
        poll.register(sock, select.POLLIN)
        waiting[sock.fileno()] = (sock, b"%08d" % index)
    while waiting:
        served = []
        while len(served) < min(places, number):
            for fd, _ in poll.poll(TIMEOUT_S * 1000):
                sock, message = waiting.pop(fd)
                if receive(sock, 8) != message:
                    raise ValueError("a connection got the bytes of another")
                poll.unregister(sock)
                served.append(sock)
        tell(served=len(served))
        cue()
        for sock in served:
            sock.close()
        number -= len(served)


def flood(address, senders):
    """Datagrams as fast as possible, from several sockets in turn, until the word `stop`.

    Answers with the number sent, after a `ping` that was answered.
    """
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(senders)]
    for sock in socks:
        sock.connect(tuple(address))
    stopped = threading.Thread(target=cue)
    stopped.start()
    sent = 0
    while stopped.is_alive():
        data = b"%012d%s" % (sent, b"." * 100)
        for sock in socks:
            sock.send(data)
        sent += 1
    tell(sent=sent * senders, answer=ask_again_and_again(sock, b"ping").decode())


def ask_again_and_again(sock, question):
    """The answer to a datagram that may be dropped, as long as the flood still fills the buffer."""
    sock.settimeout(RETRY_S)
    while True:
        sock.send(question)
        with contextlib.suppress(TimeoutError):
            return sock.recv(100)


def read_datagrams(path, number):
    """A Unix socket that reads nothing before the word `read`, and then `number` datagrams."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.settimeout(TIMEOUT_S)
    sock.bind(path)
    tell(bound=path)
    cue()
    for index in range(number):
        if sock.recv(1000) != b"%012d%s" % (index, b"." * 100):
            raise ValueError(f"datagram {index} is not the next one")
    tell(read=number)


def leave(sock, index):
    """End a connection, in another way each time; none but every 50th stays in TIME-WAIT."""
    if index % 50 == 0:
        sock.close()
        return
    if index % 2:
        sock.sendall(b"bye")
        if receive_to_end(sock) != b"bye":
            raise ValueError("bytes were lost before the end")
    reset(sock)


def main(kind, address, arguments):
    """Be that kind of peers, with all the descriptors that a process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    KINDS[kind](json.loads(address), **json.loads(arguments))


KINDS = {
    kind.__name__: kind
    for kind in (
        hold,
        misbehave,
        churn,
        tls_churn,
        tls_hold,
        read_late,
        queue_up,
        flood,
        read_datagrams,
    )
}

if __name__ == "__main__":
    main(*sys.argv[1:])
