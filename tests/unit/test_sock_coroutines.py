"""sock_* calls are coroutines to asyncio; what is not a plain socket is asked itself."""

import asyncio
import contextlib
import gc
import inspect
import re
import socket
import ssl
import types
import warnings
from unittest import mock

import pytest


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


CALLS = {
    "sock_recv": lambda loop, sock: loop.sock_recv(sock, 10),
    "sock_recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(10)),
    "sock_recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 10),
    "sock_recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(10)),
    "sock_sendall": lambda loop, sock: loop.sock_sendall(sock, b"data"),
    "sock_sendto": lambda loop, sock: loop.sock_sendto(sock, b"data", None),
    "sock_accept": lambda loop, sock: loop.sock_accept(sock),
    "sock_connect": lambda loop, sock: loop.sock_connect(sock, "nowhere"),
    "sock_sendfile": lambda loop, sock: loop.sock_sendfile(sock, None),
}


@pytest.mark.parametrize("method", CALLS)
def test_a_call_is_a_coroutine_that_does_nothing_before_it_is_awaited(loop, pair, method):
    left, right = pair
    right.send(b"there")
    call = CALLS[method](loop, left)
    assert asyncio.iscoroutine(call)
    assert inspect.isawaitable(call)
    assert call.__name__ == method
    assert call.__qualname__.endswith(f"EventLoop.{method}")
    assert re.fullmatch(rf"<coroutine object \w+\.{method} at 0x[0-9a-f]+>", repr(call))
    assert call.cr_await is None
    assert call.cr_running is False
    call.close()
    assert left.recv(10) == b"there"


@pytest.mark.parametrize("method", CALLS)
def test_a_call_that_is_never_awaited_warns(same_as_stock, pair, method):
    left, _ = pair

    def scenario(loop, engine):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            CALLS[method](loop, left)
            gc.collect()
        return [(warning.category, str(warning.message)) for warning in caught]

    _kind, seen = same_as_stock(scenario)
    assert [category for category, _ in seen] == [RuntimeWarning]


def test_one_that_is_closed_or_awaited_does_not_warn(loop, run, pair):
    left, right = pair
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loop.sock_recv(left, 10).close()
        right.send(b"data")
        run(loop.sock_recv(left, 10))
        gc.collect()


def test_calls_as_tasks_and_in_gather(loop, run, pair):
    left, right = pair

    async def main():
        task = asyncio.create_task(loop.sock_recv(left, 10), name="reads")
        assert "reads" in repr(task) and "sock_recv" in repr(task)
        return await asyncio.gather(
            task, loop.sock_sendall(right, b"data"), loop.sock_recv(right, 10), echo()
        )

    async def echo():
        await asyncio.sleep(0)
        await loop.sock_sendall(left, b"back")

    assert run(main()) == [b"data", None, b"back", None]


def test_plain_sockets_are_served_natively_and_others_are_not(loop, engine, pair):
    if engine.name != "ferrio":
        pytest.skip("about Ferrio")

    def is_native(sock):
        call = loop.sock_recv(sock, 10)
        call.close()
        return type(call) is not types.CoroutineType

    left, right = pair
    assert is_native(left)
    right.settimeout(1)
    assert not is_native(right)
    with Counting(fileno=socket.socket().detach()) as sock:
        sock.setblocking(False)
        assert not is_native(sock)
    with mock.patch.object(socket.socket, "recv"):
        assert not is_native(left)
    assert is_native(left)
    loop.set_debug(True)
    assert not is_native(left)
    loop.set_debug(False)
    loop.add_reader = loop.add_reader
    assert not is_native(left)


def test_driven_by_hand(same_as_stock):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            seen = []

            def attempt(function, *arguments):
                try:
                    seen.append(function(*arguments))
                except BaseException as exc:
                    seen.append((type(exc), str(exc), getattr(exc, "value", None)))

            call = loop.sock_recv(left, 10)
            attempt(call.send, 1)
            future = call.send(None)
            seen.append(asyncio.isfuture(future))
            seen.append(call.cr_await is not None)
            future._asyncio_future_blocking = False
            attempt(call.throw, KeyError("thrown"))
            attempt(call.send, None)
            attempt(call.throw, KeyError("late"))
            right.send(b"data")
            call = loop.sock_recv(left, 10)
            attempt(call.__await__().__next__)
            attempt(call.send, None)
            call = loop.sock_recv(left, 10)
            attempt(call.throw, KeyError("early"))
            attempt(call.send, None)
            call = loop.sock_recv(left, 10)
            call.close()
            call.close()
            attempt(call.send, None)
            return seen

    same_as_stock(scenario)


def test_a_call_that_is_awaited_twice(same_as_stock, pair):
    left, right = pair

    def scenario(loop, engine):
        right.send(b"data")
        call = loop.sock_recv(left, 10)

        async def main():
            first = await call
            try:
                return first, await call
            except RuntimeError as exc:
                return first, str(exc)

        return loop.run_until_complete(main())

    same_as_stock(scenario)


def test_a_pending_call_that_is_closed_takes_no_data(loop, pair, turns):
    left, right = pair
    call = loop.sock_recv(left, 10)
    future = call.send(None)
    call.close()
    future.cancel()
    right.send(b"data")
    turns(3)
    assert left.recv(10) == b"data"
    assert loop.remove_reader(left) is False


def test_arguments_by_name(loop, run, pair):
    left, right = pair
    right.send(b"data")
    assert run(loop.sock_recv(sock=left, n=2)) == b"da"
    assert run(loop.sock_recv_into(left, buf=bytearray(1))) == 1
    right.send(b"data")
    assert run(loop.sock_recvfrom_into(left, bytearray(10), nbytes=2))[0] == 2
    assert run(loop.sock_sendall(left, data=b"x")) is None


@pytest.mark.parametrize("method", [*CALLS, "add_reader", "add_writer", "remove_reader"])
@pytest.mark.parametrize("number", [0, 1, 6])
def test_a_wrong_number_of_arguments(same_as_stock, method, number):
    if method.startswith("add") and number == 6:
        pytest.skip("takes any number")

    def scenario(loop, engine):
        getattr(loop, method)(*range(number))

    if method == "remove_reader" and number == 1:
        return
    if method == "sock_accept" and number == 1:
        return
    kind, error, _ = same_as_stock(scenario)
    assert (kind, error) == ("raised", TypeError)


@pytest.mark.parametrize("method", CALLS)
def test_a_tls_socket_is_refused(same_as_stock, pair, method):
    _left, _ = pair

    def scenario(loop, engine):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        near, far = socket.socketpair()
        near.setblocking(False)
        with far, context.wrap_socket(near, do_handshake_on_connect=False) as tls:
            tls.setblocking(False)
            loop.run_until_complete(CALLS[method](loop, tls))

    expected = ("raised", TypeError, "Socket cannot be of type SSLSocket")
    assert same_as_stock(scenario) == expected


@pytest.mark.parametrize("method", CALLS)
def test_debug_mode_refuses_a_socket_that_blocks(same_as_stock, method):
    def scenario(loop, engine):
        loop.set_debug(True)
        with socket.socket() as sock:
            loop.run_until_complete(CALLS[method](loop, sock))

    expected = ("raised", ValueError, "the socket must be non-blocking")
    assert same_as_stock(scenario) == expected


def test_outside_of_debug_mode_a_socket_with_a_timeout_waits_for_it(same_as_stock):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        with left, right:
            left.settimeout(0.01)
            loop.run_until_complete(loop.sock_recv(left, 10))

    assert same_as_stock(scenario) == ("raised", TimeoutError, "timed out")


def test_debug_mode_switched_on_while_a_call_waits(same_trace):
    async def scenario(trace):
        loop = trace.loop
        left, right = socket.socketpair()
        left.setblocking(False)
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with left, right:
            right.setblocking(False)
            read = loop.create_task(loop.sock_recv(left, 10))
            write = loop.create_task(loop.sock_sendall(left, bytes(60_000)))
            await trace.turns(2)
            with trace.debug():
                right.send(b"data")
                received = 0
                while not write.done():
                    await trace.turns(1)
                    with contextlib.suppress(BlockingIOError):
                        received += len(right.recv(1000))
                trace.note("read", await read)
                while received < 60_000:
                    received += len(right.recv(1000))
                trace.note("written", received)
            trace.note("watched", loop.remove_reader(left), loop.remove_writer(left))

    trace = same_trace(scenario, turns=False)
    assert trace[:3] == [["read", b"data"], ["written", 60_000], ["watched", False, False]]


class Counting(socket.socket):
    """Notes its calls."""

    calls = ()

    def __getattribute__(self, name):
        if name in ("recv", "recv_into", "recvfrom", "recvfrom_into", "send", "sendto", "accept"):
            self.calls = (*self.calls, name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("method", list(CALLS)[:5])
def test_the_methods_of_a_subclass_are_called(same_as_stock, method):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        with right, Counting(fileno=left.detach()) as sock:
            sock.setblocking(False)
            task = loop.create_task(CALLS[method](loop, sock))
            loop.call_soon(loop.call_soon, right.send, b"data")
            loop.run_until_complete(task)
            return sock.calls

    kind, calls = same_as_stock(scenario)
    assert kind == "returned" and calls


def test_a_mock_is_asked(same_as_stock):
    def scenario(loop, engine):
        sock = mock.Mock()
        sock.recv.return_value = b"from the mock"
        sock.gettimeout.return_value = 0.0
        received = loop.run_until_complete(loop.sock_recv(sock, 7))
        return received, [call[0] for call in sock.method_calls], sock.recv.call_args[0]

    assert same_as_stock(scenario)[1][0] == b"from the mock"


def test_a_patched_method_of_the_class_is_called(same_as_stock, pair):
    left, _ = pair

    def scenario(loop, engine):
        loop.run_until_complete(asyncio.sleep(0))
        with mock.patch.object(socket.socket, "recv", return_value=b"patched"):
            patched = loop.run_until_complete(loop.sock_recv(left, 10))
        right_again = loop.create_task(loop.sock_recv(left, 10))
        loop.run_until_complete(asyncio.sleep(0))
        right_again.cancel()
        return patched, loop.run_until_complete(asyncio.wait([right_again]))[0] == {right_again}

    assert same_as_stock(scenario) == ("returned", (b"patched", True))


def test_a_patched_socket_class_is_what_accept_makes(same_as_stock):
    class Other(socket.socket):
        pass

    def scenario(loop, engine):
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            client.connect(listener.getsockname())
            with mock.patch.object(socket, "socket", Other):
                server, _ = loop.run_until_complete(loop.sock_accept(listener))
            with server:
                return type(server) is Other

    assert same_as_stock(scenario) == ("returned", True)


@pytest.mark.parametrize("how", ["instance", "subclass"])
def test_replaced_methods_of_the_loop_are_called(engine, pair, how):
    left, right = pair
    seen = []

    def add_reader(loop, fd, callback, *args):
        seen.append(fd)
        return super(type(loop), loop)._add_reader(fd, callback, *args)

    probe = engine.new_loop()
    base = type(probe)
    probe.close()
    kind = type("Loop", (base,), {"_add_reader": add_reader} if how == "subclass" else {})
    loop = kind()
    seen.clear()  # the self-pipe
    try:
        if how == "instance":
            original = loop._add_reader
            loop._add_reader = lambda *args: (seen.append(args[0]), original(*args))[1]
        loop.call_soon(loop.call_soon, right.send, b"data")
        assert loop.run_until_complete(loop.sock_recv(left, 10)) == b"data"
        loop.add_reader(right, print)
        assert loop.remove_reader(right) is True
        assert seen == [left.fileno(), right]
    finally:
        loop.close()


def test_a_foreign_task_awaits_a_call(loop, run, pair):
    """A task of the interpreter's own drives the call as native ones do."""
    left, right = pair

    async def main():
        task = asyncio.Task(loop.sock_recv(left, 10), loop=loop)
        await asyncio.sleep(0)
        right.send(b"data")
        assert await task == b"data"
        task = asyncio.Task(loop.sock_recv(left, 10), loop=loop)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.remove_reader(left) is False

    run(main())
