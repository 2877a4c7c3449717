"""Wrong arguments and wrong moments: which exception, with which text."""

import asyncio
import warnings

warnings.simplefilter("ignore", RuntimeWarning)


def refused(call, *args, **kwargs):
    try:
        print("accepted", call(*args, **kwargs))
    except Exception as error:
        print(type(error).__name__, error)


async def nothing():
    pass


async def twice():
    coroutine = nothing()
    await coroutine
    await coroutine


async def itself():
    await asyncio.current_task()


async def foreign():
    other = asyncio.new_event_loop()
    try:
        await other.create_future()
    finally:
        other.close()


class Odd:
    def __init__(self, yielded):
        self.yielded = yielded

    def __await__(self):
        yield self.yielded


async def awaits(odd):
    return await odd


async def main():
    loop = asyncio.get_running_loop()
    for wrong in (None, 3, nothing, print):
        refused(loop.create_task, wrong)
        refused(asyncio.Task, wrong, loop=loop)
        refused(asyncio.ensure_future, wrong)
    refused(loop.call_later, None, print)
    refused(loop.call_later, "1", print)
    refused(loop.call_at, None, print)
    refused(loop.call_soon)
    refused(loop.call_soon, print, unknown=1)
    refused(loop.run_until_complete, None)
    for coroutine in (twice(), itself(), foreign(), awaits(Odd(3)), awaits(Odd("text"))):
        task = asyncio.create_task(coroutine)
        await asyncio.wait([task])
        print(type(task.exception()).__name__, task.exception())
    print(await awaits(Odd(None)))
    future = loop.create_future()
    refused(future.result)
    refused(future.exception)
    refused(future.set_exception, 3)
    refused(future.set_exception, StopIteration)
    refused(future.set_exception, StopIteration())
    future = loop.create_future()
    future.set_result(1)
    refused(future.set_result, 2)
    refused(future.set_exception, ValueError())
    refused(future.add_done_callback)
    print(future.remove_done_callback(print), future.cancel(), future)
    task = asyncio.current_task()
    refused(task.set_exception, ValueError())
    refused(task.set_name)
    refused(loop.set_task_factory, "wrong")
    print(task.get_stack()[-1].f_code.co_name, task.get_coro().__name__, loop.get_task_factory())


asyncio.run(main())
for call in (asyncio.current_task, asyncio.all_tasks, asyncio.get_running_loop):
    refused(call)
