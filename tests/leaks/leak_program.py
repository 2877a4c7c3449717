"""Runs one scenario many times on one engine and prints what was left behind, as JSON.

Usage: leak_program.py ENGINE SCENARIO COUNT. The scenario runs COUNT times to fill caches, free
lists and grown tables, then COUNT times more; what the second half left behind is printed.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import contextvars
import ctypes
import gc
import io
import itertools
import json
import os
import socket
import sys

BATCH = 1000
SCENARIOS = {}


class Sentinel:
    """An object that every scenario passes through the engine; its references are counted."""

    def __call__(self, *args):
        """Serve as a callback too."""


SENTINEL = Sentinel()
CONTEXT = contextvars.copy_context()
LIBC = ctypes.CDLL(None)


def scenario(function):
    """Register a coroutine function `(loop, count)`."""
    SCENARIOS[function.__name__] = function
    return function


def batches(count):
    """`count` in parts of BATCH: so many things are alive at once."""
    return (min(BATCH, count - start) for start in range(0, count, BATCH))


async def returns(value):
    """Yield once and return the value."""
    await asyncio.sleep(0)
    return value


async def raises(value):
    """Yield once and fail."""
    await asyncio.sleep(0)
    raise ValueError(value)


async def waits(future):
    """Wait for the future."""
    return await future


@scenario
async def tasks(loop, count):
    for size in batches(count):
        for task in [loop.create_task(returns(SENTINEL), name="n") for _ in range(size)]:
            await task


@scenario
async def unawaited_tasks(loop, count):
    for size in batches(count):
        for _ in range(size):
            loop.create_task(returns(SENTINEL), context=CONTEXT)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@scenario
async def failed_tasks(loop, count):
    for size in batches(count):
        for task in [loop.create_task(raises(SENTINEL)) for _ in range(size)]:
            with contextlib.suppress(ValueError):
                await task


@scenario
async def cancelled_tasks(loop, count):
    for size in batches(count):
        future = loop.create_future()
        made = [loop.create_task(waits(asyncio.shield(future))) for _ in range(size)]
        await asyncio.sleep(0)
        for task in made:
            task.cancel(SENTINEL)
        await asyncio.wait(made)
        future.cancel()


@scenario
async def tasks_cancelled_before_their_start(loop, count):
    for size in batches(count):
        made = [loop.create_task(returns(SENTINEL)) for _ in range(size)]
        for task in made:
            task.cancel(SENTINEL)
        await asyncio.wait(made)


@scenario
async def sleeping_tasks_cancelled(loop, count):
    for size in batches(count):
        made = [loop.create_task(asyncio.sleep(1000, SENTINEL)) for _ in range(size)]
        await asyncio.sleep(0)
        for task in made:
            task.cancel()
        await asyncio.wait(made)


@scenario
async def tasks_waiting_for_tasks(loop, count):
    for size in batches(count // 2):
        for task in [
            loop.create_task(waits(loop.create_task(returns(SENTINEL)))) for _ in range(size)
        ]:
            await task


@scenario
async def destroyed_pending_tasks(loop, count):
    loop.set_exception_handler(lambda *_: None)
    for size in batches(count):
        for _ in range(size):
            loop.create_task(waits(loop.create_future())).add_done_callback(SENTINEL)
        await asyncio.sleep(0)
        gc.collect()


@scenario
async def tasks_of_a_subclass(loop, count):
    class Own(type(asyncio.current_task())):
        pass

    for size in batches(count):
        for task in [Own(returns(SENTINEL), loop=loop) for _ in range(size)]:
            task.extra = SENTINEL
            await task


@scenario
async def stock_tasks(loop, count):
    for size in batches(count):
        for task in [asyncio.Task(returns(SENTINEL), loop=loop) for _ in range(size)]:
            await task


@scenario
async def eager_tasks(loop, count):
    if sys.version_info < (3, 12):
        return
    make = type(asyncio.current_task())
    for _ in range(count):
        await make(returns(SENTINEL), loop=loop, eager_start=True)


@scenario
async def futures(loop, count):
    for size in batches(count):
        made = [loop.create_future() for _ in range(size)]
        for future in made:
            future.add_done_callback(SENTINEL)
            future.add_done_callback(SENTINEL, context=CONTEXT)
            loop.call_soon(future.set_result, SENTINEL)
        for future in made:
            await future


@scenario
async def failed_futures(loop, count):
    loop.set_exception_handler(lambda *_: None)
    for size in batches(count):
        for number in range(size):
            future = loop.create_future()
            future.set_exception(ValueError(SENTINEL))
            if number % 2:
                with contextlib.suppress(ValueError):
                    await future


@scenario
async def cancelled_futures(loop, count):
    for _ in range(count):
        future = loop.create_future()
        future.add_done_callback(SENTINEL)
        future.remove_done_callback(SENTINEL)
        future.cancel(SENTINEL)
        with contextlib.suppress(asyncio.CancelledError):
            await future


@scenario
async def futures_in_cycles(loop, count):
    for size in batches(count):
        for number in range(size):
            future = loop.create_future()
            future.extra = SENTINEL
            if number % 2:
                future.set_result([future, SENTINEL])
            else:
                future.add_done_callback(lambda _, future=future: future)
        gc.collect()


@scenario
async def futures_of_a_subclass(loop, count):
    class Own(type(loop.create_future())):
        pass

    for _ in range(count):
        future = Own(loop=loop)
        future.extra = SENTINEL
        loop.call_soon(future.set_result, SENTINEL)
        await future


@scenario
async def callbacks(loop, count):
    for size in batches(count):
        for _ in range(size):
            loop.call_soon(SENTINEL, SENTINEL)
            loop.call_soon(SENTINEL, SENTINEL, context=CONTEXT)
            loop.call_soon(SENTINEL, SENTINEL).cancel()
        await asyncio.sleep(0)


@scenario
async def failing_callbacks(loop, count):
    loop.set_exception_handler(lambda *_: None)

    def failing(argument):
        raise ValueError(argument)

    for size in batches(count):
        for _ in range(size):
            loop.call_soon(failing, SENTINEL)
        await asyncio.sleep(0)


@scenario
async def threadsafe_callbacks(loop, count):
    def send(number):
        for _ in range(number):
            loop.call_soon_threadsafe(SENTINEL, SENTINEL)

    for size in batches(count):
        send(size // 2)
        await loop.run_in_executor(None, send, size - size // 2)


@scenario
async def timers(loop, count):
    for size in batches(count):
        for _ in range(size):
            loop.call_later(0, SENTINEL, SENTINEL)
            loop.call_at(0.0, SENTINEL, SENTINEL, context=CONTEXT)
        await asyncio.sleep(0.00001)


@scenario
async def cancelled_timers(loop, count):
    for size in batches(count):
        for handle in [loop.call_later(1000, SENTINEL, SENTINEL) for _ in range(size)]:
            handle.cancel()
        await asyncio.sleep(0)


@scenario
async def short_sleeps(loop, count):
    for size in batches(count):
        await asyncio.gather(*(asyncio.sleep(0.00001, SENTINEL) for _ in range(size)))


@scenario
async def own_sleeps(loop, count):
    sleep = getattr(sys.modules.get("ferrio"), "sleep", asyncio.sleep)
    for size in batches(count):
        made = [loop.create_task(sleep_in(sleep, 0.00001)) for _ in range(size)]
        made += [loop.create_task(sleep_in(sleep, 1000)) for _ in range(size)]
        await asyncio.wait(made[:size])
        for task in made[size:]:
            task.cancel()
        await asyncio.wait(made)


async def sleep_in(sleep, delay):
    """Await that sleep function twice."""
    await sleep(0, SENTINEL)
    return await sleep(delay, SENTINEL)


@scenario
async def gathers_and_groups(loop, count):
    for size in batches(count // 2):
        await asyncio.gather(*(returns(SENTINEL) for _ in range(size)))
        async with asyncio.TaskGroup() as group:
            for _ in range(size):
                group.create_task(returns(SENTINEL))


def lock_classes(loop):
    """The module whose locks are native where the loop is."""
    if isinstance(loop, asyncio.SelectorEventLoop) and type(loop).__module__.startswith("asyncio"):
        return asyncio
    import ferrio

    return ferrio


async def hold(lock, condition):
    """Acquire, wait, notify the next."""
    async with lock:
        await asyncio.sleep(0)
    async with condition:
        await condition.wait()
        condition.notify()


@scenario
async def locks(loop, count):
    """Held, waited for by those who get them and by those who are cancelled, and in cycles."""
    module = lock_classes(loop)
    for size in batches(count // 10):
        lock, event, condition = module.Semaphore(3), module.Event(), module.Condition()
        holders = [loop.create_task(hold(lock, condition)) for _ in range(size)]
        waiters = [loop.create_task(event.wait()) for _ in range(size)]
        while len(condition._waiters) < size:
            await asyncio.sleep(0)
        for waiter in waiters[::2]:
            waiter.cancel()
        event.set()
        async with condition:
            condition.notify()
        await asyncio.gather(*holders, *waiters, return_exceptions=True)
        barrier = module.Barrier(size)
        await asyncio.gather(*(barrier.wait() for _ in range(size)))
        for kind in (module.Lock, module.Event, module.Condition, module.BoundedSemaphore):
            for _ in range(size):
                lock = kind()
                lock.itself, lock.sentinel, lock.repr = lock, SENTINEL, lock.__repr__
    gc.collect()


@scenario
async def timeouts(loop, count):
    for _ in range(count // 4):
        async with asyncio.timeout(1000):
            await returns(SENTINEL)
        await asyncio.wait_for(returns(SENTINEL), 1000)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(1000)


@scenario
async def native_combinators(loop, count):
    import ferrio

    for size in batches(count // 4):
        await ferrio.gather(*(returns(SENTINEL) for _ in range(size)))
        await ferrio.gather(*(raises(SENTINEL) for _ in range(size)), return_exceptions=True)
        for completed in ferrio.as_completed([returns(SENTINEL) for _ in range(size)]):
            await completed
        async with ferrio.TaskGroup() as group:
            for _ in range(size):
                group.create_task(returns(SENTINEL))


@scenario
async def native_waits(loop, count):
    import ferrio

    first, later = asyncio.FIRST_COMPLETED, loop.create_future()
    for size in batches(count // 2):
        await ferrio.wait([loop.create_task(returns(SENTINEL)) for _ in range(size)], timeout=1000)
        for _ in range(size // 10):
            quick = loop.create_task(returns(SENTINEL))
            await ferrio.wait([quick, later], return_when=first)
            waiting = loop.create_task(ferrio.wait([later], timeout=1000))
            await asyncio.sleep(0)
            waiting.cancel()
            await ferrio.wait([waiting])
            await ferrio.wait([later], timeout=0)
    later.cancel()


@scenario
async def native_thread_calls(loop, count):
    import ferrio

    for size in batches(count // 8):
        sources = [concurrent.futures.Future() for _ in range(size)]
        wrapped = [ferrio.wrap_future(source) for source in sources]
        for number, source in enumerate(sources):
            if number % 3 == 0:
                source.set_result(SENTINEL)
            elif number % 3 == 1:
                source.set_exception(ValueError(SENTINEL))
            else:
                wrapped[number].cancel()
        await asyncio.gather(*wrapped, return_exceptions=True)
        submitted = [
            ferrio.run_coroutine_threadsafe((returns, raises)[number % 2](SENTINEL), loop)
            for number in range(size)
        ]
        submitted[0].cancel()
        await asyncio.gather(*map(ferrio.wrap_future, submitted), return_exceptions=True)
    for _ in range(count // 50):
        await ferrio.to_thread(int, "5", base=10)


@scenario
async def native_combinators_that_fail(loop, count):
    import ferrio

    for _ in range(count // 20):
        with contextlib.suppress(ExceptionGroup):
            async with ferrio.TaskGroup() as group:
                group.create_task(raises(SENTINEL))
                group.create_task(asyncio.sleep(1000))
        gathered = ferrio.gather(asyncio.sleep(1000), returns(SENTINEL))
        gathered.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gathered
        with contextlib.suppress(TimeoutError):
            async with ferrio.timeout(0.00001):
                await loop.create_future()
        with contextlib.suppress(TimeoutError):
            await ferrio.wait_for(loop.create_future(), 0.00001)
        with contextlib.suppress(TimeoutError):
            for completed in ferrio.as_completed([loop.create_future()], timeout=0.00001):
                await completed
        async with ferrio.timeout(1000) as timeout:
            timeout.reschedule(loop.time() + 2000)
        await ferrio.wait_for(returns(SENTINEL), 1000)


@scenario
async def queues(loop, count):
    engine = sys.modules.get("ferrio", asyncio)
    jobs = engine.Queue(10)
    for size in batches(count):
        getters = [loop.create_task(jobs.get()) for _ in range(size // 2)]
        await asyncio.sleep(0)
        putters = [loop.create_task(jobs.put(SENTINEL)) for _ in range(size)]
        for getter in getters[::4]:
            getter.cancel()
        await asyncio.wait(getters)
        for putter in putters[-10:]:
            putter.cancel()
        while not jobs.empty():
            await jobs.get()
            jobs.task_done()
            await asyncio.sleep(0)
        await asyncio.wait(putters)
        for made in (engine.Queue(), engine.LifoQueue(), engine.Queue()):
            made.put_nowait((SENTINEL, made))
            made.itself = made._getters


@scenario
async def readers(loop, count):
    left, right = socket.socketpair()
    with left, right:
        right.send(b"x")
        for _ in range(count // 4):
            loop.add_reader(left, SENTINEL, SENTINEL)
            loop.add_reader(left, SENTINEL, SENTINEL)
            loop.add_writer(left, SENTINEL, SENTINEL)
            await asyncio.sleep(0)
            loop.remove_writer(left)
            loop.remove_reader(left)


@scenario
async def socket_calls(loop, count):
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    right.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data, buffer = bytes(40_000), bytearray(50_000)
    with left, right:
        for _ in range(count // 8):
            await loop.sock_sendall(right, b"x")
            await loop.sock_recv(left, 100)
            reading = loop.create_task(loop.sock_recv_into(left, buffer))
            await asyncio.sleep(0)
            await loop.sock_sendall(right, b"x")
            await reading
            cancelled = loop.create_task(loop.sock_recv(left, 1 << 16))
            await asyncio.sleep(0)
            cancelled.cancel()
            loop.sock_recv(left, 1).close()
            with contextlib.suppress(OSError):
                await loop.sock_accept(left)
            with contextlib.suppress(ValueError):
                await loop.sock_recvfrom(left, -1)
        for _ in range(count // 100):
            sending = loop.create_task(loop.sock_sendall(right, data))
            received = 0
            while received < len(data):
                received += len(await loop.sock_recv(left, 1 << 16))
            await sending


@scenario
async def accepted_sockets(loop, count):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for _ in range(count // 50):
            with socket.socket() as client:
                client.setblocking(False)
                accepting = loop.create_task(loop.sock_accept(listener))
                await asyncio.sleep(0)
                await loop.sock_connect(client, listener.getsockname())
                server, _ = await accepting
                with server:
                    # No connection of the scenario stays in TIME_WAIT.
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class Connected(asyncio.Protocol):
    """The end of a connection that is made."""

    def __init__(self):
        self.extra = SENTINEL

    def connection_made(self, transport):
        self.transport = transport


def no_protocol():
    """A protocol factory that fails."""
    raise ValueError(SENTINEL)


def reset_accepted(listener):
    """End what waits at the listener without a connection that stays in TIME_WAIT."""
    with contextlib.suppress(BlockingIOError):
        while True:
            with listener.accept()[0] as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@scenario
async def connections(loop, count):
    """Made, refused, cancelled after each turn, and without a protocol."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as closed:
        listener.setblocking(False)
        closed.bind(("127.0.0.1", 0))
        for number in range(count // 40):
            address = listener.getsockname()
            transport, _ = await loop.create_connection(Connected, *address)
            transport.abort()
            with contextlib.suppress(ConnectionRefusedError):
                await loop.create_connection(Connected, *closed.getsockname())
            with contextlib.suppress(ValueError):
                await loop.create_connection(no_protocol, *address)
            connecting = loop.create_task(loop.create_connection(Connected, *address))
            for _ in range(number % 6):
                await asyncio.sleep(0)
            if not connecting.cancel():
                connecting.result()[0].abort()
            await asyncio.wait([connecting])
            reset_accepted(listener)
            await asyncio.sleep(0)


class Answers(asyncio.DatagramProtocol):
    """Sends every datagram back, or sets `self.answer`."""

    answer = None
    error_received = SENTINEL

    def connection_made(self, transport):
        self.transport = transport
        self.extra = SENTINEL

    def datagram_received(self, data, addr):
        if self.answer is None:
            self.transport.sendto(data, addr)
        else:
            self.answer.set_result(SENTINEL)


@scenario
async def datagrams(loop, count):
    local = {"local_addr": ("127.0.0.1", 0)}
    there, _ = await loop.create_datagram_endpoint(Answers, **local)
    address = there.get_extra_info("sockname")
    here, protocol = await loop.create_datagram_endpoint(Answers, **local)
    for number in range(count // 4):
        protocol.answer = loop.create_future()
        data = bytes(number % 2000 + 1)
        here.sendto(data if number % 2 else bytearray(data), tuple(address))
        await protocol.answer
    here.sendto(bytes(70_000), address)
    here.close()
    there.close()
    await asyncio.sleep(0)


@scenario
async def datagram_endpoints(loop, count):
    for number in range(count // 20):
        far, near = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        with far:
            far.bind("")
            near.bind("")
            near.connect(far.getsockname())
            far.connect(near.getsockname())
            transport, _ = await loop.create_datagram_endpoint(Answers, sock=near)
            transport.extra = SENTINEL
            far.send(b"x")
            if number % 2:
                await asyncio.sleep(0)
                transport.close()
            else:
                for _ in range(20):  # more than the other end's queue takes
                    transport.sendto(b"data")
                transport.abort()
            await asyncio.sleep(0)


@scenario
async def pipes(loop, count):
    """Transports of both ends of pipes, with data left unread and unwritten."""

    class Reading(asyncio.Protocol):
        sentinel = SENTINEL

    for number in range(count // 10):
        reading, writing = os.pipe()
        near, _ = await loop.connect_read_pipe(Reading, io.FileIO(reading, "r"))
        far, _ = await loop.connect_write_pipe(Reading, io.FileIO(writing, "w"))
        far.write(b"x" * (100_000 if number % 3 else 10))
        await asyncio.sleep(0)
        if number % 2:
            far.abort()
        near.close()
        far.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@scenario
async def children(loop, count):
    """Short-lived child processes, a few of them killed."""
    for number in range(count // 100):
        process = await asyncio.create_subprocess_exec(
            "/bin/cat", stdin=-1, stdout=-1, stderr=asyncio.subprocess.DEVNULL
        )
        if number % 4:
            await process.communicate(b"text")
        else:
            process.kill()
            await process.communicate()


@scenario
async def executor_calls(loop, count):
    for size in batches(count // 10):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            made = [loop.run_in_executor(pool, SENTINEL, SENTINEL) for _ in range(size)]
            await asyncio.gather(*made)


@scenario
async def default_executor_calls(loop, count):
    for size in batches(count // 10):
        made = [loop.run_in_executor(None, SENTINEL, SENTINEL) for _ in range(size)]
        made[0].cancel()
        await asyncio.wait(made)
        await asyncio.to_thread(SENTINEL, SENTINEL)


@scenario
async def failing_executor_calls(loop, count):
    def fails(argument):
        raise ValueError(argument)

    for size in batches(count // 20):
        made = [loop.run_in_executor(None, fails, SENTINEL) for _ in range(size)]
        await asyncio.gather(*made, return_exceptions=True)


@scenario
async def cancelled_executor_calls(loop, count):
    for size in batches(count // 20):
        pool = concurrent.futures.ThreadPoolExecutor(1)
        made = [loop.run_in_executor(pool, SENTINEL, SENTINEL) for _ in range(size)]
        pool.shutdown(cancel_futures=True)
        await asyncio.wait(made)


@scenario
async def async_generators(loop, count):
    async def generator():
        yield SENTINEL
        yield SENTINEL

    for _ in range(count // 4):
        async for _ in generator():
            break


@scenario
async def current_tasks(loop, count):
    for _ in range(count):
        asyncio.current_task()
    for _ in range(count // 1000):
        asyncio.all_tasks()


@scenario
async def numeric_names(loop, count):
    for number in range(count // 20):
        port = 1000 + number  # no small number: an object of its own
        await loop.getaddrinfo("127.0.0.1", port)
        await loop.getaddrinfo(b"2001:DB8::1", str(port), type=socket.SOCK_STREAM)
        with contextlib.suppress(socket.gaierror):
            await loop.getaddrinfo("::1", port, family=socket.AF_INET)
        await loop._ensure_resolved(("::1", port, SENTINEL), loop=loop)


def measure():
    """What is alive now, after full collections."""
    for _ in range(3):
        gc.collect()
    LIBC.malloc_trim(0)
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return {
        "sentinel": sys.getrefcount(SENTINEL),
        "context": sys.getrefcount(CONTEXT),
        "none": sys.getrefcount(None),
        "blocks": sys.getallocatedblocks(),
        "rss": pages * os.sysconf("SC_PAGESIZE"),
        "fds": len(os.listdir("/proc/self/fd")),
        "types": collections.Counter(type(item).__name__ for item in gc.get_objects()),
    }


def new_loops(engine):
    """The function that makes loops of the engine."""
    if engine == "ferrio":
        import ferrio

        return ferrio.new_event_loop
    return asyncio.SelectorEventLoop


def run_loops(new_loop, count):
    """The scenario that needs loops of its own: make, run and close one after another."""
    for _ in range(count // 20):
        loop = new_loop()
        loop.call_soon(SENTINEL)
        loop.call_later(1000, SENTINEL, SENTINEL)
        loop.run_until_complete(returns(SENTINEL))
        loop.close()


def main(engine, name, count):
    """Run the scenario and print the difference that a later run made.

    What leaks grows in every run. RSS alone also grows now and then, when the allocator starts on
    an arena that it did not need before, so its growth is the smallest of several runs.
    """
    new_loop = new_loops(engine)
    loop = None if name == "loops" else new_loop()
    found = [measure()]  # the first measurement fills caches of its own
    for _ in range(5):
        if loop is None:
            run_loops(new_loop, count)
        else:
            loop.run_until_complete(SCENARIOS[name](loop, count))
            loop.run_until_complete(loop.shutdown_asyncgens())
        found.append(measure())
        if len(found) > 2 and found[-1]["rss"] <= found[-2]["rss"]:
            break
    before, after = found[1:3]
    grown = {key: after[key] - before[key] for key in before if key != "types"}
    grown["types"] = dict(after["types"] - before["types"])
    later = found[1:]
    grown["rss"] = min(b["rss"] - a["rss"] for a, b in itertools.pairwise(later))
    print(json.dumps(grown))
    if loop is not None:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
