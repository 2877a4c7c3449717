"""Tasks and futures whose __init__ was never called: stock's answers, and no crash."""

import asyncio

import pytest

FUTURE_CALLS = {
    "done": lambda future: future.done(),
    "cancelled": lambda future: future.cancelled(),
    "result": lambda future: future.result(),
    "exception": lambda future: future.exception(),
    "cancel": lambda future: future.cancel(),
    "get_loop": lambda future: future.get_loop(),
    "add_done_callback": lambda future: future.add_done_callback(print),
    "remove_done_callback": lambda future: future.remove_done_callback(print),
    "set_result": lambda future: future.set_result(1),
    "set_exception": lambda future: future.set_exception(ValueError()),
    "iter": lambda future: next(iter(future)),
    "repr": lambda future: repr(future),
    "_loop": lambda future: future._loop,
    "_callbacks": lambda future: future._callbacks,
    "_result": lambda future: future._result,
    "_exception": lambda future: future._exception,
    "_state": lambda future: future._state,
    "_cancel_message": lambda future: future._cancel_message,
    "_log_traceback": lambda future: future._log_traceback,
    "_source_traceback": lambda future: future._source_traceback,
    "_asyncio_future_blocking": lambda future: future._asyncio_future_blocking,
    "make cancelled error": lambda future: repr(future._make_cancelled_error()),
}


@pytest.mark.parametrize("call", FUTURE_CALLS.values(), ids=FUTURE_CALLS)
def test_a_future_whose_init_was_not_called_answers_as_stock_does(same_as_stock, call):
    def scenario(loop, engine):
        class Empty(engine.future_class):
            def __init__(self):
                pass

        base = engine.future_class
        seen = []
        for future in (Empty(), base.__new__(base)):
            try:
                seen.append(call(future))
            except Exception as exc:
                seen.append((type(exc).__name__, str(exc)))
        return seen

    same_as_stock(scenario)


def test_awaiting_a_future_whose_init_was_not_called_fails_as_on_stock(same_as_stock):
    def scenario(loop, engine):
        class Empty(engine.future_class):
            def __init__(self):
                pass

        async def main():
            await Empty()

        loop.run_until_complete(main())

    assert same_as_stock(scenario)[0] == "raised"


TASK_CALLS = {
    "done": lambda task: task.done(),
    "cancelled": lambda task: task.cancelled(),
    "result": lambda task: task.result(),
    "exception": lambda task: task.exception(),
    "cancel": lambda task: task.cancel(),
    "cancelling": lambda task: task.cancelling(),
    "uncancel": lambda task: task.uncancel(),
    "get_loop": lambda task: task.get_loop(),
    "get_name": lambda task: task.get_name(),
    "set_name": lambda task: task.set_name("name"),
    "add_done_callback": lambda task: task.add_done_callback(print),
    "remove_done_callback": lambda task: task.remove_done_callback(print),
    "set_result": lambda task: task.set_result(1),
    "set_exception": lambda task: task.set_exception(ValueError()),
    "await": lambda task: next(task.__await__()),
    "_loop": lambda task: task._loop,
    "_callbacks": lambda task: task._callbacks,
    "_result": lambda task: task._result,
    "_exception": lambda task: task._exception,
    "_state": lambda task: task._state,
    "_coro": lambda task: task._coro,
    "_fut_waiter": lambda task: task._fut_waiter,
    "_must_cancel": lambda task: task._must_cancel,
    "_cancel_message": lambda task: task._cancel_message,
    "_source_traceback": lambda task: task._source_traceback,
    "_log_traceback": lambda task: task._log_traceback,
    "make cancelled error": lambda task: repr(task._make_cancelled_error()),
}


@pytest.mark.parametrize("call", TASK_CALLS.values(), ids=TASK_CALLS)
def test_a_task_whose_init_was_not_called_answers_as_stock_does(same_as_stock, call):
    def scenario(loop, engine):
        class Empty(engine.task_class):
            def __init__(self):
                pass

        class Hollow(engine.task_class):
            pass

        seen = []
        for task in (Empty(), Hollow.__new__(Hollow), engine.task_class.__new__(engine.task_class)):
            try:
                seen.append(call(task))
            except Exception as exc:
                seen.append((type(exc).__name__, str(exc)))
        return seen

    same_as_stock(scenario)


def test_get_coro_of_a_hollow_task_does_not_crash(task_class):
    if task_class is asyncio.Task:
        pytest.skip("the standard library's own get_coro crashes here on 3.11 and 3.12")
    assert task_class.__new__(task_class).get_coro() is None
