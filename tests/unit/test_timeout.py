"""`Timeout`, `timeout`, `timeout_at` and `wait_for`, stock's and the native ones, on both loops."""

import asyncio
import contextvars
import gc
import sys
import weakref

import pytest
from small_coroutines import give


def test_it_turns_its_own_cancellation_into_a_timeout_error(run_main, package):
    async def main():
        task = asyncio.current_task()
        with pytest.raises(TimeoutError) as caught:
            async with package.timeout(0.01) as timeout:
                await asyncio.sleep(60)
        error = caught.value
        assert isinstance(error.__cause__, asyncio.CancelledError)
        assert error.__context__ is error.__cause__
        return timeout.expired(), repr(timeout), task.cancelling(), error.args

    assert run_main(main) == (True, "<Timeout [expired]>", 0, ())


def test_a_block_that_ends_in_time_leaves_nothing_behind(run_main, package):
    async def main():
        loop = asyncio.get_running_loop()
        async with package.timeout(60) as timeout:
            assert len(loop._scheduled) == 1
            inside = repr(timeout)
        left = [handle for handle in loop._scheduled if not handle._cancelled]
        return timeout.expired(), inside.split("=")[0], repr(timeout), left

    expected = (False, "<Timeout [active] when", "<Timeout [finished]>", [])
    assert run_main(main) == expected


@pytest.mark.parametrize("delay", [0, -1, 0.0])
def test_a_deadline_in_the_past_expires_at_the_next_wait(run_main, package, delay):
    async def main():
        steps = []

        async def block():
            async with package.timeout(delay):
                steps.append("inside")
                await asyncio.sleep(0)
                steps.append("one turn later")
                await asyncio.sleep(0)
                steps.append("too late")

        with pytest.raises(TimeoutError):
            await block()
        return steps

    assert run_main(main) == ["inside"]


def test_states_are_those_of_stock(run_main, package):
    async def main():
        timeout = package.Timeout(None)
        seen = [(repr(timeout), timeout._state.name)]
        with pytest.raises(RuntimeError, match="^Timeout has not been entered$"):
            timeout.reschedule(1)
        async with timeout:
            seen.append((repr(timeout), timeout._state.name))
            with pytest.raises(RuntimeError, match="^Timeout has already been entered$"):
                async with timeout:
                    pass
        seen.append((repr(timeout), timeout._state.name))
        with pytest.raises(RuntimeError, match="^Cannot change state of finished Timeout$"):
            timeout.reschedule(1)
        return seen

    assert run_main(main) == [
        ("<Timeout [created]>", "CREATED"),
        ("<Timeout [active] when=None>", "ENTERED"),
        ("<Timeout [finished]>", "EXITED"),
    ]


def test_a_deadline_can_be_moved_and_taken_away(run_main, package):
    async def main():
        loop = asyncio.get_running_loop()
        async with package.timeout(0.01) as timeout:
            timeout.reschedule(None)
            await asyncio.sleep(0.02)
            assert timeout.when() is None
            deadline = loop.time() + 60
            timeout.reschedule(deadline)
            assert timeout.when() == deadline
            assert timeout._timeout_handler.when() == deadline
        timeout = package.timeout_at(loop.time() + 60)

        async def block():
            async with timeout:
                timeout.reschedule(loop.time() + 0.01)
                await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await block()
        return timeout.expired()

    assert run_main(main)


def test_rescheduling_in_the_turn_in_which_it_is_due(run_main, package):
    async def main():
        loop = asyncio.get_running_loop()
        when = loop.time() + 0.2
        moved = []

        async def block():
            async with package.timeout_at(when) as timeout:
                loop.call_at(when - 0.1, move, timeout)
                await asyncio.sleep(0)
                while loop.time() < when + 0.001:
                    pass
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            return timeout.expired()

        def move(timeout):
            moved.append(timeout.expired())
            timeout.reschedule(loop.time() + 60)

        return await block(), moved

    assert run_main(main) == (False, [False])


def test_nested_timeouts_blame_the_one_that_expired(run_main, package):
    async def main():
        log = []
        try:
            async with package.timeout(60) as outer:
                try:
                    async with package.timeout(0.01) as inner:
                        await asyncio.sleep(60)
                except TimeoutError:
                    log.append("inner")
                await asyncio.sleep(0)
        except TimeoutError:
            log.append("outer")
        return log, outer.expired(), inner.expired()

    assert run_main(main) == (["inner"], False, True)


def test_a_cancellation_from_outside_stays_one(run_main, package):
    async def main():
        async def block():
            async with package.timeout(30):
                await asyncio.sleep(60)

        task = asyncio.create_task(block())
        await asyncio.sleep(0)
        task.cancel("outside")
        with pytest.raises(asyncio.CancelledError, match="outside"):
            await task
        return task.cancelled(), task.cancelling()

    assert run_main(main) == (True, 1)


def test_a_cancellation_that_comes_with_the_timeout_wins(run_main, package):
    async def main():
        async def block():
            async with package.timeout(0.01) as timeout:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    assert timeout.expired()
                    asyncio.current_task().cancel()
                    raise

        task = asyncio.create_task(block())
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelling()

    assert run_main(main) == 1


def test_another_error_in_the_place_of_the_cancellation_passes(run_main, package):
    async def main():
        async def block():
            async with package.timeout(0.01):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    raise ValueError("mine") from None

        with pytest.raises(ValueError, match="mine") as caught:
            await block()
        return type(caught.value.__context__).__name__

    named = "TimeoutError" if sys.version_info >= (3, 13) else "CancelledError"
    assert run_main(main) == named


def test_it_needs_a_loop_and_a_task(loop_factory, package):
    with pytest.raises(RuntimeError, match="^no running event loop$"):
        package.timeout(1)
    loop = loop_factory()
    errors = []

    def outside_of_tasks():
        try:
            package.timeout(1).__aenter__().send(None)
        except RuntimeError as error:
            errors.append(str(error))
        loop.stop()

    loop.call_soon(outside_of_tasks)
    loop.run_forever()
    loop.close()
    assert errors == ["Timeout should be used inside a task"]


def test_its_handle_is_made_when_somebody_looks(run_main, package):
    async def main():
        async with package.timeout(60) as timeout:
            handle = timeout._timeout_handler
            assert isinstance(handle, asyncio.TimerHandle)
            assert handle.when() == timeout.when()
            assert timeout._timeout_handler is handle
            assert asyncio.get_running_loop()._scheduled == [handle]
        return handle.cancelled(), timeout._timeout_handler

    assert run_main(main) == (True, None)


def test_a_subclass_may_replace_its_methods(run_main, package):
    calls = []

    class Mine(package.Timeout):
        def reschedule(self, when):
            calls.append("reschedule")
            super().reschedule(when)

        def _on_timeout(self):
            calls.append("on_timeout")
            super()._on_timeout()

    async def main():
        with pytest.raises(TimeoutError):
            async with Mine(asyncio.get_running_loop().time() + 0.01):
                await asyncio.sleep(60)
        return calls

    assert run_main(main) == ["reschedule", "on_timeout"]


def test_it_takes_attributes_and_weak_references(run_main, package):
    async def main():
        timeout = package.timeout(None)
        timeout.mine = 1
        reference = weakref.ref(timeout)
        del timeout
        gc.collect()
        return reference()

    assert run_main(main) is None


def test_debug_mode_sees_a_handle(run_main, package):
    async def main():
        timeout = package.timeout(0.01)

        async def block():
            async with timeout:
                asyncio.get_running_loop().set_debug(True)
                await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await block()
        return timeout.expired()

    assert run_main(main)
    assert run_main(main, debug=True)


def test_a_replaced_clock_is_asked(run_main, package):
    async def main():
        loop = asyncio.get_running_loop()
        loop.time = lambda: 1000.0
        try:
            return package.timeout(5).when()
        finally:
            del loop.time

    assert run_main(main) == 1005.0


def test_it_expires_in_the_context_in_which_it_was_entered(run_main, package):
    async def main():
        variable = contextvars.ContextVar("variable", default="none")
        seen = []

        class Foreign(asyncio.Future):
            def cancel(self, msg=None):
                seen.append(variable.get())
                return super().cancel(msg)

        variable.set("entered")

        async def block():
            async with package.timeout(0.01):
                variable.set("later")
                await Foreign()

        with pytest.raises(TimeoutError):
            await block()
        return seen

    assert run_main(main) == ["entered"]


@pytest.mark.parametrize(
    "call",
    [
        lambda package: package.timeout(),
        lambda package: package.timeout(1, 2),
        lambda package: package.timeout(dely=1),
        lambda package: package.timeout("1"),
        lambda package: package.timeout_at(),
        lambda package: package.Timeout(),
        lambda package: package.Timeout(1, 2),
        lambda package: package.wait_for(1),
        lambda package: package.wait_for(1, 2, 3),
        lambda package: package.wait_for(1, after=3),
    ],
)
def test_wrong_arguments_get_stock_words(run_main, package, call):
    async def main():
        with pytest.raises(TypeError) as caught:
            call(package)
        with pytest.raises(TypeError) as expected:
            call(asyncio)
        return str(caught.value), str(expected.value)

    caught, expected = run_main(main)
    assert caught == expected


@pytest.mark.parametrize("timeout", [None, 60, 60.0])
def test_wait_for_gives_the_result(run_main, package, timeout):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, "future")
        stock = asyncio.Task(give("stock", 2), loop=loop)
        return [
            await package.wait_for(give("at once"), timeout),
            await package.wait_for(give("later", 2), timeout=timeout),
            await package.wait_for(future, timeout),
            await package.wait_for(asyncio.create_task(give("task", 2)), timeout),
            await package.wait_for(stock, timeout),
            await package.wait_for(asyncio.gather(give(1), give(2)), timeout),
        ]

    assert run_main(main) == ["at once", "later", "future", "task", "stock", [1, 2]]


def test_wait_for_raises_what_it_awaits_raises(run_main, package):
    async def main():
        error = ValueError("mine")

        async def fail():
            await asyncio.sleep(0)
            raise error

        with pytest.raises(ValueError, match="mine") as caught:
            await package.wait_for(fail(), 60)
        return caught.value is error, caught.value.__context__

    assert run_main(main) == (True, None)


def test_wait_for_cancels_what_takes_too_long(run_main, package):
    async def main():
        ended = []

        async def slow():
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(True)

        with pytest.raises(TimeoutError) as caught:
            await package.wait_for(slow(), 0.01)
        future = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            await package.wait_for(future, 0.01)
        cause = type(caught.value.__cause__)
        return ended, cause, future.cancelled(), asyncio.current_task().cancelling()

    assert run_main(main) == ([True], asyncio.CancelledError, True, 0)


@pytest.mark.parametrize("timeout", [0, -1, 0.0])
def test_wait_for_without_time_takes_only_what_is_done(run_main, package, timeout):
    async def main():
        began = []

        async def begin():
            began.append(True)

        done = asyncio.get_running_loop().create_future()
        done.set_result("done")
        with pytest.raises(TimeoutError):
            await package.wait_for(begin(), timeout)
        return began, await package.wait_for(done, timeout)

    assert run_main(main) == ([], "done")


def test_wait_for_keeps_a_result_that_came_in_spite_of_the_cancellation(run_main, package):
    async def main():
        async def stubborn():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "anyway"

        return await package.wait_for(stubborn(), 0.01)

    assert run_main(main) == "anyway"


def test_wait_for_that_is_cancelled_cancels_what_it_awaits(run_main, package):
    async def main():
        inner = asyncio.create_task(asyncio.sleep(60))
        outer = asyncio.create_task(package.wait_for(inner, 60))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        outer.cancel("outside")
        with pytest.raises(asyncio.CancelledError):
            await outer
        return inner.cancelled(), outer.cancelled()

    assert run_main(main) == (True, True)


def test_wait_for_refuses_what_cannot_be_awaited(run_main, package):
    async def main():
        with pytest.raises(TypeError) as caught:
            await package.wait_for(1, 60)
        with pytest.raises(TypeError) as expected:
            await asyncio.wait_for(1, 60)
        timers = asyncio.get_running_loop()._scheduled
        left = [handle for handle in timers if not handle._cancelled]
        return str(caught.value) == str(expected.value), left

    same, left = run_main(main)
    assert same
    # 3.11 makes the timer first, and forgets it.
    assert left == [] or sys.version_info < (3, 12)


def test_wait_for_is_a_coroutine_that_warns_when_nobody_awaits_it(run_main, package):
    async def main():
        coroutine = package.wait_for(asyncio.get_running_loop().create_future(), 1)
        assert asyncio.iscoroutine(coroutine)
        assert coroutine.__name__ == "wait_for"
        with pytest.warns(RuntimeWarning, match="coroutine 'wait_for' was never awaited"):
            del coroutine

    run_main(main)


def test_wait_for_can_be_closed_while_it_waits(run_main, package):
    async def main():
        coroutine = package.wait_for(asyncio.get_running_loop().create_future(), 60)
        coroutine.send(None)
        coroutine.close()
        return [h for h in asyncio.get_running_loop()._scheduled if not h._cancelled]

    assert run_main(main) == []
