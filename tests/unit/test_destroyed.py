"""What is said about futures and tasks that die unread or pending, and when."""

import asyncio
import contextlib
import gc
import sys

import pytest


def messages(contexts):
    return [context["message"] for context in contexts]


def test_an_unread_exception_of_a_future_is_reported_when_it_dies(loop, reported):
    future = loop.create_future()
    error = ValueError("unread")
    future.set_exception(error)
    assert future._log_traceback is True
    text = repr(future)
    del future
    gc.collect()
    (context,) = reported
    assert context["message"] == "Future exception was never retrieved"
    assert context["exception"] is error
    assert repr(context["future"]) == text
    assert set(context) == {"message", "exception", "future"}


@pytest.mark.parametrize("how", ["result", "exception", "await", "flag"])
def test_a_read_exception_is_not_reported(loop, run, reported, how):
    async def main():
        future = loop.create_future()
        future.set_exception(ValueError("read"))
        if how == "flag":
            future._log_traceback = False
        elif how == "exception":
            future.exception()
        else:
            with pytest.raises(ValueError):
                await future if how == "await" else future.result()
        assert future._log_traceback is False

    run(main())
    gc.collect()
    assert reported == []


@pytest.mark.parametrize("end", ["pending", "result", "cancelled"])
def test_other_futures_die_in_silence(loop, reported, end):
    future = loop.create_future()
    if end == "result":
        future.set_result(1)
    elif end == "cancelled":
        future.cancel()
    del future
    gc.collect()
    assert reported == []


def test_an_unread_exception_of_a_task_is_reported_when_it_dies(loop, run, reported):
    async def failing():
        raise ValueError("unread")

    async def main():
        asyncio.create_task(failing(), name="failing one")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run(main())
    gc.collect()
    (context,) = reported
    assert context["message"] == "Task exception was never retrieved"
    assert str(context["exception"]) == "unread"
    assert context["future"].get_name() == "failing one"
    assert set(context) == {"message", "exception", "future"}


def test_the_class_name_in_the_message_is_that_of_the_subclass(loop, reported, future_class):
    class Mine(future_class):
        pass

    future = Mine(loop=loop)
    future.set_exception(ValueError())
    del future
    gc.collect()
    assert messages(reported) == ["Mine exception was never retrieved"]


def test_a_pending_task_that_dies_is_reported(loop, turns, reported):
    async def waits():
        await asyncio.get_running_loop().create_future()

    task = loop.create_task(waits(), name="doomed")
    turns()
    del task
    gc.collect()
    (context,) = reported
    assert context["message"] == "Task was destroyed but it is pending!"
    assert context["task"].get_name() == "doomed"
    assert set(context) == {"message", "task"}
    reported.clear()


def test_the_flag_keeps_a_dying_pending_task_silent(loop, turns, reported):
    async def waits():
        await asyncio.get_running_loop().create_future()

    task = loop.create_task(waits())
    task._log_destroy_pending = False
    turns()
    del task
    gc.collect()
    assert reported == []


def test_a_pending_task_of_a_closed_loop_is_reported_when_it_dies(loop, turns, reported):
    async def waits(future):
        await future

    future = loop.create_future()
    task = loop.create_task(waits(future))
    turns()
    loop.close()
    gc.collect()
    assert reported == []
    del task, future
    gc.collect()
    assert messages(reported) == ["Task was destroyed but it is pending!"]
    reported.clear()


def test_a_task_waiting_for_a_held_future_lives(loop, run, turns, reported):
    async def waits(future):
        return await future

    future = loop.create_future()
    loop.create_task(waits(future)).add_done_callback(lambda task: seen.append(task.result()))
    seen = []
    turns()
    gc.collect()
    assert reported == []
    future.set_result("lived")
    turns(2)
    assert seen == ["lived"]


def test_a_sleeping_task_lives_without_a_reference(loop, run, reported):
    seen = []

    async def sleeps():
        await asyncio.sleep(0.001)
        seen.append("woke")

    async def main():
        asyncio.create_task(sleeps())
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0.002)

    run(main())
    assert seen == ["woke"]
    assert reported == []


def test_done_and_cancelled_tasks_die_in_silence(loop, run, reported):
    async def main():
        await asyncio.create_task(asyncio.sleep(0))
        task = asyncio.create_task(asyncio.sleep(1000))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    run(main())
    gc.collect()
    assert reported == []


def test_an_unread_exception_is_reported_once_to_the_default_handler(loop, caplog):
    future = loop.create_future()
    future.set_exception(ValueError("unread"))
    del future
    gc.collect()
    (record,) = [record for record in caplog.records if record.name == "asyncio"]
    assert record.levelname == "ERROR"
    lines = record.getMessage().splitlines()
    assert lines[0] == "Future exception was never retrieved"
    assert lines[1] == "future: <Future finished exception=ValueError('unread')>"
    assert record.exc_info[0] is ValueError


def test_in_debug_mode_the_report_says_where_it_was_made(loop, reported):
    loop.set_debug(True)
    future = loop.create_future()
    future.set_exception(ValueError("unread"))
    del future
    gc.collect()
    (context,) = reported
    assert set(context) == {"message", "exception", "future", "source_traceback"}
    names = [frame.name for frame in context["source_traceback"]]
    assert "test_in_debug_mode_the_report_says_where_it_was_made" in names


def test_in_debug_mode_a_dying_pending_task_says_where_it_was_made(loop, turns, reported):
    loop.set_debug(True)

    async def waits():
        await asyncio.get_running_loop().create_future()

    task = loop.create_task(waits())
    turns()
    del task
    gc.collect()
    (context,) = reported
    assert set(context) == {"message", "task", "source_traceback"}
    reported.clear()


def test_many_dying_things_say_what_stock_says(same_as_stock):
    def scenario(loop, engine):
        seen = []
        loop.set_exception_handler(
            lambda _, context: seen.append((context["message"], sorted(context)))
        )

        async def failing():
            raise ValueError("f")

        async def waiting(future):
            await future

        async def main():
            future = loop.create_future()
            for _ in range(3):
                loop.create_task(failing())
                loop.create_task(waiting(future))
                loop.create_future().set_exception(KeyError("k"))
            await asyncio.sleep(0)
            gathered = asyncio.gather(failing(), failing(), return_exceptions=False)
            with contextlib.suppress(ValueError):
                await gathered

        loop.run_until_complete(main())
        gc.collect()
        return sorted(seen)

    outcome = same_as_stock(scenario)
    assert len(outcome[1]) == 9


def test_setting_an_exception_handler_that_raises_does_not_stop_the_death(loop, caplog):
    def handler(loop, context):
        raise LookupError("in the handler")

    loop.set_exception_handler(handler)
    future = loop.create_future()
    future.set_exception(ValueError("unread"))
    del future
    gc.collect()
    assert "Unhandled error in exception handler" in caplog.text


def test_a_future_dying_after_its_loop_was_closed_still_reports(loop, reported):
    future = loop.create_future()
    future.set_exception(ValueError("unread"))
    loop.close()
    del future
    gc.collect()
    assert messages(reported) == ["Future exception was never retrieved"]


def test_an_error_being_handled_survives_the_report(loop, reported):
    future = loop.create_future()
    future.set_exception(ValueError("unread"))
    try:
        raise KeyError("handled")
    except KeyError:
        del future
        gc.collect()
        seen = sys.exception()
    assert seen.args == ("handled",)
    assert len(reported) == 1
