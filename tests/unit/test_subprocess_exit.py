"""The ends of children: many at once, statuses, wait and communicate, SIGCHLD, no zombies."""

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest
from descriptors import open_descriptors

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL


def no_children():
    """Whether this process has no child left, running or zombie."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


async def spawn(source, **kwargs):
    kwargs = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL, **kwargs}
    return await asyncio.create_subprocess_exec("/bin/sh", "-c", source, **kwargs)


@pytest.mark.parametrize(("source", "status"), [("exit 0", 0), ("exit 255", 255)])
def test_the_status_of_an_exit(loop, run, source, status):
    async def main():
        process = await spawn(source)
        return await process.wait(), process.returncode, await process.wait()

    assert run(main()) == (status, status, status)
    assert no_children()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1])
def test_the_status_of_a_signal(loop, run, number):
    async def main():
        process = await spawn(f"kill -{int(number)} $$; sleep 20")
        return await process.wait()

    assert run(main()) == -number


def test_a_hundred_children_at_once(loop, run):
    async def main():
        processes = await asyncio.gather(
            *(spawn(f"echo {number}; exit {number}", stdout=PIPE) for number in range(100))
        )
        outputs = await asyncio.gather(*(process.communicate() for process in processes))
        for _ in range(3):
            await asyncio.sleep(0)
        return [out for out, _ in outputs], [process.returncode for process in processes]

    before = open_descriptors()
    outputs, statuses = run(main())
    assert outputs == [b"%d\n" % number for number in range(100)]
    assert statuses == list(range(100))
    assert no_children()
    assert open_descriptors().items() <= before.items()


def test_children_that_exit_at_once_are_not_missed(loop, run):
    async def main():
        statuses = []
        for number in range(20):
            process = await spawn(f"exit {number}")
            statuses.append(await process.wait())
        return statuses

    assert run(main()) == list(range(20))
    assert no_children()


def test_several_waiters_get_the_status(loop, run):
    async def main():
        process = await spawn("read line; exit 8", stdin=PIPE)
        waiters = [loop.create_task(process.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waiters[1].cancel()
        process.stdin.write(b"go\n")
        return await asyncio.gather(*waiters, return_exceptions=True)

    first, second, third = run(main())
    assert (first, third) == (8, 8)
    assert isinstance(second, asyncio.CancelledError)


def test_communicate_with_much_input_and_output(loop, run):
    data = bytes(range(256)) * 4000

    async def main():
        process = await asyncio.create_subprocess_exec(
            "/bin/cat", stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        return await process.communicate(data)

    assert run(main()) == (data, b"")


def test_communicate_with_a_child_that_does_not_read(loop, run):
    async def main():
        process = await spawn("exit 0", stdin=PIPE, stdout=PIPE)
        return await process.communicate(b"x" * 1_000_000)

    assert run(main()) == (b"", None)


def test_a_cancelled_communicate_leaves_the_child(loop, run):
    async def main():
        process = await spawn("read line; echo $line", stdin=PIPE, stdout=PIPE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.stdout.read(), 0.01)
        assert process.returncode is None
        return await process.communicate(b"still here\n")

    assert run(main()) == (b"still here\n", None)


@pytest.mark.parametrize("act", ["terminate", "kill", "send_signal"])
def test_signals_after_wait_raise_as_on_stock(same_as_stock, act):
    def scenario(loop, _):
        async def main():
            # The child ends when its start is over: since 3.14 a signal to one that ended before
            # raises nothing.
            reader, writer = os.pipe()
            process = await spawn("read line; exit 3", stdin=reader)
            os.close(reader)
            os.close(writer)
            await process.wait()
            try:
                getattr(process, act)(*[signal.SIGTERM] * (act == "send_signal"))
            except ProcessLookupError as exc:
                return process.returncode, type(exc)
            return process.returncode, None

        return loop.run_until_complete(main())

    assert same_as_stock(scenario) == ("returned", (3, ProcessLookupError))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11's thread takes the exit status")
def test_a_child_reaped_by_somebody_else_has_status_255(same_as_stock, caplog):
    # CPython: the watcher cannot know the status any more, and says so.
    def scenario(loop, _):
        async def main():
            process = await spawn("read line; exit 7", stdin=PIPE)
            process.stdin.write(b"go\n")
            os.waitpid(process.pid, 0)
            return await process.wait()

        status = loop.run_until_complete(main())
        texts = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return status, ["exit status already read" in text for text in texts]

    assert same_as_stock(scenario) == ("returned", (255, [True]))


def test_a_handler_of_the_program_for_sigchld_is_allowed(loop, run):
    seen = []
    previous = signal.signal(signal.SIGCHLD, lambda *_: seen.append("signal"))
    try:

        async def main():
            process = await spawn("exit 4")
            return await process.wait()

        assert run(main()) == 4
        assert seen
        assert signal.getsignal(signal.SIGCHLD) is not previous
    finally:
        signal.signal(signal.SIGCHLD, previous)


def test_add_signal_handler_for_sigchld_is_allowed(loop, run):
    async def main():
        seen = asyncio.Event()
        loop.add_signal_handler(signal.SIGCHLD, seen.set)
        process = await spawn("exit 5")
        status = await process.wait()
        await seen.wait()
        loop.remove_signal_handler(signal.SIGCHLD)
        return status

    assert run(main()) == 5


def test_children_of_loops_in_other_threads(engine):
    results = {}

    def work(name):
        async def main():
            processes = [await spawn(f"exit {number}") for number in range(5)]
            return [await process.wait() for process in processes]

        loop = engine.new_loop()
        results[name] = loop.run_until_complete(main())
        loop.close()

    threads = [threading.Thread(target=work, args=[name]) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {name: [0, 1, 2, 3, 4] for name in range(3)}
    assert no_children()


def test_a_popen_of_the_program_keeps_its_child(loop, run):
    async def main():
        own = subprocess.Popen(["/bin/sh", "-c", "exit 6"])
        process = await spawn("exit 7")
        status = await process.wait()
        return own.wait(), status

    assert run(main()) == (6, 7)


def test_a_child_that_outlives_its_loop(engine):
    loop = engine.new_loop()

    async def main():
        process = await spawn("read line", stdin=PIPE)
        return process, process.pid

    process, pid = loop.run_until_complete(main())
    process._transport.close()
    loop.run_until_complete(process.wait())
    loop.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_stdin_that_the_child_closed_raises_in_drain(loop, run):
    async def main():
        process = await spawn("exec <&-; sleep 20", stdin=PIPE)

        async def write_forever():
            while True:
                process.stdin.write(b"x" * 65536)
                await process.stdin.drain()

        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await write_forever()
        process.kill()
        return await process.wait()

    assert run(main()) == -signal.SIGKILL


def test_a_slow_reader_of_stdout_holds_the_child(loop, run):
    # The limit of the stream pauses the pipe, and the pipe pauses the child.
    async def main():
        process = await asyncio.create_subprocess_exec(
            "/usr/bin/head", "-c", "3000000", "/dev/zero", stdout=PIPE, limit=1000
        )
        total = 0
        while data := await process.stdout.read(50_000):
            total += len(data)
        return total, await process.wait()

    assert run(main()) == (3_000_000, 0)
