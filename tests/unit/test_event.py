"""`Event`, stock's and the native one, on both loops."""

import asyncio
import gc
import re
import weakref

import pytest
from small_coroutines import turns


@pytest.fixture
def event_class(package):
    """The class under test."""
    return package.Event


def test_setting_wakes_all_in_order(run_main, event_class):
    async def main():
        event, log = event_class(), []

        async def wait(name):
            log.append((name, await event.wait(), event.is_set()))

        tasks = [asyncio.create_task(wait(name)) for name in "abc"]
        await turns(2)
        assert log == []
        assert event.set() is None
        event.set()
        assert log == []
        await asyncio.wait(tasks)
        return log

    assert run_main(main) == [(name, True, True) for name in "abc"]


def test_a_set_event_is_not_waited_for(run_main, event_class):
    async def main():
        event = event_class()
        event.set()
        waiting = event.wait()
        with pytest.raises(StopIteration) as caught:
            waiting.send(None)
        return caught.value.value

    assert run_main(main) is True


def test_the_exception_that_ends_a_wait_is_fresh_each_time(event_class):
    event = event_class()
    event.set()
    kept = []
    for number in range(3):
        with pytest.raises(StopIteration) as caught:
            event.wait().__await__().__next__()
        caught.value.note = number
        kept.append(caught.value)
    assert [(error.args, error.value) for error in kept] == [((True,), True)] * 3
    assert [error.note for error in kept] == [0, 1, 2]
    while kept:
        kept.pop()
        with pytest.raises(StopIteration) as caught:
            event.wait().__await__().__next__()
        assert not hasattr(caught.value, "note")
        assert caught.value.__context__ is None


def test_who_was_woken_goes_on_after_a_clear(run_main, event_class):
    async def main():
        event = event_class()
        woken = asyncio.create_task(event.wait())
        await turns(1)
        event.set()
        assert event.clear() is None
        late = asyncio.create_task(event.wait())
        await turns(2)
        assert woken.done()
        assert not late.done()
        assert not event.is_set()
        late.cancel()
        await asyncio.wait([late])
        return await woken

    assert run_main(main) is True


def test_a_cancelled_waiter_leaves_the_queue(run_main, event_class):
    async def main():
        event = event_class()
        first, second = (asyncio.create_task(event.wait()) for _ in range(2))
        await turns(1)
        assert len(event._waiters) == 2
        first.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await first
        assert len(event._waiters) == 1
        event.set()
        assert await second is True
        return len(event._waiters)

    assert run_main(main) == 0


def test_a_waiter_that_was_woken_can_still_be_cancelled(run_main, event_class):
    async def main():
        event = event_class()
        waiting = asyncio.create_task(event.wait())
        await turns(1)
        event.set()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return len(event._waiters)

    assert run_main(main) == 0


def test_its_repr_tells_its_state_and_who_waits(run_main, event_class):
    async def main():
        event = event_class()
        plain = object.__repr__(event)[1:-1]
        seen = [repr(event)]
        waiting = asyncio.create_task(event.wait())
        await turns(1)
        seen.append(repr(event))
        event.set()
        seen.append(repr(event))
        await waiting
        seen.append(repr(event))
        states = ["unset", "unset, waiters:1", "set, waiters:1", "set"]
        assert plain.startswith("asyncio.locks.Event object at 0x")
        assert seen == [f"<{plain} [{state}]>" for state in states]

    run_main(main)


def test_its_attributes_can_be_read_and_changed(run_main, event_class):
    async def main():
        event = event_class()
        assert event._loop is None
        assert type(event._waiters).__name__ == "deque"
        assert event._value is False
        waiting = asyncio.create_task(event.wait())
        await turns(1)
        assert event._loop is asyncio.get_running_loop()
        (waiter,) = event._waiters
        assert asyncio.isfuture(waiter)
        event._waiters.append(asyncio.get_running_loop().create_future())
        event.set()
        assert [waiter.result() for waiter in event._waiters] == [True, True]
        await waiting
        event._value = False
        return event.is_set(), len(event._waiters)

    assert run_main(main) == (False, 1)


def test_an_event_belongs_to_the_first_loop_that_waits(loop_factory, event_class):
    event = event_class()

    async def wait_a_little():
        waiting = asyncio.create_task(event.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    async def wait():
        await event.wait()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(wait_a_little())
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        message = re.escape(f"{event!r} is bound to a different event loop")
        with pytest.raises(RuntimeError, match=f"^{message}$"):
            runner.run(wait())


def test_a_subclass_adds_attributes_and_replaces_methods(run_main, event_class):
    class Counted(event_class):
        def __init__(self, name):
            super().__init__()
            self.name, self.sets = name, 0

        def set(self):
            self.sets += 1
            super().set()

        def _get_loop(self):
            self.asked = True
            return super()._get_loop()

    async def main():
        event = Counted("name")
        waiting = asyncio.create_task(event.wait())
        await turns(1)
        event.set()
        assert await waiting is True
        return event.name, event.sets, event.asked

    assert run_main(main) == ("name", 1, True)


def test_arguments_are_refused_in_the_words_of_stock(event_class):
    for call in (lambda: event_class(1), lambda: event_class(loop=None)):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).startswith("Event.__init__() ")


def test_it_can_be_referred_to_weakly_and_collected(event_class):
    event = event_class()
    event.itself = event
    reference = weakref.ref(event)
    del event
    gc.collect()
    assert reference() is None
