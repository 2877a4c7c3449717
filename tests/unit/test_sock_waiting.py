"""How sock_* calls wait: cancelling, replacing one another, transports, closing, wake-ups."""

import asyncio
import contextlib
import contextvars
import gc
import socket
import sys
import weakref

import pytest


@pytest.fixture
def pair():
    """Two connected sockets that do not block and buffer little."""
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with left, right:
        yield left, right


@pytest.fixture
def datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        yield sock


READS = {
    "sock_recv": lambda loop, sock: loop.sock_recv(sock, 10),
    "sock_recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(10)),
    "sock_recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 10),
    "sock_recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(10)),
}


@pytest.mark.parametrize("method", READS)
def test_a_cancelled_read_stops_watching_and_takes_no_data(loop, run, pair, method):
    left, right = pair

    async def main():
        task = loop.create_task(READS[method](loop, left))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert caught.value.args == ("enough",)
        assert loop.remove_reader(left) is False
        right.send(b"data")
        await asyncio.sleep(0)
        assert left.recv(10) == b"data"

    run(main())


def test_a_cancelled_send_stops_watching(loop, run, pair):
    left, _ = pair

    async def main():
        task = loop.create_task(loop.sock_sendall(left, bytes(1 << 20)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.remove_writer(left) is False

    run(main())


def test_a_read_cancelled_in_the_turn_of_its_event(same_trace):
    async def scenario(trace):
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right:
            task = trace.loop.create_task(trace.loop.sock_recv(left, 10))
            await trace.turns(2)
            # The event is found in the next turn, in which the cancel runs first.
            trace.loop.call_soon(task.cancel)
            right.send(b"data")
            with contextlib.suppress(asyncio.CancelledError):
                trace.note("received", await task)
            trace.note("cancelled", task.cancelled())
            trace.note("left", left.recv(10))

    assert same_trace(scenario)[:2] == [["cancelled", True], ["left", b"data"]]


def test_a_read_cancelled_in_the_turn_after_its_event_loses_what_it_read(same_trace):
    async def scenario(trace):
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right:
            task = trace.loop.create_task(trace.loop.sock_recv(left, 10))
            await trace.turns(2)
            right.send(b"data")
            await trace.turns(1)
            trace.note("cancel", task.cancel())
            with contextlib.suppress(asyncio.CancelledError):
                trace.note("received", await task)
            trace.note("cancelled", task.cancelled())
            with contextlib.suppress(BlockingIOError):
                trace.note("left", left.recv(10))

    same_trace(scenario)


@pytest.mark.parametrize("first", READS)
def test_a_second_read_takes_the_place_of_the_first(same_trace, first):
    async def scenario(trace):
        loop = trace.loop
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right:
            one = loop.create_task(READS[first](loop, left))
            await trace.turns(1)
            two = loop.create_task(loop.sock_recv(left, 10))
            await trace.turns(1)
            right.send(b"data")
            trace.note("second", await two)
            await trace.turns(3)
            trace.note("first done", one.done())
            right.send(b"more")
            await trace.turns(3)
            trace.note("first done", one.done())
            one.cancel()
            await asyncio.wait([one])
            trace.note("watched", loop.remove_reader(left), left.recv(10))

    trace = same_trace(scenario)
    assert ["first done", False] in trace


def test_a_replaced_read_that_is_cancelled_leaves_the_other_alone(same_trace):
    async def scenario(trace):
        loop = trace.loop
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right:
            one = loop.create_task(loop.sock_recv(left, 1))
            two = loop.create_task(loop.sock_recv(left, 2))
            await trace.turns(1)
            one.cancel()
            await asyncio.wait([one])
            right.send(b"data")
            trace.note("second", await two)

    same_trace(scenario)


@pytest.mark.parametrize("first", ["call", "reader"])
def test_a_reader_and_a_call_on_one_socket_replace_each_other(same_trace, first):
    async def scenario(trace):
        loop = trace.loop
        left, right = socket.socketpair()
        left.setblocking(False)

        def readable():
            trace.note("reader", left.recv(2))

        with left, right:
            if first == "reader":
                loop.add_reader(left, readable)
            task = loop.create_task(loop.sock_recv(left, 2))
            await trace.turns(1)
            if first == "call":
                loop.add_reader(left, readable)
            right.send(b"data")
            await trace.turns(5)
            trace.note("done", task.done(), task.done() and task.result())
            trace.note("removed", loop.remove_reader(left))
            task.cancel()
            await asyncio.wait([task])

    same_trace(scenario)


def test_removing_the_reader_leaves_a_call_waiting_for_ever(same_trace):
    async def scenario(trace):
        loop = trace.loop
        left, right = socket.socketpair()
        left.setblocking(False)
        with left, right:
            task = loop.create_task(loop.sock_recv(left, 2))
            await trace.turns(1)
            trace.note("removed", loop.remove_reader(left), loop.remove_reader(left))
            right.send(b"data")
            await trace.turns(3)
            trace.note("done", task.done())
            task.cancel()
            await asyncio.wait([task])

    same_trace(scenario)


def test_reading_and_writing_one_socket_at_once(loop, run, pair):
    left, right = pair
    big = bytes(range(256)) * 1000

    async def send_back(number):
        received = 0
        while received < number:
            data = await loop.sock_recv(right, 5000)
            received += len(data)
            await loop.sock_sendall(right, data)

    async def receive():
        received = bytearray()
        while len(received) < len(big):
            received += await loop.sock_recv(left, 5000)
        return received

    async def main():
        received, *_ = await asyncio.gather(
            receive(), loop.sock_sendall(left, big), send_back(len(big))
        )
        assert received == big
        assert loop.remove_reader(left) is loop.remove_writer(left) is False

    run(main())


OWNED = {
    **READS,
    "sock_sendall": lambda loop, sock: loop.sock_sendall(sock, bytes(1 << 22)),
    "sock_accept": lambda loop, sock: loop.sock_accept(sock),
}


@pytest.mark.parametrize("method", READS | {"sock_sendall": None})
def test_a_socket_of_a_transport_is_refused_once_the_call_must_wait(same_trace, method):
    async def scenario(trace):
        loop = trace.loop
        transport, far = await trace.connect(trace.protocol("near"))
        with far:
            sock = transport.get_extra_info("socket")._sock
            try:
                await OWNED[method](loop, sock)
            except RuntimeError as exc:
                trace.note("refused", str(exc).partition(" is used by")[0])
            transport.close()
            await trace.turns(3)

    assert ["refused", "File descriptor N"] in same_trace(scenario)


def test_a_listener_that_serves_is_not_a_transport(same_trace, tmp_path):
    async def scenario(trace):
        loop = trace.loop
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = await loop.create_server(lambda: trace.protocol("server"), sock=listener)
            task = loop.create_task(loop.sock_accept(listener))
            await trace.turns(2)
            trace.note("done", task.done())
            task.cancel()
            await asyncio.wait([task])
            server.close()

    same_trace(scenario)


def test_keyboard_interrupt_in_a_try_leaves_the_loop_and_the_call_waits_on(loop, pair):
    left, right = pair

    class Interrupted(socket.socket):
        interrupts = 1

        def recv(self, size):
            try:
                return super().recv(size)
            except BlockingIOError:
                raise
            finally:
                if self.armed and self.interrupts:
                    self.interrupts -= 1
                    raise KeyboardInterrupt

        armed = False

    with Interrupted(fileno=left.detach()) as sock:
        sock.setblocking(False)

        async def main():
            task = loop.create_task(loop.sock_recv(sock, 10))
            await asyncio.sleep(0)
            sock.armed = True
            right.send(b"a")
            return await task

        task = loop.create_task(main())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(task)
        right.send(b"b")
        assert loop.run_until_complete(task) == b"b"


def test_a_waiting_call_and_its_socket_are_released_when_the_task_ends(loop, run, pair):
    left, right = pair

    async def main():
        buffer = type("Buffer", (bytearray,), {})(10)
        seen = weakref.ref(buffer)
        task = loop.create_task(loop.sock_recv_into(left, buffer))
        del buffer
        await asyncio.sleep(0)
        right.send(b"data")
        await task
        gc.collect()
        assert seen() is None
        return task

    run(main())


def test_a_loop_that_is_closed_over_a_waiting_call_releases_it(engine, pair):
    left, _ = pair
    loop = engine.new_loop()
    task = loop.create_task(loop.sock_recv(left, 10))
    task._log_destroy_pending = False
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    counted = sys.getrefcount(left)
    del task
    gc.collect()
    assert sys.getrefcount(left) < counted


def test_the_calls_of_a_closed_loop(same_as_stock):
    def scenario(loop, engine):
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            loop.close()
            seen = []
            right.send(b"data")
            for _ in range(2):
                call = loop.sock_recv(left, 10)
                try:
                    call.send(None)
                except StopIteration as exc:
                    seen.append(exc.value)
                except RuntimeError as exc:
                    seen.append(str(exc))
            return seen

    assert same_as_stock(scenario) == ("returned", [b"data", "Event loop is closed"])


def test_a_regular_file_cannot_be_waited_for(same_as_stock, tmp_path):
    """The system call refuses it before anybody waits."""

    def scenario(loop, engine):
        import os

        left, right = socket.socketpair()
        left.setblocking(False)
        fd = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
        with left, right:
            os.dup2(fd, left.fileno())
            os.close(fd)
            loop.run_until_complete(loop.sock_recv(left, 10))

    assert same_as_stock(scenario)[2] == "[Errno 88] Socket operation on non-socket"


def test_a_callback_of_the_future_runs_in_the_context_of_its_adder(loop, run, pair):
    left, right = pair
    variable = contextvars.ContextVar("variable", default="unset")

    async def reader():
        variable.set("reader")
        data = await loop.sock_recv(left, 10)
        return variable.get(), data

    async def main():
        task = loop.create_task(reader())
        await asyncio.sleep(0)
        variable.set("main")
        right.send(b"data")
        assert await task == ("reader", b"data")
        assert variable.get() == "main"

    run(main())


def test_many_waiting_calls_wake_in_the_order_of_their_events(same_trace):
    async def scenario(trace):
        loop = trace.loop
        pairs = [socket.socketpair() for _ in range(6)]
        for left, _ in pairs:
            left.setblocking(False)

        async def read(index):
            trace.note("read", index, await loop.sock_recv(pairs[index][0], 10))
            trace.note("again", index, await loop.sock_recv(pairs[index][0], 10))

        tasks = [loop.create_task(read(index)) for index in range(6)]
        await trace.turns(2)
        for index in (4, 1, 5, 0, 3, 2):
            pairs[index][1].send(b"%d" % index)
        await trace.turns(2)
        for index in (2, 0):
            loop.call_soon(pairs[index][1].send, b"more")
        for index in (5, 3, 1, 4):
            pairs[index][1].send(b"late")
        await asyncio.wait(tasks)
        for left, right in pairs:
            left.close()
            right.close()

    assert len(same_trace(scenario)) == 13


def test_a_task_that_reads_in_a_loop_does_not_starve_timers(loop, run, pair):
    left, right = pair
    fired = []

    async def main():
        loop.call_later(0.01, fired.append, True)
        while not fired:
            right.send(b"x")
            await loop.sock_recv(left, 1)
            await asyncio.sleep(0)

    run(main())


def test_a_read_survives_a_time_out_of_another(loop, run, pair):
    left, right = pair

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.sock_recv(left, 10), 0.001)
        assert loop.remove_reader(left) is False
        right.send(b"data")
        return await asyncio.wait_for(loop.sock_recv(left, 10), 5)

    assert run(main()) == b"data"


def test_the_number_of_a_closed_socket_can_be_waited_for_again(loop, run):
    async def once(index):
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            task = loop.create_task(loop.sock_recv(left, 10))
            await asyncio.sleep(0)
            right.send(b"%d" % index)
            assert await task == b"%d" % index
            return left.fileno()

    async def main():
        return {await once(index) for index in range(5)}

    assert len(run(main())) == 1


def test_a_reader_can_take_over_after_a_call(loop, run, pair):
    """What the call leaves in epoll must not keep the reader from being told, again and again."""
    left, right = pair
    told = []

    async def main():
        task = loop.create_task(loop.sock_recv(left, 10))
        await asyncio.sleep(0)
        right.send(b"data")
        await task
        loop.add_reader(left, told.append, True)
        right.send(b"more")
        for _ in range(4):
            await asyncio.sleep(0)
        assert loop.remove_reader(left) is True
        assert left.recv(10) == b"more"

    run(main())
    assert len(told) >= 2
