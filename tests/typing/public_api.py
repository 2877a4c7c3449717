"""The public API as a typed program uses it. Checked by `mypy --strict`, never run."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, assert_type

import ferrio


async def answer() -> int:
    await ferrio.sleep(0)
    nap: Coroutine[Any, Any, None] = ferrio.sleep(0.1)
    await nap
    assert_type(await ferrio.sleep(0.1, "later"), str)
    return 42


def ways_to_run() -> None:
    assert_type(ferrio.run(answer()), int)
    assert_type(ferrio.run(answer(), debug=True), int)
    with ferrio.Runner(debug=None) as runner:
        assert_type(runner.run(answer(), context=contextvars.copy_context()), int)
        assert_type(runner.get_loop(), asyncio.AbstractEventLoop)
    with asyncio.Runner(loop_factory=ferrio.new_event_loop) as stock_runner:
        assert_type(stock_runner.run(answer()), int)
    ferrio.install()
    ferrio.uninstall()
    assert_type(ferrio.build_info(), dict[str, str])


def a_loop_is_an_asyncio_loop() -> None:
    loop = ferrio.new_event_loop()
    assert_type(loop, ferrio.EventLoop)
    selector_loop: asyncio.SelectorEventLoop = loop
    assert_type(selector_loop.run_until_complete(answer()), int)
    assert_type(loop.time(), float)
    loop.close()


def callbacks_keep_their_argument_types(loop: ferrio.EventLoop) -> None:
    def greet(name: str, times: int) -> None: ...

    assert_type(loop.call_soon(greet, "a", 1), ferrio.Handle)
    assert_type(loop.call_soon_threadsafe(greet, "a", 1), ferrio.Handle)
    assert_type(loop.call_later(0.5, greet, "a", 1), ferrio.TimerHandle)
    assert_type(loop.call_at(0.5, greet, "a", 1).when(), float)
    loop.call_soon(greet, 1, "a")  # type: ignore[arg-type]
    loop.add_reader(0, greet, "a", 1)
    assert_type(loop.remove_reader(0), bool)


def futures_and_tasks_are_asyncio_ones(loop: ferrio.EventLoop) -> None:
    assert_type(loop.create_future(), ferrio.Future[Any])
    future: ferrio.Future[str] = ferrio.Future(loop=loop)
    stock_future: asyncio.Future[str] = future
    future.set_result("done")
    future.set_result(1)  # type: ignore[arg-type]
    assert_type(stock_future.result(), str)

    task = ferrio.Task(answer(), loop=loop, name="answer")
    assert_type(task, ferrio.Task[int])
    stock_task: asyncio.Task[int] = task
    assert_type(stock_task.result(), int)
    assert_type(loop.create_task(answer()), asyncio.Task[int])


async def queues_are_asyncio_ones(loop: ferrio.EventLoop) -> None:
    queue = ferrio.Queue[int](maxsize=2)
    stock_queue: asyncio.Queue[int] = queue
    queue.put_nowait("one")  # type: ignore[arg-type]
    assert_type(await stock_queue.get(), int)
    jobs: asyncio.PriorityQueue[tuple[int, str]] = ferrio.PriorityQueue()
    assert_type(jobs.get_nowait(), tuple[int, str])
    last: asyncio.LifoQueue[str] = ferrio.LifoQueue()
    try:
        queue.shutdown(immediate=True)
        last.put_nowait(await last.get())
    except ferrio.QueueShutDown:
        await queue.join()


class LoudTask(ferrio.Task[int]):
    def cancel(self, msg: object = None) -> bool:
        return super().cancel(msg)


class QuietLoop(ferrio.EventLoop):
    def call_exception_handler(self, context: dict[str, Any]) -> None: ...


def a_subclass_is_a_loop(loop: QuietLoop) -> None:
    assert_type(loop.create_future(), ferrio.Future[Any])


def policies() -> None:
    policy = ferrio.EventLoopPolicy()
    assert_type(policy.new_event_loop(), asyncio.AbstractEventLoop)


async def the_names_of_asyncio_are_here(loop: ferrio.EventLoop) -> None:
    tasks = [ferrio.create_task(answer()), loop.create_task(answer())]
    done, pending = await ferrio.wait(tasks, return_when=ferrio.FIRST_COMPLETED)
    assert_type(done | pending, set[asyncio.Task[int]])
    assert_type(await ferrio.to_thread(len, "four"), int)
    outer = ferrio.run_coroutine_threadsafe(answer(), loop)
    assert_type(await ferrio.wrap_future(outer), int)
    assert_type(await ferrio.gather(answer(), answer()), tuple[int, int])
    try:
        await ferrio.create_subprocess_exec("true", stdin=ferrio.subprocess.PIPE)
    except ferrio.CancelledError:
        ferrio.log.logger.info("cancelled")
    print(ferrio.no_such_name)  # type: ignore[attr-defined]
