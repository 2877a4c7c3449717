"""Locks, events, conditions, semaphores and barriers: who gets in, in which order."""

import asyncio


async def locked(lock, name, log):
    async with lock:
        log.append(name)
        await asyncio.sleep(0)


async def fairness():
    log = []
    lock = asyncio.Lock()
    await asyncio.gather(*(locked(lock, n, log) for n in range(6)))
    semaphore = asyncio.Semaphore(2)
    await asyncio.gather(*(locked(semaphore, n, log) for n in "abcdef"))
    print(log, lock, semaphore)


async def cancelled_waiter_passes_the_lock_on():
    log = []
    lock = asyncio.Lock()
    await lock.acquire()
    first, second = (asyncio.create_task(locked(lock, n, log)) for n in ("first", "second"))
    await asyncio.sleep(0)
    print(lock)
    lock.release()
    first.cancel()
    await asyncio.wait([first, second])
    print(log, first.cancelled(), lock.locked())
    try:
        lock.release()
    except RuntimeError as error:
        print(error)


async def events():
    event = asyncio.Event()
    log = []

    async def wait(name):
        await event.wait()
        log.append(name)

    tasks = [asyncio.create_task(wait(n)) for n in range(3)]
    await asyncio.sleep(0)
    print(event)
    event.set()
    event.clear()
    await asyncio.gather(*tasks)
    print(log, event.is_set())


async def conditions():
    condition = asyncio.Condition()
    items = []

    async def consume(name):
        async with condition:
            await condition.wait_for(lambda: items)
            print(name, "takes", items.pop(0))

    tasks = [asyncio.create_task(consume(n)) for n in "xyz"]
    await asyncio.sleep(0)
    for item in (1, 2, 3):
        async with condition:
            items.append(item)
            condition.notify()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    try:
        condition.notify()
    except RuntimeError as error:
        print(error)


async def barriers():
    barrier = asyncio.Barrier(3)

    async def arrive(name):
        async with barrier as position:
            print(name, "passes at", position)

    await asyncio.gather(*(arrive(n) for n in "pqr"))
    waiting = asyncio.create_task(barrier.wait())
    await asyncio.sleep(0)
    await barrier.abort()
    try:
        await waiting
    except asyncio.BrokenBarrierError as error:
        print("broken", error.args, barrier.broken, barrier)


async def main():
    await fairness()
    await cancelled_waiter_passes_the_lock_on()
    await events()
    await conditions()
    await barriers()
    bounded = asyncio.BoundedSemaphore(1)
    try:
        bounded.release()
    except ValueError as error:
        print(error)


asyncio.run(main())
