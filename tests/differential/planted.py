"""Bugs that are put into an engine, for the tests that the fuzzer finds what is there to be found.

Each function patches the process that it runs in; `player.py asyncio NAME` is stock with that bug.
"""

import asyncio
import os


def lock_wakes_the_last_waiter():
    """A Lock that is given to who came last."""

    def wake(self):
        if self._waiters and not self._waiters[-1].done():
            self._waiters[-1].set_result(True)

    asyncio.Lock._wake_up_first = wake


def queue_takes_one_turn_more():
    """A get that is late."""
    get = asyncio.Queue.get

    async def late_get(self):
        item = await get(self)
        await asyncio.sleep(0)
        return item

    asyncio.Queue.get = late_get


def event_forgets_a_waiter():
    """An Event whose second waiter never wakes: the task hangs."""
    set_event = asyncio.Event.set

    def forget(self):
        while len(self._waiters) > 1:
            self._waiters.pop()
        set_event(self)

    asyncio.Event.set = forget


def chain_is_cut():
    """A TaskGroup whose errors have no context."""
    exit_of = asyncio.TaskGroup.__aexit__

    async def cut(self, kind, error, traceback):
        try:
            return await exit_of(self, kind, error, traceback)
        except BaseExceptionGroup as group:
            for part in group.exceptions:
                part.__context__ = None
            raise

    asyncio.TaskGroup.__aexit__ = cut


def gather_crashes():
    """A gather that ends the process when it gets three parts."""
    gather = asyncio.gather

    def crash(*parts, **options):
        if len(parts) == 3:
            os._exit(11)
        return gather(*parts, **options)

    asyncio.gather = crash


def reader_wakes_for_nothing():
    """A StreamReader that takes a turn more for each piece of data."""
    wait = asyncio.StreamReader._wait_for_data

    async def wait_longer(self, name):
        await wait(self, name)
        await asyncio.sleep(0)

    asyncio.StreamReader._wait_for_data = wait_longer


def drain_forgets_to_wait():
    """A StreamWriter whose drain does not care for flow control."""

    async def drain(self):
        await asyncio.sleep(0)

    asyncio.StreamWriter.drain = drain


def barrier_spins():
    """A Barrier that never gives the thread back."""
    wait = asyncio.Barrier.wait

    async def spin(self):
        while self.n_waiting == 1:
            pass
        return await wait(self)

    asyncio.Barrier.wait = spin
