"""`Lock`, stock's and the native one, on both loops: every step of the order of wake-ups."""

import asyncio
import gc
import re
import weakref

import pytest


@pytest.fixture
def lock_class(package):
    """The class under test."""
    return package.Lock


def test_it_is_held_by_one_at_a_time_in_order(run_main, lock_class):
    async def main():
        lock, log = lock_class(), []

        async def hold(name):
            log.append(f"{name} asks")
            async with lock:
                log.append(f"{name} has")
                await asyncio.sleep(0)
                log.append(f"{name} gives")

        await asyncio.gather(*(hold(name) for name in "abc"))
        return log

    assert run_main(main) == (
        ["a asks", "a has", "b asks", "c asks", "a gives", "b has", "b gives", "c has", "c gives"]
    )


def test_a_task_that_comes_between_release_and_wake_up_takes_its_turn(run_main, lock_class):
    async def main():
        lock, log = lock_class(), []
        await lock.acquire()

        async def ask(name):
            await lock.acquire()
            log.append(name)
            lock.release()

        first = asyncio.create_task(ask("first"))
        await asyncio.sleep(0)
        lock.release()
        await ask("second")
        await first
        return log

    assert run_main(main) == ["first", "second"]


def test_a_cancelled_waiter_passes_its_wake_up_on(run_main, lock_class):
    async def main():
        lock = lock_class()
        await lock.acquire()
        first, second = (asyncio.create_task(lock.acquire()) for _ in range(2))
        await asyncio.sleep(0)
        lock.release()
        first.cancel()
        assert await asyncio.wait_for(second, 5) is True
        with pytest.raises(asyncio.CancelledError):
            await first
        return lock.locked()

    assert run_main(main) is True


def test_cancelled_waiters_do_not_keep_others_out(run_main, lock_class):
    async def main():
        lock = lock_class()
        await lock.acquire()
        waiting = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        lock.release()
        waiting.cancel()
        assert await lock.acquire() is True
        await asyncio.wait([waiting])
        return waiting.cancelled()

    assert run_main(main) is True


def test_releasing_an_open_lock_is_an_error(lock_class):
    with pytest.raises(RuntimeError, match=r"^Lock is not acquired\.$"):
        lock_class().release()


def test_its_repr_tells_its_state_and_who_waits(run_main, lock_class):
    async def main():
        lock = lock_class()
        plain = object.__repr__(lock)[1:-1]
        seen = [repr(lock)]
        await lock.acquire()
        seen.append(repr(lock))
        waiting = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        seen.append(repr(lock))
        lock.release()
        await waiting
        seen.append(repr(lock))
        states = ["unlocked", "locked", "locked, waiters:1", "locked"]
        assert plain.startswith("asyncio.locks.Lock object at 0x")
        assert seen == [f"<{plain} [{state}]>" for state in states]

    run_main(main)


def test_a_lock_belongs_to_the_first_loop_that_waits(loop_factory, lock_class):
    lock = lock_class()

    async def wait():
        waiting = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    async def take_and_wait():
        await lock.acquire()
        await wait()

    async def ask():
        await lock.acquire()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(take_and_wait())
        assert lock._loop is runner.get_loop()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        message = re.escape(f"{lock!r} is bound to a different event loop")
        with pytest.raises(RuntimeError, match=f"^{message}$"):
            runner.run(ask())


def test_the_queue_of_waiters_can_be_read_and_changed(run_main, lock_class):
    async def main():
        lock = lock_class()
        assert lock._waiters is None
        await lock.acquire()
        tasks = [asyncio.create_task(lock.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        first, second, third = lock._waiters
        assert not first.done()
        lock._waiters.rotate(-1)
        lock.release()
        assert [waiter.done() for waiter in (first, second, third)] == [False, True, False]
        lock._waiters.rotate(1)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return len(lock._waiters)

    assert run_main(main) == 0


def test_arguments_are_refused_in_the_words_of_stock(lock_class):
    for call in (lambda: lock_class(1), lambda: lock_class(loop=None)):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).startswith("Lock.__init__() ")
    with pytest.raises(TypeError, match=r"__aexit__\(\) missing 3 required positional arguments"):
        lock_class().__aexit__()


def test_a_subclass_that_replaces_acquire_and_release_is_asked(run_main, lock_class):
    class Counted(lock_class):
        def __init__(self, name):
            super().__init__()
            self.log = [name]

        async def acquire(self):
            self.log.append("acquire")
            return await super().acquire()

        def release(self):
            self.log.append("release")
            super().release()

    async def main():
        lock = Counted("name")
        async with lock as value:
            assert value is None
            assert lock.locked()
        assert not lock.locked()
        return lock.log

    assert run_main(main) == ["name", "acquire", "release"]


def test_methods_that_are_replaced_on_one_lock_are_asked(run_main, lock_class):
    async def main():
        lock, log = lock_class(), []

        async def acquire():
            log.append("acquire")

        lock.acquire = acquire
        lock.release = lambda: log.append("release")
        async with lock:
            log.append("held")
        return log

    assert run_main(main) == ["acquire", "held", "release"]


def test_it_can_be_referred_to_weakly_and_collected(lock_class):
    lock = lock_class()
    lock.itself = lock
    reference = weakref.ref(lock)
    del lock
    gc.collect()
    assert reference() is None
