"""Where a coroutine of asyncio's stands, as reprs of tasks, `print_stack` and monitors show it."""

import asyncio
import inspect
import io
import linecache
import socket
import threading

import pytest


class Parts:
    """What the coroutines under test belong to; none of them can go on at once."""

    def __init__(self, package, loop):
        self.package, self.loop = package, loop
        self.empty, self.full = package.Queue(), package.Queue(1)
        self.full.put_nowait("item")
        self.lock = package.Lock()
        self.event, self.semaphore = package.Event(), package.Semaphore(0)
        self.condition = package.Condition()
        self.barrier = package.Barrier(2)
        self.reader = package.StreamReader(loop=loop)
        self.sockets = socket.socketpair()
        for each in self.sockets:
            each.setblocking(False)
        self.future = loop.create_future()
        self.over = threading.Event()

    async def hold(self):
        await self.lock.acquire()
        await self.condition.acquire()

    def close(self):
        self.over.set()
        for each in self.sockets:
            each.close()


# What makes each coroutine, and the line of asyncio's where it waits.
WAITING = {
    "Queue.get": (lambda parts: parts.empty.get(), "await getter"),
    "Queue.put": (lambda parts: parts.full.put("item"), "await putter"),
    "Queue.join": (lambda parts: parts.full.join(), "await self._finished.wait()"),
    "Lock.acquire": (lambda parts: parts.lock.acquire(), "await fut"),
    "Event.wait": (lambda parts: parts.event.wait(), "await fut"),
    "Semaphore.acquire": (lambda parts: parts.semaphore.acquire(), "await fut"),
    "Condition.wait_for": (lambda parts: parts.condition.wait_for(bool), "await self.wait()"),
    "Barrier.wait": (lambda parts: parts.barrier.wait(), "await self._wait()"),
    "StreamReader.read": (
        lambda parts: parts.reader.read(1),
        "await self._wait_for_data('read')",
    ),
    "StreamReader.readexactly": (
        lambda parts: parts.reader.readexactly(1),
        "await self._wait_for_data('readexactly')",
    ),
    "StreamReader.readuntil": (
        lambda parts: parts.reader.readuntil(b"."),
        "await self._wait_for_data('readuntil')",
    ),
    "StreamReader.readline": (
        lambda parts: parts.reader.readline(),
        "line = await self.readuntil(sep)",
    ),
    "sleep": (lambda parts: parts.package.sleep(60), "return await future"),
    "wait": (
        lambda parts: parts.package.wait([parts.future]),
        "return await _wait(fs, timeout, return_when, loop)",
    ),
    "to_thread": (
        lambda parts: parts.package.to_thread(parts.over.wait),
        "return await loop.run_in_executor(None, func_call)",
    ),
    "BaseSelectorEventLoop.sock_recv": (
        lambda parts: parts.loop.sock_recv(parts.sockets[0], 1),
        "return await fut",
    ),
}


@pytest.fixture
def parts(loop, run, package):
    async def make():
        parts = Parts(package, loop)
        await parts.hold()
        return parts

    parts = run(make())
    yield parts
    parts.close()


def line_of(frame):
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()


@pytest.fixture(params=WAITING)
def name(request):
    return request.param


def test_one_that_has_not_begun_stands_at_its_definition(parts, name):
    coroutine = WAITING[name][0](parts)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    code, frame = coroutine.cr_code, coroutine.cr_frame
    assert frame.f_lineno == code.co_firstlineno
    assert line_of(frame).startswith(f"async def {coroutine.__name__}(")
    assert frame.f_code.co_qualname == code.co_qualname == name
    assert frame.f_back is None
    coroutine.close()
    assert coroutine.cr_frame is None


def test_one_that_waits_stands_where_asyncios_does(parts, run, name):
    make, line = WAITING[name]

    async def main():
        task = asyncio.create_task(make(parts))
        await asyncio.sleep(0)
        coroutine = task.get_coro()
        file, place = coroutine.cr_code.co_filename, coroutine.cr_frame.f_lineno
        assert line_of(coroutine.cr_frame) == line
        assert f"coro=<{name}() running at {file}:{place}>" in repr(task)
        assert [frame.f_lineno for frame in task.get_stack()] == [place]
        text = io.StringIO()
        task.print_stack(file=text)
        assert f'  File "{file}", line {place}, in {coroutine.__name__}\n' in text.getvalue()
        task.cancel()
        await asyncio.wait([task])
        definition = coroutine.cr_code.co_firstlineno
        assert f"coro=<{name}() done, defined at {file}:{definition}>" in repr(task)

    run(main())


def test_each_wait_of_one_has_its_place(parts, run, package):
    condition = package.Condition()

    async def main():
        await condition.acquire()
        coroutine = condition.wait()
        task = asyncio.create_task(coroutine)
        await asyncio.sleep(0)
        assert line_of(coroutine.cr_frame) == "await fut"
        await condition.acquire()
        condition.notify()
        await asyncio.sleep(0)
        assert line_of(coroutine.cr_frame) == "await self.acquire()"
        condition.release()
        await task

    run(main())


def test_a_sleep_of_no_time_has_its_own_place(run, package):
    async def main():
        task = asyncio.create_task(package.sleep(0))
        await asyncio.sleep(0)
        assert line_of(task.get_coro().cr_frame) == "await __sleep0()"
        await task

    run(main())


def test_one_whose_function_a_program_has_replaced(run, package, monkeypatch):
    """The code of another function is not shown as its own."""
    if package is asyncio:
        pytest.skip("stock's coroutine carries its code")

    async def sleep(delay):
        raise AssertionError(delay)

    coroutine = package.sleep(0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio.tasks, "sleep", sleep)
    monkeypatch.setattr(asyncio.streams, "sleep", sleep)
    assert coroutine.cr_code is None
    assert coroutine.cr_frame is None
    coroutine.close()


def test_a_special_method_that_is_a_slot(loop, run, package):
    """`async for` over a reader: the native class, which `install()` puts there, has no code."""
    coroutine = package.StreamReader(loop=loop).__anext__()
    assert coroutine.cr_code.co_qualname == "StreamReader.__anext__"
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    coroutine.close()


def test_what_is_left_to_a_coroutine_of_stock_stands_once(run, package):
    async def main():
        waiting = asyncio.create_task(package.wait_for(package.sleep(60), 0))
        await asyncio.sleep(0)
        coroutine = waiting.get_coro()
        frames = []
        while coroutine is not None:
            if getattr(coroutine, "cr_frame", None):
                frames.append(coroutine.cr_frame.f_code.co_name)
            coroutine = getattr(coroutine, "cr_await", None)
        waiting.cancel()
        await asyncio.wait([waiting])
        return frames.count("wait_for")

    assert run(main()) <= 1
