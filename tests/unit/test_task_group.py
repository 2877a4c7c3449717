"""`TaskGroup`, stock's and the native one, on both loops; `cancel()` on the native one alone, which
has it before Python does."""

import asyncio
import contextvars
import gc
import re
import weakref

import pytest
from small_coroutines import fail, give


@pytest.fixture
def group_class(package):
    """The class under test."""
    return package.TaskGroup


@pytest.fixture
def native_class():
    """The native class."""
    import ferrio

    return ferrio.TaskGroup


def test_the_block_ends_when_all_tasks_have(run_main, group_class):
    async def main():
        async with group_class() as group:
            tasks = [group.create_task(give(number, number)) for number in range(4)]
            assert group._tasks == set(tasks)
            inside = repr(group)
        return [task.result() for task in tasks], inside, repr(group), group._tasks

    expected = ([0, 1, 2, 3], "<TaskGroup tasks=4 entered>", "<TaskGroup entered>", set())
    assert run_main(main) == expected


def test_tasks_take_name_and_context(run_main, group_class):
    async def main():
        variable = contextvars.ContextVar("variable", default="none")
        context = contextvars.copy_context()
        context.run(variable.set, "given")

        async def read():
            return variable.get()

        async with group_class() as group:
            named = group.create_task(read(), name="mine")
            placed = group.create_task(read(), context=context)
            plain = group.create_task(read())
            following = asyncio.create_task(give(1))
        await following
        numbers = [int(task.get_name().partition("-")[2]) for task in (placed, plain, following)]
        results = [task.result() for task in (named, placed, plain)]
        return named.get_name(), results, numbers[2] - numbers[1], numbers[1] - numbers[0]

    assert run_main(main) == ("mine", ["none", "given", "none"], 1, 1)


def test_names_take_as_many_numbers_as_on_stock(run_main, group_class):
    async def main():
        async def number_after(group_class):
            first = asyncio.create_task(give(1))
            async with group_class() as group:
                group.create_task(give(1), name="mine")
            last = asyncio.create_task(give(1))
            await first, await last
            return int(last.get_name().partition("-")[2]) - int(first.get_name().partition("-")[2])

        return await number_after(group_class), await number_after(asyncio.TaskGroup)

    taken, expected = run_main(main)
    assert taken == expected


def test_an_error_cancels_the_others_and_the_block(run_main, group_class):
    async def main():
        log = []

        async def other():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                log.append("other cancelled")
                raise

        group = group_class()

        async def block():
            async with group:
                group.create_task(fail(ValueError("mine"), 1))
                group.create_task(other())
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    log.append("block cancelled")
                    log.append(repr(group))
                    raise

        with pytest.raises(ExceptionGroup) as caught:
            await block()
        error = caught.value
        details = (error.message, [repr(each) for each in error.exceptions], error.__cause__)
        return sorted(log), details, asyncio.current_task().cancelling(), group._errors

    log, details, cancelling, errors = run_main(main)
    assert log == ["<TaskGroup tasks=1 errors=1 cancelling>", "block cancelled", "other cancelled"]
    assert details == ("unhandled errors in a TaskGroup", ["ValueError('mine')"], None)
    assert (cancelling, errors) == (0, None)


def test_an_error_of_the_block_comes_with_those_of_the_tasks(run_main, group_class):
    async def main():
        async def on_cancel():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise KeyError("task") from None

        async def block():
            async with group_class() as group:
                group.create_task(on_cancel())
                await asyncio.sleep(0)
                raise ValueError("block")

        with pytest.raises(ExceptionGroup) as caught:
            await block()
        return [repr(each) for each in caught.value.exceptions], caught.value.__suppress_context__

    assert run_main(main) == (["KeyError('task')", "ValueError('block')"], True)


def test_a_base_error_leaves_alone(run_main, group_class):
    class Stop(SystemExit):
        pass

    async def main():
        async with group_class() as group:
            group.create_task(asyncio.sleep(60))
            await asyncio.sleep(0)
            raise Stop(3)

    with pytest.raises(Stop) as caught:
        run_main(main)
    assert caught.value.code == 3


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_cancellation_from_outside_passes(run_main, group_class, turns):
    async def main():
        ended = []

        async def child():
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(True)

        async def block():
            async with group_class() as group:
                group.create_task(child())
                group.create_task(child())
                await asyncio.sleep(0)

        task = asyncio.create_task(block())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel("outside")
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(ended), task.cancelled(), task.cancelling()

    assert run_main(main) == (2 if turns else 0, True, 1)


def test_a_cancellation_from_outside_together_with_an_error(run_main, group_class):
    async def main():
        async def block(group_class):
            async with group_class() as group:
                group.create_task(fail(ValueError("mine"), 1))
                await asyncio.sleep(60)

        async def outcome(group_class):
            task = asyncio.create_task(block(group_class))
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except BaseException as error:
                return repr(error), task.cancelling()

        return await outcome(group_class), await outcome(asyncio.TaskGroup)

    taken, expected = run_main(main)
    assert taken == expected


def test_a_group_within_a_group(run_main, group_class):
    async def main():
        async def block():
            async with group_class() as outer:
                outer.create_task(fail(KeyError("outer"), 2))
                async with group_class() as inner:
                    inner.create_task(fail(ValueError("inner"), 1))
                    await asyncio.sleep(60)

        with pytest.raises(ExceptionGroup) as caught:
            await block()
        return repr(caught.value), asyncio.current_task().cancelling()

    text, cancelling = run_main(main)
    assert "inner" in text
    assert cancelling == 0


def test_tasks_may_add_tasks_while_the_group_waits(run_main, group_class):
    async def main():
        log = []

        async def first(group):
            await asyncio.sleep(0)
            group.create_task(second())
            log.append("first")

        async def second():
            await asyncio.sleep(0)
            log.append("second")

        async with group_class() as group:
            group.create_task(first(group))
        return log

    assert run_main(main) == ["first", "second"]


def test_wrong_states_are_refused_in_stock_words(run_main, group_class):
    async def main():
        texts = []

        async def refused(group):
            coroutine = give(1)
            try:
                group.create_task(coroutine)
            except RuntimeError as error:
                texts.append(str(error))
            coroutine.close()

        group = group_class()
        await refused(group)
        async with group:
            with pytest.raises(RuntimeError) as caught:
                await group.__aenter__()
            texts.append(str(caught.value))
        await refused(group)
        try:
            async with group_class() as group:
                group.create_task(fail(ValueError()))
                try:
                    await asyncio.sleep(60)
                finally:
                    await refused(group)
        except ExceptionGroup:
            pass
        return texts

    assert run_main(main) == [
        "TaskGroup <TaskGroup> has not been entered",
        "TaskGroup <TaskGroup entered> has already been entered",
        "TaskGroup <TaskGroup entered> is finished",
        "TaskGroup <TaskGroup errors=1 cancelling> is shutting down",
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda group: group.create_task(),
        lambda group: group.create_task(1, 2),
        lambda group: group.create_task(1),
        lambda group: group.create_task(None, nonsense=1),
        lambda group: type(group)(1),
        lambda group: group.__aexit__(None),
    ],
)
def test_wrong_arguments_get_stock_words(run_main, group_class, call):
    async def main():
        texts = []
        for cls in (group_class, asyncio.TaskGroup):
            async with cls() as group:
                with pytest.raises(TypeError) as caught:
                    call(group)
            texts.append(str(caught.value))
        return texts

    caught, expected = run_main(main)
    assert caught == expected


def test_the_order_of_wake_ups(run_main, group_class):
    async def main():
        log = []

        async def child(name):
            log.append(f"{name} begins")
            await asyncio.sleep(0)
            log.append(f"{name} ends")

        async def beside():
            for turn in range(6):
                log.append(turn)
                await asyncio.sleep(0)

        task = asyncio.create_task(beside())
        async with group_class() as group:
            group.create_task(child("a"))
            group.create_task(child("b"))
        log.append("left")
        await task
        return log

    assert run_main(main) == [0, "a begins", "b begins", 1, "a ends", "b ends", 2, 3, "left", 4, 5]


def test_a_task_shows_its_callback_as_on_stock(run_main, group_class):
    async def main():
        async with group_class() as group:
            return repr(group.create_task(give(1)))

    assert re.search(r"cb=\[TaskGroup\._on_task_done\(\)\]", run_main(main))


def test_a_subclass_may_replace_its_methods(run_main, group_class):
    calls = []

    class Mine(group_class):
        def _on_task_done(self, task):
            calls.append("done")
            super()._on_task_done(task)

        def _abort(self):
            calls.append("abort")
            super()._abort()

    async def main():
        async def block():
            async with Mine() as group:
                group.create_task(fail(ValueError()))
                await asyncio.sleep(60)

        with pytest.raises(ExceptionGroup):
            await block()

    run_main(main)
    assert sorted(calls) == ["abort", "done"]


def test_it_takes_attributes_and_leaves_no_cycle(run_main, group_class):
    async def main():
        async with group_class() as group:
            group.mine = 1
            group.create_task(give(1))
        reference = weakref.ref(group)
        gc.disable()
        try:
            del group
            await asyncio.sleep(0)
            return reference()
        finally:
            gc.enable()

    assert run_main(main) is None


def test_it_needs_a_task(loop_factory, group_class):
    loop = loop_factory()
    texts = []

    def outside_of_tasks():
        try:
            group_class().__aenter__().send(None)
        except RuntimeError as error:
            texts.append(str(error))
        loop.stop()

    loop.call_soon(outside_of_tasks)
    loop.run_forever()
    loop.close()
    assert texts == ["TaskGroup <TaskGroup> cannot determine the parent task"]


def test_debug_mode_and_task_factories(run_main, group_class):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro, **kw: asyncio.Task(coro, loop=loop, **kw))
        async with group_class() as group:
            task = group.create_task(give(1, 1), name="mine")
        return type(task) is asyncio.Task, task.get_name(), task.result()

    assert run_main(main) == (True, "mine", 1)
    assert run_main(main, debug=True) == (True, "mine", 1)


def test_cancel_ends_the_group_without_an_exception(run_main, native_class):
    async def main():
        log = []

        async def child():
            try:
                await asyncio.sleep(60)
            finally:
                log.append("child")

        async with native_class() as group:
            group.create_task(child())
            await asyncio.sleep(0)
            group.cancel()
            group.cancel()
            log.append("after cancel")
            await asyncio.sleep(60)
            log.append("never")
        group.cancel()
        return log, asyncio.current_task().cancelling()

    assert run_main(main) == (["after cancel", "child"], 0)


def test_cancel_by_a_child_while_the_group_waits(run_main, native_class):
    async def main():
        async def stop(group):
            await asyncio.sleep(0)
            group.cancel()
            await asyncio.sleep(60)

        async with native_class() as group:
            group.create_task(asyncio.sleep(60))
            group.create_task(stop(group))
        return asyncio.current_task().cancelling()

    assert run_main(main) == 0


def test_cancel_before_the_group_is_entered(run_main, native_class):
    async def main():
        log = []
        group = native_class()
        group.cancel()
        async with group:
            log.append("entered")
            await asyncio.sleep(0)
            log.append("never")
        return log, asyncio.current_task().cancelling()

    assert run_main(main) == (["entered"], 0)


def test_errors_after_cancel_are_raised(run_main, native_class):
    async def main():
        async def on_cancel():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ValueError("late") from None

        async def block():
            async with native_class() as group:
                group.create_task(on_cancel())
                await asyncio.sleep(0)
                group.cancel()

        with pytest.raises(ExceptionGroup) as caught:
            await block()
        return [repr(each) for each in caught.value.exceptions], asyncio.current_task().cancelling()

    assert run_main(main) == (["ValueError('late')"], 0)


def test_a_cancellation_from_outside_after_cancel_passes(run_main, native_class):
    async def main():
        async def stubborn():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        async def block():
            async with native_class() as group:
                group.create_task(stubborn())
                await asyncio.sleep(0)
                group.cancel()

        task = asyncio.create_task(block())
        for _ in range(4):
            await asyncio.sleep(0)
        task.cancel("outside")
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled(), task.cancelling()

    assert run_main(main) == (True, 1)
