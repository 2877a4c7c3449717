"""Coroutines that yield what no task can wait for: the error of stock, and the loop goes on."""

import asyncio

import pytest


def as_task(loop, coroutine):
    """Run the coroutine as a task for some turns; return what became of it as texts."""
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(str(context["exception"])))
    task = loop.create_task(coroutine)
    for _ in range(10):
        loop.stop()
        loop.run_forever()
    if not task.done():
        task._log_destroy_pending = False
        return "pending", reports
    try:
        return "result", task.result()
    except (Exception, asyncio.CancelledError) as exc:
        return type(exc).__name__, str(exc)


class Yielding:
    """An awaitable that yields one object."""

    def __init__(self, value):
        self.value = value

    def __await__(self):
        yield self.value


GARBAGE = {
    "number": 1,
    "text": "text",
    "false": False,
    "empty list": [],
    "object": object(),
    "generator": (number for number in ()),
    "exception": ValueError("yielded"),
    "tuple": (1, 2),
}


@pytest.mark.parametrize("value", GARBAGE.values(), ids=GARBAGE)
def test_yielding_garbage_raises_the_stock_error_in_the_coroutine(same_as_stock, value):
    def scenario(loop, engine):
        async def garbage():
            await Yielding(value)

        async def survives():
            try:
                await Yielding(value)
            except RuntimeError:
                return await asyncio.sleep(0, "survived")

        return as_task(loop, garbage()), as_task(loop, survives())

    outcome = same_as_stock(scenario)
    assert outcome[1][0][0] == "RuntimeError"
    assert outcome[1][1] == ("result", "survived")


def test_yielding_the_class_of_futures_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))

        async def garbage():
            await Yielding(engine.future_class)

        task = loop.create_task(garbage())
        for _ in range(4):
            loop.stop()
            loop.run_forever()
        task._log_destroy_pending = False
        return seen, task.done(), task.done() and repr(task.exception())

    same_as_stock(scenario)


def test_yielding_a_future_without_await_raises_the_stock_error(same_as_stock):
    def scenario(loop, engine):
        async def wrong(future):
            await Yielding(future)

        return as_task(loop, wrong(loop.create_future()))

    outcome = same_as_stock(scenario)
    assert outcome[1][1].startswith("yield was used instead of yield from in task ")


def test_a_future_of_another_loop_is_refused_by_a_task(same_as_stock):
    def scenario(loop, engine):
        other = engine.new_loop()

        async def waits():
            await other.create_future()

        try:
            return as_task(loop, waits())
        finally:
            other.close()

    outcome = same_as_stock(scenario)
    assert outcome[1][0] == "RuntimeError"
    assert outcome[1][1].endswith("attached to a different loop")


BLOCKING_VALUES = {
    "true": True,
    "one": 1,
    "text": "text",
    "none": None,
    "false": False,
}


@pytest.mark.parametrize("value", BLOCKING_VALUES.values(), ids=BLOCKING_VALUES)
def test_a_foreign_object_with_a_blocking_flag_has_the_outcome_of_stock(same_as_stock, value):
    def scenario(loop, engine):
        seen = []

        class Foreign:
            _asyncio_future_blocking = value

            def get_loop(self):
                seen.append("get_loop")
                return loop

            def add_done_callback(self, callback, *, context):
                seen.append("add_done_callback")
                loop.call_soon(callback, self)

            def result(self):
                seen.append("result")

            def __repr__(self):
                return "<foreign>"

        async def waits():
            await Yielding(Foreign())

        return as_task(loop, waits()), seen

    same_as_stock(scenario)


@pytest.mark.parametrize("missing", ["get_loop", "add_done_callback", "result", "flag raises"])
def test_a_foreign_object_that_lacks_a_method_has_the_outcome_of_stock(same_as_stock, missing):
    def scenario(loop, engine):
        class Foreign:
            _asyncio_future_blocking = True

            def get_loop(self):
                return loop

            def add_done_callback(self, callback, *, context):
                loop.call_soon(callback, self)

            def result(self):
                return None

            def __repr__(self):
                return "<foreign>"

        if missing == "flag raises":

            def flag(self):
                raise ZeroDivisionError("flag")

            Foreign._asyncio_future_blocking = property(flag)
        else:
            delattr(Foreign, missing)

        async def waits():
            await Yielding(Foreign())

        return as_task(loop, waits())

    same_as_stock(scenario)
