"""`create_task`, stock's and the native one, on both loops."""

import asyncio
import contextvars
import inspect
import sys

import pytest

VAR = contextvars.ContextVar("var", default="unset")


async def give(value):
    await asyncio.sleep(0)
    return value


def test_the_task_begins_in_the_next_turn_and_gives_its_result(run_main, package):
    async def main():
        begun = []

        async def child():
            begun.append("child")
            return await give(1)

        task = package.create_task(child())
        begun.append("made")
        assert isinstance(task, asyncio.Task)
        assert task in asyncio.all_tasks()
        return await task, begun

    assert run_main(main) == (1, ["made", "child"])


def test_tasks_of_both_functions_begin_in_the_order_of_the_calls(run_main, package):
    async def main():
        begun = []

        async def child(name):
            begun.append(name)

        made = [
            create(child(n))
            for n, create in enumerate([package.create_task, asyncio.create_task] * 3)
        ]
        await asyncio.wait(made)
        return begun

    assert run_main(main) == list(range(6))


def test_name_and_context_are_the_tasks(run_main, package):
    async def main():
        context = contextvars.Context()
        context.run(VAR.set, "given")

        async def look():
            return VAR.get()

        named = package.create_task(look(), name="mine")
        within = package.create_task(look(), context=context)
        both = package.create_task(look(), name=5, context=context)
        none = package.create_task(look(), name=None, context=None)
        names = named.get_name(), both.get_name(), none.get_name().startswith("Task-")
        return names, await named, await within, await both, await none

    assert run_main(main) == (("mine", "5", True), "unset", "given", "given", "unset")


def test_default_names_count_the_tasks(run_main, package):
    async def main():
        tasks = [package.create_task(give(n)) for n in range(2)]
        tasks.append(package.create_task(give(2), name="mine"))
        tasks.append(package.create_task(give(3)))
        first = int(tasks[0].get_name().removeprefix("Task-"))
        names = [task.get_name() for task in tasks]
        await asyncio.wait(tasks)
        return [
            name if name == "mine" else int(name.removeprefix("Task-")) - first for name in names
        ]

    # Before 3.13 a task has used up a number when it is named.
    after = 2 if sys.version_info >= (3, 13) else 3
    assert run_main(main) == [0, 1, "mine", after]


@pytest.mark.parametrize(
    "call",
    [
        lambda create: create(),
        lambda create: create(1),
        lambda create: create(None),
        lambda create: create(asyncio.get_running_loop().create_future()),
        lambda create: create(give),
        lambda create: create(1, 2),
        lambda create: create(1, nothing=2),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_stock(run_main, call, package):
    def outcome(create):
        async def main():
            with pytest.raises(TypeError) as caught:
                call(create)
            return str(caught.value).replace("EventLoop.create_task", "BaseEventLoop.create_task")

        return run_main(main)

    assert outcome(package.create_task) == outcome(asyncio.create_task)


def test_without_a_running_loop_nothing_is_made(package):
    coro = give(1)
    with pytest.raises(RuntimeError, match="no running event loop"):
        package.create_task(coro)
    coro.close()


def test_a_coroutine_may_be_named_by_its_keyword(run_main, package):
    async def main():
        return await package.create_task(coro=give(3))

    assert run_main(main) == 3


def test_a_task_factory_is_asked(run_main, package):
    async def main():
        asked = []

        def factory(loop, coro, **options):
            asked.append(sorted(options))
            return asyncio.Task(coro, loop=loop, **options)

        asyncio.get_running_loop().set_task_factory(factory)
        return (
            await package.create_task(give(4)),
            await package.create_task(give(5), name="x"),
            len(asked),
        )

    assert run_main(main) == (4, 5, 2)


def test_a_create_task_that_the_loop_has_got_is_called(loop_factory, run, package):
    loop = loop_factory()
    seen = []
    inherited = loop.create_task

    def create_task(coro, **options):
        seen.append(coro)
        return inherited(coro, **options)

    async def main():
        return await package.create_task(give(6))

    loop.create_task = create_task
    assert loop.run_until_complete(main()) == 6
    assert len(seen) == 2
    loop.close()


def test_debug_mode_shows_where_the_task_was_made(run_main, package):
    async def main():
        task = package.create_task(give(7))
        lines = [frame.name for frame in task._source_traceback]
        return lines[-2:], await task

    assert run_main(main, debug=True) == (["main", "create_task"], 7)


def test_it_shows_the_signature_and_name_of_stock(package):
    assert inspect.signature(package.create_task) == inspect.signature(asyncio.create_task)
    assert package.create_task.__name__ == "create_task"
