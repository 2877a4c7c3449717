"""run_in_executor, the default executor and its shutdown."""

import asyncio
import concurrent.futures
import sys
import threading
import time

import pytest


def test_the_result_comes_back(loop, run):
    async def main():
        future = loop.run_in_executor(None, max, 3, 5)
        assert asyncio.isfuture(future)
        assert future.get_loop() is loop
        return await future

    assert run(main()) == 5


def test_the_error_comes_back(loop, run):
    def failing():
        raise KeyError("in the thread")

    async def main():
        with pytest.raises(KeyError, match="in the thread"):
            await loop.run_in_executor(None, failing)

    run(main())


def test_the_function_runs_in_another_thread(loop, run):
    async def main():
        return await loop.run_in_executor(None, threading.current_thread)

    thread = run(main())
    assert thread is not threading.current_thread()
    assert thread.name.startswith("asyncio_")


def test_it_may_be_called_before_the_loop_runs(loop, run):
    future = loop.run_in_executor(None, int, 7)
    assert run(future) == 7


def test_a_given_executor_is_used(loop, run):
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:

        async def main():
            return await loop.run_in_executor(pool, threading.current_thread)

        assert run(main()).name.startswith("mine")


def test_a_default_executor_can_be_set(loop, run):
    pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="default")
    loop.set_default_executor(pool)
    assert run(loop.run_in_executor(None, threading.current_thread)).name.startswith("default")
    run(loop.shutdown_default_executor())
    with pytest.raises(RuntimeError):
        pool.submit(int)


@pytest.mark.parametrize("bad", [None, 1, object(), concurrent.futures.Executor()])
def test_a_default_executor_of_another_type_is_refused_as_on_stock(same_as_stock, bad):
    assert same_as_stock(lambda loop, engine: loop.set_default_executor(bad))[1] is TypeError


def test_the_executor_cannot_be_used_after_its_shutdown(same_as_stock):
    def scenario(loop, engine):
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.run_in_executor(None, print)

    assert same_as_stock(scenario)[1] is RuntimeError


def test_shutdown_waits_for_what_runs(loop, run):
    started, release = threading.Event(), threading.Event()
    ended = []

    def work():
        started.set()
        release.wait(20)
        ended.append(1)

    async def main():
        future = loop.run_in_executor(None, work)
        assert started.wait(20)
        loop.call_later(0.001, release.set)
        await loop.shutdown_default_executor()
        assert ended == [1]
        await future

    run(main())


def test_shutdown_without_an_executor_is_fine(loop, run):
    assert run(loop.shutdown_default_executor()) is None
    assert run(loop.shutdown_default_executor()) is None


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="no timeout on 3.11; 3.12.1 joins the threads in spite of it"
)
def test_shutdown_with_a_timeout_warns_when_it_is_over(loop, run):
    started, release = threading.Event(), threading.Event()

    def work():
        started.set()
        release.wait(20)

    async def main():
        future = loop.run_in_executor(None, work)
        assert started.wait(20)
        with pytest.warns(RuntimeWarning, match="The executor did not finishing joining"):
            await loop.shutdown_default_executor(timeout=0.01)
        release.set()
        await future

    run(main())


def test_cancelling_the_future_of_waiting_work_takes_it_out(loop, run):
    release = threading.Event()
    ran = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        async def main():
            first = loop.run_in_executor(pool, release.wait, 20)
            second = loop.run_in_executor(pool, ran.append, "second")
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            await asyncio.sleep(0)
            release.set()
            await first

        run(main())
    assert ran == []


def test_work_that_ends_after_the_loop_was_closed_does_no_harm(engine, capfd):
    loop = engine.new_loop()
    release = threading.Event()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = loop.run_in_executor(pool, release.wait, 20)
    loop.close()
    release.set()
    pool.shutdown(wait=True)
    assert not future.done()
    assert capfd.readouterr().err == ""


def test_a_thread_result_wakes_a_sleeping_loop_quickly(loop, run):
    async def main():
        loop.call_later(1000, print)
        started = time.monotonic()
        for _ in range(20):
            await loop.run_in_executor(None, int)
        return time.monotonic() - started

    assert run(main()) < 20


def test_many_results_come_back_in_their_own_futures(loop, run):
    async def main():
        futures = [loop.run_in_executor(None, int, number) for number in range(500)]
        return await asyncio.gather(*futures)

    assert run(main()) == list(range(500))


def test_a_base_exception_in_the_thread_comes_back(loop, run):
    class Mine(BaseException):
        pass

    def failing():
        raise Mine("base")

    async def main():
        with pytest.raises(Mine, match="^base$"):
            await loop.run_in_executor(None, failing)

    run(main())


def test_a_stop_iteration_in_the_thread_has_the_outcome_of_stock(same_as_stock):
    def scenario(loop, engine):
        def failing():
            raise StopIteration("odd")

        contexts = []
        loop.set_exception_handler(
            lambda _, context: (contexts.append(str(context["exception"])), loop.stop())
        )
        future = loop.run_in_executor(None, failing)
        try:
            loop.run_until_complete(future)
        except RuntimeError as exc:
            contexts.append(str(exc))
        return contexts, future.done()

    same_as_stock(scenario)
