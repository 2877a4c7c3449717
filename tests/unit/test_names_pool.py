"""Names that must be looked up: the threads that do it, when they come and when they go."""

import asyncio
import concurrent.futures
import socket
import sys
import threading
import types

import pytest

INFOS = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


@pytest.fixture
def gate(monkeypatch):
    """Look-ups wait until the gate is opened; `started` counts those that began."""

    gate = types.SimpleNamespace(
        opened=threading.Event(), started=threading.Semaphore(0), threads=[]
    )

    def getaddrinfo(*args):
        gate.threads.append(threading.current_thread())
        gate.started.release()
        assert gate.opened.wait(25)
        return INFOS

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield gate
    gate.opened.set()


def look_up_threads():
    prefixes = ("asyncio_", "ferrio-names_")
    return [thread for thread in threading.enumerate() if thread.name.startswith(prefixes)]


def test_names_are_looked_up_side_by_side(loop, run, gate):
    async def main():
        tasks = [loop.create_task(loop.getaddrinfo(f"name{n}.invalid", 80)) for n in range(3)]
        for _ in range(3):
            await loop.run_in_executor(None, gate.started.acquire, True, 20)
        assert not any(task.done() for task in tasks)
        gate.opened.set()
        assert await asyncio.gather(*tasks) == [INFOS] * 3

    run(main())


def test_the_threads_have_a_name_that_tells_what_they_are_for(engine, loop, run, gate):
    gate.opened.set()
    run(loop.getaddrinfo("name.invalid", 80))
    prefix = "ferrio-names_" if engine.name == "ferrio" else "asyncio_"
    assert [thread.name for thread in gate.threads] == [f"{prefix}0"]


def test_no_thread_is_made_before_a_name_is_looked_up(loop, run):
    before = set(threading.enumerate())
    run(asyncio.sleep(0))
    assert set(threading.enumerate()) <= before


def test_a_full_default_executor_delays_names_on_stock_only(engine, loop, run, gate):
    gate.opened.set()
    release = threading.Event()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    loop.set_default_executor(pool)

    async def main():
        blocker = loop.run_in_executor(None, release.wait, 25)
        look_up = loop.create_task(loop.getaddrinfo("name.invalid", 80))
        if engine.name == "ferrio":
            assert await asyncio.wait_for(look_up, 20) is INFOS
        else:
            await asyncio.sleep(0)
            assert gate.threads == []
        release.set()
        await blocker
        assert await look_up is INFOS

    try:
        run(main())
    finally:
        release.set()


def test_a_cancelled_look_up_that_has_not_begun_never_does(loop, run, gate):
    async def main():
        # As many as there are threads, and more.
        tasks = [loop.create_task(loop.getaddrinfo("name.invalid", n)) for n in range(64)]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            await loop.run_in_executor(pool, gate.started.acquire, True, 20)
        tasks[-1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[-1]
        gate.opened.set()
        await asyncio.gather(*tasks[:-1])

    run(main())
    assert len(gate.threads) == 63


def test_a_cancelled_look_up_that_has_begun_ends_by_itself(loop, run, gate, reported):
    async def main():
        task = loop.create_task(loop.getaddrinfo("name.invalid", 80))
        await loop.run_in_executor(None, gate.started.acquire, True, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.opened.set()

    run(main())
    run(loop.shutdown_default_executor())
    assert reported == []


def test_shutting_the_default_executor_down_joins_the_threads(loop, run, gate):
    gate.opened.set()
    run(loop.getaddrinfo("name.invalid", 80))
    run(loop.shutdown_default_executor())
    assert not any(thread.is_alive() for thread in gate.threads)
    with pytest.raises(RuntimeError, match="^Executor shutdown has been called$"):
        run(loop.getaddrinfo("name.invalid", 80))


def test_shutting_down_waits_for_look_ups_under_way(loop, run, gate):
    async def main():
        task = loop.create_task(loop.getaddrinfo("name.invalid", 80))
        await loop.run_in_executor(None, gate.started.acquire, True, 20)
        loop.call_later(0.001, gate.opened.set)
        await loop.shutdown_default_executor()
        assert not any(thread.is_alive() for thread in gate.threads)
        assert await task is INFOS

    run(main())


def test_shutting_down_joins_the_default_executor_as_well(loop, run, gate):
    gate.opened.set()

    async def main():
        await loop.getaddrinfo("name.invalid", 80)
        worker = await loop.run_in_executor(None, threading.current_thread)
        await loop.shutdown_default_executor()
        return [*gate.threads, worker]

    assert not any(thread.is_alive() for thread in run(main()))


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="no timeout on 3.11; 3.12.1 joins the threads in spite of it"
)
def test_shutting_down_gives_up_on_a_look_up_when_its_time_is_over(loop, run, gate):
    async def main():
        task = loop.create_task(loop.getaddrinfo("name.invalid", 80))
        await asyncio.to_thread(gate.started.acquire, True, 20)
        with pytest.warns(RuntimeWarning, match="The executor did not finishing joining") as caught:
            await loop.shutdown_default_executor(timeout=0.01)
        assert caught[0].filename == __file__
        gate.opened.set()
        assert await task is INFOS

    run(main())


def test_a_run_of_a_program_leaves_no_thread(loop_factory, gate):
    gate.opened.set()
    before = set(threading.enumerate())

    async def main():
        return await asyncio.get_running_loop().getaddrinfo("name.invalid", 80)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) is INFOS
    assert set(threading.enumerate()) <= before


def test_closing_the_loop_ends_idle_threads(engine, gate):
    gate.opened.set()
    loop = engine.new_loop()
    loop.run_until_complete(loop.getaddrinfo("name.invalid", 80))
    loop.close()
    for thread in gate.threads:
        thread.join(20)
        assert not thread.is_alive()


def test_closing_the_loop_does_not_wait_for_a_look_up(engine, gate, capfd):
    loop = engine.new_loop()
    task = loop.create_task(loop.getaddrinfo("name.invalid", 80))
    loop.run_until_complete(asyncio.sleep(0))
    assert gate.started.acquire(timeout=20)
    loop.close()
    assert not task.done()
    gate.opened.set()
    gate.threads[0].join(20)
    assert not gate.threads[0].is_alive()
    task._log_destroy_pending = False
    assert capfd.readouterr().err == ""


def test_loops_have_pools_of_their_own(engine, gate):
    gate.opened.set()
    loops = [engine.new_loop() for _ in range(2)]
    try:
        for loop in loops:
            loop.run_until_complete(loop.getaddrinfo("name.invalid", 80))
        loops[0].run_until_complete(loops[0].shutdown_default_executor())
        assert loops[1].run_until_complete(loops[1].getaddrinfo("name.invalid", 80)) is INFOS
    finally:
        for loop in loops:
            if not loop._executor_shutdown_called:
                loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


def test_the_interpreter_waits_at_its_exit_for_a_look_up_under_way(run_python):
    done = run_python("""
        import socket, threading, time
        started = threading.Event()

        def getaddrinfo(*args):
            started.set()
            while not threading._SHUTTING_DOWN:
                time.sleep(0.001)
            print("looked up", flush=True)

        socket.getaddrinfo = getaddrinfo
        loop = new_loop()
        task = loop.create_task(loop.getaddrinfo("name.invalid", 80))
        loop.run_until_complete(asyncio.sleep(0))
        started.wait()
        task._log_destroy_pending = False
        loop.close()
        print("end of the program", flush=True)
    """)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "end of the program\nlooked up\n"


def test_a_service_name_is_looked_up_in_a_thread(loop, run):
    infos = run(loop.getaddrinfo("127.0.0.1", "http", type=socket.SOCK_STREAM))
    assert infos == socket.getaddrinfo("127.0.0.1", "http", type=socket.SOCK_STREAM)
    assert len(look_up_threads()) == 1


def test_a_real_name_is_found(loop, run):
    infos = run(loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM))
    assert infos == socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
