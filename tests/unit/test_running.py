"""Which loop and which task are the running ones, where a program says so in asyncio's place.

trio-asyncio drives asyncio's coroutines itself, without a loop that `_asyncio` takes for running.
"""

import asyncio

import pytest

MAKE = {
    "sleep": lambda package, _: package.sleep(60),
    "wait_for": lambda package, loop: package.wait_for(loop.create_future(), 60),
    "wait": lambda package, loop: package.wait([loop.create_future()]),
    "event": lambda package, _: package.Event().wait(),
    "queue": lambda package, _: package.Queue().get(),
    "semaphore": lambda package, _: package.Semaphore(0).acquire(),
    "barrier": lambda package, _: package.Barrier(2).wait(),
    "open_connection": lambda package, _: package.open_connection("127.0.0.1", 9),
}


@pytest.fixture
def driven(loop, monkeypatch):
    """The loop and a task of it that count as the running ones, though nothing runs."""
    task = loop.create_task(asyncio.sleep(0))
    for module in (asyncio, asyncio.events):
        monkeypatch.setattr(module, "_get_running_loop", lambda: loop)
        monkeypatch.setattr(module, "get_running_loop", lambda: loop)
    for module in (asyncio, asyncio.tasks):
        monkeypatch.setattr(module, "current_task", lambda loop=None: task)
    yield loop
    monkeypatch.undo()
    loop.run_until_complete(task)


@pytest.mark.parametrize("name", MAKE)
def test_what_waits_asks_the_replaced_function(driven, package, name):
    coroutine = MAKE[name](package, driven)
    awaited = coroutine.send(None)
    assert asyncio.isfuture(awaited)
    assert awaited.get_loop() is driven
    coroutine.close()


def test_blocks_ask_the_replaced_functions(driven, package):
    async def blocks():
        async with package.timeout(60), package.TaskGroup():
            return "inside"

    with pytest.raises(StopIteration) as caught:
        blocks().send(None)
    assert caught.value.value == "inside"


def test_without_one_nothing_runs(package):
    coroutine = package.sleep(1)
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        coroutine.send(None)
