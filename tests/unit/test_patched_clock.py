"""loop.time() replaced by a test clock: on the instance, in a subclass, on a class later."""

import asyncio

import pytest


@pytest.fixture
def clock():
    """The time that the replaced clock shows, in a list of one."""
    return [1000.0]


@pytest.fixture(params=["instance", "subclass", "patched class"])
def clocked_loop(request, engine, clock):
    """A loop whose time() is read from `clock`."""
    if request.param == "instance":
        loop = engine.new_loop()
        loop.time = lambda: clock[0]
    else:
        plain = engine.new_loop()
        base = type(plain)
        plain.close()

        class ClockedLoop(base):
            def time(self):
                return clock[0]

        if request.param == "subclass":
            loop = ClockedLoop()
        else:

            class PatchedLater(base):
                pass

            loop = PatchedLater()
            PatchedLater.time = ClockedLoop.time
    yield loop
    loop.close()


def test_the_replaced_clock_is_what_time_returns(clocked_loop, clock):
    assert clocked_loop.time() == 1000.0
    clock[0] = 5.0
    assert clocked_loop.time() == 5.0


def test_call_later_counts_from_the_replaced_clock(clocked_loop):
    handle = clocked_loop.call_later(10, print)
    assert handle.when() == 1010.0
    handle.cancel()


def test_a_timer_far_away_fires_as_soon_as_the_replaced_clock_reaches_it(clocked_loop, clock):
    seen = []
    clocked_loop.call_later(3600, seen.append, "hour")
    clocked_loop.call_later(7200, clocked_loop.stop)

    def advance():
        seen.append(clock[0])
        clock[0] += 1800.0
        clocked_loop.call_soon(advance if len(seen) < 50 else clocked_loop.stop)

    clocked_loop.call_soon(advance)
    clocked_loop.run_forever()
    assert len(seen) < 10
    assert seen[:4] == [1000.0, 2800.0, 4600.0, "hour"]


def test_a_timer_does_not_fire_while_the_replaced_clock_stands(clocked_loop, clock):
    seen = []
    clocked_loop.call_later(0.0001, seen.append, "fired")
    for _ in range(200):
        clocked_loop.stop()
        clocked_loop.run_forever()
    assert seen == []
    clock[0] += 0.0001
    clocked_loop.stop()
    clocked_loop.run_forever()
    assert seen == ["fired"]


def test_sleeps_and_timeouts_follow_the_replaced_clock(clocked_loop, clock):
    def advance():
        clock[0] += 100.0
        clocked_loop.call_soon(advance if clock[0] < 200_000 else clocked_loop.stop)

    async def main():
        await asyncio.sleep(3600)
        woke = clocked_loop.time()
        try:
            async with asyncio.timeout(86400):
                await asyncio.sleep(10**7)
        except TimeoutError:
            return woke, clocked_loop.time()

    clocked_loop.call_soon(advance)
    woke, timed_out = clocked_loop.run_until_complete(main())
    assert 4600 <= woke <= 5000
    assert woke + 86400 <= timed_out <= woke + 86400 + 400


def test_a_clock_put_back_in_place_moves_the_timers_again(engine):
    loop = engine.new_loop()
    try:
        seen = []
        start = loop.time()
        loop.time = lambda: start
        loop.call_later(0.0, seen.append, "due")
        loop.call_at(start + 0.001, seen.append, "later")
        loop.stop()
        loop.run_forever()
        del loop.time
        loop.call_at(start + 0.002, loop.stop)
        loop.run_forever()
        assert seen[-1] == "later"
    finally:
        loop.close()


def test_a_clock_that_raises_ends_the_run_with_its_error(engine):
    loop = engine.new_loop()
    try:
        loop.call_later(0.0, print)

        def broken():
            raise LookupError("no clock")

        loop.time = broken
        with pytest.raises(LookupError, match="no clock"):
            loop.run_forever()
        assert not loop.is_running()
        with pytest.raises(LookupError, match="no clock"):
            loop.call_later(1, print)
    finally:
        loop.close()
