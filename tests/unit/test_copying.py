"""`copy`, `pickle` and `dataclasses` with locks and queues in what they copy."""

import asyncio
import copy
import dataclasses
import pickle
import re

import pytest

import ferrio


@pytest.fixture(params=["asyncio", "ferrio"], autouse=True)
def installed(request):
    """The classes that asyncio's names stand for, stock's and then the native ones."""
    if request.param == "asyncio":
        yield
        return
    ferrio.install()
    yield
    ferrio.uninstall()


def pickled(value):
    return pickle.loads(pickle.dumps(value))


COPIES = [copy.copy, copy.deepcopy, pickled]
MAKERS = {
    "Lock": (),
    "Event": (),
    "Condition": (),
    "Semaphore": (3,),
    "BoundedSemaphore": (2,),
    "Barrier": (2,),
    "Queue": (5,),
    "LifoQueue": (),
    "PriorityQueue": (),
    "TaskGroup": (),
}


def without_address(value):
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize("made_by", COPIES)
@pytest.mark.parametrize("name", MAKERS)
def test_a_copy_is_like_what_was_copied(name, made_by):
    kind = getattr(asyncio, name)
    original = kind(*MAKERS[name])
    made = made_by(original)
    assert made is not original
    assert type(made) is kind
    assert without_address(made) == without_address(original)


@pytest.mark.parametrize("made_by", COPIES[1:])
@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "PriorityQueue"])
def test_a_deep_copy_of_a_queue_has_items_of_its_own(name, made_by):
    original = getattr(asyncio, name)(maxsize=4)
    for item in ([2], [3], [1]):
        original.put_nowait(item)
    made = made_by(original)
    assert made.maxsize == 4
    while not original.empty():
        item = original.get_nowait()
        twin = made.get_nowait()
        assert twin == item
        assert twin is not item
        made.task_done()
    with pytest.raises(ValueError, match="called too many times"):
        made.task_done()


@pytest.mark.parametrize("made_by", COPIES)
def test_a_copy_works_by_itself(made_by):
    async def main():
        lock, event, condition = map(
            made_by, (asyncio.Lock(), asyncio.Event(), asyncio.Condition())
        )
        barrier, queue = made_by(asyncio.Barrier(2)), made_by(asyncio.Queue())
        async with lock:
            assert lock.locked()
            assert not made_by(asyncio.Lock()).locked()
        asyncio.get_running_loop().call_soon(event.set)
        assert await event.wait()
        async with condition:
            assert condition.locked()
            condition.notify_all()
        assert sorted(await asyncio.gather(barrier.wait(), barrier.wait())) == [0, 1]
        asyncio.get_running_loop().call_soon(queue.put_nowait, "item")
        assert await queue.get() == "item"

    asyncio.run(main())


@pytest.mark.parametrize("made_by", COPIES[:2])
def test_a_queue_that_keeps_its_items_elsewhere_is_copied(made_by):
    class Once(asyncio.Queue):
        def _init(self, maxsize):
            self.items = {}

        def _put(self, item):
            self.items[item] = None

        def _get(self):
            return self.items.popitem()[0]

        def qsize(self):
            return len(self.items)

        def empty(self):
            return not self.items

    original = Once()
    for item in (1, 1, 2):
        original.put_nowait(item)
    made = made_by(original)
    assert [made.get_nowait(), made.get_nowait(), made.empty()] == [2, 1, True]


def test_a_lock_that_is_held_is_held_in_a_copy():
    async def main():
        lock = asyncio.Lock()
        async with lock:
            twin = copy.deepcopy(lock)
        assert twin.locked()
        assert not lock.locked()

    asyncio.run(main())


def test_tasks_that_wait_cannot_be_copied():
    async def main():
        lock = asyncio.Lock()
        async with lock:
            waiting = asyncio.create_task(lock.acquire())
            await asyncio.sleep(0)
            for make in COPIES[1:]:
                with pytest.raises((TypeError, pickle.PicklingError)):
                    make(lock)
        assert await waiting

    asyncio.run(main())


def test_attributes_of_a_subclass_go_along():
    class Named(asyncio.Semaphore):
        def __init__(self, name):
            super().__init__(3)
            self.name = name

    class Own(asyncio.Queue):
        def __getstate__(self):
            return {"seen": 1}

        def __setstate__(self, state):
            self.__init__()
            self.seen = state["seen"]

    class Reduced(asyncio.Lock):
        def __reduce__(self):
            return dict, ()

    for make in COPIES[:2]:
        twin = make(Named("pool"))
        assert (twin.name, twin._value, type(twin)) == ("pool", 3, Named)
        assert make(Own()).seen == 1
        assert make(Reduced()) == {}


def test_a_record_with_a_queue_is_made_a_dict():
    @dataclasses.dataclass
    class Job:
        queue: asyncio.Queue
        lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    made = dataclasses.asdict(Job(asyncio.Queue(7)))
    assert made["queue"].maxsize == 7
    assert not made["lock"].locked()
