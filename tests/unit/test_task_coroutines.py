"""What a task can step: generators, coroutine-like objects, and awaitables of every kind."""

import asyncio
import types
from collections.abc import Coroutine

import pytest


def test_a_generator_based_coroutine_can_be_stepped(loop, run):
    @types.coroutine
    def legacy(future):
        first = yield from future
        yield
        second = yield from asyncio.sleep(0, "slept").__await__()
        return first, second

    future = loop.create_future()
    loop.call_soon(future.set_result, "result")

    async def awaiting():
        return await legacy(future)

    assert run(loop.create_task(awaiting())) == ("result", "slept")


def test_a_generator_is_a_task_where_stock_takes_it_as_a_coroutine(same_as_stock):
    def scenario(loop, engine):
        @types.coroutine
        def legacy():
            yield
            return "done"

        return loop.run_until_complete(loop.create_task(legacy()))

    same_as_stock(scenario)


def test_a_coroutine_like_object_can_be_stepped(loop, run):
    class Steps(Coroutine):
        def __init__(self):
            self.sent = []

        def send(self, value):
            self.sent.append(value)
            if len(self.sent) == 3:
                raise StopIteration("finished")

        def throw(self, *args):
            raise AssertionError("nothing is thrown")

        def close(self):
            pass

        def __await__(self):
            return self

    steps = Steps()
    assert run(loop.create_task(steps)) == "finished"
    assert steps.sent == [None] * 3


class Recorder(Coroutine):
    """A coroutine-like object that plays a list of steps: objects to yield, or errors to raise."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.calls = []

    def send(self, value):
        self.calls.append(("send", value))
        return self.play()

    def throw(self, error, value=None, traceback=None):
        self.calls.append(("throw", type(error), error.args))
        return self.play()

    def play(self):
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self):
        pass

    def __await__(self):
        return self


def test_an_error_of_the_awaited_future_is_sent_through_a_plain_step(loop, run):
    future = loop.create_future()

    class Waits(Recorder):
        def send(self, value):
            if len(self.calls) == 0:
                future._asyncio_future_blocking = True
            return super().send(value)

    recorder = Waits(future, StopIteration("end"))
    task = loop.create_task(recorder)
    loop.call_soon(future.set_exception, ValueError("of the future"))
    assert run(task) == "end"
    assert recorder.calls == [("send", None), ("throw", ValueError, ("of the future",))]


def test_a_cancel_is_thrown_into_a_coroutine_like_object(loop, run):
    recorder = Recorder(None, None, StopIteration("ignored it"))
    task = loop.create_task(recorder)
    loop.call_soon(task.cancel, "why")
    assert run(task) == "ignored it"
    assert ("throw", asyncio.CancelledError, ("why",)) in recorder.calls


def test_a_coroutine_like_object_that_returns_at_once(loop, run):
    assert run(loop.create_task(Recorder(StopIteration()))) is None
    assert run(loop.create_task(Recorder(StopIteration(None)))) is None
    assert run(loop.create_task(Recorder(StopIteration((1, 2))))) == (1, 2)


def test_a_coroutine_like_object_that_fails(loop, run):
    for error in (ValueError("v"), asyncio.CancelledError("c"), StopAsyncIteration("s")):
        task = loop.create_task(Recorder(None, error))
        with pytest.raises(type(error)) as caught:
            run(task)
        assert caught.value.args == error.args


def test_a_subclass_of_stop_iteration_ends_the_task_with_its_value(loop, run):
    class Mine(StopIteration):
        pass

    assert run(loop.create_task(Recorder(None, Mine("value")))) == "value"


def test_an_awaitable_class_in_python_is_driven_through_its_iterator(loop, run):
    class Iterator:
        def __init__(self):
            self.left = 3

        def __iter__(self):
            return self

        def __next__(self):
            if self.left == 0:
                raise StopIteration("from the iterator")
            self.left -= 1

    class Awaitable:
        def __await__(self):
            return Iterator()

    async def main():
        return await Awaitable()

    assert run(main()) == "from the iterator"


def test_a_task_waits_for_a_task_through_nested_awaits(loop, run):
    async def bottom(future):
        return await future

    async def middle(future):
        return await bottom(future)

    future = loop.create_future()
    loop.call_soon(future.set_result, "deep")
    assert run(loop.create_task(middle(future))) == "deep"


def test_an_async_generator_is_iterated_inside_a_task(run):
    async def numbers():
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    async def main():
        return [number async for number in numbers()]

    assert run(main()) == [0, 1, 2]


def test_a_coroutine_left_by_an_error_has_its_context(run):
    async def failing():
        try:
            raise KeyError("first")
        except KeyError:
            await asyncio.sleep(0)
            raise ValueError("second")  # noqa: B904 (its context is tested)

    with pytest.raises(ValueError, match="^second$") as caught:
        run(failing())
    assert caught.value.__context__.args == ("first",)


def test_the_handled_error_of_one_task_is_not_seen_by_another(loop, run):
    import sys

    seen = []

    async def handling():
        try:
            raise KeyError("handled")
        except KeyError:
            await asyncio.sleep(0)
            seen.append(type(sys.exception()))
            await asyncio.sleep(0)

    async def other():
        for _ in range(3):
            seen.append(sys.exception())
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(handling(), other())

    run(main())
    assert seen == [None, KeyError, None, None]
