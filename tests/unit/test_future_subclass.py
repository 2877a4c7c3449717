"""Python subclasses of Future: overridden methods, own attributes, odd construction."""

import asyncio
import copy
import gc
import pickle
import weakref

import pytest


def test_a_subclass_works_and_keeps_its_own_attributes(loop, run, future_class):
    class Mine(future_class):
        def __init__(self, *args, extra, **kwargs):
            super().__init__(*args, **kwargs)
            self.extra = extra

    future = Mine(loop=loop, extra="extra")
    future.note = "assigned"
    assert (future.extra, future.note) == ("extra", "assigned")
    assert repr(future) == "<Mine pending>"
    assert isinstance(future, asyncio.Future)
    loop.call_soon(future.set_result, "value")
    assert run(future) == "value"


def test_a_plain_future_takes_attributes_as_stock_does(same_as_stock):
    def scenario(loop, engine):
        future = loop.create_future()
        future.note = "assigned"
        return future.note

    same_as_stock(scenario)


def test_overridden_methods_are_called_by_a_waiting_task_as_stock_calls_them(same_as_stock):
    def scenario(loop, engine):
        seen = []

        class Watching(engine.future_class):
            def add_done_callback(self, callback, *, context=None):
                seen.append("add_done_callback")
                super().add_done_callback(callback, context=context)

            def result(self):
                seen.append("result")
                return super().result()

            def done(self):
                seen.append("done")
                return super().done()

            def exception(self):
                seen.append("exception")
                return super().exception()

            def cancelled(self):
                seen.append("cancelled")
                return super().cancelled()

            def get_loop(self):
                seen.append("get_loop")
                return super().get_loop()

            def __iter__(self):
                seen.append("iter")
                return super().__iter__()

        async def main():
            future = Watching(loop=loop)
            loop.call_soon(future.set_result, "value")
            return await future

        return loop.run_until_complete(loop.create_task(main())), seen

    assert same_as_stock(scenario)[1][0] == "value"


def test_an_overridden_cancel_is_called_by_the_cancelled_task(loop, run, future_class):
    seen = []

    class Watching(future_class):
        def cancel(self, msg=None):
            seen.append(msg)
            return super().cancel(msg=msg)

    async def main():
        future = Watching(loop=loop)

        async def waits():
            await future

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel("message")
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert seen == ["message"]


def test_an_overridden_cancel_that_refuses_lets_the_future_finish(loop, run, future_class):
    class Stubborn(future_class):
        def cancel(self, msg=None):
            return False

    async def main():
        future = Stubborn(loop=loop)

        async def waits():
            await future

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel("message")
        assert task._must_cancel is True
        future.set_result(None)
        with pytest.raises(asyncio.CancelledError, match="^message$"):
            await task

    run(main())


def test_an_overridden_await_is_used(loop, run, future_class):
    class Doubling(future_class):
        def __await__(self):
            value = yield from super().__await__()
            return value * 2

    async def main():
        future = Doubling(loop=loop)
        loop.call_soon(future.set_result, 21)
        return await future

    assert run(main()) == 42


def test_an_overridden_set_result_sees_the_result_first(loop, run, future_class):
    class Checking(future_class):
        def set_result(self, result):
            super().set_result(("checked", result))

    future = Checking(loop=loop)
    loop.call_soon(future.set_result, 1)
    assert run(future) == ("checked", 1)


def test_the_destructor_of_a_subclass_is_called(loop, future_class):
    deleted = []

    class Mortal(future_class):
        def __del__(self):
            deleted.append(self.done())

    future = Mortal(loop=loop)
    future.set_result(1)
    del future
    assert deleted == [True]


def test_a_destructor_may_bring_its_future_back(loop, future_class):
    kept = []

    class Undead(future_class):
        def __del__(self):
            kept.append(self)

    future = Undead(loop=loop)
    future.set_result("kept")
    del future
    assert kept[0].result() == "kept"
    kept.clear()


def test_slots_mixins_and_deeper_subclasses_work(loop, run, future_class):
    class Mixin:
        def describe(self):
            return "described"

    class Slotted(Mixin, future_class):
        __slots__ = ("extra",)

    class Deeper(Slotted):
        pass

    future = Deeper(loop=loop)
    future.extra = [future]
    alive = weakref.ref(future)
    assert future.describe() == "described"
    loop.call_soon(future.set_result, None)
    run(future)
    del future
    gc.collect()
    assert alive() is None


def test_init_called_again_resets_the_future_as_on_stock(same_as_stock):
    def scenario(loop, engine):
        future = loop.create_future()
        future.set_result(1)
        future.__init__(loop=loop)
        return future.done(), repr(future)

    assert same_as_stock(scenario)[1][0] is False


def test_futures_cannot_be_pickled_or_copied(same_as_stock):
    for function in (pickle.dumps, copy.copy, copy.deepcopy):

        def scenario(loop, engine, function=function):
            function(loop.create_future())

        assert same_as_stock(scenario)[1] is TypeError


def test_the_class_can_be_subscripted(future_class):
    alias = future_class[int]
    assert alias.__origin__ is future_class
    assert alias.__args__ == (int,)


def test_the_class_looks_like_the_one_of_stock(future_class):
    assert future_class.__name__ == "Future"
    assert issubclass(future_class, asyncio.Future)
    assert future_class.__doc__


def test_gather_and_wait_accept_a_subclass(loop, run, future_class):
    class Mine(future_class):
        pass

    async def main():
        futures = [Mine(loop=loop) for _ in range(3)]
        for number, future in enumerate(futures):
            loop.call_soon(future.set_result, number)
        done, pending = await asyncio.wait(futures)
        assert done == set(futures) and not pending
        return await asyncio.gather(*futures)

    assert run(main()) == [0, 1, 2]
