"""Ctrl-C in a program: while the loop sleeps, runs Python, or is driven by a Runner."""

import signal

INTERRUPTED = """
    import os, signal, sys, threading, time

    def interrupt(delay):
        def later():
            time.sleep(delay)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=later, daemon=True).start()
"""


def test_ctrl_c_while_the_loop_sleeps(run_python):
    done = run_python(
        INTERRUPTED
        + """
    loop = new_loop()
    interrupt(0.1)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print("interrupted", loop.is_running())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted False\n", "", 0)


def test_ctrl_c_while_a_task_runs_python(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def main():
        interrupt(0.1)
        while True:
            pass

    loop = new_loop()
    try:
        loop.run_until_complete(main())
    except KeyboardInterrupt:
        print("interrupted")
    loop.close()
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_ctrl_c_while_tasks_keep_the_loop_busy(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def spin():
        while True:
            await asyncio.sleep(0)

    loop = new_loop()
    task = loop.create_task(spin())
    interrupt(0.1)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print("interrupted")
    if not task.done():
        task.cancel()
        ended, _ = loop.run_until_complete(asyncio.wait([task], timeout=5))
        # Between taking a step off its queue and running it, stock may lose it to the interrupt.
        if new_loop is asyncio.SelectorEventLoop and not ended:
            task._log_destroy_pending = False
    else:
        task.exception()
    loop.close()
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_ctrl_c_cancels_the_main_task_of_a_runner(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def main():
        interrupt(0.1)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            print("cleaned up")
            raise

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
    except KeyboardInterrupt:
        print("interrupted")
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("cleaned up\ninterrupted\n", "", 0)


def test_a_second_ctrl_c_leaves_a_runner_whose_task_hangs_on(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def main():
        interrupt(0.1)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            interrupt(0.1)
            while True:
                pass

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
    except KeyboardInterrupt:
        print("interrupted")
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_ctrl_c_with_nobody_to_catch_it_ends_the_process_as_python_does(run_python):
    done = run_python(
        INTERRUPTED
        + """
    async def main():
        interrupt(0.1)
        await asyncio.sleep(1000)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    """
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_a_loop_in_a_thread_does_not_disturb_ctrl_c_in_the_main_thread(run_python):
    done = run_python(
        INTERRUPTED
        + """
    loop = new_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    interrupt(0.1)
    try:
        threading.Event().wait(20)
    except KeyboardInterrupt:
        print("interrupted")
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)
