"""Asynchronous generators: finalised on the loop, closed by shutdown_asyncgens."""

import asyncio
import gc

import pytest


def make_generator(log, name="generator"):
    """An async generator that writes down what becomes of it."""

    async def generator():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            log.append(f"{name} closed")

    return generator()


def test_a_dropped_generator_is_closed_by_the_loop(run):
    log = []

    async def main():
        generator = make_generator(log)
        assert await anext(generator) == 1
        del generator
        gc.collect()
        for _ in range(4):
            await asyncio.sleep(0)

    run(main())
    assert log == ["generator closed"]


def test_leaving_a_loop_over_a_generator_closes_it_later(run):
    log = []

    async def main():
        async for _ in make_generator(log):
            break
        gc.collect()
        for _ in range(4):
            await asyncio.sleep(0)

    run(main())
    assert log == ["generator closed"]


def test_shutdown_closes_all_generators_that_are_left(loop, run):
    log = []
    kept = [make_generator(log, f"number {number}") for number in range(3)]

    async def main():
        for generator in kept:
            await anext(generator)

    run(main())
    assert log == []
    assert run(loop.shutdown_asyncgens()) is None
    assert sorted(log) == ["number 0 closed", "number 1 closed", "number 2 closed"]


def test_shutdown_without_generators_is_fine(loop, run):
    assert run(loop.shutdown_asyncgens()) is None
    assert run(loop.shutdown_asyncgens()) is None


def test_a_generator_that_fails_to_close_is_reported(loop, run, reported):
    async def failing():
        try:
            yield 1
        finally:
            raise ZeroDivisionError("while closing")

    generator = failing()

    async def main():
        await anext(generator)

    run(main())
    run(loop.shutdown_asyncgens())
    (context,) = reported
    assert context["message"] == (
        f"an error occurred during closing of asynchronous generator {generator!r}"
    )
    assert context["asyncgen"] is generator
    assert isinstance(context["exception"], ZeroDivisionError)


def test_an_iteration_begun_after_the_shutdown_warns(loop, run):
    run(loop.shutdown_asyncgens())
    generator = make_generator([])

    async def main():
        await anext(generator)
        await generator.aclose()

    with pytest.warns(ResourceWarning, match="was scheduled after loop.shutdown_asyncgens"):
        run(main())


def test_the_runner_closes_what_is_left(engine):
    log = []
    kept = []

    async def main():
        kept.append(make_generator(log))
        await anext(kept[0])

    with asyncio.Runner(loop_factory=engine.new_loop) as runner:
        runner.run(main())
    assert log == ["generator closed"]


def test_a_finished_generator_needs_no_closing(loop, run):
    log = []

    async def main():
        return [value async for value in make_generator(log)]

    assert run(main()) == [1, 2]
    assert log == ["generator closed"]
    run(loop.shutdown_asyncgens())
    assert log == ["generator closed"]


def test_a_generator_dropped_in_another_thread_is_closed_on_the_loop(loop, run):
    log = []
    holder = []

    async def main():
        holder.append(make_generator(log))
        await anext(holder[0])
        await loop.run_in_executor(None, holder.clear)
        for _ in range(200):
            if log:
                break
            await asyncio.sleep(0.001)

    run(main())
    assert log == ["generator closed"]


def test_generators_of_two_loops_do_not_mix(engine, loop, run):
    log = []
    other = engine.new_loop()
    mine, theirs = make_generator(log, "mine"), make_generator(log, "theirs")

    async def first(generator):
        return await anext(generator)

    run(first(mine))
    other.run_until_complete(first(theirs))
    run(loop.shutdown_asyncgens())
    assert log == ["mine closed"]
    other.run_until_complete(other.shutdown_asyncgens())
    assert log == ["mine closed", "theirs closed"]
    other.close()
