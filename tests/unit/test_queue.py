"""`Queue`, stock's and the native one, on both loops: the order of items, waiters and wake-ups."""

import asyncio
import gc
import re
import weakref

import pytest
from small_coroutines import turns


@pytest.fixture(params=["Queue", "LifoQueue", "PriorityQueue"])
def queue_class(request, package):
    """Each class under test."""
    return getattr(package, request.param)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Queue", [2, 3, 1]), ("LifoQueue", [1, 3, 2]), ("PriorityQueue", [1, 2, 3])],
)
def test_items_come_out_in_the_order_of_the_class(run_main, package, name, expected):
    async def main():
        queue = getattr(package, name)()
        for item in (2, 3, 1):
            assert await queue.put(item) is None
        return [await queue.get() for _ in range(3)]

    assert run_main(main) == expected


def test_a_getter_that_comes_before_a_woken_one_overtakes_it(run_main, package):
    async def main():
        queue, log = package.Queue(), []

        async def get(name):
            log.append((name, await queue.get()))

        first = asyncio.create_task(get("first"))
        await asyncio.sleep(0)
        queue.put_nowait(1)
        await get("second")
        assert not first.done()
        queue.put_nowait(2)
        await first
        return log

    assert run_main(main) == [("second", 1), ("first", 2)]


def test_getters_and_putters_wait_in_line(run_main, queue_class):
    async def main():
        queue, log = queue_class(1), []

        async def get(name):
            log.append((name, await queue.get()))

        async def put(item):
            await queue.put(item)
            log.append(("put", item))

        tasks = [asyncio.create_task(get(name)) for name in "abc"]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(put(item)) for item in range(6)]
        await turns(5)
        tasks += [asyncio.create_task(get(name)) for name in "def"]
        await asyncio.gather(*tasks)
        return log

    stock = getattr(asyncio, queue_class.__name__)

    async def expected():
        nonlocal queue_class
        queue_class = stock
        return await main()

    assert run_main(main) == run_main(expected)


def test_a_cancelled_getter_passes_its_wake_up_on(run_main, package):
    async def main():
        queue = package.Queue()
        first, second = (asyncio.create_task(queue.get()) for _ in range(2))
        await asyncio.sleep(0)
        queue.put_nowait("item")
        first.cancel()
        assert await second == "item"
        with pytest.raises(asyncio.CancelledError):
            await first
        return len(queue._getters)

    assert run_main(main) == 0


def test_a_cancelled_putter_passes_its_wake_up_on(run_main, package):
    async def main():
        queue = package.Queue(1)
        queue.put_nowait(0)
        first, second = (asyncio.create_task(queue.put(item)) for item in (1, 2))
        await asyncio.sleep(0)
        assert queue.get_nowait() == 0
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
        return queue.get_nowait(), len(queue._putters)

    assert run_main(main) == (2, 0)


def test_waiters_that_are_cancelled_leave_the_line(run_main, package):
    async def main():
        queue = package.Queue(1)
        getters = [asyncio.create_task(queue.get()) for _ in range(4)]
        await asyncio.sleep(0)
        for getter in getters[1:3]:
            getter.cancel()
        await asyncio.wait(getters[1:3])
        left = len(queue._getters)
        for item in "ab":
            await queue.put(item)
            await asyncio.sleep(0)
        return left, await getters[0], await getters[3]

    assert run_main(main) == (2, "a", "b")


def test_an_exception_other_than_cancelled_error_is_passed_on_too(run_main, package):
    async def main():
        queue = package.Queue()
        coroutine = queue.get()
        waiter = coroutine.send(None)
        assert list(queue._getters) == [waiter]
        with pytest.raises(ZeroDivisionError):
            coroutine.throw(ZeroDivisionError())
        assert waiter.cancelled()
        return len(queue._getters)

    assert run_main(main) == 0


def test_put_nowait_and_get_nowait_refuse_to_wait(queue_class):
    queue = queue_class(1)
    with pytest.raises(asyncio.QueueEmpty) as caught:
        queue.get_nowait()
    assert caught.value.args == ()
    queue.put_nowait(1)
    with pytest.raises(asyncio.QueueFull) as caught:
        queue.put_nowait(2)
    assert caught.value.args == ()
    assert queue.get_nowait() == 1


@pytest.mark.parametrize("maxsize", [0, -1, -1.5, False, 10**30, 1.5, 2, True])
def test_any_number_can_be_the_size(queue_class, maxsize):
    queue, stock = queue_class(maxsize), asyncio.Queue(maxsize)
    for _ in range(4):
        assert queue.full() is stock.full()
        assert queue.empty() is stock.empty()
        assert queue.qsize() == stock.qsize()
        if not stock.full():
            queue.put_nowait(1)
            stock.put_nowait(1)
    assert queue.maxsize is maxsize
    assert queue._maxsize is maxsize


def test_the_size_can_be_changed(package):
    queue = package.Queue(1)
    queue.put_nowait(1)
    queue._maxsize = 2
    assert not queue.full()
    queue.put_nowait(2)
    assert queue.full()
    queue._maxsize = "2"
    with pytest.raises(TypeError, match="'<=' not supported between instances of 'str' and 'int'"):
        queue.full()
    with pytest.raises(AttributeError):
        queue.maxsize = 3


def test_join_waits_until_every_item_is_done(run_main, queue_class):
    async def main():
        queue, log = queue_class(), []

        async def join(name):
            await queue.join()
            log.append(name)

        await join("before")
        for item in range(2):
            queue.put_nowait(item)
        tasks = [asyncio.create_task(join(name)) for name in ("first", "second")]
        for _ in range(2):
            await turns(5)
            log.append(queue._unfinished_tasks)
            queue.get_nowait()
            queue.task_done()
        await asyncio.gather(*tasks)
        with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
            queue.task_done()
        return log

    assert run_main(main) == ["before", 2, 1, "first", "second"]


def test_the_event_behind_join_can_be_looked_at_at_any_time(queue_class):
    queue = queue_class()
    assert queue._finished.is_set()
    queue.put_nowait(1)
    assert not queue._finished.is_set()
    queue.task_done()
    assert queue._finished.is_set()
    late = queue_class()
    late.put_nowait(1)
    assert not late._finished.is_set()
    late.task_done()
    assert late._finished.is_set()
    assert isinstance(late._finished, asyncio.Event)


def test_an_event_of_the_programs_own_can_stand_behind_join(run_main, package):
    async def main():
        queue = package.Queue()
        queue._finished = event = asyncio.Event()
        queue._unfinished_tasks = 1
        joining = asyncio.create_task(queue.join())
        await turns(5)
        assert not joining.done()
        queue.task_done()
        await joining
        return event.is_set(), queue._unfinished_tasks

    assert run_main(main) == (True, 0)


def test_texts_tell_what_is_in_it_and_who_waits(run_main, queue_class):
    async def main():
        queue = queue_class(2)
        texts = [str(queue)]
        getter = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        texts.append(str(queue))
        queue.put_nowait(1)
        await getter
        queue.put_nowait(2)
        queue.put_nowait(3)
        putter = asyncio.create_task(queue.put(4))
        await asyncio.sleep(0)
        texts += [str(queue), queue._format()]
        assert repr(queue) == f"<{queue_class.__name__} at {id(queue):#x} {queue._format()}>"
        queue.get_nowait()
        await putter
        return texts

    name = queue_class.__name__
    assert run_main(main) == [
        f"<{name} maxsize=2>",
        f"<{name} maxsize=2 _getters[1]>",
        f"<{name} maxsize=2 _queue=[2, 3] _putters[1] tasks=3>",
        "maxsize=2 _queue=[2, 3] _putters[1] tasks=3",
    ]


def test_a_queue_belongs_to_the_first_loop_that_waits(loop_factory, package):
    queue = package.Queue()

    async def wait():
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        return queue._get_loop()

    assert queue._loop is None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(wait()) is runner.get_loop() is queue._loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        message = re.escape(f"{queue!r} is bound to a different event loop")
        with pytest.raises(RuntimeError, match=f"^{message}$"):
            runner.run(queue.get())


def test_the_container_can_be_read_and_changed(run_main, queue_class):
    async def main():
        queue = queue_class()
        for item in (1, 2, 3):
            queue.put_nowait(item)
        kind = type(queue._queue).__name__
        assert queue._queue is queue._queue
        queue._queue.clear()
        assert queue.empty()
        getter = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.put_nowait(5)
        assert list(queue._queue) == [5]
        assert await getter == 5
        queue._queue = type(queue._queue)([7])
        return kind, queue.qsize(), queue.get_nowait()

    kind = "deque" if queue_class.__name__ == "Queue" else "list"
    assert run_main(main) == (kind, 1, 7)


def test_the_lines_of_waiters_can_be_read_and_changed(run_main, package):
    async def main():
        queue = package.Queue()
        tasks = [asyncio.create_task(queue.get()) for _ in range(2)]
        await asyncio.sleep(0)
        assert len(queue._putters) == 0
        queue._getters.rotate(1)
        queue.put_nowait("item")
        await turns(5)
        done = [task.done() for task in tasks]
        queue._wakeup_next(queue._getters)
        assert len(queue._getters) == 0
        await turns(5)
        assert not tasks[0].done()  # woken without an item, it waits again
        queue.put_nowait("other")
        return done, await tasks[0], await tasks[1]

    assert run_main(main) == ([False, True], "other", "item")


def test_arguments_are_refused_in_the_words_of_stock(package):
    queue = package.Queue()
    for call, start in [
        (lambda: package.Queue(1, 2), "Queue.__init__() takes from 1 to 2 positional arguments"),
        (lambda: package.Queue(size=2), "Queue.__init__() got an unexpected keyword argument"),
        (lambda: package.LifoQueue(1, 2), "Queue.__init__() takes from 1 to 2 positional"),
        (lambda: queue.put(), "Queue.put() missing 1 required positional argument: 'item'"),
        (lambda: queue.put_nowait(1, 2), "Queue.put_nowait() takes 2 positional arguments"),
    ]:
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).startswith(start)
    queue.put_nowait(item=1)
    assert queue.get_nowait() == 1


def test_a_coroutine_that_nobody_awaits_does_nothing_but_warn(package):
    queue = package.Queue()
    with pytest.warns(RuntimeWarning, match=r"^coroutine 'Queue.put' was never awaited"):
        queue.put(1)
    assert queue.empty()


def test_the_classes_are_related_as_those_of_stock(package):
    assert issubclass(package.LifoQueue, package.Queue)
    assert issubclass(package.PriorityQueue, package.Queue)
    for name in ("Queue", "LifoQueue", "PriorityQueue"):
        cls = getattr(package, name)
        assert (cls.__name__, cls.__module__) == (name, "asyncio.queues")
        assert cls[int].__origin__ is cls
        assert cls[int].__args__ == (int,)


def test_it_can_be_referred_to_weakly_and_collected(queue_class):
    queue = queue_class()
    queue.put_nowait((0, queue))
    queue.itself = queue
    reference = weakref.ref(queue)
    del queue
    gc.collect()
    assert reference() is None


def test_items_are_released_when_they_are_taken_and_with_the_queue(run_main, package):
    class Item:
        pass

    async def main():
        queue = package.Queue()
        items = [Item() for _ in range(3)]
        alive = [weakref.ref(item) for item in items]
        for item in items:
            await queue.put(item)
        del item
        items.clear()
        await queue.get()
        await asyncio.sleep(0)
        seen = [reference() is not None for reference in alive]
        del queue
        gc.collect()
        return seen, [reference() is not None for reference in alive]

    assert run_main(main) == ([False, True, True], [False, False, False])


def test_one_without_init_answers_with_an_error(queue_class):
    queue = queue_class.__new__(queue_class)
    for call in (
        queue.qsize,
        queue.empty,
        queue.get_nowait,
        queue.full,
        lambda: queue.put_nowait(1),
        lambda: queue._queue,
        lambda: repr(queue),
    ):
        with pytest.raises(AttributeError, match=f"'{queue_class.__name__}' object has no attr"):
            call()


def test_install_puts_the_native_classes_in_the_place_of_stock():
    import ferrio

    names = ("Queue", "LifoQueue", "PriorityQueue")
    stock = [getattr(asyncio, name) for name in names]
    ferrio.install()
    try:
        for name in names:
            native = getattr(ferrio, name)
            assert getattr(asyncio, name) is getattr(asyncio.queues, name) is native
    finally:
        ferrio.uninstall()
    assert [getattr(asyncio, name) for name in names] == stock
