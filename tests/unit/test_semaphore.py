"""`Semaphore` and `BoundedSemaphore`, stock's and the native ones, on both loops."""

import asyncio
import gc
import math
import re
import weakref

import pytest
from small_coroutines import cancelled, turns


@pytest.fixture(params=["Semaphore", "BoundedSemaphore"])
def semaphore_class(request, package):
    """The class under test."""
    return getattr(package, request.param)


def test_so_many_hold_it_at_a_time_in_order(run_main, semaphore_class):
    async def main():
        semaphore, log = semaphore_class(2), []

        async def hold(name):
            async with semaphore as value:
                assert value is None
                log.append(f"+{name}")
                await asyncio.sleep(0)
                log.append(f"-{name}")

        await asyncio.gather(*(hold(name) for name in "abcde"))
        return " ".join(log), semaphore._value

    assert run_main(main) == ("+a +b -a -b +c +d -c -d +e -e", 2)


def test_a_task_that_comes_between_release_and_wake_up_takes_its_turn(run_main, semaphore_class):
    async def main():
        semaphore, log = semaphore_class(), []
        assert await semaphore.acquire() is True

        async def ask(name):
            await semaphore.acquire()
            log.append(name)
            semaphore.release()

        first = asyncio.create_task(ask("first"))
        await turns(1)
        semaphore.release()
        assert semaphore._value == 0
        assert semaphore.locked()
        await ask("second")
        await first
        return log, semaphore._value

    assert run_main(main) == (["first", "second"], 1)


def test_a_woken_waiter_that_is_cancelled_passes_its_place_on(run_main, semaphore_class):
    async def main():
        semaphore = semaphore_class()
        await semaphore.acquire()
        first, second = (asyncio.create_task(semaphore.acquire()) for _ in range(2))
        await turns(1)
        semaphore.release()
        first.cancel("gone")
        assert await asyncio.wait_for(second, 5) is True
        with pytest.raises(asyncio.CancelledError, match="gone"):
            await first
        return semaphore._value, semaphore.locked(), len(semaphore._waiters)

    assert run_main(main) == (0, True, 0)


def test_a_waiter_that_is_cancelled_before_it_is_woken_gives_nothing_back(
    run_main, semaphore_class
):
    async def main():
        semaphore = semaphore_class()
        await semaphore.acquire()
        first, second = (asyncio.create_task(semaphore.acquire()) for _ in range(2))
        await turns(1)
        await cancelled(first)
        assert semaphore._value == 0
        semaphore.release()
        assert await second is True
        return semaphore._value

    assert run_main(main) == 0


def test_cancelled_waiters_do_not_keep_others_out(run_main, semaphore_class):
    async def main():
        semaphore = semaphore_class()
        await semaphore.acquire()
        waiting = asyncio.create_task(semaphore.acquire())
        await turns(1)
        waiting.cancel()
        semaphore.release()
        assert not semaphore.locked()
        assert await semaphore.acquire() is True
        await asyncio.wait([waiting])
        return semaphore._value

    assert run_main(main) == 0


def test_several_releases_in_one_turn_wake_several(run_main, semaphore_class):
    async def main():
        semaphore, log = semaphore_class(3), []
        for _ in range(3):
            await semaphore.acquire()

        async def ask(name):
            await semaphore.acquire()
            log.append(name)

        tasks = [asyncio.create_task(ask(name)) for name in range(5)]
        await turns(1)
        for _ in range(3):
            semaphore.release()
        await turns(1)
        seen = list(log), semaphore._value
        await cancelled(*tasks)
        return seen

    assert run_main(main) == ([0, 1, 2], 0)


def test_a_value_below_zero_is_refused(semaphore_class):
    with pytest.raises(ValueError, match="^Semaphore initial value must be >= 0$"):
        semaphore_class(-1)
    with pytest.raises(TypeError, match="'<' not supported between instances of 'str' and 'int'"):
        semaphore_class("many")
    assert semaphore_class(value=7)._value == 7


def test_a_value_need_not_be_a_small_integer(run_main, package):
    async def main():
        seen = []
        for value in (math.inf, 1.5, 2**70):
            semaphore = package.Semaphore(value)
            await semaphore.acquire()
            seen.append((semaphore._value, repr(semaphore).partition("[")[2]))
            semaphore.release()
            seen.append(semaphore._value)
        return seen

    assert run_main(main) == [
        (math.inf, "unlocked, value:inf]>"),
        math.inf,
        (0.5, "unlocked, value:0.5]>"),
        1.5,
        (2**70 - 1, f"unlocked, value:{2**70 - 1}]>"),
        2**70,
    ]


def test_releasing_more_than_was_acquired(package):
    plain, bounded = package.Semaphore(2), package.BoundedSemaphore(2)
    plain.release()
    assert plain._value == 3
    with pytest.raises(ValueError, match="^BoundedSemaphore released too many times$"):
        bounded.release()
    assert bounded._value == bounded._bound_value == 2
    bounded._bound_value = 3
    bounded.release()
    assert bounded._value == 3


def test_a_bounded_semaphore_is_bounded_in_async_with_as_well(run_main, package):
    async def main():
        semaphore = package.BoundedSemaphore()
        with pytest.raises(ValueError, match="^BoundedSemaphore released too many times$"):
            async with semaphore:
                semaphore.release()

    run_main(main)


def test_a_bounded_semaphore_is_a_semaphore(package):
    assert issubclass(package.BoundedSemaphore, package.Semaphore)
    assert isinstance(package.BoundedSemaphore(), package.Semaphore)
    assert not isinstance(package.Semaphore(), package.BoundedSemaphore)


def test_its_repr_tells_its_state_and_who_waits(run_main, semaphore_class):
    async def main():
        semaphore = semaphore_class(1)
        plain = object.__repr__(semaphore)[1:-1]
        seen = [repr(semaphore)]
        await semaphore.acquire()
        seen.append(repr(semaphore))
        waiting = asyncio.create_task(semaphore.acquire())
        await turns(1)
        seen.append(repr(semaphore))
        await cancelled(waiting)
        states = ["unlocked, value:1", "locked", "locked, waiters:1"]
        assert plain.startswith(f"asyncio.locks.{semaphore_class.__name__} object at 0x")
        assert seen == [f"<{plain} [{state}]>" for state in states]

    run_main(main)


def test_its_attributes_can_be_read_and_changed(run_main, semaphore_class):
    async def main():
        semaphore = semaphore_class(5)
        assert semaphore._waiters is None
        assert semaphore._loop is None
        semaphore._value = 0
        tasks = [asyncio.create_task(semaphore.acquire()) for _ in range(3)]
        await turns(1)
        assert semaphore._loop is asyncio.get_running_loop()
        semaphore._waiters.rotate(-1)
        semaphore.release()
        assert [waiter.done() for waiter in semaphore._waiters] == [True, False, False]
        semaphore._waiters.rotate(1)
        await turns(1)
        done = [task.done() for task in tasks]
        await cancelled(tasks[0], tasks[2])
        return done

    assert run_main(main) == [False, True, False]


def test_a_semaphore_belongs_to_the_first_loop_that_waits(loop_factory, semaphore_class):
    semaphore = semaphore_class(0)

    async def wait_a_little():
        waiting = asyncio.create_task(semaphore.acquire())
        await asyncio.sleep(0)
        await cancelled(waiting)

    async def wait():
        await semaphore.acquire()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(wait_a_little())
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        message = re.escape(f"{semaphore!r} is bound to a different event loop")
        with pytest.raises(RuntimeError, match=f"^{message}$"):
            runner.run(wait())


def test_a_subclass_that_replaces_methods_is_asked(run_main, semaphore_class):
    class Counted(semaphore_class):
        def __init__(self, name):
            super().__init__(1)
            self.log = [name]

        def locked(self):
            self.log.append("locked")
            return super().locked()

        async def acquire(self):
            self.log.append("acquire")
            return await super().acquire()

        def release(self):
            self.log.append("release")
            super().release()

        def _wake_up_next(self):
            self.log.append("wake")
            return super()._wake_up_next()

    async def main():
        semaphore = Counted("name")
        async with semaphore:
            assert semaphore._value == 0
        return semaphore.log

    assert run_main(main) == ["name", "acquire", "locked", "release", "wake"]


def test_methods_that_are_replaced_on_one_semaphore_are_asked(run_main, semaphore_class):
    async def main():
        semaphore, log = semaphore_class(1), []

        async def acquire():
            log.append("acquire")

        semaphore.acquire = acquire
        semaphore.release = lambda: log.append("release")
        async with semaphore:
            log.append("held")
        return log

    assert run_main(main) == ["acquire", "held", "release"]


def test_arguments_are_refused_in_the_words_of_stock(semaphore_class):
    for call in (lambda: semaphore_class(1, 2), lambda: semaphore_class(loop=None)):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).startswith(f"{semaphore_class.__name__}.__init__() ")


def test_it_can_be_referred_to_weakly_and_collected(run_main, semaphore_class):
    for _ in range(100):
        semaphore = semaphore_class(3)
        semaphore.itself = semaphore
        reference = weakref.ref(semaphore)
        del semaphore
        gc.collect()
        assert reference() is None
