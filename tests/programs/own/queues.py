"""Queues: order, limits, join, cancellation of a getter and of a putter."""

import asyncio
import sys


async def produce(queue, count):
    for number in range(count):
        await queue.put(number)
        print("put", number, queue.qsize())
    await queue.put(None)


async def consume(queue, name):
    while (item := await queue.get()) is not None:
        print(name, "got", item)
        queue.task_done()
        await asyncio.sleep(0)
    queue.put_nowait(None)
    queue.task_done()


async def orders():
    for kind in (asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue):
        queue = kind()
        for item in (3, 1, 2):
            queue.put_nowait(item)
        print(kind.__name__, [queue.get_nowait() for _ in range(3)], queue)
        try:
            queue.get_nowait()
        except asyncio.QueueEmpty as error:
            print(repr(error))


async def cancellations():
    queue = asyncio.Queue(1)
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    getters[0].cancel()
    queue.put_nowait("for the second")
    print(await getters[1], getters[0].cancelled())
    getters[2].cancel()
    await asyncio.wait([getters[2]])
    queue.put_nowait("kept")
    putter = asyncio.create_task(queue.put("late"))
    await asyncio.sleep(0)
    print(queue)
    try:
        queue.put_nowait("too much")
    except asyncio.QueueFull as error:
        print(repr(error))
    print(await queue.get(), await putter, await queue.get())
    try:
        for _ in range(9):
            queue.task_done()
    except ValueError as error:
        print(error)


async def shutdowns():
    queue = asyncio.Queue()
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.shutdown()
    print(await asyncio.gather(getter, queue.put(1), return_exceptions=True))


async def main():
    queue = asyncio.Queue(2)
    await asyncio.gather(produce(queue, 6), consume(queue, "c1"), consume(queue, "c2"))
    await orders()
    await cancellations()
    if sys.version_info >= (3, 13):
        await shutdowns()
    queue = asyncio.Queue()
    workers = [asyncio.create_task(consume(queue, f"w{n}")) for n in range(2)]
    for number in range(5):
        queue.put_nowait(number)
    await queue.join()
    for worker in workers:
        worker.cancel()
    print(await asyncio.gather(*workers, return_exceptions=True))


asyncio.run(main())
