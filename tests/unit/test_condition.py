"""`Condition`, stock's and the native one, on both loops."""

import asyncio
import gc
import re
import sys
import weakref

import pytest
from small_coroutines import cancelled, turns


@pytest.fixture
def condition_class(package):
    """The class under test."""
    return package.Condition


@pytest.fixture(params=["asyncio", "ferrio"])
def lock_class(request):
    """The class of a lock that a condition is given."""
    if request.param == "asyncio":
        return asyncio.Lock
    import ferrio

    return ferrio.Lock


def sleepers(condition, names, log):
    """Tasks that wait for the condition and say when they go on."""

    async def sleep(name):
        async with condition:
            log.append((name, await condition.wait(), condition.locked()))

    return [asyncio.create_task(sleep(name)) for name in names]


def test_notify_wakes_as_many_as_it_says_in_order(run_main, condition_class):
    async def main():
        condition, log = condition_class(), []
        tasks = sleepers(condition, "abcdef", log)
        await turns(2)
        assert not condition.locked()
        async with condition as value:
            assert value is None
            assert condition.notify() is None
            condition.notify(2)
            assert log == []
        await turns(4)
        first = [name for name, _, _ in log]
        async with condition:
            condition.notify(n=0)
            condition.notify_all()
        await asyncio.wait(tasks)
        assert {entry[1:] for entry in log} == {(True, True)}
        return first, [name for name, _, _ in log]

    assert run_main(main) == (list("abc"), list("abcdef"))


def test_it_is_an_error_to_wait_or_notify_without_the_lock(run_main, condition_class):
    async def main():
        condition = condition_class()
        with pytest.raises(RuntimeError, match="^cannot wait on un-acquired lock$"):
            await condition.wait()
        for notify in (condition.notify, condition.notify_all):
            with pytest.raises(RuntimeError, match="^cannot notify on un-acquired lock$"):
                notify()
        with pytest.raises(RuntimeError, match=r"^Lock is not acquired\.$"):
            condition.release()

    run_main(main)


def test_wait_for_waits_until_the_predicate_is_true(run_main, condition_class):
    async def main():
        condition, seen, items = condition_class(), [], []

        def predicate():
            seen.append(len(items))
            return items[-1] if len(items) > 1 else 0

        async def wait():
            async with condition:
                return await condition.wait_for(predicate)

        waiting = asyncio.create_task(wait())
        for item in ("first", "second"):
            await turns(3)
            async with condition:
                items.append(item)
                condition.notify_all()
        return await waiting, seen

    assert run_main(main) == ("second", [0, 1, 2])


def test_an_error_of_the_predicate_ends_wait_for(run_main, condition_class):
    async def main():
        condition = condition_class()
        async with condition:
            with pytest.raises(ZeroDivisionError):
                await condition.wait_for(lambda: 1 / 0)
            return condition.locked()

    assert run_main(main) is True


def test_a_cancelled_wait_acquires_the_lock_first(run_main, condition_class):
    async def main():
        condition, log = condition_class(), []

        async def wait():
            async with condition:
                try:
                    await condition.wait()
                except asyncio.CancelledError as error:
                    log.append((condition.locked(), error.args))
                    raise

        waiting = asyncio.create_task(wait())
        await turns(1)
        await condition.acquire()
        waiting.cancel("one")
        await turns(2)
        assert log == []
        waiting.cancel("two")
        await turns(2)
        assert log == []
        condition.release()
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        context = caught.value.__context__
        return log, context is not None and context.args, len(condition._waiters)

    last = ("two",) if sys.version_info >= (3, 13) else ()
    assert run_main(main) == ([(True, last)], ("one",), 0)


def test_of_several_cancellations_the_last_is_raised(run_main, condition_class):
    async def main():
        condition = condition_class()

        async def wait():
            async with condition:
                await condition.wait()

        waiting = asyncio.create_task(wait())
        await turns(1)
        await condition.acquire()
        condition.notify()
        for message in ("one", "two", "three"):
            await turns(2)
            waiting.cancel(message)
        await turns(2)
        condition.release()
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        error = caught.value
        return error.args, error.__context__ and error.__context__.args, waiting.cancelling()

    last = ("three",) if sys.version_info >= (3, 13) else ()
    assert run_main(main) == (last, None, 3)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="stock loses the notification")
def test_a_notified_waiter_that_is_cancelled_passes_the_notification_on(run_main, condition_class):
    async def main():
        condition, log = condition_class(), []
        first, second = sleepers(condition, "ab", log)
        await turns(2)
        async with condition:
            condition.notify()
        first.cancel()
        await asyncio.wait_for(second, 5)
        return log, first.cancelled()

    assert run_main(main) == ([("b", True, True)], True)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="stock loses the notification")
def test_a_notification_goes_on_when_the_lock_is_acquired_by_a_cancelled_task(
    run_main, condition_class
):
    async def main():
        condition, log = condition_class(), []
        first, second = sleepers(condition, "ab", log)
        await turns(2)
        await condition.acquire()
        condition.notify()
        await turns(2)
        first.cancel()
        await turns(2)
        condition.release()
        await asyncio.wait_for(second, 5)
        return log, first.cancelled()

    assert run_main(main) == ([("b", True, True)], True)


def test_conditions_may_share_a_lock(run_main, condition_class, lock_class):
    async def main():
        lock = lock_class()
        one, other = condition_class(lock), condition_class(lock=lock)
        assert one._lock is other._lock is lock
        log = []
        tasks = sleepers(one, "a", log) + sleepers(other, "b", log)
        await turns(2)
        async with one:
            assert other.locked()
            assert lock.locked()
            other.notify()
        await turns(3)
        seen = [name for name, _, _ in log]
        await cancelled(*tasks)
        return seen

    assert run_main(main) == ["b"]


def test_the_methods_of_the_lock_are_its_own(run_main, condition_class, lock_class):
    async def main():
        lock = lock_class()
        condition = condition_class(lock)
        assert condition.acquire == lock.acquire
        assert condition.release == lock.release
        assert condition.locked == lock.locked
        assert await condition.acquire() is True
        assert lock.locked()
        assert condition.release() is None
        condition._lock = lock_class()
        await condition.acquire()
        return lock.locked(), condition._lock.locked()

    assert run_main(main) == (True, False)


def test_a_lock_of_any_class_will_do(run_main, condition_class):
    class Noted:
        def __init__(self):
            self.log, self.held = [], False

        def locked(self):
            return self.held

        async def acquire(self):
            self.log.append("acquire")
            await asyncio.sleep(0)
            self.held = True

        def release(self):
            self.log.append("release")
            self.held = False

    async def main():
        lock = Noted()
        condition = condition_class(lock)

        async def wait():
            async with condition:
                return await condition.wait()

        waiting = asyncio.create_task(wait())
        await turns(3)
        async with condition:
            condition.notify()
        return await waiting, lock.log

    entered, left = ["acquire", "release"], ["acquire", "release"]
    assert run_main(main) == (True, entered + left + ["acquire", "release"])


def test_a_lock_without_the_methods_is_refused(condition_class):
    with pytest.raises(AttributeError, match="'object' object has no attribute 'locked'"):
        condition_class(object())


def test_methods_that_are_replaced_on_one_condition_are_asked(run_main, condition_class):
    async def main():
        condition, log = condition_class(), []
        acquire, release = condition.acquire, condition.release

        async def noted_acquire():
            log.append("acquire")
            return await acquire()

        def noted_release():
            log.append("release")
            return release()

        condition.acquire, condition.release = noted_acquire, noted_release
        async with condition:
            log.append("held")
            waiting = asyncio.create_task(condition.wait())
            await turns(1)
            await cancelled(waiting)
            log.append(condition.locked())
        return log

    assert run_main(main) == ["acquire", "held", "release", "acquire", True, "release"]


def test_a_subclass_that_replaces_methods_is_asked(run_main, condition_class):
    class Counted(condition_class):
        def __init__(self, name):
            super().__init__()
            self.log = [name]

        async def wait(self):
            self.log.append("wait")
            return await super().wait()

        def notify(self, n=1):
            self.log.append(f"notify {n}")
            super().notify(n)

    async def main():
        condition = Counted("name")
        ready = []

        async def wait():
            async with condition:
                return await condition.wait_for(lambda: ready)

        waiting = asyncio.create_task(wait())
        await turns(2)
        async with condition:
            ready.append(1)
            condition.notify_all()
        await waiting
        return condition.log

    assert run_main(main) == ["name", "wait", "notify 1"]


def test_its_repr_tells_its_state_and_who_waits(run_main, condition_class):
    async def main():
        condition = condition_class()
        plain = object.__repr__(condition)[1:-1]
        seen = [repr(condition)]
        tasks = sleepers(condition, "ab", [])
        await turns(2)
        seen.append(repr(condition))
        async with condition:
            seen.append(repr(condition))
        await cancelled(*tasks)
        states = ["unlocked", "unlocked, waiters:2", "locked, waiters:2"]
        assert plain.startswith("asyncio.locks.Condition object at 0x")
        assert seen == [f"<{plain} [{state}]>" for state in states]

    run_main(main)


def test_the_queue_of_waiters_can_be_read_and_changed(run_main, condition_class):
    async def main():
        condition, log = condition_class(), []
        assert len(condition._waiters) == 0
        assert condition._loop is None
        tasks = sleepers(condition, "abc", log)
        await turns(2)
        assert condition._loop is asyncio.get_running_loop()
        condition._waiters.rotate(1)
        async with condition:
            condition.notify()
        await turns(3)
        await cancelled(*tasks)
        return log, len(condition._waiters)

    assert run_main(main) == ([("c", True, True)], 0)


def test_a_condition_belongs_to_the_first_loop_that_waits(loop_factory, condition_class):
    condition = condition_class()

    async def wait_a_little():
        async with condition:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(condition.wait(), 0.01)

    async def wait():
        await condition.acquire()
        try:
            await condition.wait()
        finally:
            assert condition.locked()
            condition.release()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(wait_a_little())
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        message = re.escape(f"{object.__repr__(condition)[:-1]} [") + "(un)?locked"
        message += re.escape("]> is bound to a different event loop")
        with pytest.raises(RuntimeError, match=f"^{message}$"):
            runner.run(wait())


def test_closing_a_waiting_coroutine(run_main, condition_class):
    async def main():
        condition = condition_class()
        await condition.acquire()
        waiting = condition.wait()
        waiting.send(None)
        assert not condition.locked()
        waiting.close()
        closed = condition.locked(), len(condition._waiters)
        waiting = condition.wait()
        waiting.send(None)
        await condition.acquire()
        with pytest.raises(RuntimeError, match="^coroutine ignored GeneratorExit$"):
            waiting.close()
        condition.release()
        return closed

    assert run_main(main) == (True, 0)


def test_arguments_are_refused_in_the_words_of_stock(condition_class):
    condition = condition_class()
    for name, call in (
        ("__init__", lambda: condition_class(1, 2)),
        ("__init__", lambda: condition_class(loop=None)),
        ("notify", lambda: condition.notify(1, 2)),
        ("wait_for", lambda: condition.wait_for()),
    ):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).startswith(f"Condition.{name}() ")


def test_it_can_be_referred_to_weakly_and_collected(condition_class):
    condition = condition_class()
    condition.itself = condition
    reference = weakref.ref(condition)
    del condition
    gc.collect()
    assert reference() is None
