"""Loops in threads, and threads that talk to a loop: nothing lost, nothing out of order."""

import asyncio
import concurrent.futures
import threading

import pytest


def start_all(functions):
    """Run each function in a thread of its own; wait for all; raise the first error."""
    with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
        return [future.result() for future in [pool.submit(function) for function in functions]]


def test_a_loop_in_a_thread_runs_what_it_is_given(background):
    done = threading.Event()
    names = []
    background.call_soon_threadsafe(lambda: names.append(threading.current_thread().name))
    background.call_soon_threadsafe(done.set)
    assert done.wait(20)
    assert names != [threading.current_thread().name]


def test_a_sleeping_loop_is_woken(background):
    for _ in range(200):
        done = threading.Event()
        background.call_soon_threadsafe(done.set)
        assert done.wait(20)


def test_a_loop_that_waits_for_a_far_timer_is_woken(background):
    background.call_soon_threadsafe(background.call_later, 1000, print)
    done = threading.Event()
    background.call_soon_threadsafe(done.set)
    assert done.wait(20)


def test_nothing_is_lost_and_each_thread_keeps_its_order(background):
    seen = []
    count, threads = 3000, 4

    def sender(name):
        for number in range(count):
            background.call_soon_threadsafe(seen.append, (name, number))

    start_all([lambda name=name: sender(name) for name in range(threads)])
    done = threading.Event()
    background.call_soon_threadsafe(done.set)
    assert done.wait(20)
    assert len(seen) == count * threads
    for name in range(threads):
        assert [number for who, number in seen if who == name] == list(range(count))


def test_callbacks_sent_before_the_run_are_kept(loop, turns):
    seen = []

    def sender():
        for number in range(100):
            loop.call_soon_threadsafe(seen.append, number)

    start_all([sender])
    turns()
    assert seen == list(range(100))


def test_callbacks_sent_between_two_runs_are_kept(loop, turns):
    seen = []
    for number in range(20):
        start_all([lambda number=number: loop.call_soon_threadsafe(seen.append, number)])
        turns()
        assert seen == list(range(number + 1))


def test_a_handle_may_be_cancelled_from_another_thread(background):
    seen = []
    held = threading.Event()
    done = threading.Event()
    background.call_soon_threadsafe(held.wait, 20)
    handles = [background.call_soon_threadsafe(seen.append, number) for number in range(100)]
    for handle in handles[::2]:
        handle.cancel()
    held.set()
    background.call_soon_threadsafe(done.set)
    assert done.wait(20)
    assert seen == list(range(1, 100, 2))


def test_stop_from_another_thread_ends_the_run(loop):
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    assert not thread.is_alive()
    assert not loop.is_running()


def test_call_soon_threadsafe_after_close_is_refused(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="^Event loop is closed$"):
        start_all([lambda: loop.call_soon_threadsafe(print)])


def test_a_close_while_threads_send_gives_them_an_error_and_no_crash(engine):
    for _ in range(20):
        loop = engine.new_loop()
        started = threading.Barrier(4)
        errors = []

        def sender(loop=loop, started=started, errors=errors):
            started.wait(20)
            try:
                while True:
                    loop.call_soon_threadsafe(int)
            except RuntimeError as exc:
                errors.append(str(exc))

        threads = [threading.Thread(target=sender) for _ in range(3)]
        for thread in threads:
            thread.start()
        started.wait(20)
        loop.stop()
        loop.run_forever()
        loop.close()
        for thread in threads:
            thread.join()
        assert errors == ["Event loop is closed"] * 3


def test_many_loops_run_at_once(engine):
    ready = threading.Barrier(5)

    def run_one():
        async def main():
            await asyncio.sleep(0)
            ready.wait(20)
            me = asyncio.current_task()
            for _ in range(100):
                await asyncio.sleep(0)
                assert asyncio.current_task() is me
            return asyncio.get_running_loop()

        with asyncio.Runner(loop_factory=engine.new_loop) as runner:
            assert runner.run(main()) is runner.get_loop()
            return runner.get_loop()

    assert len(set(start_all([run_one] * 5))) == 5


def test_loops_send_to_each_other(engine):
    loops = [engine.new_loop() for _ in range(3)]
    threads = [threading.Thread(target=loop.run_forever) for loop in loops]
    for thread in threads:
        thread.start()
    done = threading.Event()

    def pass_on(count):
        if count == 0:
            done.set()
        else:
            loops[count % 3].call_soon_threadsafe(pass_on, count - 1)

    loops[0].call_soon_threadsafe(pass_on, 600)
    assert done.wait(20)
    for loop, thread in zip(loops, threads, strict=True):
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_loop_may_run_in_one_thread_after_another(loop):
    def once():
        return loop.run_until_complete(asyncio.sleep(0, threading.get_ident()))

    first = start_all([once])[0]
    assert loop.run_until_complete(asyncio.sleep(0, "here")) == "here"
    assert first != threading.get_ident()


def test_a_running_loop_cannot_be_run_by_another_thread(background):
    with pytest.raises(RuntimeError, match="^This event loop is already running$"):
        start_all([background.run_forever])
