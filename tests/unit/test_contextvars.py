"""Context variables across callbacks, tasks, futures, timers, readers and threads."""

import asyncio
import contextvars
import functools
import gc
import itertools
import socket
import weakref

import pytest

VAR = contextvars.ContextVar("var", default="unset")


@pytest.fixture(autouse=True)
def fresh_context():
    """Each test starts and leaves with the variable unset."""
    token = VAR.set("test")
    yield
    VAR.reset(token)


def test_a_task_copies_the_context_when_it_is_made(run):
    async def child():
        before = VAR.get()
        VAR.set("child")
        await asyncio.sleep(0)
        return before, VAR.get()

    async def main():
        VAR.set("main")
        task = asyncio.create_task(child())
        VAR.set("after")
        assert await task == ("main", "child")
        return VAR.get()

    assert run(main()) == "after"
    assert VAR.get() == "test"


def test_tasks_do_not_see_each_others_changes(run):
    async def worker(name):
        VAR.set(name)
        seen = []
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(VAR.get())
        return seen

    async def main():
        return await asyncio.gather(*(worker(number) for number in range(5)))

    assert run(main()) == [[number] * 3 for number in range(5)]


def test_tasks_may_share_a_context(loop, run):
    shared = contextvars.Context()

    async def writer():
        VAR.set("written")
        await asyncio.sleep(0)

    async def reader():
        await asyncio.sleep(0)
        return VAR.get()

    async def main():
        writing = loop.create_task(writer(), context=shared)
        reading = loop.create_task(reader(), context=shared)
        await writing
        return await reading

    assert run(main()) == "written"
    assert shared[VAR] == "written"


def test_awaiting_a_coroutine_directly_shares_the_context(run):
    async def inner():
        VAR.set("inner")

    async def main():
        await inner()
        return VAR.get()

    assert run(main()) == "inner"


def test_a_wake_up_does_not_change_the_context_of_the_task(loop, run):
    async def waits(future):
        VAR.set("waiter")
        await future
        return VAR.get()

    async def main():
        future = loop.create_future()
        task = asyncio.create_task(waits(future))
        await asyncio.sleep(0)
        VAR.set("setter")
        future.set_result(None)
        return await task

    assert run(main()) == "waiter"


def test_the_context_is_the_callers_again_after_every_step(loop, run):
    async def main():
        VAR.set("main")
        seen = []
        loop.call_soon(lambda: (VAR.set("callback"), seen.append("ran")))
        loop.call_later(0, VAR.set, "timer")
        await asyncio.sleep(0.001)
        assert seen == ["ran"]
        return VAR.get()

    assert run(main()) == "main"


def test_the_context_is_restored_after_a_callback_that_raises(loop, turns, reported):
    def failing():
        VAR.set("failing")
        raise ValueError

    loop.call_soon(failing)
    seen = []
    loop.call_soon(lambda: seen.append(VAR.get()))
    turns()
    assert seen == ["test"]
    assert VAR.get() == "test"
    assert len(reported) == 1


def test_the_context_is_restored_after_a_system_error(loop):
    async def failing():
        VAR.set("failing")
        raise SystemExit

    with pytest.raises(SystemExit):
        loop.run_until_complete(failing())
    assert VAR.get() == "test"


def test_a_context_already_entered_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))
        context = contextvars.copy_context()

        async def worker():
            seen.append("ran")

        def inside():
            loop.call_soon(seen.append, "callback", context=context)
            loop.stop()
            loop.run_forever()
            task = loop.create_task(worker(), context=context)
            loop.stop()
            loop.run_forever()
            done = task.done()
            task._log_destroy_pending = False
            task.get_coro().close()
            return done

        return context.run(inside), seen

    same_as_stock(scenario)


def test_a_reader_runs_in_the_context_it_was_added_in(loop):
    left, right = socket.socketpair()
    with left, right:
        seen = []

        def readable():
            seen.append(VAR.get())
            loop.remove_reader(left)
            loop.stop()

        VAR.set("added")
        loop.add_reader(left, readable)
        VAR.set("later")
        right.send(b"x")
        loop.run_forever()
    assert seen == ["added"]


def test_call_soon_threadsafe_copies_the_context_of_the_calling_thread(loop, run):
    seen = []

    def in_thread():
        VAR.set("thread")
        loop.call_soon_threadsafe(lambda: seen.append(VAR.get()))

    async def main():
        await loop.run_in_executor(None, in_thread)
        await asyncio.sleep(0)

    run(main())
    assert seen == ["thread"]


MOMENTS = itertools.count(1)


def call_later(loop, callback, *args):
    """A timer that is due, after those before it."""
    return loop.call_at(next(MOMENTS) / 1e6, callback, *args)


CALLS = {
    "soon": lambda loop, *call: loop.call_soon(*call),
    "threadsafe": lambda loop, *call: loop.call_soon_threadsafe(*call),
    "timer": call_later,
}


@pytest.fixture(params=CALLS.values(), ids=CALLS)
def call(request, loop):
    """A way to have a callback called in the next turns, in the order of the calls."""
    return functools.partial(request.param, loop)


def test_callbacks_have_a_context_each(call, turns):
    seen = []

    def callback(name):
        seen.append((name, VAR.get()))
        VAR.set(name)

    for name in ("first", "second", "third"):
        call(callback, name)
    VAR.set("after")
    call(callback, "fourth")
    turns(2)
    assert seen == [("first", "test"), ("second", "test"), ("third", "test"), ("fourth", "after")]
    assert VAR.get() == "after"


def test_the_context_of_a_handle_is_the_one_that_it_runs_in(call, turns):
    entered = []

    def callback():
        VAR.set("callback")
        entered.append(contextvars.copy_context())

    looked_at, other = (call(callback) for _ in range(2))
    context = looked_at._context
    assert type(context) is contextvars.Context
    assert looked_at._context is context
    assert context[VAR] == "test"
    context.run(VAR.set, "looked at")
    turns(2)
    assert looked_at._context is context
    assert context[VAR] == "callback"
    assert other._context is not context
    assert other._context[VAR] == "callback"
    assert [context[VAR] for context in entered] == ["callback", "callback"]


def test_a_token_of_a_callback_can_be_reset_in_it(call, turns):
    seen = []

    def callback():
        token = VAR.set("within")
        VAR.reset(token)
        seen.append(VAR.get())

    call(callback)
    call(callback)
    turns(2)
    assert seen == ["test", "test"]


def test_a_token_of_a_callback_belongs_to_no_other(call, turns):
    tokens, refused = [], []

    def sets():
        tokens.append(VAR.set("within"))

    def resets():
        with pytest.raises(ValueError, match="was created in a different Context") as caught:
            VAR.reset(tokens[0])
        refused.append(caught.type)

    call(sets)
    call(resets)
    turns(2)
    assert refused == [ValueError]


def test_a_callback_that_has_run_keeps_no_variable_alive(call, turns):
    class Value:
        """Can be referenced weakly."""

    alive = []

    def scheduled_within():
        value = Value()
        VAR.set(value)
        alive.append(weakref.ref(value))
        call(lambda: None)
        call(VAR.set, None)

    contextvars.copy_context().run(scheduled_within)
    turns(2)
    gc.collect()
    assert alive[0]() is None


def test_callbacks_that_change_nothing_leave_nothing_to_the_next(call, turns):
    """They may share a context, one after another, as long as nobody can tell."""
    seen = []

    def looks():
        seen.append((VAR.get(), len(contextvars.copy_context())))

    def sets_another(variable):
        variable.set(len(seen))
        looks()

    size = len(contextvars.copy_context())
    for number in range(4):
        call(looks)
        call(sets_another, contextvars.ContextVar(f"another {number}"))
        call(looks)
    turns(2)
    assert seen == [("test", size), ("test", size + 1), ("test", size)] * 4


def test_a_callback_that_runs_within_another_has_a_context_of_its_own(loop, call, turns):
    seen = []

    def outer():
        VAR.set("outer")
        handle = loop.call_soon(seen.append, "later")
        handle._context.run(lambda: seen.append(VAR.get()))
        inner._run()
        seen.append(VAR.get())

    def inner_callback():
        seen.append(VAR.get())
        VAR.set("inner")

    inner = call(inner_callback)
    inner.cancel()
    inner = loop.call_soon(inner_callback)
    call(outer)
    turns(2)
    assert seen == ["test", "outer", "inner", "outer", "later"]


def test_a_callback_that_raises_shows_the_context_that_it_ran_in(call, turns, reported):
    def callback():
        VAR.set("raised")
        raise ValueError

    call(callback)
    turns(2)
    (report,) = reported
    assert report["handle"]._context[VAR] == "raised"
    assert report["handle"]._callback is callback


def test_to_thread_carries_the_context_and_run_in_executor_does_not(loop, run):
    async def main():
        VAR.set("main")
        return await asyncio.to_thread(VAR.get), await loop.run_in_executor(None, VAR.get)

    assert run(main()) == ("main", "unset")


def test_an_async_generator_sees_the_context_of_the_task_that_drives_it(run):
    async def generator():
        yield VAR.get()
        VAR.set("generator")
        yield VAR.get()

    async def main():
        VAR.set("main")
        seen = [value async for value in generator()]
        return seen, VAR.get()

    assert run(main()) == (["main", "generator"], "generator")


def test_the_runner_keeps_one_context(engine):
    async def write():
        VAR.set("runner")

    async def read():
        return VAR.get()

    with asyncio.Runner(loop_factory=engine.new_loop) as runner:
        runner.run(write())
        assert runner.run(read()) == "runner"
    assert VAR.get() == "test"


@pytest.mark.parametrize("bad", ["text", 1, object()])
def test_a_task_with_a_wrong_context_has_the_outcome_of_stock(same_as_stock, bad):
    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))

        async def worker():
            return "ran"

        coroutine = worker()
        try:
            task = loop.create_task(coroutine, context=bad)
            loop.stop()
            loop.run_forever()
            task._log_destroy_pending = False
            return seen, task.done()
        finally:
            coroutine.close()

    same_as_stock(scenario)
