"""Callbacks, timers, executors, and what else a loop is asked for."""

import asyncio
import concurrent.futures
import contextlib
import socket
import sys

from leak_stage import CONTEXT, SENTINEL, batches, scenario


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
