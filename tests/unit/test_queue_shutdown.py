"""`Queue.shutdown()`: stock's from 3.13 on, Ferrio's on every Python."""

import asyncio
import sys

import pytest

STOCK = pytest.param(
    "asyncio",
    marks=pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio has it from 3.13 on"),
)


@pytest.fixture(params=[STOCK, "ferrio"])
def queues(request):
    """The module whose classes are under test."""
    if request.param == "asyncio":
        return asyncio
    import ferrio

    return ferrio


@pytest.fixture(params=["Queue", "LifoQueue", "PriorityQueue", "subclass"])
def queue_class(request, queues):
    """Each class under test, and one of the program's own."""
    if request.param != "subclass":
        return getattr(queues, request.param)

    class Own(queues.Queue):
        def _put(self, item):
            self._queue.append(item)

    return Own


def test_puts_are_refused_and_items_can_still_be_got(run_main, queues, queue_class):
    async def main():
        queue = queue_class()
        queue.put_nowait(1)
        queue.put_nowait(2)
        assert queue.shutdown() is None
        for put in (queue.put, queue.put_nowait):
            with pytest.raises(queues.QueueShutDown) as caught:
                await put(3)
            assert caught.value.args == ()
        got = {await queue.get(), queue.get_nowait()}
        with pytest.raises(queues.QueueShutDown):
            queue.get_nowait()
        with pytest.raises(queues.QueueShutDown):
            await queue.get()
        queue.task_done()
        queue.task_done()
        await queue.join()
        return got, str(queue).endswith("maxsize=0 shutdown>"), queue._is_shutdown

    assert run_main(main) == ({1, 2}, True, True)


def test_at_once_it_drops_the_items_and_ends_join(run_main, queues, queue_class):
    async def main():
        queue = queue_class()
        for item in range(3):
            queue.put_nowait(item)
        joining = asyncio.create_task(queue.join())
        await asyncio.sleep(0)
        queue.get_nowait()
        queue.shutdown(immediate=True)
        assert queue.empty()
        await asyncio.sleep(0)
        assert not joining.done()
        queue.task_done()
        await joining
        with pytest.raises(queues.QueueShutDown):
            await queue.get()
        with pytest.raises(ValueError, match="called too many times"):
            queue.task_done()

    run_main(main)


@pytest.mark.parametrize("immediate", [False, True])
def test_everyone_who_waits_is_woken_in_order(run_main, queues, queue_class, immediate):
    async def main():
        queue, log = queue_class(1), []

        async def note(name, coroutine):
            try:
                log.append((name, await coroutine))
            except queues.QueueShutDown:
                log.append(name)

        getters = [asyncio.create_task(note(f"get {n}", queue.get())) for n in range(2)]
        await asyncio.sleep(0)
        queue.shutdown(immediate)
        await asyncio.gather(*getters)
        queue = queue_class(1)
        queue.put_nowait("item")
        putters = [asyncio.create_task(note(f"put {n}", queue.put(n))) for n in range(2)]
        await asyncio.sleep(0)
        queue.shutdown(immediate)
        await asyncio.gather(*putters)
        return log

    assert run_main(main) == ["get 0", "get 1", "put 0", "put 1"]


def test_the_exception_is_asyncios_where_there_is_one():
    import ferrio

    assert issubclass(ferrio.QueueShutDown, Exception)
    assert ferrio.QueueShutDown.__name__ == "QueueShutDown"
    if sys.version_info >= (3, 13):
        assert ferrio.QueueShutDown is asyncio.QueueShutDown
    else:
        assert ferrio.QueueShutDown.__module__ == "ferrio"
