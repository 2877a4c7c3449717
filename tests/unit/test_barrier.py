"""`Barrier`, stock's and the native one, on both loops."""

import asyncio
import gc
import sys
import weakref

import pytest
from small_coroutines import turns


@pytest.fixture
def barrier_class(package):
    """The class under test."""
    return package.Barrier


def waiting_tasks(barrier, count, log):
    """Tasks that wait and say with what the wait ended."""

    async def wait(name):
        try:
            log.append((name, await barrier.wait()))
        except (asyncio.BrokenBarrierError, asyncio.CancelledError) as error:
            log.append((name, type(error).__name__, *error.args))

    return [asyncio.create_task(wait(name)) for name in range(count)]


def test_all_go_on_when_the_last_one_has_come(run_main, barrier_class):
    async def main():
        barrier, log = barrier_class(3), []
        tasks = waiting_tasks(barrier, 2, log)
        await turns(3)
        assert log == []
        assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 2, False)
        log.append(("last", await barrier.wait()))
        await asyncio.wait(tasks)
        return log, barrier.n_waiting

    assert run_main(main) == ([("last", 2), (0, 0), (1, 1)], 0)


def test_those_who_come_while_it_drains_wait_for_the_next_round(run_main, barrier_class):
    async def main():
        barrier, log = barrier_class(2), []
        await asyncio.wait(waiting_tasks(barrier, 6, log))
        return log, barrier._count, barrier._state.name

    log, count, state = run_main(main)
    assert [index for _, index in log] == [1, 0] * 3
    assert sorted(name for name, _ in log) == list(range(6))
    assert (count, state) == (0, "FILLING")


def test_async_with_gives_the_index(run_main, barrier_class):
    async def main():
        async with barrier_class(1) as index:
            return index

    assert run_main(main) == 0


def test_abort_breaks_it(run_main, barrier_class):
    async def main():
        barrier, log = barrier_class(3), []
        tasks = waiting_tasks(barrier, 2, log)
        await turns(3)
        assert await barrier.abort() is None
        await asyncio.wait(tasks)
        assert barrier.broken
        with pytest.raises(asyncio.BrokenBarrierError, match="^Barrier aborted$"):
            await barrier.wait()
        await barrier.reset()
        assert not barrier.broken
        return log

    broken = ("BrokenBarrierError", "Abort or reset of barrier")
    assert run_main(main) == [(0, *broken), (1, *broken)]


def test_reset_sends_those_away_who_wait(run_main, barrier_class):
    async def main():
        barrier, log = barrier_class(3), []
        first = waiting_tasks(barrier, 2, log)
        await turns(3)
        await barrier.reset()
        late = waiting_tasks(barrier, 3, log)
        await asyncio.wait(first + late)
        return sorted(log, key=str), barrier.broken

    broken = ("BrokenBarrierError", "Abort or reset of barrier")
    entries = [(0, 0), (0, *broken), (1, 1), (1, *broken), (2, 2)]
    assert run_main(main) == (sorted(entries, key=str), False)


def test_a_cancelled_waiter_is_no_longer_counted(run_main, barrier_class):
    async def main():
        barrier, log = barrier_class(2), []
        (first,) = waiting_tasks(barrier, 1, log)
        await turns(3)
        first.cancel("gone")
        await asyncio.wait([first])
        assert barrier.n_waiting == 0
        await asyncio.wait(waiting_tasks(barrier, 2, log))
        return log

    assert run_main(main) == [(0, "CancelledError", "gone"), (1, 1), (0, 0)]


def test_its_attributes_can_be_read_and_changed(run_main, barrier_class):
    async def main():
        barrier, log = barrier_class(3), []
        assert (barrier._parties, barrier._count, barrier._state.value) == (3, 0, "filling")
        tasks = waiting_tasks(barrier, 2, log)
        await turns(3)
        assert barrier._count == 2
        assert len(barrier._cond._waiters) == 2
        barrier._state = type(barrier._state).DRAINING
        async with barrier._cond:
            barrier._cond.notify_all()
        await asyncio.wait(tasks)
        return log, barrier._count

    assert run_main(main) == ([(0, 0), (1, 1)], 0)


def test_its_repr_tells_its_state_and_who_waits(run_main, barrier_class):
    async def main():
        barrier = barrier_class(2)
        plain = object.__repr__(barrier)[1:-1]
        seen = [repr(barrier)]
        (task,) = waiting_tasks(barrier, 1, [])
        await turns(3)
        seen.append(repr(barrier))
        await barrier.abort()
        seen.append(repr(barrier))
        await task
        states = ["filling, waiters:0/2", "filling, waiters:1/2", "broken"]
        assert plain.startswith("asyncio.locks.Barrier object at 0x")
        assert seen == [f"<{plain} [{state}]>" for state in states]

    run_main(main)


def test_a_subclass_that_replaces_methods_is_asked(run_main, barrier_class):
    class Counted(barrier_class):
        def __init__(self, parties):
            super().__init__(parties)
            self.log = []

        async def wait(self):
            self.log.append("wait")
            return await super().wait()

        async def _block(self):
            self.log.append("block")
            await super()._block()

        def _exit(self):
            self.log.append("exit")
            super()._exit()

    async def main():
        barrier = Counted(2)

        async def enter():
            async with barrier as index:
                return index

        return await asyncio.gather(enter(), enter()), barrier.log

    indexes, log = run_main(main)
    assert sorted(indexes) == [0, 1]
    assert log == ["wait", "block", "wait", "block", "exit", "exit"]


def test_fewer_than_one_party_is_refused(barrier_class):
    least = ">= 1" if sys.version_info >= (3, 14) else "> 0"
    with pytest.raises(ValueError, match=f"^parties must be {least}$"):
        barrier_class(0)
    with pytest.raises(TypeError, match="'<' not supported between instances of 'str' and 'int'"):
        barrier_class("many")


def test_arguments_are_refused_in_the_words_of_stock(barrier_class):
    for call in (barrier_class, lambda: barrier_class(1, 2), lambda: barrier_class(1, loop=None)):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).startswith("Barrier.__init__() ")


def test_it_can_be_referred_to_weakly_and_collected(barrier_class):
    barrier = barrier_class(2)
    barrier.itself = barrier
    reference = weakref.ref(barrier)
    del barrier
    gc.collect()
    assert reference() is None
