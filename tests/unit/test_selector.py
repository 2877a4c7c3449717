"""`loop._selector`: looked at, wrapped, replaced, or changed in part, as test tools do."""

import asyncio
import selectors
import socket

import pytest


class Wrapped(selectors.BaseSelector):
    """A selector that passes everything on, and counts its polls."""

    def __init__(self, inner):
        self.inner, self.polls = inner, 0

    def register(self, *args):
        return self.inner.register(*args)

    def unregister(self, fileobj):
        return self.inner.unregister(fileobj)

    def modify(self, *args):
        return self.inner.modify(*args)

    def select(self, timeout=None):
        self.polls += 1
        return self.inner.select(timeout)

    def get_map(self):
        return self.inner.get_map()

    def close(self):
        self.inner.close()


def copied(loop):
    """A selector of the program's, which watches what the loop's own does."""
    selector = selectors.DefaultSelector()
    for key in loop._selector.get_map().values():
        selector.register(key.fileobj, key.events, key.data)
    return selector


@pytest.fixture
def pair():
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


@pytest.mark.parametrize("replace", [copied, lambda loop: Wrapped(loop._selector)])
def test_one_that_is_replaced_is_woken_by_other_threads(loop, run, replace):
    loop._selector = replace(loop)

    async def main():
        await asyncio.sleep(0.001)
        return await asyncio.to_thread(int, "7")

    assert run(main()) == 7


def test_one_that_the_loop_was_made_with_is_woken_by_other_threads(engine):
    probe = engine.new_loop()
    probe.close()
    loop = type(probe)(selectors.SelectSelector())

    async def main():
        return await asyncio.to_thread(int, "7")

    assert loop.run_until_complete(main()) == 7
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_a_reader_is_removed_through_a_wrapped_one(loop, run, pair):
    loop._selector = Wrapped(loop._selector)
    here, there = pair
    calls = []

    def ready():
        calls.append(here.recv(1))
        loop.remove_reader(here)

    async def main():
        loop.add_reader(here, ready)
        there.send(b"ab")
        await asyncio.sleep(0.01)

    run(main())
    assert calls == [b"a"]
    assert loop._selector.polls


def test_the_map_takes_file_objects_and_is_live(loop, pair):
    here, there = pair
    shown = loop._selector.get_map()
    before = len(shown)
    loop.add_reader(here, int)
    assert here in shown
    assert here.fileno() in shown
    assert there not in shown
    assert len(shown) == before + 1
    assert shown[here].fd == here.fileno()
    assert shown[here].events == selectors.EVENT_READ
    with pytest.raises(KeyError, match="is not registered"):
        shown[there]
    loop.remove_reader(here)
    assert here not in shown


def test_its_select_may_be_replaced(loop, run):
    polls = []
    inner = loop._selector.select

    def select(timeout=None):
        polls.append(timeout)
        return inner(timeout)

    loop._selector.select = select

    async def main():
        await asyncio.sleep(0.001)
        return await asyncio.to_thread(int, "7")

    assert run(main()) == 7
    assert None in polls or any(timeout for timeout in polls)
    loop._selector = loop._selector
    seen = len(polls)
    run(main())
    assert len(polls) > seen
    del loop._selector.select
    seen = len(polls)
    assert run(main()) == 7
    assert len(polls) == seen


def test_attributes_of_a_program(loop):
    loop._selector.note = "kept"
    assert loop._selector.note == "kept"
    del loop._selector.note
    with pytest.raises(AttributeError):
        del loop._selector.note
