"""Task.cancel, uncancel and cancelling: what is thrown, when, with which message."""

import asyncio

import pytest


def test_cancel_throws_cancelled_error_at_the_wait(run):
    seen = []

    async def worker():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError as exc:
            seen.append(exc.args)
            raise

    async def main():
        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        assert task.cancel() is True
        assert not task.cancelled()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled() and task.done()

    run(main())
    assert seen == [()]


def test_cancel_before_first_step_never_runs_the_body(run):
    seen = []

    async def worker():
        seen.append("ran")

    async def main():
        task = asyncio.create_task(worker())
        assert task.cancel() is True
        assert task._must_cancel is True
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main())
    assert seen == []


def test_cancel_of_a_done_task_does_nothing(run):
    async def main():
        task = asyncio.create_task(asyncio.sleep(0, "result"))
        await task
        assert task.cancel() is False
        assert task.cancelling() == 0
        assert task.result() == "result"

    run(main())


@pytest.mark.parametrize("message", [(), ("why",), (None,), (5,)])
@pytest.mark.parametrize("before_start", [False, True])
def test_the_message_reaches_the_coroutine_and_the_waiter(run, message, before_start):
    seen = []

    async def worker():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError as exc:
            seen.append(exc.args)
            raise

    expected = tuple(part for part in message if part is not None)

    async def main():
        task = asyncio.create_task(worker())
        if not before_start:
            await asyncio.sleep(0)
        task.cancel(*message)
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert caught.value.args == expected
        for method in (task.result, task.exception):
            with pytest.raises(asyncio.CancelledError) as caught:
                method()
            assert caught.value.args in (expected, ())

    run(main())
    assert seen == ([] if before_start else [expected])


def test_the_messages_after_every_route_are_those_of_stock(same_as_stock):
    def scenario(loop, engine):
        seen = []

        def note(function):
            try:
                seen.append(function())
            except asyncio.CancelledError as exc:
                context = exc.__context__
                seen.append((exc.args, type(context).__name__, getattr(context, "args", None)))

        async def main():
            waiting = loop.create_task(asyncio.sleep(1000))
            outer = loop.create_task(asyncio.wait({waiting}))
            shielded = asyncio.shield(waiting)
            await asyncio.sleep(0)
            outer.cancel("outer")
            waiting.cancel("inner")
            for _ in range(5):
                await asyncio.sleep(0)
            for future in (outer, waiting, shielded):
                for _ in range(3):
                    note(future.result)
                    note(future.exception)
                    note(lambda future=future: repr(future._make_cancelled_error()))
                try:
                    await future
                except asyncio.CancelledError as exc:
                    seen.append(exc.args)
                seen.append(future._cancel_message)

        loop.run_until_complete(main())
        return seen

    assert same_as_stock(scenario)[0] == "returned"


def test_a_task_that_swallows_the_cancellation_returns_its_result(run):
    async def worker():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            return "swallowed"

    async def main():
        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        task.cancel()
        assert await task == "swallowed"
        assert not task.cancelled()
        assert task.cancelling() == 1

    run(main())


def test_a_task_that_turns_the_cancellation_into_an_error_fails_with_it(run):
    async def worker():
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError as exc:
            raise ValueError("turned") from exc

    async def main():
        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        task.cancel("why")
        with pytest.raises(ValueError, match="^turned$") as caught:
            await task
        assert caught.value.__cause__.args == ("why",)

    run(main())


def test_a_task_that_raises_cancelled_error_by_itself_is_cancelled(run):
    async def worker():
        raise asyncio.CancelledError("by itself")

    async def main():
        task = asyncio.create_task(worker())
        with pytest.raises(asyncio.CancelledError, match="^by itself$"):
            await task
        assert task.cancelled()
        assert task.cancelling() == 0

    run(main())


def test_cancel_cancels_the_future_that_is_waited_for(loop, run):
    async def main():
        future = loop.create_future()

        async def worker():
            await future

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        assert task._fut_waiter is future
        task.cancel("through")
        assert future.cancelled()
        assert task._must_cancel is False
        with pytest.raises(asyncio.CancelledError, match="^through$"):
            await task
        assert task._fut_waiter is None

    run(main())


def test_cancel_after_the_future_is_done_stops_the_task_at_its_wake_up(loop, run):
    seen = []

    async def main():
        future = loop.create_future()

        async def worker():
            try:
                await future
            except asyncio.CancelledError as exc:
                seen.append(exc.args)
                raise

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        future.set_result("lost")
        task.cancel("late")
        assert task._must_cancel is True
        with pytest.raises(asyncio.CancelledError):
            await task
        assert future.result() == "lost"

    run(main())
    assert seen == [("late",)]


def test_the_last_message_before_the_throw_is_the_one_thrown(same_as_stock):
    def scenario(loop, engine):
        async def main():
            task = loop.create_task(asyncio.sleep(1000))
            task.cancel("one")
            task.cancel("two")
            try:
                await task
            except asyncio.CancelledError as exc:
                return exc.args, task.cancelling()

        return loop.run_until_complete(main())

    same_as_stock(scenario)


def test_a_second_cancel_interrupts_the_clean_up(run):
    seen = []

    async def worker():
        try:
            await asyncio.sleep(1000)
        finally:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError as exc:
                seen.append(exc.args)
                raise

    async def main():
        task = asyncio.create_task(worker())
        for message in ("first", "second"):
            await asyncio.sleep(0)
            task.cancel(message)
        with pytest.raises(asyncio.CancelledError, match="^second$"):
            await task
        assert task.cancelling() == 2

    run(main())
    assert seen == [("second",)]
