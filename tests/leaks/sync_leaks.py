"""Combinators, locks and queues."""

import asyncio
import concurrent.futures
import contextlib
import gc
import sys

from leak_stage import SENTINEL, batches, raises, returns, scenario


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
