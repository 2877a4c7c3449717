"""Python subclasses of Task: overridden methods, own attributes, odd construction."""

import asyncio
import copy
import gc
import pickle
import weakref

import pytest


@pytest.fixture
def finished(loop):
    """Make a task of a class, run it to its end, return it."""

    def make(cls, *args, **kwargs):
        task = cls(*args, loop=loop, **kwargs)
        loop.run_until_complete(asyncio.wait([task]))
        return task

    return make


async def returns(value=None):
    await asyncio.sleep(0)
    return value


def test_a_subclass_works_and_keeps_its_own_attributes(loop, run, task_class):
    class Mine(task_class):
        kind = "class attribute"

        def __init__(self, *args, extra, **kwargs):
            super().__init__(*args, **kwargs)
            self.extra = extra

    task = Mine(returns("value"), loop=loop, extra=[1])
    task.note = "assigned"
    assert isinstance(task, asyncio.Task)
    assert (task.extra, task.note) == ([1], "assigned")
    assert repr(task).startswith("<Mine pending ")
    assert run(task) == "value"
    assert task.kind == "class attribute"


def test_a_plain_task_takes_attributes_as_stock_does(same_as_stock):
    def scenario(loop, engine):
        task = loop.create_task(asyncio.sleep(0))
        loop.run_until_complete(task)
        task.note = "assigned"
        return task.note

    same_as_stock(scenario)


def test_a_subclass_sees_every_call_of_its_cancel_method(run, task_class):
    seen = []

    class Watching(task_class):
        def cancel(self, msg=None):
            seen.append(msg)
            return super().cancel(msg=msg)

    async def main():
        task = Watching(asyncio.sleep(1000))
        await asyncio.sleep(0)

        async def outer():
            await task

        waiter = asyncio.create_task(outer())
        await asyncio.sleep(0)
        waiter.cancel("through the waiter")
        await asyncio.wait([waiter])

    run(main())
    assert seen == ["through the waiter"]


def test_a_waiter_registers_through_the_overridden_add_done_callback(run, task_class):
    seen = []

    class Watching(task_class):
        def add_done_callback(self, callback, *, context=None):
            seen.append("added")
            super().add_done_callback(callback, context=context)

    async def main():
        task = Watching(returns("value"))

        async def outer():
            return await task

        return await asyncio.create_task(outer())

    assert run(main()) == "value"
    assert seen == ["added"]


def test_a_waiter_asks_a_subclass_as_stock_does(same_as_stock):
    def scenario(loop, engine):
        seen = []

        class Watching(engine.task_class):
            def result(self):
                seen.append("result")
                return super().result()

            def exception(self):
                seen.append("exception")
                return super().exception()

            def done(self):
                seen.append("done")
                return super().done()

            def get_loop(self):
                seen.append("get_loop")
                return super().get_loop()

        async def main():
            task = Watching(returns("value"))

            async def outer():
                return await task

            waiter = loop.create_task(outer())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append("waiting")
            return await waiter

        return loop.run_until_complete(main()), seen

    assert same_as_stock(scenario)[0] == "returned"


def test_methods_and_properties_may_be_shadowed(loop, run, task_class):
    class Shadowing(task_class):
        def get_name(self):
            return "shadowed " + super().get_name()

        def __repr__(self):
            return "own repr"

        _must_cancel = "class attribute"

    task = Shadowing(returns(), loop=loop, name="name")
    assert task.get_name() == "shadowed name"
    assert repr(task) == "own repr"
    assert task._must_cancel == "class attribute"
    run(task)


def test_the_destructor_of_a_subclass_is_called(run, task_class):
    deleted = []

    class Mortal(task_class):
        def __del__(self):
            deleted.append(self.get_name())
            super().__del__()

    async def main():
        await Mortal(returns(), name="mortal")
        await asyncio.sleep(0)

    run(main())
    gc.collect()
    assert deleted == ["mortal"]


def test_a_destructor_may_bring_its_task_back(loop, run, task_class):
    kept = []

    class Undead(task_class):
        def __del__(self):
            kept.append(self)

    task = Undead(returns("kept"), loop=loop)
    run(task)
    del task
    run(asyncio.sleep(0))
    gc.collect()
    assert len(kept) == 1
    assert kept[0].result() == "kept"
    assert kept[0].done()
    kept.clear()


def test_a_subclass_with_slots_works(loop, run, task_class):
    class Slotted(task_class):
        __slots__ = ("extra", "more")

    task = Slotted(returns(5), loop=loop)
    task.extra = object()
    task.more = [task]
    alive = weakref.ref(task)
    assert run(task) == 5
    del task
    run(asyncio.sleep(0))
    gc.collect()
    assert alive() is None


def test_subclasses_can_be_built_on_two_bases(loop, run, task_class):
    class Mixin:
        def describe(self):
            return f"described {self.get_name()}"

    class Both(Mixin, task_class):
        pass

    class Deeper(Both):
        pass

    task = Deeper(returns(), loop=loop, name="x")
    assert task.describe() == "described x"
    run(task)


def test_a_task_factory_may_return_a_subclass(loop, run, task_class):
    class Made(task_class):
        pass

    def factory(loop, coroutine, **kwargs):
        return Made(coroutine, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory

    async def main():
        task = asyncio.create_task(returns("made"), name="named")
        assert type(task) is Made
        assert task.get_name() == "named"
        return await task

    assert run(main()) == "made"
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None


def test_init_may_be_called_again_as_on_stock(same_as_stock):
    def scenario(loop, engine):
        task = engine.task_class(returns("first"), loop=loop)
        result = loop.run_until_complete(task)
        task.__init__(returns("second"), loop=loop)
        return result, task.done(), loop.run_until_complete(task)

    assert same_as_stock(scenario)[1] == ("first", False, "second")


def test_tasks_cannot_be_pickled_or_copied(same_as_stock):
    for function in (pickle.dumps, copy.copy, copy.deepcopy):

        def scenario(loop, engine, function=function):
            task = loop.create_task(asyncio.sleep(0))
            loop.run_until_complete(task)
            function(task)

        assert same_as_stock(scenario)[1] is TypeError


def test_the_class_can_be_subscripted(task_class):
    alias = task_class[int]
    assert alias.__origin__ is task_class
    assert alias.__args__ == (int,)


def test_the_class_looks_like_the_one_of_stock(task_class):
    assert task_class.__name__ == "Task"
    assert issubclass(task_class, asyncio.Task)
    assert task_class.__doc__


@pytest.mark.parametrize(
    "arguments",
    [((), {}), ((1, 2), {}), ((), {"loop": None}), ((), {"coro": 1, "x": 2})],
    ids=["none", "two positions", "no coroutine", "unknown name"],
)
def test_wrong_arguments_give_the_stock_error(same_as_stock, arguments):
    args, kwargs = arguments
    assert same_as_stock(lambda loop, engine: engine.task_class(*args, **kwargs))[1] is TypeError


def test_step_cannot_be_called_from_outside(loop, run, task_class):
    """The steps of a native task are no Python methods: nobody can step it by hand."""
    task = loop.create_task(asyncio.sleep(0))
    assert not hasattr(task, "step")
    assert not hasattr(task, "_Task__step")
    run(task)
