"""run_in_executor, the default executor and its shutdown."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import sys
import threading
import time
import traceback
import weakref
from queue import Empty

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


def spin_until(condition):
    """Wait for what another thread does; the test's own time limit ends a wait in vain."""
    while not condition():
        time.sleep(0)


def is_idle(pool):
    """Whether every thread of the pool waits for work."""
    return pool._idle_semaphore._value >= len(pool._threads)


@pytest.fixture
def one_thread(loop, run):
    """Start the loop's default executor and let it have no second thread."""
    run(loop.run_in_executor(None, int))
    loop._default_executor._max_workers = 1
    spin_until(lambda: is_idle(loop._default_executor))
    return loop._default_executor


@pytest.fixture(params=["default", "set", "given"])
def choose(request, loop):
    """What to pass as executor: None with the loop's own, None with one that was set, or one."""
    if request.param == "default":
        yield lambda: None
        return
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        if request.param == "set":
            loop.set_default_executor(pool)
        yield lambda: None if request.param == "set" else pool


def test_every_kind_of_executor_brings_results_and_errors(loop, run, choose):
    def divide(one, other):
        return one / other

    async def main():
        assert await loop.run_in_executor(choose(), divide, 6, 3) == 2
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(choose(), divide, 6, 0)
        assert await loop.run_in_executor(choose(), divide, 8, 2) == 4

    run(main())


def test_the_default_executor_is_a_thread_pool_with_named_threads(loop, run):
    async def main():
        return await loop.run_in_executor(None, threading.current_thread)

    thread = run(main())
    assert type(loop._default_executor) is concurrent.futures.ThreadPoolExecutor
    assert thread.name == "asyncio_0"
    assert loop._default_executor._threads == {thread}
    assert not thread.daemon


def test_an_idle_thread_is_used_again(loop, run, one_thread):
    one_thread._max_workers = 8
    names = set()
    for _ in range(5):
        names.add(run(loop.run_in_executor(None, threading.current_thread)).name)
        spin_until(lambda: is_idle(one_thread))
    assert names == {"asyncio_0"}


def test_busy_threads_make_room_for_new_ones_up_to_the_limit(loop, run, one_thread):
    one_thread._max_workers = 3
    release = threading.Event()
    barrier = threading.Barrier(4)

    def work():
        barrier.wait(20)
        release.wait(20)
        return threading.current_thread().name

    async def main():
        futures = [loop.run_in_executor(None, work) for _ in range(3)]
        waiting = loop.run_in_executor(None, threading.current_thread)
        barrier.wait(20)
        assert len(one_thread._threads) == 3
        assert one_thread._work_queue.qsize() == 1
        release.set()
        names = await asyncio.gather(*futures)
        await waiting
        return names

    assert sorted(run(main())) == ["asyncio_0", "asyncio_1", "asyncio_2"]


def test_the_work_begins_though_the_loop_blocks(loop, run, choose):
    async def main():
        started = threading.Event()
        future = loop.run_in_executor(choose(), started.set)
        assert started.wait(20)
        await future

    run(main())


def test_work_is_done_in_the_order_of_the_calls(loop, run, one_thread):
    order = []

    async def main():
        await asyncio.gather(*[loop.run_in_executor(None, order.append, n) for n in range(50)])

    run(main())
    assert order == list(range(50))


def test_the_waiter_resumes_in_the_second_turn_after_the_outcome(loop, turns, choose):
    log = []
    release = threading.Event()

    async def main():
        future = loop.run_in_executor(choose(), release.wait, 20)
        future.add_done_callback(lambda _: log.append("callback"))
        await future
        log.append("task")

    task = loop.create_task(main())
    turns(1)
    release.set()
    spin_until(lambda: len(loop._ready) > 0)
    loop.call_soon(log.append, "after the outcome")
    turns(1)
    assert log == ["after the outcome"]
    loop.call_soon(log.append, "after the waiters")
    turns(1)
    assert log == ["after the outcome", "callback", "task", "after the waiters"]
    turns(1)
    assert task.done()


def test_a_future_that_waits_for_a_thread_looks_as_on_stock(same_as_stock):
    def scenario(loop, engine):
        release = threading.Event()
        future = loop.run_in_executor(None, release.wait, 20)
        future.add_done_callback(print)
        shown = repr(future), len(future._callbacks)
        future.remove_done_callback(print)
        release.set()
        return *shown, loop.run_until_complete(future), repr(future)

    outcome = same_as_stock(scenario)
    assert "_chain_future.<locals>._call_check_cancel() at " in outcome[1][0]


def test_work_that_is_cancelled_before_it_starts_never_runs(loop, run, one_thread):
    release = threading.Event()
    ran = []

    async def main():
        first = loop.run_in_executor(None, release.wait, 20)
        second = loop.run_in_executor(None, ran.append, "second")
        third = loop.run_in_executor(None, ran.append, "third")
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await asyncio.sleep(0)
        release.set()
        await first
        await third

    run(main())
    assert ran == ["third"]


def test_a_cancellation_counts_from_the_next_turn_on(same_as_stock):
    def scenario(loop, engine):
        loop.run_until_complete(loop.run_in_executor(None, int))
        loop._default_executor._max_workers = 1
        release, ran = threading.Event(), []
        first = loop.run_in_executor(None, release.wait, 20)
        second = loop.run_in_executor(None, ran.append, "second")
        second.cancel()
        release.set()
        spin_until(lambda: ran)
        loop.run_until_complete(first)
        return ran, second.cancelled()

    same_as_stock(scenario)


@pytest.mark.parametrize("ending", ["result", "exception"])
def test_the_outcome_of_work_that_is_cancelled_while_it_runs_is_dropped(
    loop, run, reported, choose, ending
):
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        started.set()
        release.wait(20)
        ended.set()
        if ending == "exception":
            raise KeyError("nobody waits for it")

    async def main():
        future = loop.run_in_executor(choose(), work)
        assert started.wait(20)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        release.set()
        assert ended.wait(20)
        assert await loop.run_in_executor(choose(), int, 5) == 5

    run(main())
    gc.collect()
    assert reported == []


def test_a_traceback_shows_the_frames_of_stock(same_as_stock):
    def failing():
        raise KeyError("here")

    def scenario(loop, engine):
        async def main():
            try:
                await loop.run_in_executor(None, failing)
            except KeyError as exc:
                frames = traceback.extract_tb(exc.__traceback__)
                return [(f.name, f.lineno, f.line) for f in frames], exc.__context__

        return loop.run_until_complete(main())

    frames = same_as_stock(scenario)[1][0]
    assert frames[-1][0] == "failing"


class Tracked:
    """Something that can be referred to weakly."""


def test_arguments_result_and_error_live_no_longer_than_needed(loop, run, choose):
    alive = weakref.WeakSet()

    def give(argument):
        result = Tracked()
        alive.add(result)
        return result

    def fail(argument):
        local = Tracked()
        alive.add(local)
        raise KeyError(local)

    async def main():
        argument = Tracked()
        alive.add(argument)
        await loop.run_in_executor(choose(), give, argument)
        with contextlib.suppress(KeyError):
            await loop.run_in_executor(choose(), fail, argument)
        del argument

    gc.disable()
    try:
        run(main())
        spin_until(lambda: not alive)
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_exit_in_the_thread_leaves_the_loop_as_on_stock(same_as_stock, error):
    def scenario(loop, engine):
        def leave():
            raise error("from the thread")

        async def main():
            await loop.run_in_executor(None, leave)

        caught = []
        try:
            loop.run_until_complete(main())
        except BaseException as exc:
            caught.append((type(exc), str(exc)))
        return caught, loop.run_until_complete(loop.run_in_executor(None, int, 3))

    same_as_stock(scenario)


def test_a_cancelled_error_of_concurrent_futures_becomes_one_of_asyncio(same_as_stock):
    def scenario(loop, engine):
        def cancelled():
            raise concurrent.futures.CancelledError("mine")

        async def main():
            try:
                await loop.run_in_executor(None, cancelled)
            except asyncio.CancelledError as exc:
                return type(exc), exc.args

        return loop.run_until_complete(main())

    same_as_stock(scenario)


def test_default_work_that_ends_after_the_loop_was_closed_does_no_harm(engine, capfd):
    loop = engine.new_loop()
    started, release, outcomes = threading.Event(), threading.Event(), []

    def work(outcome):
        started.set()
        release.wait(20)
        outcomes.append(outcome)
        if outcome == "error":
            raise KeyError

    futures = [loop.run_in_executor(None, work, outcome) for outcome in ("result", "error")]
    pool = loop._default_executor
    assert started.wait(20)
    loop.close()
    release.set()
    pool.shutdown(wait=True)
    assert sorted(outcomes) == ["error", "result"]
    assert not any(future.done() for future in futures)
    del futures, loop
    gc.collect()
    assert capfd.readouterr().err == ""


def test_a_shutdown_that_cancels_work_cancels_its_futures(loop, run, one_thread):
    started, release = threading.Event(), threading.Event()
    ran = []

    def work():
        started.set()
        return release.wait(20)

    async def main():
        first = loop.run_in_executor(None, work)
        second = loop.run_in_executor(None, ran.append, "second")
        assert started.wait(20)
        one_thread.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(asyncio.CancelledError):
            await second
        release.set()
        assert await first is True

    run(main())
    assert ran == []


def test_a_shut_down_executor_refuses_as_on_stock(same_as_stock):
    def scenario(loop, engine):
        loop.run_until_complete(loop.run_in_executor(None, int))
        loop._default_executor.shutdown()
        loop.run_in_executor(None, int)

    assert same_as_stock(scenario)[1] is RuntimeError


def test_an_initializer_that_fails_breaks_waiting_and_later_work(loop, run):
    def scenario(pool):
        async def main():
            future = loop.run_in_executor(pool, int)
            with pytest.raises(concurrent.futures.thread.BrokenThreadPool, match="A thread init"):
                await future
            with pytest.raises(concurrent.futures.thread.BrokenThreadPool, match="A thread init"):
                await loop.run_in_executor(pool, int)

        run(main())

    entered = threading.Event()

    def initializer():
        entered.wait(20)
        raise ValueError("no thread")

    with concurrent.futures.ThreadPoolExecutor(1, initializer=initializer) as pool:
        loop.call_soon(entered.set)
        scenario(pool)


def test_waiting_work_can_be_looked_at_and_cancelled_from_outside(loop, run, one_thread):
    release = threading.Event()
    ran = []

    async def main():
        first = loop.run_in_executor(None, release.wait, 20)
        futures = [loop.run_in_executor(None, ran.append, number) for number in range(3)]
        spin_until(lambda: one_thread._work_queue.qsize() == 3)
        items = [one_thread._work_queue.get_nowait() for _ in range(3)]
        waiting = [item.future for item in items]
        assert [type(future) for future in waiting] == [concurrent.futures.Future] * 3
        assert waiting[0] is items[0].future
        assert waiting[0].cancel()
        futures[1].cancel()
        for item in items:
            one_thread._work_queue.put(item)
        with pytest.raises(asyncio.CancelledError):
            await futures[0]
        await asyncio.sleep(0)
        assert waiting[1].cancelled()
        release.set()
        await first
        await futures[2]
        assert waiting[2].done()

    run(main())
    assert ran == [2]


@pytest.mark.parametrize("ending", ["result", "error"])
def test_the_future_of_running_work_can_be_had(loop, run, one_thread, ending):
    release, started, go_on = threading.Event(), threading.Event(), threading.Event()

    def work():
        started.set()
        go_on.wait(20)
        if ending == "error":
            raise KeyError(ending)
        return ending

    async def main():
        first = loop.run_in_executor(None, release.wait, 20)
        second = loop.run_in_executor(None, work)
        spin_until(lambda: one_thread._work_queue.qsize() == 1)
        item = one_thread._work_queue.get_nowait()
        one_thread._work_queue.put(item)
        release.set()
        assert started.wait(20)
        assert item.future.running() and not item.future.cancel()
        go_on.set()
        await first
        if ending == "result":
            assert await second == item.future.result(20) == "result"
            return
        with pytest.raises(KeyError) as caught:
            await second
        assert item.future.exception(20) is caught.value

    run(main())


def test_the_queue_of_the_default_executor_works_as_a_simple_queue(one_thread):
    queue = type(one_thread._work_queue)()
    assert queue.empty() and queue.qsize() == 0
    queue.put(1)
    queue.put(2, False, 5)
    queue.put_nowait(3)
    assert not queue.empty() and queue.qsize() == 3
    assert [queue.get(), queue.get(block=False), queue.get_nowait()] == [1, 2, 3]
    with pytest.raises(Empty):
        queue.get_nowait()
    with pytest.raises(Empty):
        queue.get(False)
    with pytest.raises(Empty):
        queue.get(timeout=0.001)
    with pytest.raises(Empty):
        queue.get(timeout=0)
    with pytest.raises(ValueError, match="^'timeout' must be a non-negative number$"):
        queue.get(timeout=-1)
    with pytest.raises(ValueError, match=r"^Invalid value NaN \(not a number\)$"):
        queue.get(timeout=float("nan"))
    with pytest.raises(OverflowError):
        queue.get(timeout=1e30)


def test_every_thread_that_waits_in_the_queue_gets_an_item(one_thread):
    queue = type(one_thread._work_queue)()
    got = []
    threads = [threading.Thread(target=lambda: got.append(queue.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(8):
        queue.put(number)
    for thread in threads:
        thread.join(20)
    assert sorted(got) == list(range(8))
    assert queue.empty()


def test_a_signal_interrupts_the_wait_in_the_queue(run_python):
    done = run_python("""
        import os, signal, threading
        loop = new_loop()
        loop.run_until_complete(loop.run_in_executor(None, int))
        queue = type(loop._default_executor._work_queue)()
        def interrupt():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            threading.Timer(0.2, interrupt).start()
            queue.get()
        except KeyboardInterrupt:
            print("interrupted")
        loop.close()
    """)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


@pytest.mark.parametrize("place", ["instance", "class"])
def test_a_replaced_submit_is_called(loop, run, monkeypatch, one_thread, place):
    calls = []
    real = concurrent.futures.ThreadPoolExecutor.submit

    def submit(self, function, *args):
        calls.append(function)
        return real(self, function, *args)

    if place == "class":
        monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "submit", submit)
    else:
        monkeypatch.setattr(one_thread, "submit", submit.__get__(one_thread), raising=False)
    assert run(loop.run_in_executor(None, int, 4)) == 4
    assert calls == [int]
    monkeypatch.undo()
    assert run(loop.run_in_executor(None, int, 5)) == 5
    assert calls == [int]


def test_a_replaced_work_item_is_used(loop, run, monkeypatch, one_thread):
    calls = []

    class Item(concurrent.futures.thread._WorkItem):
        def run(self, *args):
            calls.append(1)
            return super().run(*args)

    monkeypatch.setattr(concurrent.futures.thread, "_WorkItem", Item)
    assert run(loop.run_in_executor(None, int, 4)) == 4
    assert calls == [1]


def test_the_submit_of_a_subclass_is_called(loop, run):
    class Pool(concurrent.futures.ThreadPoolExecutor):
        def submit(self, function, *args):
            return super().submit(lambda: ("submitted", function(*args)))

    with Pool(1) as pool:
        assert run(loop.run_in_executor(pool, int, 4)) == ("submitted", 4)
        loop.set_default_executor(pool)
        assert run(loop.run_in_executor(None, int, 5)) == ("submitted", 5)


def test_an_executor_of_another_kind_is_used(loop, run):
    class Inline(concurrent.futures.Executor):
        def submit(self, function, *args):
            future = concurrent.futures.Future()
            future.set_result(("inline", function(*args)))
            return future

    assert run(loop.run_in_executor(Inline(), int, 4)) == ("inline", 4)


def test_a_loop_that_makes_its_own_futures_gives_one(loop):
    class Mine(asyncio.Future):
        pass

    class Loop(type(loop)):
        def create_future(self):
            return Mine(loop=self)

    own = Loop()
    future = own.run_in_executor(None, int, 4)
    assert type(future) is Mine
    assert own.run_until_complete(future) == 4
    own.run_until_complete(own.shutdown_default_executor())
    own.close()


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_outcome_comes_through_a_replaced_call_soon_threadsafe(loop, run, when):
    calls = []
    real = loop.call_soon_threadsafe

    def call_soon_threadsafe(callback, *args, context=None):
        calls.append(threading.current_thread().name)
        return real(callback, *args, context=context)

    def replace():
        loop.call_soon_threadsafe = call_soon_threadsafe

    if when == "before":
        replace()
    release = threading.Event()

    def work():
        release.wait(20)
        return 4

    future = loop.run_in_executor(None, work)
    replace()
    release.set()
    assert run(future) == 4
    assert calls == ["asyncio_0"]


def test_an_outcome_comes_though_debug_mode_was_turned_on_meanwhile(loop, run):
    release = threading.Event()

    def work(outcome):
        release.wait(20)
        if outcome is None:
            raise KeyError
        return outcome

    async def main():
        futures = [loop.run_in_executor(None, work, outcome) for outcome in (3, None)]
        loop.set_debug(True)
        release.set()
        return await asyncio.gather(*futures, return_exceptions=True)

    result, error = run(main())
    assert result == 3 and type(error) is KeyError


def test_debug_mode_refuses_coroutines_as_on_stock(same_as_stock):
    async def coroutine_function():
        pass

    def scenario(loop, engine):
        loop.set_debug(True)
        loop.run_in_executor(None, coroutine_function)

    assert same_as_stock(scenario)[1] is TypeError


def test_a_result_that_somebody_else_has_set_stays_and_the_clash_is_reported(same_as_stock):
    def scenario(loop, engine):
        contexts = []
        loop.set_exception_handler(lambda _, context: contexts.append(context["exception"]))
        release = threading.Event()
        future = loop.run_in_executor(None, release.wait, 20)
        future.set_result("mine")
        result = loop.run_until_complete(future)
        release.set()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.run_until_complete(asyncio.sleep(0))
        return result, [(type(exc), str(exc)) for exc in contexts]

    assert same_as_stock(scenario)[1][1] == [(AssertionError, "")]


def test_a_thread_that_cannot_be_started_is_an_error_of_the_call(loop, run, monkeypatch, reported):
    def start(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="^can't start new thread$"):
            loop.run_in_executor(None, int, "not a number")
    assert run(loop.run_in_executor(None, int, 3)) == 3
    run(loop.shutdown_default_executor())
    gc.collect()
    assert reported == []


def test_context_variables_reach_the_thread_through_to_thread_alone(loop, run):
    variable = contextvars.ContextVar("variable", default="default")

    async def main():
        variable.set("set")
        assert await asyncio.to_thread(variable.get) == "set"
        assert await loop.run_in_executor(None, variable.get) == "default"

    run(main())


def test_work_is_finished_before_the_interpreter_exits(run_python):
    done = run_python("""
        import threading
        loop = new_loop()
        release = threading.Event()
        def work(number):
            release.wait(20)
            print("ran", number, flush=True)
        loop.run_until_complete(loop.run_in_executor(None, int))
        loop._default_executor._max_workers = 1
        for number in range(3):
            loop.run_in_executor(None, work, number)
        threading.Timer(0.05, release.set).start()
        print("end of the program", flush=True)
    """)
    lines = done.stdout.splitlines()
    assert lines == ["end of the program", "ran 0", "ran 1", "ran 2"]
    assert done.returncode == 0


def test_no_work_is_taken_once_the_interpreter_exits(run_python):
    done = run_python("""
        import concurrent.futures.thread, threading
        loop = new_loop()
        def late():
            threading.main_thread().join()
            try:
                loop.run_in_executor(None, int)
            except RuntimeError as exc:
                print(exc, flush=True)
        threading.Thread(target=late).start()
    """)
    text = "cannot schedule new futures after interpreter shutdown\n"
    assert (done.stdout, done.returncode) == (text, 0)


def test_a_child_process_has_an_executor_of_its_own(run_python):
    done = run_python(
        """
        import os
        async def main(name):
            return name, await asyncio.gather(*[asyncio.to_thread(int, n) for n in range(20)])
        loop = new_loop()
        print(loop.run_until_complete(main("parent")), flush=True)
        child = os.fork()
        if not child:
            own = new_loop()
            print(own.run_until_complete(main("child")), flush=True)
            own.run_until_complete(own.shutdown_default_executor())
            own.close()
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        print(loop.run_until_complete(main("parent")))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        """,
        "-W",
        "ignore::DeprecationWarning",
    )
    numbers = list(range(20))
    parent, child = f"{('parent', numbers)}\n", f"{('child', numbers)}\n"
    assert done.stdout == f"{parent}{child}0\n{parent}"


def test_many_loops_use_executors_from_many_threads(engine):
    outcomes = []

    def drive():
        loop = engine.new_loop()

        async def main():
            return sum([await asyncio.to_thread(int, number) for number in range(100)])

        outcomes.append(loop.run_until_complete(main()))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    threads = [threading.Thread(target=drive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    assert outcomes == [4950] * 4
