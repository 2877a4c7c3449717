"""call_exception_handler, handlers of the user, and the default one: keys and texts."""

import logging
import socket

import pytest


@pytest.fixture
def logged(caplog):
    """The records that asyncio logged so far."""
    caplog.set_level(logging.DEBUG, logger="asyncio")
    return lambda: [
        record
        for record in caplog.records
        if record.name == "asyncio" and record.levelno >= logging.ERROR
    ]


def broken():
    """A callback that fails."""
    raise ValueError("broken")


def test_no_handler_is_set_at_first(loop):
    assert loop.get_exception_handler() is None


def test_the_handler_can_be_set_read_and_unset(loop):
    def handler(loop, context):
        pass

    assert loop.set_exception_handler(handler) is None
    assert loop.get_exception_handler() is handler
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None


@pytest.mark.parametrize("bad", [1, "text", object()])
def test_a_handler_that_cannot_be_called_is_refused_as_on_stock(same_as_stock, bad):
    assert same_as_stock(lambda loop, engine: loop.set_exception_handler(bad))[1] is TypeError


def test_the_handler_gets_the_loop_and_the_very_context(loop):
    seen = []
    loop.set_exception_handler(lambda *args: seen.append(args))
    context = {"message": "m", "extra": 1}
    assert loop.call_exception_handler(context) is None
    assert seen == [(loop, context)]
    assert seen[0][1] is context


SOURCES = {
    "call_soon": lambda loop: loop.call_soon(broken),
    "call_at": lambda loop: loop.call_at(0.0, broken),
    "call_soon_threadsafe": lambda loop: loop.call_soon_threadsafe(broken),
    "arguments": lambda loop: loop.call_soon(broken, 1, 2),
    "done callback": lambda loop: loop.future.add_done_callback(lambda _: broken()),
    "cancelled error": lambda loop: loop.call_soon(loop.future.exception),
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_context_of_a_failing_callback_is_the_one_of_stock(same_as_stock, source, debug):
    def scenario(loop, engine):
        seen = []
        loop.set_debug(debug)

        def handler(_, context):
            seen.append(
                (
                    context["message"],
                    sorted(context),
                    type(context["exception"]).__name__,
                    repr(context["handle"]),
                )
            )

        loop.set_exception_handler(handler)
        loop.future = engine.future_class(loop=loop)
        loop.future.set_result(None)
        source(loop)
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        return seen

    same_as_stock(scenario)


def test_the_traceback_of_a_failing_callback_ends_where_it_failed(loop, turns, reported):
    loop.call_soon(broken)
    turns()
    traceback = reported[0]["exception"].__traceback__
    while traceback.tb_next:
        traceback = traceback.tb_next
    assert traceback.tb_frame.f_code.co_name == "broken"


def test_a_failing_reader_is_reported(loop, reported):
    left, right = socket.socketpair()
    with left, right:
        loop.add_reader(left, lambda: (loop.remove_reader(left), loop.stop(), 1 / 0))
        right.send(b"x")
        loop.run_forever()
    (context,) = reported
    assert context["message"].startswith("Exception in callback ")
    assert set(context) == {"message", "exception", "handle"}


def test_without_a_handler_the_error_is_logged_with_its_traceback(loop, turns, logged):
    loop.call_soon(broken)
    turns()
    (record,) = logged()
    lines = record.getMessage().splitlines()
    assert lines[0].startswith("Exception in callback broken() at ")
    assert lines[1].startswith("handle: <Handle broken() at ")
    assert record.exc_info[0] is ValueError


def test_the_default_handler_writes_all_keys_in_order(loop, logged):
    loop.default_exception_handler({"message": "text", "zebra": 1, "apple": [2]})
    (record,) = logged()
    assert record.getMessage() == "text\napple: [2]\nzebra: 1"
    assert not record.exc_info


def test_the_default_handler_has_a_text_of_its_own(same_as_stock, caplog):
    def scenario(loop, engine):
        caplog.clear()
        loop.default_exception_handler({})
        loop.default_exception_handler({"message": ""})
        return [record.getMessage() for record in caplog.records]

    same_as_stock(scenario)


def test_a_handler_may_be_a_method_of_a_subclass(engine):
    probe = engine.new_loop()
    probe.close()
    seen = []

    class Own(type(probe)):
        def default_exception_handler(self, context):
            seen.append(context["message"])

        def call_exception_handler(self, context):
            seen.append("called")
            super().call_exception_handler(context)

    loop = Own()
    loop.call_soon(broken)
    loop.stop()
    loop.run_forever()
    loop.close()
    assert seen[0] == "called"
    assert seen[1].startswith("Exception in callback broken() at ")


def test_an_error_in_the_handler_is_logged_and_the_loop_goes_on(loop, turns, logged):
    def handler(loop, context):
        raise LookupError("in the handler")

    seen = []
    loop.set_exception_handler(handler)
    loop.call_soon(broken)
    loop.call_soon(seen.append, "next")
    turns()
    assert seen == ["next"]
    (record,) = logged()
    assert record.getMessage().startswith("Unhandled error in exception handler\ncontext: {")
    assert record.exc_info[0] is LookupError


def test_an_error_in_an_own_default_handler_is_logged(engine, logged):
    probe = engine.new_loop()
    probe.close()

    class Failing(type(probe)):
        def default_exception_handler(self, context):
            raise LookupError("in the default handler")

    loop = Failing()
    loop.call_soon(broken)
    loop.stop()
    loop.run_forever()
    loop.close()
    (record,) = logged()
    assert record.getMessage() == "Exception in default exception handler"
    assert record.exc_info[0] is LookupError


def test_the_handler_may_schedule_and_stop(loop):
    seen = []

    def handler(loop, context):
        loop.call_soon(seen.append, "scheduled")
        loop.call_soon(loop.stop)

    loop.set_exception_handler(handler)
    loop.call_soon(broken)
    loop.run_forever()
    assert seen == ["scheduled"]


def test_the_handler_runs_in_the_context_of_the_failing_callback_as_on_stock(same_as_stock):
    import contextvars

    var = contextvars.ContextVar("var", default="unset")

    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(lambda *_: seen.append(var.get()))
        context = contextvars.Context()
        context.run(var.set, "callback")
        loop.call_soon(broken, context=context)

        async def failing():
            var.set("task")
            loop.create_future().set_exception(ValueError("unread"))

        task = loop.create_task(failing(), context=context)
        loop.run_until_complete(task)
        return seen

    same_as_stock(scenario)


@pytest.mark.parametrize("bad", [None, 1, "text", []])
def test_a_context_that_is_no_dict_has_the_outcome_of_stock(same_as_stock, bad):
    def scenario(loop, engine):
        loop.set_exception_handler(None)
        loop.call_exception_handler(bad)

    same_as_stock(scenario)
