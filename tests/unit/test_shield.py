"""`shield`, stock's and the native one, on both loops."""

import asyncio
import gc
import re
import sys

import pytest
from small_coroutines import fail, give


@pytest.fixture
def shield(package):
    """The function under test."""
    return package.shield


def test_the_outcome_is_that_of_the_inner(run_main, shield):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, "future")
        stock = asyncio.Task(give("stock", 2), loop=loop)
        results = [
            await shield(give("coroutine", 2)),
            await shield(future),
            await shield(stock),
            await shield(asyncio.gather(give(1), give(2))),
        ]
        with pytest.raises(ValueError, match="mine"):
            await shield(fail(ValueError("mine"), 1))
        return results

    assert run_main(main) == ["coroutine", "future", "stock", [1, 2]]


def test_what_is_done_is_given_back(run_main, shield):
    async def main():
        future = asyncio.get_running_loop().create_future()
        future.set_result(1)
        return shield(future) is future

    assert run_main(main)


def test_cancelling_it_leaves_the_inner_alone(run_main, shield):
    async def main():
        inner = asyncio.create_task(give("inner", 5))
        outer = shield(inner)
        await asyncio.sleep(0)
        assert inner._callbacks is not None
        assert outer.cancel()
        await asyncio.sleep(0)
        return inner._callbacks, outer.cancelled(), await inner

    assert run_main(main) == (None, True, "inner")


def test_cancelling_the_task_that_awaits_it(run_main, shield):
    async def main():
        inner = asyncio.create_task(give("inner", 8))

        async def wait():
            return await shield(inner)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel("outside")
        with pytest.raises(asyncio.CancelledError):
            await task
        return await inner

    assert run_main(main) == "inner"


def test_a_cancelled_inner_cancels_it(run_main, shield):
    async def main():
        inner = asyncio.get_running_loop().create_future()
        outer = shield(inner)
        inner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        return outer.cancelled()

    assert run_main(main)


def test_both_cancelled_in_one_turn(run_main, shield):
    async def main():
        inner = asyncio.get_running_loop().create_future()
        outer = shield(inner)
        outer.cancel()
        inner.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return inner.cancelled(), outer.cancelled()

    assert run_main(main) == (True, True)


def test_a_failure_in_the_turn_of_the_cancellation_is_seen(run_main, shield, caplog):
    async def main():
        inner = asyncio.get_running_loop().create_future()
        outer = shield(inner)
        inner.set_exception(ValueError("unseen"))
        outer.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run_main(main)
    gc.collect()
    # Stock marked it as seen until 3.13.
    assert ("unseen" in caplog.text) == (sys.version_info >= (3, 14))


def test_the_order_of_wake_ups(run_main, shield):
    async def main():
        log = []

        async def beside():
            for turn in range(6):
                log.append(turn)
                await asyncio.sleep(0)

        task = asyncio.create_task(beside())
        await shield(give(1, 1))
        log.append("shielded")
        await task
        return log

    assert run_main(main) == [0, 1, 2, 3, "shielded", 4, 5]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="3.14 adds a callback")
def test_its_callbacks_name_stock_functions(run_main, shield):
    async def main():
        inner = asyncio.create_task(give(1, 1))
        outer = shield(inner)
        texts = repr(inner), repr(outer)
        await outer
        return texts

    inner, outer = run_main(main)
    assert re.search(r"cb=\[shield\.<locals>\._inner_done_callback\(\) at .*tasks\.py:\d+\]", inner)
    assert re.search(r"cb=\[shield\.<locals>\._outer_done_callback\(\) at .*tasks\.py:\d+\]", outer)


@pytest.mark.parametrize(
    "call", [lambda shield: shield(), lambda shield: shield(1), lambda shield: shield(1, 2)]
)
def test_wrong_arguments_get_stock_words(run_main, shield, call):
    async def main():
        with pytest.raises(TypeError) as caught:
            call(shield)
        with pytest.raises(TypeError) as expected:
            call(asyncio.shield)
        return str(caught.value), str(expected.value)

    caught, expected = run_main(main)
    assert caught == expected
