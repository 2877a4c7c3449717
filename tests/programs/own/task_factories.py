"""Task factories, eager tasks where Python has them, and subclasses of Task and Future."""

import asyncio
import contextvars
import sys

place = contextvars.ContextVar("place", default="nowhere")


class Counted(asyncio.Task):
    made = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        Counted.made += 1

    def cancel(self, msg=None):
        print("cancel asked of", self.get_name())
        return super().cancel(msg)


class Promise(asyncio.Future):
    label = "promise"


def factory(loop, coro, **kwargs):
    return Counted(coro, loop=loop, **kwargs)


async def work(text, delay=0.0):
    print("start", text, place.get())
    place.set(text)
    await asyncio.sleep(delay)
    print("end", text, place.get())
    return text


async def eager():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)

    async def at_once():
        return asyncio.current_task() is not None

    done = asyncio.create_task(at_once())
    print(done.done(), done.result())
    tasks = [asyncio.create_task(work(f"eager {n}")) for n in range(2)]
    print("created")
    print(await asyncio.gather(*tasks), place.get())
    loop.set_task_factory(None)


async def main():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    print(loop.get_task_factory() is factory)
    context = contextvars.copy_context()
    context.run(place.set, "in a context")
    tasks = [
        asyncio.create_task(work("one"), name="first"),
        loop.create_task(work("two"), context=context),
        asyncio.ensure_future(work("three", 20)),
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    tasks[2].set_name("third")
    tasks[2].cancel()
    print(await asyncio.gather(*tasks, return_exceptions=True), Counted.made, context[place])
    print(all(isinstance(task, Counted) for task in tasks))
    loop.set_task_factory(None)
    promise = Promise(loop=loop)
    loop.call_soon(promise.set_result, "kept")
    print(await promise, promise.label, promise)
    async with asyncio.timeout(1):
        stock = asyncio.Task(work("stock task"), loop=loop, name="stock")
        print(await stock, stock)
    if sys.version_info >= (3, 12):
        await eager()


asyncio.run(main())
