"""Future used wrongly: every error type and every text is the one of stock."""

import asyncio

import pytest


def test_the_result_of_a_pending_future_is_not_set(loop):
    future = loop.create_future()
    with pytest.raises(asyncio.InvalidStateError, match=r"^Result is not set\.$"):
        future.result()


def test_the_exception_of_a_pending_future_is_not_set(loop):
    future = loop.create_future()
    with pytest.raises(asyncio.InvalidStateError, match=r"^Exception is not set\.$"):
        future.exception()


STATES = {
    "pending": lambda future: None,
    "finished": lambda future: future.set_result(1),
    "failed": lambda future: (future.set_exception(ValueError("first")), future.exception()),
    "cancelled": lambda future: future.cancel("first"),
}

CALLS = {
    "result": lambda future: future.result(),
    "exception": lambda future: repr(future.exception()),
    "set_result": lambda future: future.set_result(2),
    "set_exception": lambda future: (
        future.set_exception(LookupError("second")),
        repr(future.exception()),
    ),
    "cancel": lambda future: future.cancel("second"),
    "done": lambda future: future.done(),
    "cancelled": lambda future: future.cancelled(),
    "make cancelled error": lambda future: repr(future._make_cancelled_error()),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_call_in_every_state_has_the_outcome_of_stock(same_as_stock, state, call):
    def scenario(loop, engine):
        future = loop.create_future()
        state(future)
        return call(future)

    same_as_stock(scenario)


@pytest.mark.parametrize("call", ["set_result", "set_exception"])
@pytest.mark.parametrize("state", ["finished", "failed", "cancelled"])
def test_a_done_future_cannot_be_set_again(loop, call, state):
    future = loop.create_future()
    STATES[state](future)
    before = repr(future)
    with pytest.raises(asyncio.InvalidStateError):
        getattr(future, call)(ValueError())
    assert repr(future) == before


class NeedsArguments(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class FailsToStart(Exception):
    def __init__(self):
        raise ZeroDivisionError("no instance")


class MakesAnother(Exception):
    def __new__(cls):
        return 5


BAD_EXCEPTIONS = {
    "number": 1,
    "text": "text",
    "none": None,
    "other class": int,
    "stop iteration": StopIteration(3),
    "stop iteration class": StopIteration,
    "stop async iteration": StopAsyncIteration(3),
    "needs arguments": NeedsArguments,
    "fails to start": FailsToStart,
    "makes another": MakesAnother,
    "cancelled error": asyncio.CancelledError("raised by hand"),
    "keyboard interrupt": KeyboardInterrupt("k"),
    "system exit class": SystemExit,
    "generator exit": GeneratorExit(),
    "base exception": BaseException("b"),
}


@pytest.mark.parametrize("bad", BAD_EXCEPTIONS.values(), ids=BAD_EXCEPTIONS)
def test_odd_exceptions_have_the_outcome_of_stock(same_as_stock, bad):
    def scenario(loop, engine):
        future = loop.create_future()
        try:
            future.set_exception(bad)
        except BaseException as exc:
            return "refused", type(exc).__name__, str(exc), future.done()
        stored = future.exception()
        return "kept", type(stored).__name__, str(stored), repr(stored.__cause__), repr(future)

    same_as_stock(scenario)


@pytest.mark.parametrize("bad", ["cancelled error", "stop iteration", "base exception"])
def test_awaiting_a_future_with_an_odd_exception_raises_what_stock_raises(same_as_stock, bad):
    def scenario(loop, engine):
        async def main():
            future = loop.create_future()
            try:
                future.set_exception(BAD_EXCEPTIONS[bad])
            except TypeError:
                future.set_result("refused")
            return await future

        task = loop.create_task(main())
        try:
            return loop.run_until_complete(task)
        finally:
            assert task.cancelled() == (bad == "cancelled error")

    same_as_stock(scenario)


BAD_CALLS = {
    "set_result without": lambda future: future.set_result(),
    "set_result with two": lambda future: future.set_result(1, 2),
    "set_result by name": lambda future: future.set_result(result=1),
    "set_exception without": lambda future: future.set_exception(),
    "set_exception with two": lambda future: future.set_exception(1, 2),
    "result with one": lambda future: future.result(1),
    "exception with one": lambda future: future.exception(1),
    "done with one": lambda future: future.done(1),
    "cancelled with one": lambda future: future.cancelled(1),
    "get_loop with one": lambda future: future.get_loop(1),
    "cancel with two": lambda future: future.cancel(1, 2),
    "cancel by wrong name": lambda future: future.cancel(message=1),
    "add_done_callback without": lambda future: future.add_done_callback(),
    "add_done_callback with two": lambda future: future.add_done_callback(print, None),
    "add_done_callback by wrong name": lambda future: future.add_done_callback(print, loop=1),
    "remove_done_callback without": lambda future: future.remove_done_callback(),
    "remove_done_callback with two": lambda future: future.remove_done_callback(1, 2),
    "init again with a position": lambda future: future.__init__(1),
    "init by wrong name": lambda future: future.__init__(lop=1),
    "log_traceback set to true": lambda future: setattr(future, "_log_traceback", True),
    "unknown attribute": lambda future: future.unknown,
    "called": lambda future: future(),
    "length": lambda future: len(future),
    "order": lambda future: future < future,
}


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_wrong_call_gives_the_stock_error(same_as_stock, call):
    outcome = same_as_stock(lambda loop, engine: call(engine.future_class(loop=loop)))
    assert outcome[0] == "raised"


def test_a_callback_that_cannot_be_called_fails_when_it_is_called(same_as_stock):
    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))
        future = loop.create_future()
        future.add_done_callback(None)
        future.add_done_callback("text")
        future.set_result(1)
        loop.stop()
        loop.run_forever()
        return seen

    assert len(same_as_stock(scenario)[1]) == 2


@pytest.mark.parametrize("context", [None, "text", 1])
def test_a_callback_with_a_wrong_context_has_the_outcome_of_stock(same_as_stock, context):
    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))
        future = loop.create_future()
        future.add_done_callback(lambda _: seen.append("called"), context=context)
        future.set_result(1)
        loop.stop()
        loop.run_forever()
        return seen

    same_as_stock(scenario)


def test_a_future_without_a_loop_outside_a_run_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        asyncio.set_event_loop(loop)
        try:
            return engine.future_class().get_loop() is loop
        finally:
            asyncio.set_event_loop(None)

    same_as_stock(scenario)


@pytest.mark.parametrize("bad", [1, "text", object()])
def test_a_loop_of_another_type_has_the_outcome_of_stock(same_as_stock, bad):
    same_as_stock(lambda loop, engine: engine.future_class(loop=bad).done())
