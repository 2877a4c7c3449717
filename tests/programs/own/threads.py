"""Threads: work sent out, work sent in, loops side by side, and contexts that travel along."""

import asyncio
import concurrent.futures
import contextvars
import threading

colour = contextvars.ContextVar("colour", default="none")


def work(number):
    if number == 3:
        raise ValueError("three")
    return number * number, colour.get()


async def add(a, b):
    await asyncio.sleep(0)
    return a + b


def ask_from_outside(loop, answers):
    answers.append(asyncio.run_coroutine_threadsafe(add(1, 2), loop).result(10))
    late = asyncio.run_coroutine_threadsafe(asyncio.sleep(20), loop)
    try:
        late.result(0.01)
    except concurrent.futures.TimeoutError:
        answers.append(late.cancel())
    answers.append(type(late.exception).__name__)


async def one_of_many(number):
    await asyncio.sleep(0.001 * number)
    return number, asyncio.current_task().get_coro().__name__, threading.current_thread().name


async def main():
    loop = asyncio.get_running_loop()
    colour.set("red")
    calls = (asyncio.to_thread(work, n) for n in range(5))
    print(await asyncio.gather(*calls, return_exceptions=True))

    answers = []
    await asyncio.to_thread(ask_from_outside, loop, answers)
    print(answers)

    arrived = []
    done = asyncio.Event()

    def arrive(number):
        arrived.append((number, colour.get()))
        if number == 99:
            done.set()

    thread = threading.Thread(
        target=lambda: [loop.call_soon_threadsafe(arrive, n) for n in range(100)]
    )
    thread.start()
    await done.wait()
    thread.join()
    print([n for n, _ in arrived] == list(range(100)), {c for _, c in arrived})

    future = concurrent.futures.Future()
    threading.Timer(0.01, future.set_result, ["from a timer"]).start()
    print(await asyncio.wrap_future(future))


asyncio.run(main())
with concurrent.futures.ThreadPoolExecutor(8, thread_name_prefix="loop") as pool:
    results = pool.map(lambda n: asyncio.run(one_of_many(n)), range(8))
    print(sorted((n, name) for n, name, _ in results))

try:
    asyncio.get_running_loop()
except RuntimeError as error:
    print(error)
closed = asyncio.new_event_loop()
closed.close()
try:
    closed.call_soon_threadsafe(print)
except RuntimeError as error:
    print(error)
