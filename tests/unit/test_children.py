"""How child processes are waited for: without threads, without signals, on whatever loop started
them; by the child watcher of the program where it chose one."""

import asyncio
import contextlib
import contextvars
import gc
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import threading
import warnings

import pytest
from descriptors import open_descriptors

# Before 3.12 stock starts a thread for each child.
THREADS_ON_STOCK = sys.version_info < (3, 12)
HAS_WATCHERS = sys.version_info < (3, 14)


def children():
    """The process ids of this process's children, zombies included."""
    with open(f"/proc/self/task/{threading.get_native_id()}/children") as listed:
        return listed.read().split()


async def start(*args, **kwargs):
    return await asyncio.create_subprocess_exec(*args, **kwargs)


async def cat():
    """A child that lives until its input is closed."""
    return await start("cat", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


@pytest.fixture
def threadless(engine):
    if engine.name == "asyncio" and THREADS_ON_STOCK:
        pytest.skip("stock starts a thread for each child")


def test_no_thread_waits_for_a_child(run, threadless):
    async def main():
        before = set(threading.enumerate())
        process = await cat()
        assert set(threading.enumerate()) <= before
        process.stdin.close()
        assert await process.wait() == 0

    run(main())


def test_a_hundred_children_at_once_leave_nothing_behind(run, threadless):
    async def child(number):
        return await start("sh", "-c", f"read line; exit {number}", stdin=subprocess.PIPE)

    async def main():
        await (await start("true")).wait()
        before = open_descriptors()
        threads = set(threading.enumerate())
        processes = [await child(number) for number in range(100)]
        assert set(threading.enumerate()) <= threads
        for process in processes:
            process.stdin.write(b"go\n")
        codes = await asyncio.gather(*(process.wait() for process in processes))
        assert codes == list(range(100))
        assert open_descriptors() == before

    run(main())
    assert children() == []


@pytest.mark.parametrize("command", ["cat", "true"])
def test_a_start_that_is_cancelled_in_any_turn_leaves_nothing_behind(run, command):
    async def cancelled_after(turns):
        task = asyncio.ensure_future(start(command, stdin=-1, stdout=-1, stderr=-1))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            process = await task
        except asyncio.CancelledError:
            return False
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
        return True

    async def main():
        await (await start("true")).wait()
        before = open_descriptors()
        started = [await cancelled_after(turns) for turns in range(14)]
        assert started[0] is False
        assert started[-1] is True
        # The last pipes are closed in the turn after the end of the process was told.
        await asyncio.sleep(0)
        return before

    before = run(main())
    gc.collect()
    assert open_descriptors() == before
    assert children() == []


def test_a_child_of_one_loop_is_reaped_while_another_runs(engine, loop, threadless):
    other = engine.new_loop()
    first = loop.run_until_complete(cat())
    second = other.run_until_complete(start("true"))
    assert other.run_until_complete(second.wait()) == 0
    first.kill()
    assert loop.run_until_complete(first.wait()) == -signal.SIGKILL
    other.close()


def test_a_stopped_child_is_not_reported(loop, run):
    async def main():
        process = await cat()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 0.05)
        process.send_signal(signal.SIGCONT)
        process.stdin.close()
        return await process.wait()

    assert run(main()) == 0


SECCOMP = """
import ctypes, struct
def forbid_pidfd(errno):
    "From now on pidfd_open(2) fails with this error. seccomp(2)"
    def instruction(code, true, false, value):
        return struct.pack("HBBI", code, true, false, value)
    NUMBER = {"x86_64": 434, "aarch64": 434}[__import__("platform").machine()]
    program = b"".join((
        instruction(0x20, 0, 0, 0),  # load the number of the call
        instruction(0x15, 0, 1, NUMBER),  # another one: skip the next instruction
        instruction(0x06, 0, 0, 0x00050000 | errno),  # fail
        instruction(0x06, 0, 0, 0x7FFF0000),  # allow
    ))
    buffer = ctypes.create_string_buffer(program)
    filter = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0) == 0, ctypes.get_errno()
"""


@pytest.mark.parametrize("errno", [1, 38], ids=["EPERM", "ENOSYS"])
def test_without_pidfd_a_thread_waits(run_python, errno):
    process = run_python(
        SECCOMP
        + f"""
forbid_pidfd({errno})
import threading
async def main():
    before = threading.active_count()
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    print(threading.active_count() - before)
    print(await process.communicate(b"text"), await process.wait())
loop = new_loop()
loop.run_until_complete(main())
loop.close()
"""
    )
    assert (process.stdout, process.stderr) == ("1\n(b'text', None) 0\n", "")


@pytest.mark.skipif(not THREADS_ON_STOCK, reason="stock needs a descriptor here")
def test_without_a_descriptor_for_the_pidfd_a_thread_waits(engine, loop, run):
    async def main():
        process = await start("true")
        await process.wait()
        before = threading.enumerate()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        real_popen = subprocess.Popen

        class Popen(real_popen):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))

        subprocess.Popen = Popen
        try:
            process = await cat_without_pipes()
        finally:
            subprocess.Popen = real_popen
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        started = [thread for thread in threading.enumerate() if thread not in before]
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        return len(started)

    async def cat_without_pipes():
        return await start("sleep", "1000")

    assert run(main()) == 1


@pytest.mark.parametrize("callback", ["process_exited", "connection_lost"])
def test_the_context_in_which_the_end_of_a_child_is_told(same_as_stock, callback):
    variable = contextvars.ContextVar("variable", default="unset")

    def scenario(loop, engine):
        class Protocol(asyncio.SubprocessProtocol):
            def __init__(self):
                self.ended = loop.create_future()

        def told(protocol, *_):
            if not protocol.ended.done():
                protocol.ended.set_result(variable.get())

        setattr(Protocol, callback, told)

        async def main():
            variable.set("of the task")
            transport, protocol = await loop.subprocess_exec(
                Protocol, "true", stdin=None, stdout=None, stderr=None
            )
            try:
                return await protocol.ended
            finally:
                transport.close()

        return loop.run_until_complete(main())

    same_as_stock(scenario)


def pidfds():
    """How many of the open descriptors are pidfds. Linux 6.9 has changed what they are called."""
    found = open_descriptors().values()
    return sum(name.startswith(("anon_inode:[pidfd]", "pidfd:")) for name in found)


def test_a_loop_closed_before_its_child_ends_keeps_no_pidfd(engine, threadless):
    loop = engine.new_loop()
    before = pidfds()
    process = loop.run_until_complete(start("sleep", "1000"))
    assert pidfds() == before + 1
    loop.close()
    left = pidfds() - before
    os.kill(process.pid, signal.SIGKILL)
    for thread in threading.enumerate():
        if "waitpid" in thread.name:  # which takes the child over on 3.11
            thread.join()
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, 0)
    process._transport._proc.returncode = -signal.SIGKILL
    process._transport._returncode = -signal.SIGKILL
    process._transport.close()
    if engine.name == "ferrio":
        # Stock forgets to close it.
        assert left == 0


@pytest.mark.skipif(not THREADS_ON_STOCK, reason="no thread takes the child over")
def test_a_thread_reaps_the_child_of_a_closed_loop(run_python):
    process = run_python(
        """
        import os, signal, threading
        loop = new_loop()
        process = loop.run_until_complete(asyncio.create_subprocess_exec("sleep", "1000"))
        loop.close()
        (thread,) = (thread for thread in threading.enumerate() if "waitpid" in thread.name)
        print(thread.daemon)
        os.kill(process.pid, signal.SIGKILL)
        thread.join()
        try:
            os.waitpid(process.pid, 0)
        except ChildProcessError:
            print("reaped")
        process._transport._closed = True
        process._transport._proc.returncode = 0
        """
    )
    assert process.stdout == "True\nreaped\n"
    assert re.fullmatch(r"Loop <.*> that handles pid \d+ is closed\n", process.stderr)


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="its Popen takes the exit status")
def test_a_signal_to_a_child_whose_end_the_loop_has_not_seen(engine, run, caplog):
    if engine.name == "asyncio" and THREADS_ON_STOCK:
        pytest.skip("whether the thread or Popen comes first is chance")

    async def main():
        process = await start("sh", "-c", "read line; exit 6", stdin=subprocess.PIPE)
        process.stdin.write(b"go\n")
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        process.terminate()
        return await process.wait()

    assert run(main()) == 6
    assert caplog.records == []


def test_children_that_nobody_may_wait_for(same_as_stock, caplog):
    """With SIGCHLD ignored the kernel throws the exit status away."""

    def scenario(loop, _):
        async def main():
            process = await cat()
            process.stdin.close()
            return process.pid, await process.wait()

        previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            pid, code = loop.run_until_complete(main())
        finally:
            signal.signal(signal.SIGCHLD, previous)
        texts = [record.getMessage().replace(str(pid), "PID") for record in caplog.records]
        caplog.clear()
        return code, texts

    kind, (code, texts) = same_as_stock(scenario)
    assert (kind, code, len(texts)) == ("returned", 255, 1)


def test_a_selector_of_the_program_watches_children(engine):
    classes = {"asyncio": asyncio.SelectorEventLoop}
    if engine.name == "ferrio":
        import ferrio

        classes["ferrio"] = ferrio.EventLoop
    loop = classes[engine.name](selectors.SelectSelector())

    async def main():
        process = await start("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return await process.communicate(b"text"), process.returncode

    assert loop.run_until_complete(main()) == ((b"text", None), 0)
    loop.close()


def test_a_child_in_debug_mode(loop, run, caplog):
    async def main():
        loop.set_debug(True)
        loop.slow_callback_duration = 60
        process = await start("sh", "-c", "exit 9")
        code = await process.wait()
        loop.set_debug(False)
        return process.pid, code

    caplog.set_level("DEBUG", logger="asyncio")
    pid, code = run(main())
    assert code == 9
    texts = [record.getMessage() for record in caplog.records]
    assert f"process 'sh' created: pid {pid}" in texts
    assert (f"process {pid} exited with returncode 9" in texts) == THREADS_ON_STOCK


@pytest.mark.skipif(not HAS_WATCHERS, reason="removed in 3.14")
class TestChosenWatchers:
    """A watcher that the program has set is used, with all its costs."""

    @pytest.fixture(autouse=True)
    def silent(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
            asyncio.set_child_watcher(None)

    def test_a_watcher_of_the_program(self, loop, run):
        calls = []

        class Watcher(asyncio.ThreadedChildWatcher):
            def add_child_handler(self, pid, callback, *args):
                calls.append(pid)
                super().add_child_handler(pid, callback, *args)

        asyncio.set_child_watcher(Watcher())

        async def main():
            process = await start("sh", "-c", "exit 3")
            return process.pid, await process.wait()

        pid, code = run(main())
        assert calls == [pid]
        assert code == 3

    def test_a_watcher_that_is_not_active(self, loop, run):
        class Watcher(asyncio.ThreadedChildWatcher):
            def is_active(self):
                return False

        asyncio.set_child_watcher(Watcher())
        with pytest.raises(RuntimeError, match="is not activated, subprocess support is not"):
            run(start("true"))
        assert children() == []

    @pytest.mark.parametrize(
        "name", ["SafeChildWatcher", "FastChildWatcher", "MultiLoopChildWatcher"]
    )
    def test_watchers_of_asyncio(self, loop, run, name):
        watcher = getattr(asyncio, name)()
        asyncio.set_child_watcher(watcher)
        watcher.attach_loop(loop)
        handler = signal.getsignal(signal.SIGCHLD)
        assert handler is not signal.SIG_DFL

        # Its end may not come while it is being registered: a signal between the waitpid() of
        # MultiLoopChildWatcher and what it notes of it makes 255 of any status, on stock too.
        async def main():
            process = await start("sh", "-c", "read line; exit 3", stdin=subprocess.PIPE)
            process.stdin.close()
            return await process.wait()

        assert run(main()) == 3
        watcher.close()

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="it is the default before")
    def test_threads_when_the_program_wants_them(self, loop, run):
        asyncio.set_child_watcher(asyncio.ThreadedChildWatcher())

        async def main():
            before = threading.enumerate()
            process = await cat()
            started = [thread for thread in threading.enumerate() if thread not in before]
            process.stdin.close()
            return len(started), await process.wait()

        assert run(main()) == (1, 0)

    def test_a_policy_with_a_watcher_of_its_own(self, loop, run):
        calls = []
        watcher = asyncio.ThreadedChildWatcher()

        class Policy(asyncio.DefaultEventLoopPolicy):
            def get_child_watcher(self):
                calls.append("asked")
                return watcher

        previous = asyncio.get_event_loop_policy()
        asyncio.set_event_loop_policy(Policy())
        try:

            async def main():
                return await (await start("true")).wait()

            assert run(main()) == 0
        finally:
            asyncio.set_event_loop_policy(previous)
        assert calls == ["asked"]

    def test_no_deprecation_warning_reaches_the_program(self, loop, run):
        async def main():
            return await (await start("true")).wait()

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert run(main()) == 0
