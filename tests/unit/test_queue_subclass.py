"""Subclasses of `Queue`, stock's and the native one, on both loops: what they replace is asked."""

import asyncio
import collections

import pytest


def test_the_container_of_a_subclass_is_asked(run_main, package):
    class Newest(package.Queue):
        def _init(self, maxsize):
            self.log = [("init", maxsize)]
            self._queue = {}

        def _put(self, item):
            self.log.append(("put", item))
            self._queue[item] = None

        def _get(self):
            item, _ = self._queue.popitem()
            self.log.append(("get", item))
            return item

    async def main():
        queue = Newest(2)
        await queue.put("a")
        queue.put_nowait("b")
        assert queue.full()
        putter = asyncio.create_task(queue.put("a"))
        await asyncio.sleep(0)
        assert str(queue) == "<Newest maxsize=2 _queue=['a', 'b'] _putters[1] tasks=2>"
        assert await queue.get() == "b"
        await putter
        assert queue.qsize() == 1
        assert queue.get_nowait() == "a"
        return queue.log

    assert run_main(main) == [
        ("init", 2),
        ("put", "a"),
        ("put", "b"),
        ("get", "b"),
        ("put", "a"),
        ("get", "a"),
    ]


def test_a_subclass_without_a_container_of_that_name_answers_for_itself(run_main, package):
    class Counter(package.Queue):
        def _init(self, maxsize):
            self.count = 0

        def _put(self, item):
            self.count += 1

        def _get(self):
            self.count -= 1
            return self.count

        def qsize(self):
            return self.count

        def empty(self):
            return not self.count

    async def main():
        queue = Counter(2)
        getter = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        await queue.put("x")
        assert await getter == 0
        await queue.put("x")
        await queue.put("x")
        assert queue.full()
        with pytest.raises(asyncio.QueueFull):
            queue.put_nowait("x")
        with pytest.raises(AttributeError, match="_queue"):
            queue._queue  # noqa: B018
        return str(queue)

    assert run_main(main) == "<Counter maxsize=2 tasks=3>"


def logged(base):
    """A subclass that notes each method that is called on it."""

    def note(name):
        method = getattr(base, name)

        def noted(self, *args):
            self.log.append(name)
            return method(self, *args)

        return noted

    names = "_init _put _get _wakeup_next _get_loop full empty qsize put_nowait get_nowait _format"
    return type("Logged", (base,), {"log": [], **{name: note(name) for name in names.split()}})


@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "PriorityQueue"])
def test_the_same_methods_are_called_as_on_stock_in_the_same_order(run_main, package, name):
    def trace(base):
        async def main():
            queue = logged(base)(2)
            for item in (1, 2):
                await queue.put(item)
            putters = [asyncio.create_task(queue.put(item)) for item in (3, 4, 5)]
            await asyncio.sleep(0)
            putters[1].cancel()
            items = [queue.get_nowait(), await queue.get()]
            putters[2].cancel()
            await asyncio.wait(putters)
            getters = [asyncio.create_task(queue.get()) for _ in range(4)]
            await asyncio.sleep(0)
            queue.put_nowait(6)
            getters[1].cancel()
            await asyncio.sleep(0)
            await queue.put(7)
            getters[3].cancel()
            await asyncio.sleep(0)
            await queue.put(8)
            await asyncio.sleep(0)
            items += [getter.done() and not getter.cancelled() for getter in getters]
            for getter in getters:
                getter.cancel()
            await asyncio.wait(getters)
            queue.task_done()
            str(queue), repr(queue)
            return queue.log, items, queue._unfinished_tasks

        return run_main(main)

    assert trace(getattr(package, name)) == trace(getattr(asyncio, name))


def test_methods_that_are_replaced_on_one_queue_are_asked(run_main, package):
    async def main():
        queue, log = package.Queue(), []
        put = queue._put
        queue._put = lambda item: (log.append(item), put(item * 2))
        await queue.put(1)
        queue.put_nowait(2)
        return log, await queue.get(), queue.get_nowait()

    assert run_main(main) == ([1, 2], 2, 4)


def test_a_queue_with_attributes_of_its_own_is_a_queue(run_main, package):
    async def main():
        queue = package.PriorityQueue(2)
        queue.put_nowait(2)
        queue.name = "jobs"
        queue.put_nowait(1)
        putter = asyncio.create_task(queue.put(0))
        await asyncio.sleep(0)
        taken = [await queue.get()]
        await putter
        return [*taken, await queue.get(), await queue.get()], queue.name

    assert run_main(main) == ([1, 0, 2], "jobs")


def test_a_class_attribute_may_hide_the_container(run_main, package):
    class Hidden(package.Queue):
        _queue = ()

        def _init(self, maxsize):
            super()._init(maxsize)
            self._queue.append("first")

    async def main():
        queue = Hidden()
        await queue.put("second")
        return [await queue.get() for _ in range(queue.qsize())], type(queue._queue)

    assert run_main(main) == (["first", "second"], collections.deque)


def test_super_calls_reach_the_class_above(run_main, package):
    class Doubling(package.PriorityQueue):
        async def put(self, item):
            await super().put(item)
            await super().put(item * 10)

        async def get(self):
            return -(await super().get())

        def _put(self, item):
            super()._put(item + 1)

    async def main():
        queue = Doubling()
        await queue.put(2)
        await queue.put(1)
        return [await queue.get() for _ in range(4)]

    assert run_main(main) == [-2, -3, -11, -21]


def test_the_functions_of_the_heap_can_be_given(package):
    queue = package.PriorityQueue()
    queue._put(2, lambda heap, item: heap.append(("pushed", item)))
    assert queue._queue == [("pushed", 2)]
    assert queue._get(lambda heap: heap.pop()) == ("pushed", 2)


def test_an_error_of_a_replaced_method_has_the_cancellation_as_its_context(run_main, package):
    class Broken(package.Queue):
        broken = False

        def empty(self):
            if self.broken:
                raise ZeroDivisionError
            return super().empty()

    async def main():
        queue = Broken()
        getter = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.broken = True
        getter.cancel()
        with pytest.raises(ZeroDivisionError) as caught:
            await getter
        return type(caught.value.__context__)

    assert run_main(main) is asyncio.CancelledError
